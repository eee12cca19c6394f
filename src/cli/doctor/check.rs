//! What a check is: a name, a verdict, a line of what was found, and the mend.
//!
//! Leaves to others: what is checked (a file for each family), and how it is shown (`view`, `json`, `report`).

use serde::Serialize;

use super::text::{Part, Text};

/// How a check ended, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// There was nothing to check; what was found says why.
    Skipped,
    /// It is well.
    Ok,
    /// The presence may be less exact than it could be, or soon will be.
    Warning,
    /// It keeps presenced from its work.
    Failed,
}

/// The families of checks, in the order in which they are shown: what breaks others comes first.
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
    /// All of them, in that order.
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

    /// Its title.
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

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) group: Group,
    /// What it is, from a closed set, so that a program can rely on it.
    pub(super) name: &'static str,
    /// Of which: an account, a calendar.
    pub(super) subject: Option<Part>,
    pub(super) verdict: Verdict,
    /// What was found, on one line.
    pub(super) found: Text,
    /// More of it, a line each.
    pub(super) details: Vec<Text>,
    /// What mends it.
    pub(super) hint: Option<Text>,
    /// Whether it fails because somebody must sign in.
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

    /// The same, of one among several.
    #[must_use]
    pub(super) fn of(self, subject: Part) -> Self {
        Self { subject: Some(subject), ..self }
    }

    /// The same with what mends it.
    #[must_use]
    pub(super) fn with_hint(self, hint: impl Into<Text>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with more of what was found.
    #[must_use]
    pub(super) fn with_details(self, details: impl IntoIterator<Item = Text>) -> Self {
        Self { details: self.details.into_iter().chain(details).collect(), ..self }
    }

    /// Whether there is something to mend.
    pub(super) fn is_trouble(&self) -> bool {
        matches!(self.verdict, Verdict::Warning | Verdict::Failed)
    }
}

/// The worst of all.
pub(super) fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Skipped)
}
