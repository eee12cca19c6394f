//! Time zones by name: what a `TZID` means, whichever program wrote it.
//!
//! A name is looked up as UTC, an IANA name, a Windows name, a Windows display name, and the end of a path, in this order.
//! Leaves to others: zones that a file defines itself (`vtimezone`), and what to do with a name that means nothing
//! (`reader`).

use jiff::civil::date;
use jiff::tz::{Offset, TimeZone};

use super::moment::instant;
use super::windows_zones::{Row, WINDOWS_ZONES};

/// Longer names are not looked up. The longest real ones are display names of about 60 characters.
pub(super) const MAX_NAME_BYTES: usize = 255;

/// The zone that `name` means, ignoring case; `None` if it is not known.
pub fn by_name(name: &str) -> Option<TimeZone> {
    let name = name.trim().trim_matches(['"', '\'']).trim();
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return None;
    }
    utc(name).or_else(|| iana(name)).or_else(|| windows(name)).or_else(|| displayed(name)).or_else(|| path_suffix(name))
}

/// The zone for the offset that a name carries: `(UTC-05:00) Somewhere`, `UTC+01:00`, `GMT -0500 (Standard)`, `+0530`. It has no
/// daylight saving time.
pub(super) fn by_offset(name: &str) -> Option<TimeZone> {
    written_offset(name.trim().trim_matches('"')).map(TimeZone::fixed)
}

/// The offset at the beginning of a name; `(UTC)` alone is 0.
fn written_offset(name: &str) -> Option<Offset> {
    let (text, in_parentheses) = match name.strip_prefix('(') {
        Some(inner) => (inner.split_once(')')?.0, true),
        None => (name, false),
    };
    let prefix = ["UTC", "GMT"].iter().find_map(|prefix| strip_prefix(text, prefix));
    let number = prefix.unwrap_or(text).trim();
    if number.is_empty() {
        return (in_parentheses && prefix.is_some()).then_some(Offset::UTC);
    }
    let number = number.split_whitespace().next()?;
    let (sign, digits) = match number.split_at_checked(number.chars().next()?.len_utf8())? {
        ("+", digits) => (1, digits),
        ("-" | "\u{2212}", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once([':', '.']) {
        Some(parts) => parts,
        None if digits.len() <= 2 => (digits, "0"),
        None => digits.split_at_checked(digits.len() - 2)?,
    };
    let (hours, minutes): (i32, i32) = (hours.parse::<u8>().ok()?.into(), minutes.parse::<u8>().ok()?.into());
    if hours > 14 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

fn utc(name: &str) -> Option<TimeZone> {
    const NAMES: [&str; 9] = [
        "UTC",
        "GMT",
        "Z",
        "UCT",
        "Zulu",
        "Etc/UTC",
        "Coordinated Universal Time",
        "Universal Coordinated Time",
        "tzone://Microsoft/Utc",
    ];
    NAMES.iter().any(|utc| name.eq_ignore_ascii_case(utc)).then_some(TimeZone::UTC)
}

fn iana(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

fn windows(name: &str) -> Option<TimeZone> {
    WINDOWS_ZONES.iter().find(|row| row.0.eq_ignore_ascii_case(name)).and_then(zone_of)
}

/// Finds `(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna`, also in the style of older Outlooks with `GMT` and
/// slashes. The places in a display name have changed over the years. If no row matches exactly, the first place that is in any
/// row decides. A row with another standard offset than the written one is another zone: Samoa has changed sides of the date line.
fn displayed(name: &str) -> Option<TimeZone> {
    let (offset, places) = match name.strip_prefix('(') {
        Some(inner) => (written_offset(name), inner.split_once(')')?.1.trim()),
        None => match name.strip_suffix(')').and_then(|name| name.rsplit_once('(')) {
            // The offset may come last.
            Some((places, inner)) if written_offset(inner).is_some() => (written_offset(inner), places.trim()),
            Some(_) | None => (None, name),
        },
    };
    let zone_of_fitting =
        |row: &Row| zone_of(row).filter(|zone| offset.is_none_or(|offset| standard_offset(zone) == offset));
    let whole = WINDOWS_ZONES.iter().filter(|row| is_same_name(row.2, places)).find_map(zone_of_fitting);
    let by_place = || {
        let places = places.split([',', '/', ';']).flat_map(|part| [part].into_iter().chain(part.split(" and ")));
        let mut places = places.map(str::trim).filter(|place| !place.is_empty());
        places.find_map(|place| {
            let has_place = |row: &&Row| row.2.split(", ").any(|known| is_same_name(known, place));
            WINDOWS_ZONES.iter().filter(has_place).find_map(zone_of_fitting)
        })
    };
    let fits = |zone: &TimeZone| offset.is_some_and(|offset| standard_offset(zone) == offset);
    let by_other_name = || iana(places).or_else(|| windows(places)).filter(fits);
    // A single word without an offset is too little to identify a zone.
    let is_display_name = offset.is_some() || name.starts_with('(') || name.contains(',');
    whole.or_else(by_other_name).or_else(|| if is_display_name { by_place() } else { None })
}

/// Whether two names are the same, ignoring case; "and" is "&".
fn is_same_name(one: &str, other: &str) -> bool {
    let words = |name: &str| -> Vec<String> {
        name.split_whitespace()
            .map(|word| if word == "&" { "and".to_owned() } else { word.to_ascii_lowercase() })
            .collect()
    };
    one.eq_ignore_ascii_case(other) || (one.contains('&') && words(one) == words(other))
}

/// The offset of a zone without daylight saving time, by its present rules.
fn standard_offset(zone: &TimeZone) -> Offset {
    // The rules for later years are those of today. Daylight saving time is in force in January or in July, and adds to the offset.
    let at = |month| zone.to_offset(instant(date(2037, month, 1).at(0, 0, 0, 0), &TimeZone::UTC));
    at(1).min(at(7))
}

/// Finds the longest end of a path that is an IANA name, as in `/mozilla.org/20050126_1/Europe/Berlin`.
fn path_suffix(name: &str) -> Option<TimeZone> {
    name.match_indices('/').take(16).find_map(|(slash, _)| iana(&name[slash + 1..]))
}

fn zone_of(row: &Row) -> Option<TimeZone> {
    utc(row.1).or_else(|| iana(row.1))
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(tzid: &str) -> Option<String> {
        by_name(tzid).map(|zone| zone.iana_name().unwrap_or("?").to_owned())
    }

    #[test]
    fn every_windows_zone_is_found_by_each_of_its_names() {
        for (windows, iana, display) in WINDOWS_ZONES {
            let expected = by_name(iana).unwrap_or_else(|| panic!("{iana} is not in the time zone database"));
            let seconds = standard_offset(&expected).seconds();
            let sign = if seconds < 0 { '-' } else { '+' };
            let written =
                |prefix| format!("{prefix}{sign}{:02}:{:02}", seconds.abs() / 3600, seconds.abs() % 3600 / 60);
            for name in [
                (*windows).to_owned(),
                windows.to_uppercase(),
                windows.to_lowercase(),
                format!("({}) {display}", written("UTC")),
                format!("\"({}) {}\"", written("GMT"), display.to_uppercase()),
                format!("({}) {}", written("UTC"), display.replace('&', "and")),
            ] {
                assert_eq!(by_name(&name), Some(expected.clone()), "{name}");
            }
        }
    }

    #[test]
    fn iana_names_are_found_in_any_case_and_at_the_end_of_a_path() {
        for tzid in [
            "Europe/Berlin",
            "europe/berlin",
            " \"Europe/Berlin\" ",
            "/mozilla.org/20050126_1/Europe/Berlin",
            "/freeassociation.sourceforge.net/Tzfile/Europe/Berlin",
            "/Europe/Berlin",
        ] {
            assert_eq!(name(tzid).as_deref(), Some("Europe/Berlin"), "{tzid}");
        }
        let three_parts = "/citadel.org/20250101_1/America/Argentina/Buenos_Aires";
        assert_eq!(name(three_parts).as_deref(), Some("America/Argentina/Buenos_Aires"));
    }

    #[test]
    fn older_display_names_are_found_by_a_place_in_them() {
        for (tzid, expected) in [
            ("(GMT+01.00) Amsterdam / Berlin / Bern / Rome / Stockholm / Vienna", "Europe/Berlin"),
            ("(GMT+01:00) Sarajevo/Warsaw/Zagreb", "Europe/Warsaw"),
            ("(UTC+02:00) Helsinki, Kiev, Riga, Sofia, Tallinn, Vilnius", "Europe/Kiev"),
            ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York"),
            ("(UTC-05:00) Eastern Time (US and Canada)", "America/New_York"),
            ("(UTC+01:00) Brussels and Paris", "Europe/Paris"),
            ("(GMT -05:00) Eastern Time (US & Canada)", "America/New_York"),
            ("(UTC-05:00) America/New_York", "America/New_York"),
            ("(UTC-05:00) Eastern Standard Time", "America/New_York"),
            ("Eastern Standard Time (UTC-05:00)", "America/New_York"),
            ("America/New_York (UTC-05:00)", "America/New_York"),
            ("Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Berlin"),
        ] {
            assert_eq!(by_name(tzid), by_name(expected), "{tzid}");
        }
    }

    #[test]
    fn utc_has_many_names() {
        for tzid in ["UTC", "gmt", "Z", "Etc/UTC", "(UTC) Coordinated Universal Time", "tzone://Microsoft/Utc"] {
            let zone = by_name(tzid).unwrap_or_else(|| panic!("{tzid}"));
            assert_eq!(zone.to_offset(jiff::Timestamp::UNIX_EPOCH), Offset::UTC, "{tzid}");
        }
    }

    #[test]
    fn a_row_with_another_standard_offset_is_another_zone() {
        assert_eq!(name("(UTC-11:00) Midway Island, Samoa"), None);
        assert_eq!(name("(UTC+13:00) Samoa").as_deref(), Some("Pacific/Apia"));
        assert_eq!(name("(UTC-05:00) Berlin"), None);
    }

    #[test]
    fn other_names_are_not_found() {
        for tzid in ["", "Customized Time Zone", "tzone://Microsoft/Custom", "../../etc/passwd", "(UTC+01:00) Nowhere"]
        {
            assert_eq!(name(tzid), None, "{tzid}");
        }
        assert_eq!(name(&"Europe/".repeat(100_000)), None);
    }

    #[test]
    fn a_written_offset_is_a_zone_without_daylight_saving() {
        let seconds = |tzid| by_offset(tzid).map(|zone| zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds());
        assert_eq!(seconds("UTC+01:00"), Some(3600));
        assert_eq!(seconds("(GMT-05:00)"), Some(-5 * 3600));
        assert_eq!(seconds("GMT+5"), Some(5 * 3600));
        assert_eq!(seconds("+0530"), Some(5 * 3600 + 1800));
        assert_eq!(seconds("(UTC-11:00) Midway Island, Samoa"), Some(-11 * 3600));
        assert_eq!(seconds("\"(GMT+05.45) Nowhere\""), Some(5 * 3600 + 45 * 60));
        assert_eq!(seconds("GMT -0500 (Standard) / GMT -0400 (Daylight)"), Some(-5 * 3600));
        assert_eq!(seconds("(UTC) Nowhere"), Some(0));
        for tzid in ["", "UTC", "+", "+1:99", "UTC+25", "+-1", "Mars", "(Mars) +01:00", "(UTC+01:00", "+01:00x"] {
            assert_eq!(seconds(tzid), None, "{tzid}");
        }
    }
}
