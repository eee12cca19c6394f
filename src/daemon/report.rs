//! The report builder: puts the status report together, and remembers when each warning began.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::policy;
use crate::status::report::{Account, Health, Override, Report, Signal, Warning};
use crate::time::Now;
use crate::warning::{self, Severity};

use super::rounded;

/// What it remembers from one report to the next.
#[derive(Debug)]
pub(super) struct ReportBuilder {
    started_at: Timestamp,
    warnings: BTreeMap<warning::Warning, Timestamp>,
}

impl ReportBuilder {
    /// For a daemon that started at `started_at`.
    pub(super) fn new(started_at: Timestamp) -> Self {
        Self { started_at, warnings: BTreeMap::new() }
    }

    /// The report before the first turn.
    pub(super) fn first(&self) -> Report {
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.started_at,
            health: Health::Ok,
            accounts: BTreeMap::new(),
            signals: BTreeMap::new(),
            manual: None,
            warnings: Vec::new(),
        }
    }

    /// The report of this turn. A warning that comes without a start time keeps its time from the turn before, or starts now.
    pub(super) fn report(
        &mut self,
        accounts: BTreeMap<String, Account>,
        signals: BTreeMap<String, Signal>,
        manual: Option<&policy::Override>,
        warnings: impl Iterator<Item = (warning::Warning, Option<Timestamp>)>,
        now: &Now,
    ) -> Report {
        self.remember(warnings, now);
        let warnings: Vec<_> = self
            .warnings
            .iter()
            .map(|(warning, since)| Warning {
                code: warning.code,
                severity: warning.code.severity(),
                text: warning.text.clone(),
                hint: warning.hint.clone(),
                since: *since,
            })
            .collect();
        let health = match warnings.iter().map(|warning| warning.severity).max() {
            None => signals.values().map(|signal| signal.health).max().unwrap_or(Health::Ok),
            Some(Severity::Warning) => Health::Degraded,
            Some(Severity::Error) => Health::Failing,
        };
        let manual = manual.map(|manual| Override { presence: manual.claim.to_string(), until: manual.until });
        Report { health, accounts, signals, manual, warnings, ..self.first() }
    }

    /// Remembers the warnings of this turn. A warning that was there before keeps its time, even if its text has changed: if one
    /// appears while another with the same code disappears, the problem is the same and only its last symptom differs.
    fn remember(&mut self, warnings: impl Iterator<Item = (warning::Warning, Option<Timestamp>)>, now: &Now) {
        let mut gone = std::mem::take(&mut self.warnings);
        let mut new = Vec::new();
        for (warning, since) in warnings {
            match gone.get(&warning) {
                Some(known) => drop(self.warnings.insert(warning, since.unwrap_or(*known))),
                None => new.push((warning, since)),
            }
        }
        gone.retain(|warning, _| !self.warnings.contains_key(warning));
        for (warning, since) in new {
            if self.warnings.contains_key(&warning) {
                continue;
            }
            let is_same = |other: &warning::Warning, at: Timestamp| {
                other.code == warning.code && since.is_none_or(|since| since == at)
            };
            let before = gone.iter().find(|(other, at)| is_same(other, **at)).map(|(other, _)| other.clone());
            let known = before.and_then(|before| gone.remove(&before));
            // Whoever knows the start time also logs each attempt.
            if known.is_none() || since.is_none() {
                tracing::warn!(code = ?warning.code, hint = warning.hint, "{warning}");
            }
            self.warnings.insert(warning, since.or(known).unwrap_or_else(|| rounded(now.wall)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::time::Instant;
    use crate::warning::Code;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    /// The texts of the warnings in the report of `second`, each with the second when it began.
    fn warnings(
        builder: &mut ReportBuilder,
        second: u64,
        warnings: &[(Code, &str, Option<u64>)],
    ) -> Vec<(String, i64)> {
        let after = |seconds| START + Duration::from_secs(seconds);
        let now = Now { instant: Instant::default(), wall: after(second), zone: TimeZone::UTC };
        let warnings = warnings.iter().map(|(code, text, since)| {
            let warning = warning::Warning { code: *code, text: (*text).to_owned(), hint: "fix it".to_owned() };
            (warning, since.map(after))
        });
        let report = builder.report(BTreeMap::new(), BTreeMap::new(), None, warnings, &now);
        report.warnings.into_iter().map(|warning| (warning.text, warning.since.as_second())).collect()
    }

    fn since(list: &[(&str, i64)]) -> Vec<(String, i64)> {
        list.iter().map(|(text, since)| ((*text).to_owned(), *since)).collect()
    }

    #[test]
    fn a_warning_keeps_its_time_even_if_its_text_changes_until_it_disappears() {
        use Code::{CalendarStale, LockUnavailable};
        let mut builder = ReportBuilder::new(START);
        assert_eq!(warnings(&mut builder, 1, &[(CalendarStale, "503", None)]), since(&[("503", 1)]));
        let two = [(CalendarStale, "no answer", None), (LockUnavailable, "no bus", None)];
        assert_eq!(warnings(&mut builder, 2, &two), since(&[("no answer", 1), ("no bus", 2)]));
        let another = [(CalendarStale, "no answer", None), (CalendarStale, "another one", None)];
        assert_eq!(warnings(&mut builder, 3, &another), since(&[("another one", 3), ("no answer", 1)]));
        let twice = [(CalendarStale, "no answer", None), (CalendarStale, "no answer", None)];
        assert_eq!(warnings(&mut builder, 4, &twice), since(&[("no answer", 1)]));
        assert_eq!(warnings(&mut builder, 5, &[]), []);
        assert_eq!(warnings(&mut builder, 6, &[(CalendarStale, "no answer", None)]), since(&[("no answer", 6)]));
    }

    #[test]
    fn a_warning_that_brings_its_own_time_keeps_it() {
        let mut builder = ReportBuilder::new(START);
        let trouble = |text, since| [(Code::ServiceUnavailable, text, Some(since))];
        assert_eq!(warnings(&mut builder, 40, &trouble("503", 10)), since(&[("503", 10)]));
        assert_eq!(warnings(&mut builder, 41, &trouble("reset", 10)), since(&[("reset", 10)]));
        assert_eq!(warnings(&mut builder, 90, &trouble("reset", 60)), since(&[("reset", 60)]));
    }
}
