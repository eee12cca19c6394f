//! The chronicle: puts the report together, and remembers since when each warning holds.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::policy;
use crate::status::report::{Account, Health, Override, Report, Signal, Warning};
use crate::time::Now;
use crate::warning::{self, Severity};

use super::rounded;

/// What the report needs to remember.
#[derive(Debug)]
pub(super) struct Chronicle {
    started_at: Timestamp,
    warnings: BTreeMap<warning::Warning, Timestamp>,
}

impl Chronicle {
    /// The chronicle of a daemon that started at `started_at`.
    pub(super) fn new(started_at: Timestamp) -> Self {
        Self { started_at, warnings: BTreeMap::new() }
    }

    /// The report of a daemon that knows nothing yet.
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

    /// The report of this turn. A warning that comes without its time has it from the turn before, or from now.
    pub(super) fn report(
        &mut self,
        accounts: BTreeMap<String, Account>,
        signals: BTreeMap<String, Signal>,
        manual: Option<&policy::Override>,
        warnings: impl Iterator<Item = (warning::Warning, Option<Timestamp>)>,
        now: &Now,
    ) -> Report {
        self.warnings = warnings
            .map(|(warning, since)| {
                let known = self.warnings.get(&warning).copied();
                let in_other_words = || {
                    let is =
                        |(other, at): (&warning::Warning, &Timestamp)| other.code == warning.code && Some(*at) == since;
                    self.warnings.iter().any(is)
                };
                if known.is_none() && !in_other_words() {
                    tracing::warn!(code = ?warning.code, hint = warning.hint, "{warning}");
                }
                (warning, since.or(known).unwrap_or_else(|| rounded(now.wall)))
            })
            .collect();
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
}
