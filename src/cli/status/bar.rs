//! The status for a bar: one line, and with `--watch` a new line for each change. A bar must outlive the daemon, so it also
//! shows a line while the daemon is not running, and waits for its return.
//!
//! Leaves to others: waybar's format (`waybar`), and templates for all other bars (`template`).

use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::facts::Facts;
use super::template::Template;
use super::waybar;
use crate::cli::context::Context;
use crate::cli::error::{Error, Exit};
use crate::cli::terminal::output::print;
use crate::file_watch::{FileWatcher, WatchFailure};
use crate::status::report::Report;
use crate::status::{Client, ClientError};
use crate::suggest;

/// How long to wait before asking a daemon again that is running but does not answer properly. No event announces a change.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// The value of `--format`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Format {
    /// A line of JSON for waybar's custom modules.
    Waybar,
    /// The user's template.
    Template(Template),
}

/// Reads `--format`.
pub(super) fn format(text: &str) -> Result<Format, String> {
    match text {
        "waybar" => Ok(Format::Waybar),
        word if !word.contains(['{', '}']) => Err(match suggest::nearest(word, ["waybar"]) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "use `waybar`, or a template with a field, like '{availability}'".to_owned(),
        }),
        template => template.parse().map(Format::Template),
    }
}

/// Prints the lines for a bar.
pub(super) struct Bar<'a> {
    pub(super) format: &'a Format,
    pub(super) account: Option<&'a str>,
}

impl Bar<'_> {
    /// Prints one line. It always succeeds, because bars hide modules that fail.
    pub(super) async fn show(&self, socket: &Path) -> Result<Exit, Error> {
        let report = async { Client::connect(socket).await?.status().await }.await;
        print(&self.line(report.as_ref()))?;
        Ok(Exit::Ok)
    }

    /// Prints a line for each change, until its reader closes the output.
    pub(super) async fn watch(&self, socket: &Path) -> Result<Exit, Error> {
        let path = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
        let mut file_watch = FileWatcher::new().subscribe();
        let mut shown = String::new();
        let mut show = |report: Result<&Report, &ClientError>| {
            let line = self.line(report);
            if line == shown {
                return Ok(true);
            }
            shown.clone_from(&line);
            print(&line)
        };
        loop {
            // Before the daemon is asked, so that one that starts in between is noticed.
            file_watch.resolve(&path);
            if let Some(failure) = file_watch.failures().first() {
                return Err(cannot_wait(socket, failure));
            }
            let asked = async { Client::connect(socket).await?.watch().await }.await;
            let error = match asked {
                Ok(mut reports) => loop {
                    match reports.next().await {
                        Ok(Some(report)) if show(Ok(&report))? => {}
                        Ok(Some(_)) => return Ok(Exit::Ok),
                        Ok(None) => break ClientError::Stopping,
                        Err(error) => break error,
                    }
                },
                Err(error) => error,
            };
            if !show(Err(&error))? {
                return Ok(Exit::Ok);
            }
            match error {
                ClientError::NotRunning { .. } | ClientError::Stopping => {
                    file_watch.touched().await;
                }
                ClientError::TooManyConnections { .. }
                | ClientError::Connect { .. }
                | ClientError::TimedOut { .. }
                | ClientError::ConfigurationRefused { .. }
                | ClientError::Refused { .. }
                | ClientError::NotUnderstood { .. } => {
                    let _ = tokio::time::timeout(RETRY_INTERVAL, file_watch.touched()).await;
                }
            }
        }
    }

    fn line(&self, report: Result<&Report, &ClientError>) -> String {
        let facts = Facts { report, only: self.account, now: Context::now(), zone: TimeZone::system() };
        match self.format {
            Format::Waybar => waybar::render(&facts) + "\n",
            Format::Template(template) => template.render(&facts) + "\n",
        }
    }
}

fn cannot_wait(socket: &Path, failure: &WatchFailure) -> Error {
    let text = format!("cannot wait for presenced at {}: {}", socket.display(), failure.reason);
    let error = Error::new(Exit::Failed, text);
    match failure.command {
        Some(command) => error.with_hint(format!("raise the limit: `{command}`")),
        None => error.with_hint(format!("check that you may read {}", failure.folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_waybar_or_a_template() {
        assert_eq!(format("waybar"), Ok(Format::Waybar));
        assert!(matches!(format("{rule}"), Ok(Format::Template(_))));
        assert_eq!(format("Waybra").unwrap_err(), "did you mean `waybar`?");
        assert!(format("json").unwrap_err().contains("'{availability}'"));
        assert!(format("").unwrap_err().contains("'{availability}'"));
    }
}
