//! Prints the checks as JSON, in the shape that [`super`] describes.

use serde::Serialize;

use super::Scene;
use super::check::{Check, Group, Verdict, worst};

#[derive(Serialize)]
struct Printed<'a> {
    version: u32,
    presenced: &'static str,
    verdict: Verdict,
    daemon: Daemon<'a>,
    checks: Vec<PrintedCheck<'a>>,
}

#[derive(Serialize)]
struct Daemon<'a> {
    running: bool,
    version: Option<&'a str>,
    pid: Option<u32>,
}

#[derive(Serialize)]
struct PrintedCheck<'a> {
    group: Group,
    check: &'static str,
    subject: Option<&'a str>,
    verdict: Verdict,
    found: String,
    details: Vec<String>,
    hint: Option<String>,
}

/// One object on one line.
pub(super) fn render(scene: &Scene<'_>, checks: &[Check]) -> String {
    let report = scene.report();
    let printed = Printed {
        version: 1,
        presenced: env!("CARGO_PKG_VERSION"),
        verdict: worst(checks),
        daemon: Daemon {
            running: report.is_some(),
            version: report.map(|report| report.version.as_str()),
            pid: report.map(|report| report.pid),
        },
        checks: checks.iter().map(PrintedCheck::of).collect(),
    };
    serde_json::to_string(&printed).expect("the keys are fixed") + "\n"
}

impl<'a> PrintedCheck<'a> {
    fn of(check: &'a Check) -> Self {
        Self {
            group: check.group,
            check: check.name,
            subject: check.subject.as_ref().map(super::text::Part::as_str),
            verdict: check.verdict,
            found: check.found.to_string(),
            details: check.details.iter().map(ToString::to_string).collect(),
            hint: check.hint.as_ref().map(ToString::to_string),
        }
    }
}
