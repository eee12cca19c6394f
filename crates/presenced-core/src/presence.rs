//! The presences that an application may set in Microsoft Graph: five pairs and an expiration. The types cannot express
//! anything else.
//!
//! Source: Graph API reference, `presence: setPresence`. It lists the five pairs, and gives PT5M to PT4H as the valid range of
//! `expirationDuration`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One of the five availability/activity pairs that `setPresence` accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// `Available/Available`. The only pair that fades: 5 minutes after it was last set.
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

    /// The pair's `availability` in Graph.
    pub const fn availability(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::InACall | Self::InAConferenceCall => "Busy",
            Self::Away => "Away",
            Self::Presenting => "DoNotDisturb",
        }
    }

    /// The pair's `activity` in Graph.
    pub const fn activity(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::InACall => "InACall",
            Self::InAConferenceCall => "InAConferenceCall",
            Self::Away => "Away",
            Self::Presenting => "Presenting",
        }
    }

    /// The `activity` of the matching preferred presence. `setUserPreferredPresence` repeats the availability there, as in
    /// `Busy/Busy`.
    ///
    /// Source: Graph API reference, `presence: setUserPreferredPresence`.
    pub const fn preferred_activity(self) -> &'static str {
        self.availability()
    }

    /// Whether a session with this presence fades before it expires. Only Available does.
    ///
    /// Source: Graph API reference, `presence: setPresence`, "Timeout, expiration, and keep alive".
    pub const fn fades(self) -> bool {
        matches!(self, Self::Available)
    }

    /// The rank by which Graph picks the strongest of a user's sessions, weakest first: Away, Available, Busy, `DoNotDisturb`.
    ///
    /// Source: "Manage presence state using the Microsoft Graph API", on how sessions are aggregated.
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
    /// `Availability/Activity`, as in configuration files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.availability(), self.activity())
    }
}

/// The text is not one of the five pairs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a presence that Microsoft Graph accepts")]
pub struct UnknownPresence(pub String);

impl FromStr for Presence {
    type Err = UnknownPresence;

    /// Reads `Availability/Activity`. ASCII case and surrounding spaces do not matter.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|presence| presence.to_string().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| UnknownPresence(text.to_owned()))
    }
}

/// How long Graph keeps a session after it was last set: `expirationDuration`, 5 to 240 minutes in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expiration(Duration);

/// The duration is not one that Graph accepts as an expiration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an expiration must be 5 minutes to 4 hours, in whole seconds")]
pub struct ExpirationOutOfRange;

impl Expiration {
    /// The shortest expiration that Graph accepts: 5 minutes.
    pub const MIN: Self = Self(Duration::from_mins(5));
    /// The longest expiration that Graph accepts: 4 hours.
    pub const MAX: Self = Self(Duration::from_hours(4));

    /// As a duration.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// As an ISO 8601 duration, the format of `expirationDuration`: `PT15M`, `PT1H30M`.
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
    /// 15 minutes: long enough to survive a restart, short enough that a stale presence disappears soon after a crash.
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
    fn each_pair_can_be_read_back_from_its_text() {
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
    fn iso_durations_leave_out_units_that_are_zero() {
        let iso = |seconds| Expiration::try_from(Duration::from_secs(seconds)).map(Expiration::to_iso);
        assert_eq!(iso(300).as_deref(), Ok("PT5M"));
        assert_eq!(iso(5400).as_deref(), Ok("PT1H30M"));
        assert_eq!(iso(14_400).as_deref(), Ok("PT4H"));
        assert_eq!(iso(301).as_deref(), Ok("PT5M1S"));
    }
}
