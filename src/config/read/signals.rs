//! `[signals.…]`: what is watched. A signal that has a table is on, unless the table says `enabled = false`.

use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use super::sources::SOURCES;
use super::{Reader, Value};
use crate::config::owners::Entry;
use crate::config::users::Fault;
use crate::config::{Calendar, Call, Idle, Lock, OwnersPath, Signals};

/// How long without input counts as idle: the default, and the allowed range.
const AFTER: Duration = Duration::from_mins(10);
const AFTER_MIN: Duration = Duration::from_mins(1);
const AFTER_MAX: Duration = Duration::from_hours(24);

/// How long a call-state file may go without being written: the allowed range.
const STALE_AFTER_MIN: Duration = Duration::from_secs(5);
const STALE_AFTER_MAX: Duration = Duration::from_hours(24);

impl Reader<'_> {
    pub(super) fn signals(&mut self, root: &mut Section<'_, '_>) -> Signals {
        let Some(mut section) = self.section(root, "signals", "[signals]") else { return Signals::default() };
        let calendar = self.signal(&mut section, "calendar", Self::calendar);
        let lock = self.signal(&mut section, "lock", |_, _, _| Some(Lock {}));
        let call = self.signal(&mut section, "call", Self::call);
        let microphone = self.signal(&mut section, "microphone", Self::microphone);
        let idle = self.signal(&mut section, "idle", Self::idle);
        self.finish(&section);
        Signals { calendar, lock, call, microphone, idle }
    }

    /// The signal `key`, if it is on. A signal that is off is read too: a wrong key there is also a problem.
    fn signal<T>(
        &mut self,
        signals: &mut Section<'_, '_>,
        key: &'static str,
        read: fn(&mut Self, &mut Section<'_, '_>, bool) -> Option<T>,
    ) -> Option<T> {
        let mut section = self.section(signals, key, format!("[signals.{key}]"))?;
        let enabled = section.get("enabled").and_then(|value| self.boolean("enabled", value)).unwrap_or(true);
        let signal = read(self, &mut section, enabled);
        self.finish(&section);
        signal.filter(|_| enabled)
    }

    fn calendar(&mut self, section: &mut Section<'_, '_>, enabled: bool) -> Option<Calendar> {
        let sources = match section.get("sources") {
            Some(value) => self.list("sources", value, SOURCES).map(|sources| self.sources(sources)),
            None if enabled => {
                self.wrong(section.span.clone(), "[signals.calendar] has no `sources`", format!("write {SOURCES}"));
                None
            }
            None => None,
        };
        let identity = section.get("identity").map(|value| self.identity(value)).unwrap_or_default();
        Some(Calendar { sources: sources?, identity })
    }

    fn identity(&mut self, value: &Value<'_>) -> Vec<String> {
        let example = "identity = [\"me@contoso.com\"]";
        let addresses = self.list("identity", value, example).unwrap_or_default();
        let mut identity = Vec::new();
        for value in addresses {
            match self.text("identity", value) {
                Some(text) if text.contains('@') => identity.push(text.to_owned()),
                Some(_) => {
                    let message = "`identity` holds e-mail addresses, but this is not one";
                    self.wrong(value.span(), message, format!("write {example}"));
                }
                None => {}
            }
        }
        identity
    }

    fn call(&mut self, section: &mut Section<'_, '_>, enabled: bool) -> Option<Call> {
        let given = section.get("path");
        let default = self.environment.runtime_dir.as_ref().map(|dir| dir.join("presenced/call-state"));
        if given.is_none() && default.is_none() && enabled {
            let message = "[signals.call] has no `path`, and $XDG_RUNTIME_DIR, where it is by default, is not set";
            self.wrong(section.span.clone(), message, "write path = \"/run/presenced/call-state\", or another place");
        }
        let path = given.map_or(default.map(|path| (path, None)), |value| self.owners_path(value, Entry::Bare));
        let stale_after = section.get("stale_after").map(|value| self.stale_after(value));
        let (path, owners) = path?;
        Some(Call { path, owners, stale_after: stale_after.unwrap_or_default() })
    }

    /// A path that may stand for each user or account.
    pub(super) fn owners_path(&mut self, value: &Value<'_>, entry: Entry) -> Option<(PathBuf, Option<OwnersPath>)> {
        let path = self.path("path", value)?;
        match OwnersPath::of(&path, entry, &self.accounts) {
            Ok(owners) => Some((path, owners)),
            Err(Fault { message, help }) => {
                self.wrong(value.span(), message, help);
                None
            }
        }
    }

    fn stale_after(&mut self, value: &Value<'_>) -> Option<Duration> {
        let example = "write 5 seconds to 24 hours, like \"2m\"";
        let (duration, text) = self.duration(value, example)?;
        let message = match Duration::try_from(duration) {
            Ok(after) if (STALE_AFTER_MIN..=STALE_AFTER_MAX).contains(&after) => return Some(after),
            Ok(after) if after > STALE_AFTER_MAX => format!("`{text}` is longer than 24 hours"),
            Ok(_) | Err(_) => format!("`{text}` is shorter than 5 seconds"),
        };
        self.wrong(value.span(), message, example);
        None
    }

    fn idle(&mut self, section: &mut Section<'_, '_>, _: bool) -> Option<Idle> {
        let Some(value) = section.get("after") else { return Some(Idle { after: AFTER }) };
        let example = "write 1 minute to 24 hours, like \"10m\", \"1h 30m\" or \"PT10M\"";
        let (duration, text) = self.duration(value, example)?;
        let message = match Duration::try_from(duration) {
            Ok(after) if (AFTER_MIN..=AFTER_MAX).contains(&after) => return Some(Idle { after }),
            Ok(after) if after > AFTER_MAX => format!("`{text}` is longer than 24 hours"),
            Ok(_) | Err(_) => format!("`{text}` is shorter than a minute"),
        };
        self.wrong(value.span(), message, example);
        None
    }
}
