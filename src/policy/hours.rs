//! Recurring hours of the week, as `within` and `outside` write them: `Mon..Fri 08:30-18:00`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// One span of hours on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours;

/// Why a text is no hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HoursError(pub String);

impl std::str::FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        Err(HoursError(text.to_owned()))
    }
}

impl Hours {
    /// Whether `now` lies in the hours, and when that next changes.
    pub fn at(&self, _now: Timestamp, _zone: &TimeZone) -> (bool, Option<Timestamp>) {
        (false, None)
    }
}

impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("")
    }
}
