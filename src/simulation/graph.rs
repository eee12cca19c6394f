//! What Graph's documentation says of one application's session, and nothing more: the reference that the simulation holds
//! the real session against. Written apart from the session and from the emulator.
//!
//! Source: Graph API reference, `presence: setPresence` ("Timeout, expiration, and keep alive") and `clearPresence`.

use std::time::Duration;

use crate::time::Instant;

/// The pairs that `setPresence` accepts.
const PAIRS: [(&str, &str); 5] = [
    ("Available", "Available"),
    ("Busy", "InACall"),
    ("Busy", "InAConferenceCall"),
    ("Away", "Away"),
    ("DoNotDisturb", "Presenting"),
];

/// A session.
#[derive(Clone, Debug)]
struct Session {
    pair: (&'static str, &'static str),
    set_at: Instant,
    expiration: Duration,
}

/// What others see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// There is no session.
    Offline,
    /// `Available/AvailableInactive`, and later `Away/Away`, which nobody asked for.
    Faded,
    /// What was asked for.
    As((&'static str, &'static str)),
}

/// The service.
#[derive(Debug, Default)]
pub(super) struct Graph {
    session: Option<Session>,
}

impl Graph {
    /// `setPresence`. The error is what Graph would refuse.
    pub(super) fn set(
        &mut self,
        pair: (&'static str, &'static str),
        expiration: Duration,
        now: Instant,
    ) -> Result<(), String> {
        if !PAIRS.contains(&pair) {
            return Err(format!("{pair:?} is none of the five pairs"));
        }
        if !(Duration::from_mins(5)..=Duration::from_hours(4)).contains(&expiration) {
            return Err(format!("{expiration:?} is out of range"));
        }
        self.session = Some(Session { pair, set_at: now, expiration });
        Ok(())
    }

    /// `clearPresence`.
    pub(super) fn clear(&mut self) {
        self.session = None;
    }

    /// What others see.
    pub(super) fn seen(&self, now: Instant) -> Seen {
        let Some(Session { pair, set_at, expiration }) = &self.session else { return Seen::Offline };
        if now >= *set_at + *expiration {
            Seen::Offline
        } else if pair.0 == "Available" && now >= *set_at + Duration::from_mins(5) {
            Seen::Faded
        } else {
            Seen::As(*pair)
        }
    }

    /// When the session faded or expired, whichever came first, if it did by `now`.
    pub(super) fn lapsed_at(&self, now: Instant) -> Option<Instant> {
        let Session { pair, set_at, expiration } = self.session.as_ref()?;
        let lasts = if pair.0 == "Available" { Duration::from_mins(5).min(*expiration) } else { *expiration };
        Some(*set_at + lasts).filter(|at| *at <= now)
    }
}
