//! Times for users: durations, local times, and distances from now.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A duration in its two largest units, to the second: `3 min 12 s`, `6 h 12 min`, `2 d 3 h`.
pub(in crate::cli) fn exact_span(span: SignedDuration) -> String {
    let seconds = span.as_secs().unsigned_abs();
    let (large, small) = match seconds {
        0..60 => ((seconds, "s"), None),
        60..3600 => ((seconds / 60, "min"), Some((seconds % 60, "s"))),
        3600..86_400 => ((seconds / 3600, "h"), Some((seconds / 60 % 60, "min"))),
        86_400.. => ((seconds / 86_400, "d"), Some((seconds / 3600 % 24, "h"))),
    };
    match small {
        Some((amount, unit)) if amount > 0 => format!("{} {} {amount} {unit}", large.0, large.1),
        Some(_) | None => format!("{} {}", large.0, large.1),
    }
}

/// A duration that shows seconds only below a minute: `48 s`, `12 min`, `6 h 12 min`.
pub(in crate::cli) fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().unsigned_abs();
    exact_span(SignedDuration::from_secs(if seconds < 60 { seconds } else { seconds / 60 * 60 }.cast_signed()))
}

/// The distance from `now`: `in 46 min`, `12 min ago`, `now`.
pub(in crate::cli) fn relative(at: Timestamp, now: Timestamp) -> String {
    let distance = at.duration_since(now);
    match distance.as_secs() {
        0 => "now".to_owned(),
        1.. => format!("in {}", span(distance)),
        _ => format!("{} ago", span(distance)),
    }
}

/// The local time: `14:17` today, `Tue 14:17` within six days, otherwise the date.
pub(in crate::cli) fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned_datetime(zone.clone());
    let today = now.to_zoned_datetime(zone.clone()).date();
    let days = local.date().duration_since(today).as_hours() / 24;
    let format = match days {
        0 => "%H:%M",
        -6..=6 => "%a %H:%M",
        _ => "%Y-%m-%d",
    };
    local.strftime(format).to_string()
}

/// The local time of day to the second: `14:17:12`.
pub(in crate::cli) fn exact_clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone()).strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_their_two_largest_units() {
        let exact = |seconds| exact_span(SignedDuration::from_secs(seconds));
        assert_eq!(exact(0), "0 s");
        assert_eq!(exact(59), "59 s");
        assert_eq!(exact(60), "1 min");
        assert_eq!(exact(192), "3 min 12 s");
        assert_eq!(exact(3600), "1 h");
        assert_eq!(exact(22_349), "6 h 12 min");
        assert_eq!(exact(86_400 * 2 + 3600 * 3 + 59), "2 d 3 h");
        assert_eq!(exact(-192), "3 min 12 s");
        assert_eq!(span(SignedDuration::from_secs(192)), "3 min");
        assert_eq!(span(SignedDuration::MIN), exact_span(SignedDuration::from_secs(i64::MAX / 60 * 60)));
    }

    #[test]
    fn distances_distinguish_past_and_future() {
        let now: Timestamp = "2026-11-23T14:14:00.5Z".parse().unwrap();
        let at = |text: &str| relative(text.parse().unwrap(), now);
        assert_eq!(at("2026-11-23T15:00:01Z"), "in 46 min");
        assert_eq!(at("2026-11-23T14:02:00Z"), "12 min ago");
        assert_eq!(at("2026-11-23T14:14:01Z"), "now");
        assert_eq!(at("2026-11-23T14:14:00Z"), "now");
    }

    #[test]
    fn the_clock_shows_the_day_unless_it_is_today() {
        let zone = TimeZone::fixed(jiff::tz::Offset::constant(1));
        let now: Timestamp = "2026-11-23T22:30:00Z".parse().unwrap();
        let at = |text: &str| clock(text.parse().unwrap(), now, &zone);
        assert_eq!(at("2026-11-23T21:00:00Z"), "22:00");
        assert_eq!(at("2026-11-23T23:00:00Z"), "Tue 00:00");
        assert_eq!(at("2026-11-22T08:00:00Z"), "Sun 09:00");
        assert_eq!(at("2026-11-30T08:00:00Z"), "2026-11-30");
        assert_eq!(at("2026-11-16T08:00:00Z"), "2026-11-16");
        assert_eq!(exact_clock("2026-11-23T23:00:07Z".parse().unwrap(), &zone), "00:00:07");
    }
}
