//! `--since`: from when on something is shown.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::agenda::window::{Moment, at, moment};

/// Since when, as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// So long ago.
    Ago(SignedDuration),
    /// Since then.
    Moment(Moment),
}

/// Reads it: `2h`, `09:00`, `2026-11-24`, `2026-11-24T09:00`, or an instant.
pub(super) fn since(text: &str) -> Result<Since, String> {
    match text.parse::<SignedDuration>() {
        Ok(ago) if ago.is_negative() => Err("write how long ago without a minus, like 2h".to_owned()),
        Ok(ago) => Ok(Since::Ago(ago)),
        Err(_) => match moment(text) {
            Ok(moment) => Ok(Since::Moment(moment)),
            Err(hint) => Err(format!("{hint}; or how long ago, like 2h or 90m")),
        },
    }
}

impl Since {
    /// The instant that is meant.
    pub(super) fn instant(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
            Self::Moment(moment) => at(moment, now, zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_how_long_ago_or_a_moment() {
        let now: Timestamp = "2026-10-25T12:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let shown = |text: &str| since(text).map(|since| since.instant(now, &zone).to_string());
        assert_eq!(shown("2h").as_deref(), Ok("2026-10-25T10:00:00Z"));
        assert_eq!(shown("PT90M").as_deref(), Ok("2026-10-25T10:30:00Z"));
        // The clocks went back in the night before.
        assert_eq!(shown("09:00").as_deref(), Ok("2026-10-25T08:00:00Z"));
        assert_eq!(shown("2026-10-25").as_deref(), Ok("2026-10-24T22:00:00Z"));
        assert_eq!(shown("999999h").as_deref(), Ok("1912-09-26T21:00:00Z"));
        assert!(shown("yesterday").unwrap_err().ends_with("or how long ago, like 2h or 90m"));
        assert!(shown("-2h").unwrap_err().contains("without a minus"));
    }
}
