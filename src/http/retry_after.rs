//! `Retry-After` (RFC 9110, 10.2.3) in the three forms that Microsoft's services send: seconds, seconds with a fraction, and
//! an HTTP date.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// presenced never waits longer than a day, whatever the service says.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// How long the answer with these headers asks to wait; `None` if it does not, or if its form is unknown.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?;
    let wait = match utc(value) {
        // Measured by the service's clock, if the answer has its time: the local clock may be wrong.
        Some(until) => {
            let answered = text(headers, &DATE).and_then(utc).unwrap_or_else(local_clock);
            Duration::try_from(until.duration_since(answered)).unwrap_or_default()
        }
        None => seconds(value)?,
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// Seconds, whole or with a fraction; no sign, no exponent, no `inf`.
fn seconds(value: &str) -> Option<Duration> {
    let written_out = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = written_out.then(|| value.parse().ok())??;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(MAX_RETRY_AFTER))
}

/// An HTTP date (RFC 9110, 5.6.7), if a timestamp can hold it: timestamps end a day before the year 9999 does.
pub(super) fn http_date(value: &str) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(utc(value)?).ok()
}

/// The date and time in UTC that an HTTP date names, in any of the three formats that a recipient must accept (RFC 9110,
/// 5.6.7). The weekday is not compared with the date: the date says when, whatever day the service takes it for.
fn utc(value: &str) -> Option<DateTime> {
    let (formats, date): (&[&str], _) = match value.split_once(", ") {
        Some((_weekday, date)) => (&["%d %b %Y %H:%M:%S GMT", "%d-%b-%y %H:%M:%S GMT"], date),
        None => (&["%b %e %H:%M:%S %Y"], value.split_once(' ')?.1.trim_start()),
    };
    formats.iter().find_map(|format| DateTime::strptime(format, date).ok())
}

#[expect(clippy::disallowed_methods, reason = "the fallback for a service that does not send its own time")]
fn local_clock() -> DateTime {
    TimeZone::UTC.to_datetime(Timestamp::now())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn wait(retry_after_value: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after_value).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        retry_after(&headers)
    }

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(wait("30", None), Some(Duration::from_secs(30)));
        assert_eq!(wait("2.128", None), Some(Duration::from_millis(2128)));
        assert_eq!(wait(" 0 ", None), Some(Duration::ZERO));
    }

    #[test]
    fn a_date_counts_from_the_answers_own_date() {
        let answered = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for later in ["Sun, 06 Nov 1994 08:50:07 GMT", "Sunday, 06-Nov-94 08:50:07 GMT", "Sun Nov  6 08:50:07 1994"] {
            assert_eq!(wait(later, answered), Some(Duration::from_secs(30)), "{later}");
        }
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:07 GMT", answered), Some(Duration::ZERO));
    }

    #[test]
    fn without_the_answers_own_date_the_local_clock_counts() {
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", None), Some(Duration::ZERO));
        assert_eq!(wait("Tue, 31 Dec 2999 23:59:59 GMT", Some("yesterday")), Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn no_wait_is_longer_than_a_day() {
        for value in ["86401", "86400.1", &"9".repeat(400), &format!("{}.5", "9".repeat(40)), &format!("0{}", u64::MAX)]
        {
            assert_eq!(wait(value, None), Some(MAX_RETRY_AFTER), "{value}");
        }
        assert_eq!(wait(&format!("1.{}", "0".repeat(400)), None), Some(Duration::from_secs(1)));
    }

    /// The last second of the year 9999 is later than the last timestamp of the time library, which leaves room for offsets.
    #[test]
    fn a_date_may_be_as_late_as_it_can_be_written() {
        let answered = Some("Mon, 30 Nov 2026 08:00:00 GMT");
        for latest in ["Fri, 31 Dec 9999 23:59:59 GMT", "Saturday, 31-Dec-68 23:59:59 GMT", "Fri Dec 31 23:59:59 9999"]
        {
            assert_eq!(wait(latest, answered), Some(MAX_RETRY_AFTER), "{latest}");
            assert_eq!(wait(latest, None), Some(MAX_RETRY_AFTER), "{latest}");
        }
    }

    #[test]
    fn a_wrong_weekday_does_not_matter() {
        let answered = Some("Tue, 06 Nov 1994 08:49:37 GMT");
        for later in ["Sat, 06 Nov 1994 08:50:07 GMT", "Friday, 06-Nov-94 08:50:07 GMT", "Mon Nov  6 08:50:07 1994"] {
            assert_eq!(wait(later, answered), Some(Duration::from_secs(30)), "{later}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_wait_is_longer_than_a_day_whatever_a_server_sends(value in "[ -~]{0,40}", digits in "[0-9.]{1,30}") {
            for value in [value, digits] {
                proptest::prop_assert!(wait(&value, None).is_none_or(|wait| wait <= MAX_RETRY_AFTER));
            }
        }
    }

    #[test]
    fn unknown_forms_are_ignored() {
        for garbage in
            ["", "-1", "-2.5", "+3", "1e9", "inf", "NaN", "soon", "1.2.3", ".", "Sun, 32 Nov 1994 08:49:37 GMT"]
        {
            assert_eq!(wait(garbage, None), None, "{garbage}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
