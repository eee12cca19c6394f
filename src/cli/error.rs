//! How a command ends: the exit codes, how errors are shown, and how the errors of other modules are converted.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::Problems;
use crate::daemon::StartError;
use crate::failure::{Failure, FailureKind};
use crate::sanitize::printable_lines;
use crate::status::ClientError;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// Success.
    Ok = 0,
    /// It failed, or what it checked is degraded.
    Failed = 1,
    /// The arguments or the configuration are wrong.
    Usage = 2,
    /// The daemon is not running.
    NotRunning = 3,
    /// A user must sign in.
    SignInNeeded = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Error {
    /// The exit code.
    pub(super) exit: Exit,
    /// What is wrong and where: a sentence, or a whole configuration report.
    pub(super) text: String,
    /// The command to run, or the line to change, to fix it.
    pub(super) hint: Option<String>,
    /// Whether the text has its own styles. Any other control character in a text is from elsewhere, and not printed.
    is_styled: bool,
}

impl Error {
    /// An error without a hint.
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), hint: None, is_styled: false }
    }

    /// The same error with a hint.
    #[must_use]
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it on standard error: `error: …`, then `hint: …`.
    pub(super) fn print(&self) {
        // If standard error is closed, only the exit code is left.
        let _ = anstream::stderr().write_all(self.message().as_bytes());
    }

    fn message(&self) -> String {
        let red = anstyle::AnsiColor::Red.on_default().bold();
        let cyan = anstyle::AnsiColor::Cyan.on_default().bold();
        let hint = self.hint.as_deref().map(printable_lines);
        let hint = hint.map(|hint| format!("{cyan}hint:{cyan:#} {hint}\n")).unwrap_or_default();
        let text = if self.is_styled { self.text.clone() } else { printable_lines(&self.text) };
        format!("{red}error:{red:#} {}\n{hint}", text.trim_end())
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        let exit = match error {
            ClientError::NotRunning { .. } | ClientError::Stopping => Exit::NotRunning,
            ClientError::ConfigurationRefused { .. } => Exit::Usage,
            ClientError::TooManyConnections { .. }
            | ClientError::Connect { .. }
            | ClientError::TimedOut { .. }
            | ClientError::Refused { .. }
            | ClientError::NotUnderstood { .. } => Exit::Failed,
        };
        Self::new(exit, error.to_string()).with_hint(error.hint())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let exit = match failure.kind {
            FailureKind::SignInNeeded => Exit::SignInNeeded,
            FailureKind::Passing | FailureKind::Throttled | FailureKind::TokenRefused | FailureKind::Refused => {
                Exit::Failed
            }
        };
        Self { hint: failure.hint, ..Self::new(exit, failure.text) }
    }
}

/// The error has the whole report.
impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        let columns = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        let width = if columns == 0 { 80 } else { columns.min(120) };
        Self { is_styled: true, ..Self::new(Exit::Usage, problems.render(width, true)) }
    }
}

/// The error says why the daemon could not start, and how to fix it.
impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        let hint = match &error {
            StartError::Socket(error) => Some(error.hint().to_owned()),
            StartError::Account { failure, .. } | StartError::Held { failure, .. } => failure.hint.clone(),
            StartError::System { .. } => None,
        };
        // A service manager must not start it again and again.
        let exit = if matches!(error, StartError::Held { .. }) { Exit::Usage } else { Exit::Failed };
        Self { hint, ..Self::new(exit, error.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{self, Environment};

    /// What a text makes a terminal do, besides showing it and its styles.
    fn commands(message: &str) -> Vec<char> {
        let text = anstream::adapter::strip_str(message).to_string();
        let styles = message.matches("\u{1b}[").count();
        let others = message.matches('\u{1b}').count() - styles;
        assert_eq!(others, 0, "{message:?}");
        text.chars().filter(|char| char.is_control() && *char != '\n').collect()
    }

    #[test]
    fn text_from_elsewhere_does_not_control_the_terminal() {
        let words = "its words\u{1b}]0;owned\u{7}\r\u{9b}2J\nand more";
        let message = Error::new(Exit::Failed, words).with_hint(words).message();
        assert!(commands(&message).is_empty(), "{message:?}");
        assert!(message.contains("its words\u{fffd}]0;owned") && message.contains("\nand more\n"), "{message:?}");
        // The value of a wrong key is quoted.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config\u{1b}[2J.toml");
        std::fs::write(&file, "[accounts.\"x\\u001b]0;owned\\u0007\"]\n\"k\\u009b2J\" = 1\n").unwrap();
        let problems = config::load(&file, &Environment::bare(PathBuf::new())).unwrap_err();
        let message = Error::from(problems).message();
        assert!(message.contains("owned"), "{message}");
        assert!(commands(&message).is_empty(), "{message:?}");
        assert!(!message.contains("[2J\u{1b}") && !message.contains("\u{1b}[2J"), "{message:?}");
    }
}
