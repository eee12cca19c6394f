//! A model of Microsoft Graph for one user: the app's session with its two clocks, a Teams client's session, the preferred
//! presence, and what others see. It was written from Graph's documentation alone, independently of the emulator and of
//! `crate::session`, so that mistakes in one of them show.
//!
//! Source: Graph API reference, `presence: setPresence` and `presence: setUserPreferredPresence`; "Manage presence state using
//! the Microsoft Graph API" for the aggregation.

use std::time::Duration;

use crate::time::Instant;

/// Availability and activity.
pub(super) type Pair = (&'static str, &'static str);

/// What others see without any session.
pub(super) const OFFLINE: Pair = ("Offline", "Offline");

const SESSION_PAIRS: [Pair; 5] = [
    ("Available", "Available"),
    ("Busy", "InACall"),
    ("Busy", "InAConferenceCall"),
    ("Away", "Away"),
    ("DoNotDisturb", "Presenting"),
];

const PREFERRED_PAIRS: [Pair; 6] = [
    ("Available", "Available"),
    ("Busy", "Busy"),
    ("DoNotDisturb", "DoNotDisturb"),
    ("BeRightBack", "BeRightBack"),
    ("Away", "Away"),
    ("Offline", "OffWork"),
];

/// How long an Available session lasts, regardless of its expiration, and how long it is inactive after that.
const FADE: Duration = Duration::from_mins(5);

/// A 400 answer.
#[derive(Debug)]
pub(super) struct InvalidArgument;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    pair: Pair,
    set_at: Instant,
    expires_at: Instant,
}

/// One user's presence.
#[derive(Debug, Default)]
pub(super) struct Graph {
    session: Option<Held>,
    preferred: Option<Held>,
    /// The presence of a Teams client, if one is open. The client keeps its own session alive.
    pub(super) teams: Option<Pair>,
}

impl Graph {
    pub(super) fn set_presence(
        &mut self,
        pair: Pair,
        expiration: Duration,
        now: Instant,
    ) -> Result<(), InvalidArgument> {
        self.session = Some(held(&SESSION_PAIRS, pair, expiration, now)?);
        Ok(())
    }

    /// Without a session, Graph answers 404. The client treats that as success.
    pub(super) fn clear_presence(&mut self) {
        self.session = None;
    }

    pub(super) fn set_preferred(
        &mut self,
        pair: Pair,
        expiration: Duration,
        now: Instant,
    ) -> Result<(), InvalidArgument> {
        self.preferred = Some(held(&PREFERRED_PAIRS, pair, expiration, now)?);
        Ok(())
    }

    pub(super) fn clear_preferred(&mut self) {
        self.preferred = None;
    }

    /// What others see.
    pub(super) fn seen(&self, now: Instant) -> Pair {
        let session = self.session.filter(|held| now < held.expires_at).map(|held| faded(&held, now));
        self.seen_with(session, self.preferred(now))
    }

    /// What others would see if the app's session and the preferred presence were these, together with the Teams client.
    pub(super) fn seen_with(&self, session: Option<Pair>, preferred: Option<Pair>) -> Pair {
        let sessions = session.into_iter().chain(self.teams);
        // The documentation does not say which of two sessions with the same rank wins. Here it is the first.
        let strongest = sessions.reduce(|one, two| if rank(two) > rank(one) { two } else { one });
        match (strongest, preferred) {
            (None, _) => OFFLINE,
            (Some(_), Some(preferred)) => preferred,
            (Some(strongest), None) => strongest,
        }
    }

    /// The app's session until it expires, even if it has faded.
    pub(super) fn session(&self, now: Instant) -> Option<Pair> {
        self.session.filter(|held| now < held.expires_at).map(|held| held.pair)
    }

    /// When the app's session was last set, and how long it lasts; `None` if it has expired.
    pub(super) fn session_times(&self, now: Instant) -> Option<(Instant, Duration)> {
        let held = self.session.filter(|held| now < held.expires_at)?;
        let lasts = held.expires_at.saturating_since(held.set_at);
        Some((held.set_at, if held.pair.0 == "Available" { lasts.min(FADE) } else { lasts }))
    }

    /// The preferred presence until it expires.
    pub(super) fn preferred(&self, now: Instant) -> Option<Pair> {
        self.preferred.filter(|held| now < held.expires_at).map(|held| held.pair)
    }

    /// When the app's session fades or expires, and when the preferred presence expires.
    pub(super) fn deadlines(&self) -> [Option<Instant>; 2] {
        let session = self.session.map(|held| match held.pair {
            ("Available", _) => held.expires_at.min(held.set_at + FADE),
            _ => held.expires_at,
        });
        [session, self.preferred.map(|held| held.expires_at)]
    }
}

fn held(pairs: &[Pair], pair: Pair, expiration: Duration, now: Instant) -> Result<Held, InvalidArgument> {
    let in_range = (Duration::from_mins(5)..=Duration::from_hours(4)).contains(&expiration);
    if !in_range || !pairs.contains(&pair) {
        return Err(InvalidArgument);
    }
    Ok(Held { pair, set_at: now, expires_at: now + expiration })
}

fn faded(held: &Held, now: Instant) -> Pair {
    match held.pair {
        ("Available", _) if now >= held.set_at + FADE * 2 => ("Away", "Away"),
        ("Available", _) if now >= held.set_at + FADE => ("Available", "AvailableInactive"),
        pair => pair,
    }
}

/// The rank of a session.
fn rank(pair: Pair) -> u8 {
    match pair.0 {
        "DoNotDisturb" => 3,
        "Busy" => 2,
        "Available" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Instant {
        Instant::from_origin(Duration::from_mins(minutes))
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn available_fades_in_two_steps_and_expires() {
        let mut graph = Graph::default();
        graph.set_presence(("Available", "Available"), HOUR, at(0)).expect("valid");
        let seen = [4, 5, 9, 10, 59, 60].map(|minutes| graph.seen(at(minutes)).1);
        assert_eq!(seen, ["Available", "AvailableInactive", "AvailableInactive", "Away", "Away", "Offline"]);
        assert_eq!(graph.deadlines(), [Some(at(5)), None]);
    }

    #[test]
    fn the_preferred_presence_wins_where_there_is_a_session() {
        let mut graph = Graph { teams: Some(("Available", "Available")), ..Graph::default() };
        graph.set_presence(("Away", "Away"), HOUR, at(0)).expect("valid");
        assert_eq!(graph.seen(at(1)), ("Available", "Available"));
        graph.set_preferred(("Away", "Away"), HOUR, at(0)).expect("valid");
        assert_eq!(graph.seen(at(1)), ("Away", "Away"));
        graph.clear_presence();
        assert_eq!(graph.seen(at(1)), ("Away", "Away"));
        graph.teams = None;
        assert_eq!(graph.seen(at(1)), OFFLINE);
    }

    #[test]
    fn nothing_else_than_the_documented_is_taken() {
        let mut graph = Graph::default();
        assert!(graph.set_presence(("Busy", "Busy"), HOUR, at(0)).is_err());
        assert!(graph.set_presence(("Away", "Away"), Duration::from_mins(4), at(0)).is_err());
        assert!(graph.set_presence(("Away", "Away"), Duration::from_mins(241), at(0)).is_err());
        assert!(graph.set_preferred(("Busy", "InACall"), HOUR, at(0)).is_err());
    }
}
