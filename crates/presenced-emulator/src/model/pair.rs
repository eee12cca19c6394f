//! Availability and activity as Graph shows them. An application can set only some of these.

use std::fmt;

use serde::{Deserialize, Serialize};

use presenced_core::presence::Presence;

/// The `availability` of a presence, weakest first: others see the strongest of a user's sessions.
///
/// Graph's reference gives the order of Away, Available, Busy and `DoNotDisturb`. The place of `BeRightBack` between Away and
/// Available is inferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Availability {
    /// The user has no session, or prefers to appear offline.
    Offline,
    /// Away.
    Away,
    /// Away for a moment.
    BeRightBack,
    /// Available.
    Available,
    /// Busy.
    Busy,
    /// Do not disturb.
    DoNotDisturb,
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A presence as others see it: availability and activity. It displays as `Busy/InACall`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pair {
    /// The availability.
    pub availability: Availability,
    /// The activity in Graph's words: `InACall`, `AvailableInactive`, `OffWork`, …
    pub activity: String,
}

impl Pair {
    /// A pair of this availability and this activity.
    pub fn new(availability: Availability, activity: impl Into<String>) -> Self {
        Self { availability, activity: activity.into() }
    }

    /// `Offline/Offline`: what others see of a user without a session.
    pub fn offline() -> Self {
        Self::new(Availability::Offline, "Offline")
    }
}

impl From<Presence> for Pair {
    fn from(presence: Presence) -> Self {
        let availability = match presence {
            Presence::Available => Availability::Available,
            Presence::InACall | Presence::InAConferenceCall => Availability::Busy,
            Presence::Away => Availability::Away,
            Presence::Presenting => Availability::DoNotDisturb,
        };
        Self::new(availability, presence.activity())
    }
}

impl fmt::Display for Pair {
    /// `Availability/Activity`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.availability, self.activity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availabilities_have_the_same_order_as_presences() {
        for a in Presence::ALL {
            assert_eq!(Pair::from(a).to_string(), a.to_string());
            for b in Presence::ALL {
                assert_eq!(
                    Pair::from(a).availability.cmp(&Pair::from(b).availability),
                    a.precedence().cmp(&b.precedence())
                );
            }
        }
    }
}
