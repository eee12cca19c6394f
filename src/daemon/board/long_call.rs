//! A call that is probably over: it has lasted for more than 12 hours, and nobody is at the machine. presenced still reports it,
//! because a long call is possible, and warns.
//!
//! A call counts from when the daemon first saw one, so a restart of the daemon counts anew.

use std::time::Duration;

use crate::policy::{CallState, Idle, Lock, Reading, Snapshot};
use crate::time::{Instant, Now};
use crate::warning::{Code, Warning};

/// How long a call may last.
const LONG: Duration = Duration::from_hours(12);

/// Since when there has been a call.
#[derive(Debug, Default)]
pub(super) struct LongCall {
    since: Option<Instant>,
}

/// Where the call comes from.
pub(super) enum Reporter<'a> {
    /// A file at this path, or in this folder.
    Files(&'a str),
    /// The microphone.
    Microphone,
}

impl LongCall {
    /// Takes in what is known at `now`. A call that is unknown may still be the same.
    pub(super) fn update(&mut self, snapshot: &Snapshot, now: &Now) {
        match &snapshot.call {
            Reading::Known(call) if call.state > CallState::Idle => drop(self.since.get_or_insert(now.instant)),
            Reading::Unknown => {}
            Reading::Off | Reading::Known(_) => self.since = None,
        }
    }

    /// When the warning begins, if nothing changes until then.
    pub(super) fn begins(&self, snapshot: &Snapshot) -> Option<Instant> {
        nobody(snapshot)?;
        self.since.map(|since| since + LONG)
    }

    /// The warning in force at `now`.
    pub(super) fn warning(&self, snapshot: &Snapshot, reporter: &Reporter<'_>, now: &Now) -> Option<Warning> {
        self.begins(snapshot).filter(|begins| *begins <= now.instant)?;
        let app = snapshot.call.known().filter(|call| call.state > CallState::Idle)?.app.as_deref();
        let (who, hint) = match reporter {
            Reporter::Files(path) => (
                format!("{} reports it", app.unwrap_or(path)),
                format!(
                    "If the call is over, end it in that program, or write `idle` into its call-state file ({path})."
                ),
            ),
            Reporter::Microphone => (
                app.unwrap_or("a program records").to_owned(),
                "If it is not a call, close that program, or add it to `deny` in [signals.microphone].".to_owned(),
            ),
        };
        let text = format!("A call has lasted for more than 12 hours, and {}: {who}.", nobody(snapshot)?);
        Some(Warning { code: Code::LongCall, text, hint })
    }
}

/// What shows that nobody is at the machine.
fn nobody(snapshot: &Snapshot) -> Option<&'static str> {
    if snapshot.lock == Reading::Known(Lock::Locked) {
        Some("the screen is locked")
    } else if snapshot.idle == Reading::Known(Idle::Idle) {
        Some("there is no input")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::policy::Call;

    fn at(minute: u64) -> Now {
        let after = Duration::from_mins(minute);
        Now { instant: Instant::from_origin(after), wall: Timestamp::UNIX_EPOCH + after, zone: TimeZone::UTC }
    }

    fn call(state: CallState, app: Option<&str>) -> Snapshot {
        let call = Reading::Known(Call { state, app: app.map(str::to_owned) });
        Snapshot { call, lock: Reading::Known(Lock::Locked), ..Snapshot::default() }
    }

    fn text(long_call: &LongCall, snapshot: &Snapshot, reporter: &Reporter<'_>, minute: u64) -> Option<String> {
        long_call.warning(snapshot, reporter, &at(minute)).map(|warning| warning.text)
    }

    #[test]
    fn after_twelve_hours_without_anybody_the_program_is_named() {
        let (file, mut long_call) = (Reporter::Files("/run/calls"), LongCall::default());
        let locked = call(CallState::InCall, Some("baresip"));
        long_call.update(&locked, &at(0));
        // Neither another state nor an unknown one is another call.
        long_call.update(&Snapshot { call: Reading::Unknown, ..locked.clone() }, &at(5));
        long_call.update(&call(CallState::Presenting, None), &at(6));
        let end = Some(at(12 * 60).instant);
        assert_eq!((long_call.begins(&locked), text(&long_call, &locked, &file, 12 * 60 - 1)), (end, None));
        let said = |why: &str, who: &str| Some(format!("A call has lasted for more than 12 hours, and {why}: {who}."));
        let locked_text = said("the screen is locked", "baresip reports it");
        assert_eq!(text(&long_call, &locked, &file, 12 * 60), locked_text);
        let idle = Snapshot { lock: Reading::Off, idle: Reading::Known(Idle::Idle), ..call(CallState::InCall, None) };
        assert_eq!(text(&long_call, &idle, &file, 12 * 60), said("there is no input", "/run/calls reports it"));
        let records = call(CallState::InCall, Some("Firefox records"));
        let microphone = said("the screen is locked", "Firefox records");
        assert_eq!(text(&long_call, &records, &Reporter::Microphone, 12 * 60), microphone);
        let present = Snapshot { lock: Reading::Known(Lock::Unlocked), ..locked.clone() };
        assert_eq!((long_call.begins(&present), text(&long_call, &present, &file, 12 * 60)), (None, None));
        long_call.update(&call(CallState::Idle, None), &at(13 * 60));
        long_call.update(&locked, &at(13 * 60));
        assert_eq!(text(&long_call, &locked, &file, 24 * 60), None);
    }
}
