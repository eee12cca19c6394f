//! What Microsoft Graph accepts as an application's presence: five pairs and an expiration, so that nothing else can be
//! asked for.
//!
//! Source: Graph API reference, `presence: setPresence`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One of the five availability/activity pairs that `setPresence` accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// `Available/Available`: the one that fades, 5 minutes after it was last set.
    Available,
    /// `Busy/InACall`.
    InACall,
    /// `Busy/InAConferenceCall`.
    InAConferenceCall,
    /// `Away/Away`.
    Away,
    /// `DoNotDisturb/Presenting`.
    Presenting,
}

impl Presence {
    /// All five, in the order of Graph's reference.
    pub const ALL: [Self; 5] = [Self::Available, Self::InACall, Self::InAConferenceCall, Self::Away, Self::Presenting];

    /// Graph's `availability` of the pair.
    pub const fn availability(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::InACall | Self::InAConferenceCall => "Busy",
            Self::Away => "Away",
            Self::Presenting => "DoNotDisturb",
        }
    }

    /// Graph's `activity` of the pair.
    pub const fn activity(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::InACall => "InACall",
            Self::InAConferenceCall => "InAConferenceCall",
            Self::Away => "Away",
            Self::Presenting => "Presenting",
        }
    }

    /// The `activity` of the preferred presence that matches: `setUserPreferredPresence` takes the word of the availability,
    /// as in `Busy/Busy`.
    ///
    /// Source: Graph API reference, `presence: setUserPreferredPresence`.
    pub const fn preferred_activity(self) -> &'static str {
        self.availability()
    }

    /// Whether a session with this presence fades before it expires. Only Available is documented to.
    pub const fn fades(self) -> bool {
        matches!(self, Self::Available)
    }

    /// The rank Graph aggregates sessions by, weakest first: Away, Available, Busy, `DoNotDisturb`.
    pub const fn precedence(self) -> u8 {
        match self {
            Self::Away => 0,
            Self::Available => 1,
            Self::InACall | Self::InAConferenceCall => 2,
            Self::Presenting => 3,
        }
    }
}

impl fmt::Display for Presence {
    /// `Availability/Activity`, as configuration files write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.availability(), self.activity())
    }
}

/// A text that is none of the five pairs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a presence that Microsoft Graph accepts")]
pub struct UnknownPresence(pub String);

impl FromStr for Presence {
    type Err = UnknownPresence;

    /// Reads `Availability/Activity`, ignoring ASCII case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|presence| presence.to_string().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| UnknownPresence(text.to_owned()))
    }
}

/// How long Graph keeps a session after it was last set: `expirationDuration`, 5 to 240 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expiration(Duration);

/// A duration outside of what Graph accepts as an expiration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an expiration is 5 minutes to 4 hours in whole seconds")]
pub struct ExpirationOutOfRange;

impl Expiration {
    /// The shortest that Graph accepts, 5 minutes.
    pub const MIN: Self = Self(Duration::from_mins(5));
    /// The longest that Graph accepts, 4 hours.
    pub const MAX: Self = Self(Duration::from_hours(4));

    /// As a duration.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// As ISO 8601, the way `expirationDuration` is written: `PT15M`, `PT1H30M`.
    pub fn to_iso(self) -> String {
        let seconds = self.0.as_secs();
        let mut iso = String::from("PT");
        for (amount, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M'), (seconds % 60, 'S')] {
            if amount > 0 {
                iso.push_str(&amount.to_string());
                iso.push(unit);
            }
        }
        iso
    }
}

impl Default for Expiration {
    /// 15 minutes: long enough to survive a restart, short enough that a crash does not show for long.
    fn default() -> Self {
        Self(Duration::from_mins(15))
    }
}

impl TryFrom<Duration> for Expiration {
    type Error = ExpirationOutOfRange;

    fn try_from(duration: Duration) -> Result<Self, Self::Error> {
        let in_range = (Self::MIN.0..=Self::MAX.0).contains(&duration) && duration.subsec_nanos() == 0;
        in_range.then_some(Self(duration)).ok_or(ExpirationOutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_reads_back_from_its_own_text() {
        for presence in Presence::ALL {
            assert_eq!(presence.to_string().parse(), Ok(presence));
            assert_eq!(presence.to_string().to_lowercase().parse(), Ok(presence));
        }
        assert!("Busy/Busy".parse::<Presence>().is_err());
        assert!("Available".parse::<Presence>().is_err());
    }

    #[test]
    fn an_expiration_is_five_minutes_to_four_hours() {
        let minutes = |m: u64| Expiration::try_from(Duration::from_secs(m * 60));
        assert!(minutes(4).is_err());
        assert!(minutes(5).is_ok());
        assert!(minutes(240).is_ok());
        assert!(minutes(241).is_err());
        assert!(Expiration::try_from(Duration::from_millis(300_500)).is_err());
    }

    #[test]
    fn iso_durations_name_only_the_units_they_have() {
        let iso = |seconds| Expiration::try_from(Duration::from_secs(seconds)).map(Expiration::to_iso);
        assert_eq!(iso(300).as_deref(), Ok("PT5M"));
        assert_eq!(iso(5400).as_deref(), Ok("PT1H30M"));
        assert_eq!(iso(14_400).as_deref(), Ok("PT4H"));
        assert_eq!(iso(301).as_deref(), Ok("PT5M1S"));
    }
}
