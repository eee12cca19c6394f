//! Moments on the command line: the values of `--from`, `--to`, `--since` and `--timezone`, and the instants that they mean.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::time::zone_named;

/// A moment as written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// An instant (RFC 3339).
    Instant(Timestamp),
    /// A local time. A date means its first moment.
    Local(DateTime),
    /// A time today.
    Today(Time),
}

/// Reads a moment: `2026-11-24T09:00:00+01:00`, `2026-11-24T09:00`, `2026-11-24`, `09:00`.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(instant) = text.parse() {
        return Ok(Moment::Instant(instant));
    }
    // The parsers below would ignore an offset or a zone in a text that is not an instant.
    let plain = text.chars().all(|char| char.is_ascii_digit() || "-:.Tt ".contains(char));
    let local = if text.contains('-') {
        text.parse().ok().map(Moment::Local)
    } else if text.contains(':') {
        text.parse().ok().map(Moment::Today)
    } else {
        None
    };
    local.filter(|_| plain).ok_or_else(|| {
        "write a date (2026-11-24), a time today (09:00), a local time (2026-11-24T09:00), or an instant with its \
         offset (2026-11-24T09:00:00+01:00)"
            .to_owned()
    })
}

/// Finds a time zone by its IANA name.
pub(super) fn timezone(name: &str) -> Result<TimeZone, String> {
    zone_named(name).map_err(|help| format!("there is no such time zone; {help}"))
}

/// The start and the end. Without `from` it starts with today, and without `to` it ends with the day on which it starts.
/// The end may be before the start.
pub(super) fn window(
    from: Option<Moment>,
    to: Option<Moment>,
    now: Timestamp,
    zone: &TimeZone,
) -> (Timestamp, Timestamp) {
    let today = zone.to_datetime(now).date();
    let from = from.map_or_else(|| midnight(today, zone), |from| at(from, now, zone));
    let to = to.map_or_else(|| midnight(day_after(zone.to_datetime(from).date()), zone), |to| at(to, now, zone));
    (from, to)
}

/// The instant of a moment.
pub(super) fn at(moment: Moment, now: Timestamp, zone: &TimeZone) -> Timestamp {
    match moment {
        Moment::Instant(instant) => instant,
        Moment::Local(at) => instant(at, zone),
        Moment::Today(time) => instant(zone.to_datetime(now).date().to_datetime(time), zone),
    }
}

/// The first moment of a day. If the clocks skip midnight, it is the first time after the gap.
pub(super) fn midnight(date: Date, zone: &TimeZone) -> Timestamp {
    instant(date.at(0, 0, 0, 0), zone)
}

/// The next day, or the same day if it is the last that `Date` can represent.
pub(super) fn day_after(date: Date) -> Date {
    date.tomorrow().unwrap_or(date)
}

/// The instant of a local time: shifted forward in a gap, the first one in a fold (RFC 5545, 3.3.5, like the calendar).
pub(super) fn instant(at: DateTime, zone: &TimeZone) -> Timestamp {
    zone.to_timestamp(at).unwrap_or(if at.year() > 0 { Timestamp::MAX } else { Timestamp::MIN })
}

/// The value of `--since`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// This long ago.
    Ago(SignedDuration),
    /// Since this moment.
    Moment(Moment),
}

/// Reads `--since`: `2h`, `09:00`, `2026-11-24`, `2026-11-24T09:00`, or an instant.
pub(super) fn since(text: &str) -> Result<Since, String> {
    match text.parse::<SignedDuration>() {
        Ok(ago) if ago.is_negative() => Err("write how long ago without a minus sign, like 2h".to_owned()),
        Ok(ago) => Ok(Since::Ago(ago)),
        Err(_) => match moment(text) {
            Ok(moment) => Ok(Since::Moment(moment)),
            Err(hint) => Err(format!("{hint}; or how long ago, like 2h or 90m")),
        },
    }
}

impl Since {
    /// The instant it means.
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

    const NOW: &str = "2026-10-25T12:00:00Z";

    fn shown(from: Option<&str>, to: Option<&str>) -> (String, String) {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let read = |text: &str| moment(text).unwrap();
        let (from, to) = window(from.map(read), to.map(read), NOW.parse().unwrap(), &zone);
        (from.to_string(), to.to_string())
    }

    fn expected(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn the_default_window_is_today() {
        // This day has 25 hours.
        assert_eq!(shown(None, None), expected("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
        assert_eq!(shown(Some("09:00"), None), expected("2026-10-25T08:00:00Z", "2026-10-25T23:00:00Z"));
        assert_eq!(shown(None, Some("01:30:30")), expected("2026-10-24T22:00:00Z", "2026-10-24T23:30:30Z"));
    }

    #[test]
    fn a_moment_can_be_written_in_four_ways() {
        // Berlin's clocks go from 02:00 to 03:00 on 29 March: a day of 23 hours.
        assert_eq!(shown(Some("2026-03-29"), None), expected("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"));
        assert_eq!(
            shown(Some("2026-03-29T02:30"), Some("2026-03-29 04:00:00")),
            expected("2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z")
        );
        assert_eq!(
            shown(Some("2026-11-24T09:00:00-05:00"), Some("2026-11-24T15:00:00Z")),
            expected("2026-11-24T14:00:00Z", "2026-11-24T15:00:00Z")
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "now",
            "9",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "25:00",
            "09:00+01:00",
            "2026-11-24[Europe/Berlin]",
            "2026-11-24T09:00[Europe/Berlin]",
            "-09:00",
            "2026-11-24T",
            "24 Nov",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_zone_gets_a_suggestion() {
        assert!(timezone("Europe/Berlin").is_ok() && timezone("UTC").is_ok());
        assert_eq!(timezone("Europe/Berln").unwrap_err(), "there is no such time zone; did you mean `Europe/Berlin`?");
        for name in ["", "xyzzy", "../../etc/passwd"] {
            assert!(timezone(name).unwrap_err().starts_with("there is no such time zone"), "{name}");
        }
    }

    #[test]
    fn since_takes_a_duration_or_a_moment() {
        let now: Timestamp = "2026-10-25T12:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let shown = |text: &str| since(text).map(|since| since.instant(now, &zone).to_string());
        assert_eq!(shown("2h").as_deref(), Ok("2026-10-25T10:00:00Z"));
        assert_eq!(shown("PT90M").as_deref(), Ok("2026-10-25T10:30:00Z"));
        // The clocks went back the night before.
        assert_eq!(shown("09:00").as_deref(), Ok("2026-10-25T08:00:00Z"));
        assert_eq!(shown("2026-10-25").as_deref(), Ok("2026-10-24T22:00:00Z"));
        assert_eq!(shown("999999h").as_deref(), Ok("1912-09-26T21:00:00Z"));
        assert!(shown("yesterday").unwrap_err().ends_with("or how long ago, like 2h or 90m"));
        assert!(shown("-2h").unwrap_err().contains("without a minus"));
    }
}
