//! `[signals.microphone]`: calls recognized by who records.

use std::time::Duration;

use super::section::Section;
use super::{Reader, Value};
use crate::config::{Microphone, NoServer};

impl Reader<'_> {
    pub(super) fn microphone(&mut self, section: &mut Section<'_, '_>, enabled: bool) -> Option<Microphone> {
        let allow =
            section.get("allow").and_then(|value| self.texts("allow", value, "allow = [\"Zoom\", \"firefox\"]"));
        let deny = section.get("deny").and_then(|value| self.texts("deny", value, "deny = [\"obs\"]"));
        let settle = section.get("settle").map_or(Some(Microphone::SETTLE), |value| self.settle(value));
        if enabled && !cfg!(feature = "pulse") {
            let message = "[signals.microphone] is on, but this presenced was built without it";
            self.wrong(section.span.clone(), message, "build it with `--features pulse`, or remove the table");
            return None;
        }
        let socket = match Microphone::socket(self.environment) {
            Ok(socket) => socket,
            Err(no_server) => {
                if enabled {
                    let (message, help) = describe(no_server);
                    self.wrong(section.span.clone(), message, help);
                }
                return None;
            }
        };
        let cookies = Microphone::cookies(self.environment);
        let (allow, deny) = (allow.unwrap_or_default(), deny.unwrap_or_default());
        Some(Microphone { socket, cookies, allow, deny, settle: settle? })
    }

    fn settle(&mut self, value: &Value<'_>) -> Option<Duration> {
        let example = "write a time up to a minute, like \"2s\"";
        let (duration, text) = self.duration(value, example)?;
        let message = match Duration::try_from(duration) {
            Ok(duration) if duration <= Microphone::SETTLE_MAX => return Some(duration),
            Ok(_) => format!("`{text}` is longer than a minute, the most that `settle` can be"),
            Err(_) => format!("`{text}` is negative"),
        };
        self.wrong(value.span(), message, example);
        None
    }
}

fn describe(no_server: NoServer) -> (&'static str, &'static str) {
    match no_server {
        NoServer::Elsewhere => (
            "[signals.microphone] is on, but $PULSE_SERVER does not name a socket on this machine",
            "set it for presenced to unix:/run/user/1000/pulse/native, or remove the table",
        ),
        NoServer::Nowhere => (
            "[signals.microphone] is on, but neither $PULSE_SERVER nor $XDG_RUNTIME_DIR is set",
            "set PULSE_SERVER=unix:/run/user/1000/pulse/native for presenced, or remove the table",
        ),
    }
}
