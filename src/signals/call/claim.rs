//! One program's claim to be in a call: what its call-state file last said, whether that still holds, and what is wrong with
//! the file.
//!
//! Leaves to others: reading the file (`file`), its format (`state`), and which of several claims counts (the parent module).

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::file::{self, Unread};
use super::state::{self, Statement};
use crate::policy::CallState;
use crate::signals::process::Process;
use crate::time::{Instant, Now};
use crate::warning::{Code, Warning};

/// How long the last good state holds when the file is malformed: long enough for a slow writer to finish.
const MALFORMED_HOLD: Duration = Duration::from_secs(5);

/// A call-state file.
#[derive(Debug)]
pub(super) struct Claim {
    /// The last valid statement; `None`: there was none yet.
    said: Option<Said>,
    /// What is wrong with the file now.
    trouble: Option<Trouble>,
    /// Whether the file is known not to have existed before this was made.
    is_new: bool,
    /// Until when the file counts, if files can be stale.
    fresh: Option<Fresh>,
}

/// A file that was written recently enough.
#[derive(Debug)]
struct Fresh {
    /// When it was written, by the clock of its file system.
    written: Timestamp,
    until: Instant,
    /// What to say afterwards.
    stale: Warning,
}

#[derive(Debug)]
struct Said {
    statement: Statement,
    /// The process whose end ends the state, while it runs.
    process: Option<Process>,
}

#[derive(Debug)]
struct Trouble {
    warning: Warning,
    /// Until then the last valid statement holds, and there is no warning.
    hold: Option<Instant>,
}

impl Claim {
    /// A file that was not read yet. `was_missing`: it is known not to have existed before, which is a valid state: idle.
    pub(super) fn new(was_missing: bool) -> Self {
        let idle = Said { statement: Statement::IDLE, process: None };
        Self { said: was_missing.then_some(idle), trouble: None, is_new: was_missing, fresh: None }
    }

    /// Reads the file. False: it does not exist any more. `stale_after`: what it says counts for so long after it was written.
    pub(super) fn read(&mut self, path: &Path, stale_after: Option<Duration>, now: &Now) -> bool {
        let (content, written) = match file::read(path) {
            Ok(read) => read,
            Err(Unread::Vanished) => return false,
            Err(unread) => {
                let hold = matches!(unread, Unread::TooLarge).then(|| self.hold(now)).flatten();
                self.trouble = Some(Trouble { warning: unread_warning(path, &unread), hold });
                return true;
            }
        };
        if let Some(stale_after) = stale_after {
            self.refresh(path, written, stale_after, now);
        }
        let statement = match state::parse(&content) {
            Ok(statement) => statement,
            Err(malformed) => {
                let text = format!(
                    "The call state in {}:{}:{} is malformed: {}.",
                    path.display(),
                    malformed.line,
                    malformed.column,
                    malformed.reason
                );
                self.trouble = Some(Trouble { warning: invalid(text), hold: self.hold(now) });
                return true;
            }
        };
        self.trouble = None;
        let process = match statement.pid.map(|pid| Process::find(pid, written.as_second())) {
            None => None,
            Some(Ok(Some(process))) => Some(process),
            Some(Ok(None)) => {
                self.said = Some(Said { statement: Statement::IDLE, process: None });
                return true;
            }
            Some(Err(error)) => {
                let text = format!("The process that {} names cannot be followed: {error}.", path.display());
                self.trouble = Some(Trouble { warning: invalid(text), hold: None });
                return true;
            }
        };
        self.said = Some(Said { statement, process });
        true
    }

    /// Notes when the file was written. A write that is seen happens now, whatever the clock of its file system says; only the age
    /// of a file that was there before comes from that clock.
    fn refresh(&mut self, path: &Path, written: Timestamp, stale_after: Duration, now: &Now) {
        let age = match &self.fresh {
            Some(fresh) if fresh.written == written => return,
            Some(_) => Duration::ZERO,
            None if self.is_new => Duration::ZERO,
            None => Duration::try_from(now.wall.duration_since(written)).unwrap_or_default(),
        };
        let until = now.instant + stale_after.saturating_sub(age);
        self.fresh = Some(Fresh { written, until, stale: stale(path, stale_after) });
    }

    /// Until when the last valid statement holds, if there is one. Further malformed writes do not extend it.
    fn hold(&self, now: &Now) -> Option<Instant> {
        self.said.as_ref()?;
        match &self.trouble {
            Some(trouble) => trouble.hold,
            None => Some(now.instant + MALFORMED_HOLD),
        }
    }

    /// The state and the program's name at `now`, or the warning that says why it is not known.
    pub(super) fn at(&self, now: &Now) -> Result<(CallState, Option<&str>), &Warning> {
        if let Some(fresh) = self.fresh.as_ref().filter(|fresh| fresh.until <= now.instant) {
            return Err(&fresh.stale);
        }
        match (&self.said, &self.trouble) {
            (Some(said), None) => Ok(said.at(now)),
            (Some(said), Some(trouble)) if trouble.hold.is_some_and(|until| now.instant < until) => Ok(said.at(now)),
            (_, Some(trouble)) => Err(&trouble.warning),
            (None, None) => Ok((CallState::Idle, None)),
        }
    }

    /// When the last valid statement stops holding.
    pub(super) fn hold_ends(&self, now: &Now) -> Option<Instant> {
        let hold = self.trouble.as_ref().and_then(|trouble| trouble.hold);
        let fresh = self.fresh.as_ref().map(|fresh| fresh.until);
        hold.into_iter().chain(fresh).filter(|&until| now.instant < until).min()
    }

    /// When the state expires.
    pub(super) fn expires(&self, now: &Now) -> Option<Timestamp> {
        self.said.as_ref()?.statement.expires_at.filter(|&at| now.wall < at)
    }

    /// The process whose end ends the state.
    pub(super) fn process(&self) -> Option<&Process> {
        self.said.as_ref()?.process.as_ref()
    }

    /// Records that this process has ended.
    pub(super) fn process_ended(&mut self) {
        self.said = Some(Said { statement: Statement::IDLE, process: None });
    }
}

impl Said {
    fn at(&self, now: &Now) -> (CallState, Option<&str>) {
        if self.statement.expires_at.is_some_and(|at| at <= now.wall) {
            return (CallState::Idle, None);
        }
        (self.statement.state, self.statement.app.as_deref())
    }
}

/// The warning for a call-state file, or a path, that was not read.
pub(super) fn unread_warning(path: &Path, unread: &Unread) -> Warning {
    let path = path.display();
    match unread {
        Unread::Io(error) => Warning {
            code: Code::CallStateUnreadable,
            text: format!("The call state in {path} cannot be read: {error}."),
            hint: format!("Let the user that runs presenced read it: `ls -ld {path}` shows who may."),
        },
        Unread::TooLarge => invalid(format!("{path} is larger than 64 KiB, so it is not a call state.")),
        Unread::Special | Unread::Vanished => {
            invalid(format!("{path} is not a regular file, so it cannot be a call state."))
        }
    }
}

/// The warning for a file that was not written for so long.
fn stale(path: &Path, stale_after: Duration) -> Warning {
    let after = shown(stale_after);
    Warning {
        code: Code::CallStateStale,
        text: format!("The call state in {} was not written for {after} or longer.", path.display()),
        hint: stale_hint(&after),
    }
}

/// The warning for a path without any file, if files can be stale.
pub(super) fn nothing_written(path: &Path, stale_after: Duration) -> Warning {
    Warning {
        code: Code::CallStateStale,
        text: format!("There is no call state at {}.", path.display()),
        hint: stale_hint(&shown(stale_after)),
    }
}

fn stale_hint(after: &str) -> String {
    format!("Check the program that writes it. It must write it again within {after}, even if its state is the same.")
}

fn shown(duration: Duration) -> String {
    format!("{:#}", jiff::SignedDuration::try_from(duration).unwrap_or_default())
}

/// The warning for an invalid call state.
pub(super) fn invalid(text: String) -> Warning {
    let hint = "Write one word (idle, in-call, conference, presenting) or a JSON object with \"state\", and rename the \
                finished file into place.";
    Warning { code: Code::CallStateInvalid, text, hint: hint.to_owned() }
}
