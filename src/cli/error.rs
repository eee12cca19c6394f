//! How a command ends: the exit codes, and the one way errors are shown.

use std::io::Write;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Well.
    Ok = 0,
    /// It failed, or what it looked at is degraded.
    Failed = 1,
    /// It was used wrongly, or the configuration is wrong.
    Usage = 2,
    /// The daemon is not running.
    NotRunning = 3,
    /// Somebody must sign in.
    SignInNeeded = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The exit code it ends with.
    pub exit: Exit,
    /// What is wrong and where; a sentence, or a whole configuration report.
    pub text: String,
    /// The command or the line to change that mends it.
    pub hint: Option<String>,
}

impl Error {
    /// An error without a hint.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), hint: None }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it on standard error: `error: …`, then `hint: …`.
    pub(super) fn print(&self) {
        let red = anstyle::AnsiColor::Red.on_default().bold();
        let cyan = anstyle::AnsiColor::Cyan.on_default().bold();
        let hint = self.hint.as_ref().map(|hint| format!("{cyan}hint:{cyan:#} {hint}\n")).unwrap_or_default();
        let message = format!("{red}error:{red:#} {}\n{hint}", self.text.trim_end());
        // Where standard error has gone, the exit code has to do.
        let _ = anstream::stderr().write_all(message.as_bytes());
    }
}
