//! Time zones by name: what a `TZID` means, whichever program wrote it.
//!
//! A name is looked up as UTC, an IANA name, a Windows name, a Windows display name, and the end of a path, in this order.
//! Leaves to others: zones that a file defines itself (`vtimezone`), and what to do with a name that means nothing
//! (`reader`).

use jiff::tz::{Offset, TimeZone};

use super::windows_zones::{Row, WINDOWS_ZONES};

/// Longer names are not looked up. The longest real ones are display names of about 60 characters.
pub(super) const MAX_NAME_BYTES: usize = 255;

/// The zone that `name` means, ignoring case; `None` if it is not known.
pub(super) fn by_name(name: &str) -> Option<TimeZone> {
    let name = name.trim().trim_matches('"').trim();
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return None;
    }
    utc(name).or_else(|| iana(name)).or_else(|| windows(name)).or_else(|| displayed(name)).or_else(|| path_suffix(name))
}

/// The zone for a name that is only an offset: `UTC+01:00`, `GMT-5`, `+0530`.
pub(super) fn by_offset(name: &str) -> Option<TimeZone> {
    let name = name.trim().trim_matches(['(', ')', '"']);
    let number = ["UTC", "GMT"].iter().find_map(|prefix| strip_prefix(name, prefix)).unwrap_or(name).trim();
    let (sign, digits) = match number.split_at_checked(1)? {
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
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok().map(TimeZone::fixed)
}

fn utc(name: &str) -> Option<TimeZone> {
    const NAMES: [&str; 8] =
        ["UTC", "GMT", "Z", "UCT", "Zulu", "Etc/UTC", "Coordinated Universal Time", "tzone://Microsoft/Utc"];
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
/// row decides.
fn displayed(name: &str) -> Option<TimeZone> {
    let places = match name.strip_prefix('(') {
        Some(offset) => offset.split_once(')')?.1.trim(),
        None => name,
    };
    let whole = WINDOWS_ZONES.iter().find(|row| row.2.eq_ignore_ascii_case(places));
    let by_place = || {
        let mut places = places.split([',', '/', ';']).map(str::trim).filter(|place| !place.is_empty());
        places.find_map(|place| {
            WINDOWS_ZONES.iter().find(|row| row.2.split(", ").any(|known| known.eq_ignore_ascii_case(place)))
        })
    };
    // A single word without an offset in front is too little to identify a zone.
    let is_display_name = name.starts_with('(') || name.contains(',');
    whole.or_else(|| if is_display_name { by_place() } else { None }).and_then(zone_of)
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
            for name in [
                (*windows).to_owned(),
                windows.to_uppercase(),
                windows.to_lowercase(),
                format!("(UTC+00:00) {display}"),
                format!("\"(GMT) {}\"", display.to_uppercase()),
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
    fn other_names_are_not_found() {
        for tzid in ["", "Customized Time Zone", "tzone://Microsoft/Custom", "../../etc/passwd", "(UTC+01:00) Nowhere"]
        {
            assert_eq!(name(tzid), None, "{tzid}");
        }
        assert_eq!(name(&"Europe/".repeat(100_000)), None);
    }

    #[test]
    fn a_bare_offset_is_a_zone_without_daylight_saving() {
        let seconds = |tzid| by_offset(tzid).map(|zone| zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds());
        assert_eq!(seconds("UTC+01:00"), Some(3600));
        assert_eq!(seconds("(GMT-05:00)"), Some(-5 * 3600));
        assert_eq!(seconds("GMT+5"), Some(5 * 3600));
        assert_eq!(seconds("+0530"), Some(5 * 3600 + 1800));
        for tzid in ["", "UTC", "+", "+1:99", "UTC+25", "+-1", "Mars"] {
            assert_eq!(seconds(tzid), None, "{tzid}");
        }
    }
}
