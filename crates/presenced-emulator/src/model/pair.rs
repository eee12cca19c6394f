//! Availability and activity as Graph reads them, which is more than an application may set.

use std::fmt;

use serde::{Deserialize, Serialize};

use presenced_core::presence::Presence;

/// A presence's `availability`, weakest first: among sessions the strongest is what others see.
///
/// Graph's reference gives the order of Away, Available, Busy and `DoNotDisturb`; that `BeRightBack` stands between Away
/// and Available is inferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Availability {
    /// No session, or a person who prefers to look so.
    Offline,
    /// Away.
    Away,
    /// Away for a moment.
    BeRightBack,
    /// Available.
    Available,
    /// Busy.
    Busy,
    /// Not to be disturbed.
    DoNotDisturb,
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Availability and activity together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pair {
    /// The availability.
    pub availability: Availability,
    /// The activity: `InACall`, `AvailableInactive`, `OffWork`, …
    pub activity: String,
}

impl Pair {
    /// A pair of the two.
    pub fn new(availability: Availability, activity: impl Into<String>) -> Self {
        Self { availability, activity: activity.into() }
    }

    /// `Offline/Offline`: nobody is there.
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
    fn the_order_of_availabilities_is_the_order_of_presences() {
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
