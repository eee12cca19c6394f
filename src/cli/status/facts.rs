//! The facts that a line for a bar is made from, whatever its format.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::status::ClientError;
use crate::status::report::{Account, Report};
use crate::suggest;

/// The facts for a line.
pub(super) struct Facts<'a> {
    /// The daemon's report, or why there is none.
    pub(super) report: Result<&'a Report, &'a ClientError>,
    /// The only account to show; `None` for all.
    pub(super) only: Option<&'a str>,
    pub(super) now: Timestamp,
    pub(super) zone: TimeZone,
}

impl<'a> Facts<'a> {
    /// The accounts to show.
    pub(super) fn accounts(&self) -> Vec<(&'a str, &'a Account)> {
        let all = self.report.iter().flat_map(|report| &report.accounts);
        let shown = all.filter(|(name, _)| self.only.is_none_or(|only| only == name.as_str()));
        shown.map(|(name, account)| (name.as_str(), account)).collect()
    }

    /// Why there is nothing to show, and how to fix it; `None` if there is something.
    pub(super) fn absence(&self) -> Option<(String, String)> {
        match (self.report, self.only) {
            // It stops too quickly for anyone to read a special text.
            (Err(error @ (ClientError::NotRunning { .. } | ClientError::Stopping)), _) => {
                Some(("presenced is not running".to_owned(), error.hint().to_owned()))
            }
            (Err(error), _) => Some((error.to_string(), error.hint().to_owned())),
            (Ok(report), Some(only)) if !report.accounts.contains_key(only) => Some(no_account(only, report)),
            (Ok(_), _) => None,
        }
    }
}

/// Says that an account does not exist, and which ones do.
pub(super) fn no_account(name: &str, report: &Report) -> (String, String) {
    let names = suggest::list(report.accounts.keys().map(String::as_str), "and");
    (format!("there is no account `{name}`"), format!("the configuration has {names}"))
}
