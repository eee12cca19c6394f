//! `GET /metrics`: the report as `OpenMetrics` text, made anew at each scrape so that there is no second set of books.
//!
//! Times are given as Unix timestamps, not as ages: an age would be wrong by the time it is stored, and
//! `time() - presenced_account_confirmed_timestamp_seconds` says the same.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::report::{Account, Health, Report, Requests, State, word};

/// The content type of `OpenMetrics` 1.0.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The report as `OpenMetrics` text.
pub(super) fn render(report: Arc<Report>) -> String {
    let mut registry = Registry::with_prefix("presenced");
    registry.register_collector(Box::new(Metrics(report)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("writing into a string cannot fail");
    text
}

#[derive(Debug)]
struct Metrics(Arc<Report>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let report = &*self.0;
        encoder
            .encode_descriptor("build", "The running version", None, MetricType::Info)?
            .encode_info(&[("version", report.version.as_str())])?;
        gauge(&mut encoder, "start_time", "When the daemon started", Some(&Unit::Seconds))?
            .encode_gauge(&report.started_at.as_second())?;

        let mut metric = gauge(&mut encoder, "health", "1 for the health that all is in", None)?;
        for health in Health::ALL {
            one_hot(&mut metric, &[("health", word(health))], health == report.health)?;
        }
        self.accounts(&mut encoder)?;

        let mut metric = gauge(&mut encoder, "signal_health", "1 for the health that a signal's source is in", None)?;
        for (name, signal) in &report.signals {
            for health in Health::ALL {
                one_hot(&mut metric, &[("signal", name.clone()), ("health", word(health))], health == signal.health)?;
            }
        }
        gauge(&mut encoder, "override_active", "1 while a presence chosen by hand is in force", None)?
            .encode_gauge(&i64::from(report.manual.is_some()))?;

        let mut metric = gauge(&mut encoder, "warnings", "Warnings in force", None)?;
        let mut codes: Vec<_> = report.warnings.iter().map(|warning| warning.code).collect();
        codes.sort_unstable();
        for alike in codes.chunk_by(|one, next| one == next) {
            let count = i64::try_from(alike.len()).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(metric.encode_family(&[("code", word(alike[0]))])?)?;
        }
        Ok(())
    }
}

/// What is counted of an account's requests.
type Count = fn(&Requests) -> u64;

impl Metrics {
    fn accounts(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let accounts = &self.0.accounts;
        let mut metric = gauge(encoder, "account_state", "1 for the state that an account's session is in", None)?;
        for (name, account) in accounts {
            for state in State::ALL {
                one_hot(&mut metric, &[("account", name.clone()), ("state", word(state))], state == account.state)?;
            }
        }
        let counts: [(&str, &str, Count); 3] = [
            ("account_requests", "Requests sent to Microsoft Graph", |requests| requests.sent),
            ("account_requests_failed", "Requests that failed, throttled ones included", |requests| requests.failed),
            ("account_requests_throttled", "Requests that were answered with 429", |requests| requests.throttled),
        ];
        for (name, help, count) in counts {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (account, Account { requests, .. }) in accounts {
                ConstCounter::new(count(requests)).encode(metric.encode_family(&[("account", account.as_str())])?)?;
            }
        }
        let help = "When the request was sent that set the presence Graph holds; absent while it holds none";
        let mut metric = gauge(encoder, "account_confirmed_timestamp", help, Some(&Unit::Seconds))?;
        for (name, account) in accounts {
            if let Some(asserted) = &account.asserted {
                ConstGauge::new(asserted.sent_at.as_second())
                    .encode(metric.encode_family(&[("account", name.as_str())])?)?;
            }
        }
        let help = "When the request was sent that set the preferred presence; absent while presenced has set none";
        let mut metric = gauge(encoder, "account_preferred_timestamp", help, Some(&Unit::Seconds))?;
        for (name, account) in accounts {
            if let Some(preferred) = &account.preferred {
                ConstGauge::new(preferred.sent_at.as_second())
                    .encode(metric.encode_family(&[("account", name.as_str())])?)?;
            }
        }
        Ok(())
    }
}

fn gauge<'a>(
    encoder: &'a mut DescriptorEncoder,
    name: &'a str,
    help: &str,
    unit: Option<&'a Unit>,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)
}

/// One sample of a metric that is 1 for exactly one of its last label's values.
fn one_hot<const N: usize>(metric: &mut MetricEncoder, labels: &[(&str, String); N], is: bool) -> fmt::Result {
    ConstGauge::new(i64::from(is)).encode(metric.encode_family(labels)?)
}
