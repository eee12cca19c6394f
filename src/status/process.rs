//! What the process itself uses, under the names of Prometheus' client libraries. It is read from `/proc` at each scrape; what
//! cannot be read is left out.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// What the process uses.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Time on a processor, in seconds.
    cpu: Option<f64>,
    /// In bytes.
    resident_memory: Option<i64>,
    open_files: Option<i64>,
}

impl Usage {
    /// Reads it now.
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let open_files = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        let usage = Self::of(&stat, rustix::param::clock_ticks_per_second(), rustix::param::page_size());
        // One of them is the folder that is being read.
        Self { open_files: open_files.and_then(|files| i64::try_from(files.saturating_sub(1)).ok()), ..usage }
    }

    /// Reads `proc_pid_stat(5)`. The second field, the program's name, may hold anything.
    fn of(stat: &str, ticks: u64, page: usize) -> Self {
        let fields: Vec<&str> = stat.rsplit_once(')').map_or(stat, |(_, rest)| rest).split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u32>().ok());
        let cpu = field(14).zip(field(15)).map(|(user, system)| f64::from(user) + f64::from(system));
        let ticks = u32::try_from(ticks).ok().map(f64::from);
        let page = i64::try_from(page).ok();
        Self {
            cpu: cpu.zip(ticks).map(|(cpu, ticks)| cpu / ticks),
            resident_memory: field(24).zip(page).map(|(pages, page)| i64::from(pages) * page),
            open_files: None,
        }
    }
}

impl Collector for Usage {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        if let Some(cpu) = self.cpu {
            let help = "Time spent on a processor";
            let metric = encoder.encode_descriptor("cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
            ConstCounter::new(cpu).encode(metric)?;
        }
        if let Some(bytes) = self.resident_memory {
            let help = "Memory that is resident";
            let metric = encoder.encode_descriptor("resident_memory", help, Some(&Unit::Bytes), MetricType::Gauge)?;
            ConstGauge::new(bytes).encode(metric)?;
        }
        if let Some(files) = self.open_files {
            let metric = encoder.encode_descriptor("open_fds", "Open file descriptors", None, MetricType::Gauge)?;
            ConstGauge::new(files).encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_a_name_that_may_hold_anything() {
        let stat = "4242 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 11 12 13 14 15 16 17 18 1000 19 20\n";
        let expected = Usage { cpu: Some(2.0), resident_memory: Some(4_096_000), open_files: None };
        assert_eq!(Usage::of(stat, 100, 4096), expected);
        for nothing in ["", "4242", "4242 (x) S", "1 (x) S a b c d e f g h i j k l m n o p q r s t u v"] {
            assert_eq!(Usage::of(nothing, 100, 4096), Usage::default(), "{nothing}");
        }
    }

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::read();
        assert!(
            usage.cpu.is_some() && usage.resident_memory > Some(100_000) && usage.open_files > Some(2),
            "{usage:?}"
        );
    }
}
