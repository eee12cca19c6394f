//! What tests look for in a daemon's report.

use presenced::status::report::{Account, Report};
use presenced::warning::Code;

/// The account `work`.
pub(crate) fn work(report: &Report) -> &Account {
    &report.accounts["work"]
}

/// Whether a warning has this code.
pub(crate) fn has(report: &Report, code: Code) -> bool {
    report.warnings.iter().any(|warning| warning.code == code)
}

/// The warnings as people read them.
pub(crate) fn warned(report: &Report) -> String {
    let lines = report.warnings.iter().map(|warning| format!("{}\nhint: {}\n", warning.text, warning.hint));
    lines.collect()
}
