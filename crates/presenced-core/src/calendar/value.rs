//! Property values: dates, times, durations, periods and offsets (RFC 5545, 3.3).
//!
//! Leaves to others: which zone a time is in (`zone`), and rules (`recurrence`).

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

/// A DATE or DATE-TIME as written, before its zone is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// A DATE.
    Day(Date),
    /// A local time. Its zone is in `TZID`; without one it is floating.
    Local(DateTime),
    /// A time in UTC, with `Z`.
    Utc(DateTime),
}

/// A DURATION (RFC 5545, 3.3.6). Days are nominal, seconds are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duration {
    pub(super) days: i64,
    pub(super) seconds: i64,
}

/// The end of a PERIOD (RFC 5545, 3.3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeriodEnd {
    At(Written),
    After(Duration),
}

/// Reads a DATE or DATE-TIME (RFC 5545, 3.3.4 and 3.3.5).
///
/// Also reads what real programs write: the extended format and fractions of a second (`Date.toISOString` in JavaScript), a UTC
/// offset instead of the Z, a DATE with a Z (Google's birthdays), and a quote that belongs to the parameter before.
pub(super) fn date_or_time(text: &[u8]) -> Option<Written> {
    let text = trim(text);
    let (date, rest) = date(text)?;
    let Some((separator, rest)) = rest.split_first() else {
        return Some(Written::Day(date));
    };
    match separator {
        b'Z' | b'z' if rest.is_empty() => return Some(Written::Day(date)),
        b'T' | b't' | b' ' => {}
        _ => return None,
    }
    let (time, rest) = time(rest)?;
    let at = DateTime::from_parts(date, time);
    match rest {
        [] => Some(Written::Local(at)),
        [b'Z' | b'z'] => Some(Written::Utc(at)),
        [b'+' | b'-', ..] => {
            let offset = SignedDuration::from_secs(extended_offset(rest)?.into());
            Some(Written::Utc(at.checked_sub(offset).ok()?))
        }
        _ => None,
    }
}

/// Whether a DATE or DATE-TIME begins here.
pub(super) fn begins_with_date(text: &[u8]) -> bool {
    date(trim(text)).is_some()
}

fn trim(text: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'"';
    let first = text.iter().position(|byte| !is_padding(byte)).unwrap_or(text.len());
    let last = text.iter().rposition(|byte| !is_padding(byte)).map_or(first, |last| last + 1);
    &text[first..last]
}

/// Reads `20260105` or `2026-01-05`, and returns what follows.
fn date(text: &[u8]) -> Option<(Date, &[u8])> {
    let dash = usize::from(text.get(4) == Some(&b'-'));
    if dash == 1 && text.get(7) != Some(&b'-') {
        return None;
    }
    let part = |from: usize, length: usize| digits(text.get(from..from + length)?);
    let year = i16::try_from(part(0, 4)?).ok()?;
    let month = i8::try_from(part(4 + dash, 2)?).ok()?;
    let day = i8::try_from(part(6 + 2 * dash, 2)?).ok()?;
    Some((Date::new(year, month, day).ok()?, &text[8 + 2 * dash..]))
}

/// Reads `HHMMSS`, `HH:MM:SS`, or the `HHMM` of some programs, and returns what follows. Drops fractions of a second. Second 60
/// becomes 59, because there are no leap seconds here (RFC 5545, 3.3.12).
fn time(text: &[u8]) -> Option<(Time, &[u8])> {
    let without_colon = |text: &'_ [u8]| usize::from(text.first() == Some(&b':'));
    let two = |text: &[u8]| text.get(..2).and_then(digits).and_then(|number| i8::try_from(number).ok());
    let (hour, rest) = (two(text)?, &text[2..]);
    let rest = &rest[without_colon(rest)..];
    let (minute, rest) = (two(rest)?, &rest[2..]);
    let colon = without_colon(rest);
    let (second, rest) = match two(&rest[colon..]) {
        Some(second) => (second, &rest[colon + 2..]),
        None => (0, rest),
    };
    let fraction = match rest {
        [b'.', first, ..] if first.is_ascii_digit() => {
            rest[1..].iter().position(|byte| !byte.is_ascii_digit()).map_or(rest.len(), |end| end + 1)
        }
        _ => 0,
    };
    let second = if second == 60 { 59 } else { second };
    Some((Time::new(hour, minute, second, 0).ok()?, &rest[fraction..]))
}

/// Reads `+01:00`, `+0100` or `+01`, in seconds east of Greenwich.
fn extended_offset(text: &[u8]) -> Option<i32> {
    let mut digits: Vec<u8> = text.iter().copied().filter(|byte| *byte != b':').take(8).collect();
    if digits.len() == 3 {
        digits.extend_from_slice(b"00");
    }
    utc_offset(&digits)
}

/// Reads a number of 1 to 9 ASCII digits.
fn digits(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

/// Reads a DURATION (RFC 5545, 3.3.6): `P2W`, `-PT15M`, `P1DT2H`.
pub(super) fn duration(text: &[u8]) -> Option<Duration> {
    let text = text.trim_ascii();
    let (sign, text) = match text.split_first()? {
        (b'-', rest) => (-1, rest),
        (b'+', rest) => (1, rest),
        _ => (1, text),
    };
    let (mark, mut rest) = text.split_first()?;
    if !mark.eq_ignore_ascii_case(&b'P') || rest.is_empty() {
        return None;
    }
    let mut duration = Duration { days: 0, seconds: 0 };
    let mut in_time = false;
    while let Some((&first, after)) = rest.split_first() {
        if first.eq_ignore_ascii_case(&b'T') && !in_time {
            in_time = true;
            rest = after;
            continue;
        }
        let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let amount = sign * i64::from(digits(&rest[..end])?);
        match (rest[end].to_ascii_uppercase(), in_time) {
            (b'W', false) => duration.days += 7 * amount,
            (b'D', false) => duration.days += amount,
            (b'H', true) => duration.seconds += 3600 * amount,
            (b'M', true) => duration.seconds += 60 * amount,
            (b'S', true) => duration.seconds += amount,
            _ => return None,
        }
        rest = &rest[end + 1..];
    }
    Some(duration)
}

/// Reads one value of an RDATE: a DATE, a DATE-TIME, or a PERIOD with its end.
pub(super) fn date_or_period(text: &[u8]) -> Option<(Written, Option<PeriodEnd>)> {
    let Some(slash) = text.iter().position(|&byte| byte == b'/') else {
        return Some((date_or_time(text)?, None));
    };
    let (start, end) = (date_or_time(&text[..slash])?, &text[slash + 1..]);
    let end = date_or_time(end).map(PeriodEnd::At).or_else(|| duration(end).map(PeriodEnd::After))?;
    Some((start, Some(end)))
}

/// The values of a list. If the line was cut, the last value may be incomplete and is left out.
pub(super) fn list(value: &[u8], cut: bool) -> impl Iterator<Item = &[u8]> {
    let whole = if cut { value.iter().rposition(|&byte| byte == b',').unwrap_or(0) } else { value.len() };
    value[..whole].split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|text| !text.is_empty())
}

/// Reads a UTC-OFFSET (RFC 5545, 3.3.14), `+0100` or `-053000`, in seconds east of Greenwich.
pub(super) fn utc_offset(text: &[u8]) -> Option<i32> {
    let (sign, text) = match text.trim_ascii().split_first()? {
        (b'-', rest) => (-1, rest),
        (b'+', rest) => (1, rest),
        _ => (1, text.trim_ascii()),
    };
    let part = |range: std::ops::Range<usize>| digits(text.get(range)?).and_then(|number| i32::try_from(number).ok());
    let (hours, minutes) = (part(0..2)?, part(2..4)?);
    let seconds = match text.len() {
        4 => 0,
        6 => part(4..6)?,
        _ => return None,
    };
    (hours < 24 && minutes < 60 && seconds < 60).then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, datetime};

    #[test]
    fn dates_and_times_are_read_in_their_three_forms() {
        let at = datetime(2026, 1, 5, 9, 0, 0, 0);
        assert_eq!(date_or_time(b"20260105"), Some(Written::Day(date(2026, 1, 5))));
        assert_eq!(date_or_time(b"20260105T090000"), Some(Written::Local(at)));
        assert_eq!(date_or_time(b" 20260105t0900z "), Some(Written::Utc(at)));
        assert_eq!(date_or_time(b"20260105T090060Z"), Some(Written::Utc(datetime(2026, 1, 5, 9, 0, 59, 0))));
        assert_eq!(date_or_time(b"00000101"), Some(Written::Day(date(0, 1, 1))));
    }

    #[test]
    fn other_forms_that_programs_write_are_read() {
        let at = datetime(2026, 1, 5, 9, 0, 0, 0);
        for text in [
            "20260105T090000.000Z",
            "20260105T090000.5Z",
            "2026-01-05T09:00:00Z",
            "2026-01-05T09:00:00.123Z",
            "2026-01-05T09:00Z",
            "20260105T100000+0100",
            "20260105T100000+01",
            "2026-01-05T03:30:00-05:30",
            "20260105T090000Z\"",
        ] {
            assert_eq!(date_or_time(text.as_bytes()), Some(Written::Utc(at)), "{text}");
        }
        assert_eq!(date_or_time(b"2026-01-05T09:00:00"), Some(Written::Local(at)));
        assert_eq!(date_or_time(b"20260105 090000"), Some(Written::Local(at)));
        assert_eq!(date_or_time(b"20260105Z"), Some(Written::Day(date(2026, 1, 5))));
        assert_eq!(date_or_time(b"2026-01-05"), Some(Written::Day(date(2026, 1, 5))));
    }

    #[test]
    fn impossible_dates_are_rejected() {
        for text in [
            "",
            "2026",
            "20260230",
            "20261301",
            "20260105T",
            "20260105T250000",
            "20260105X090000",
            "20260105T0900001",
            "20260105T090000.",
            "20260105T090000+",
            "20260105T090000+2500",
            "20260105ZZ",
            "2026-0105",
            "2026-1-5",
            "+2260101",
        ] {
            assert_eq!(date_or_time(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn durations_keep_days_and_seconds_separate() {
        assert_eq!(duration(b"P2W"), Some(Duration { days: 14, seconds: 0 }));
        assert_eq!(duration(b"-PT15M"), Some(Duration { days: 0, seconds: -900 }));
        assert_eq!(duration(b"p1dt2h3s"), Some(Duration { days: 1, seconds: 7203 }));
        for text in ["", "P", "15M", "PT15", "P1H", "PT1D", "P-1D", "P99999999999D", "PTT1H"] {
            assert_eq!(duration(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn offsets_are_seconds_east_of_greenwich() {
        assert_eq!(utc_offset(b"+0100"), Some(3600));
        assert_eq!(utc_offset(b"-053015"), Some(-19_815));
        for text in ["", "+1", "+2500", "+0160", "abcd"] {
            assert_eq!(utc_offset(text.as_bytes()), None, "{text}");
        }
    }
}
