//! `Edm.Duration`, the type of `expirationDuration`.
//!
//! Source: `OData` 4.01, ABNF, `duration`: days, hours, minutes and seconds in this order, in capitals, and only seconds with a
//! fraction. So ISO 8601's years, months and weeks are refused, and so is `1:00:00`, which Microsoft's Python SDK sends.

use std::time::Duration;

/// A day, an hour and a minute in seconds.
const DAY: u64 = 24 * HOUR;
const HOUR: u64 = 60 * MINUTE;
const MINUTE: u64 = 60;

/// An `Edm.Duration` of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EdmDuration {
    /// Zero or more.
    NotNegative(Duration),
    /// Below zero.
    Negative,
}

impl EdmDuration {
    /// Reads one; `None` if `text` is something else, or longer than can be counted.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (days, time) = match unsigned.strip_prefix('P')?.split_once('T') {
            Some((days, time)) if !time.is_empty() => (days, time),
            Some(_) => return None,
            None => (unsigned.strip_prefix('P')?, ""),
        };
        if days.is_empty() && time.is_empty() {
            return None;
        }
        let (days_secs, rest) = part(days, 'D', DAY)?;
        let (hours, time) = part(time, 'H', HOUR)?;
        let (minutes, time) = part(time, 'M', MINUTE)?;
        if !rest.is_empty() {
            return None;
        }
        let whole = days_secs.checked_add(hours)?.checked_add(minutes)?;
        let duration = Duration::from_secs(whole).checked_add(seconds(time)?)?;
        // -PT0S is zero.
        Some(if negative && !duration.is_zero() { Self::Negative } else { Self::NotNegative(duration) })
    }
}

/// The seconds of the number before `unit`, if `text` starts with one, and what follows.
fn part(text: &str, unit: char, unit_secs: u64) -> Option<(u64, &str)> {
    let Some((number, rest)) = text.split_once(unit) else { return Some((0, text)) };
    Some((whole_number(number)?.checked_mul(unit_secs)?, rest))
}

/// `12S`, `12.5S` or nothing.
fn seconds(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return Some(Duration::ZERO);
    }
    let number = text.strip_suffix('S')?;
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Some(Duration::new(whole_number(whole)?, nanos.parse().ok()?))
}

fn whole_number(digits: &str) -> Option<u64> {
    // `parse` would accept a sign.
    if digits.bytes().all(|digit| digit.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_edm_durations_are_accepted() {
        let millis = |millis| Some(EdmDuration::NotNegative(Duration::from_millis(millis)));
        for (text, expected) in [
            ("PT5M", millis(300_000)),
            ("PT300S", millis(300_000)),
            ("PT4H", millis(14_400_000)),
            ("P1D", millis(86_400_000)),
            ("P7DT1H", millis(608_400_000)),
            ("+P0DT0H5M0.5S", millis(300_500)),
            ("PT90M", millis(5_400_000)),
            ("-PT5M", Some(EdmDuration::Negative)),
            ("-PT0S", millis(0)),
            ("P1M", None),
            ("P1Y", None),
            ("P1W", None),
            ("P1Y2M3DT4H", None),
            ("1:00:00", None),
            ("0:05:00", None),
            ("00:05", None),
            ("pt5m", None),
            ("PT1.5H", None),
            ("PT1,5S", None),
            ("PT.5S", None),
            ("PT5.S", None),
            ("PT5M1H", None),
            ("PT5M5M", None),
            ("PT-5M", None),
            ("PT+5M", None),
            ("P-1D", None),
            ("P1DT", None),
            ("PT5M ", None),
            (" PT5M", None),
            ("5m", None),
            ("5 minutes", None),
            ("P", None),
            ("PT", None),
            ("T5M", None),
            ("PT5", None),
            ("PTM", None),
            ("P5M", None),
            ("P1H", None),
            ("--PT5M", None),
            ("P99999999999999999999D", None),
            ("P999999999999999999D", None),
            ("PT\u{0}5M", None),
            ("PT٥M", None),
            ("PT5.٥S", None),
            ("", None),
            ("banana", None),
        ] {
            assert_eq!(EdmDuration::parse(text), expected, "{text}");
        }
    }

    proptest! {
        /// Any text has an answer, and what presenced itself writes is read as what it meant.
        #[test]
        fn any_text_is_read_or_refused(text in ".*", odd in "[-+]?P[0-9DTHMSYW.]{0,12}", secs in 300_u64..14_400) {
            let _ = EdmDuration::parse(&text);
            let _ = EdmDuration::parse(&odd);
            let expected = EdmDuration::NotNegative(Duration::from_secs(secs));
            prop_assert_eq!(EdmDuration::parse(&format!("PT{secs}S")), Some(expected));
        }
    }
}
