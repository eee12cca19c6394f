//! A check: its name, its verdict, what was found, and how to fix it.
//!
//! Leaves to others: what is checked (one file per group), and how it is shown (`view`, `json`, `report`).

use serde::Serialize;

use super::text::{Part, Text};

/// The result of a check, from mildest to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// There was nothing to check. `found` says why.
    Skipped,
    /// Nothing is wrong.
    Ok,
    /// The presence may be less exact than it could be, or soon will be.
    Warning,
    /// It prevents presenced from doing its work.
    Failed,
}

/// The groups of checks, in the order in which they are shown. What can cause other problems comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Group {
    Configuration,
    Daemon,
    Network,
    Clock,
    SignIn,
    Calendars,
    Desktop,
    Machine,
}

impl Group {
    /// All groups, in that order.
    pub(super) const ALL: [Self; 8] = [
        Self::Configuration,
        Self::Daemon,
        Self::Network,
        Self::Clock,
        Self::SignIn,
        Self::Calendars,
        Self::Desktop,
        Self::Machine,
    ];

    /// The title that its checks are shown under.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration",
            Self::Daemon => "Daemon and service",
            Self::Calendars => "Calendars",
            Self::Desktop => "Desktop",
            Self::SignIn => "Sign-in",
            Self::Network => "Network",
            Self::Clock => "Clock",
            Self::Machine => "Machine",
        }
    }
}

/// One check and its result.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) group: Group,
    /// Its id, from a closed set, so that programs can rely on it.
    pub(super) name: &'static str,
    /// The account or the calendar that it is about, if it is about one.
    pub(super) subject: Option<Part>,
    pub(super) verdict: Verdict,
    /// What was found, in one line.
    pub(super) found: Text,
    /// Details, one per line.
    pub(super) details: Vec<Text>,
    /// How to fix it.
    pub(super) hint: Option<Text>,
    /// Whether it failed because the user must sign in.
    pub(super) needs_sign_in: bool,
}

impl Check {
    fn new(group: Group, name: &'static str, verdict: Verdict, found: Text) -> Self {
        Self { group, name, subject: None, verdict, found, details: Vec::new(), hint: None, needs_sign_in: false }
    }

    pub(super) fn ok(group: Group, name: &'static str, found: impl Into<Text>) -> Self {
        Self::new(group, name, Verdict::Ok, found.into())
    }

    pub(super) fn skipped(group: Group, name: &'static str, why: impl Into<Text>) -> Self {
        Self::new(group, name, Verdict::Skipped, why.into())
    }

    pub(super) fn warning(group: Group, name: &'static str, found: impl Into<Text>) -> Self {
        Self::new(group, name, Verdict::Warning, found.into())
    }

    pub(super) fn failed(group: Group, name: &'static str, found: impl Into<Text>) -> Self {
        Self::new(group, name, Verdict::Failed, found.into())
    }

    /// The same check, about this account or calendar.
    #[must_use]
    pub(super) fn of(self, subject: Part) -> Self {
        Self { subject: Some(subject), ..self }
    }

    /// The same check with a hint how to fix it.
    #[must_use]
    pub(super) fn with_hint(self, hint: impl Into<Text>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same check with more details.
    #[must_use]
    pub(super) fn with_details(self, details: impl IntoIterator<Item = Text>) -> Self {
        Self { details: self.details.into_iter().chain(details).collect(), ..self }
    }

    /// Whether there is something to fix.
    pub(super) fn is_trouble(&self) -> bool {
        matches!(self.verdict, Verdict::Warning | Verdict::Failed)
    }
}

/// The worst verdict.
pub(super) fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Skipped)
}
