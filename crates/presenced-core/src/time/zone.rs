//! Time zones by IANA name, as users write them in the configuration and on the command line.
//!
//! jiff finds the machine's time zone database. This module reads no clock and does not look up the machine's own zone.
//! Leaves to others: the many kinds of zone names in calendar files (`calendar/zone`).

use jiff::tz::{self, TimeZone};

use crate::suggest;

/// The zone called `name`, ignoring case. The error is a hint for the user, as a clause: ``did you mean `Europe/Berlin`?``
pub fn zone_named(name: &str) -> Result<TimeZone, String> {
    // UTC also works without a database, as in a small container.
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        let known: Vec<_> = tz::db().available().collect();
        hint(name, &known.iter().map(tz::TimeZoneName::as_str).collect::<Vec<_>>())
    })
}

fn hint(name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return "this machine has no time zone database; install the package `tzdata`".to_owned();
    }
    // If several zones end in the same place name, the shortest is the current one; the others are old aliases.
    let of_place = || {
        let places =
            known.iter().copied().filter(|zone| zone.rsplit('/').next().is_some_and(|p| p.eq_ignore_ascii_case(name)));
        places.min_by_key(|zone| (zone.len(), *zone))
    };
    match of_place().or_else(|| suggest::nearest(name, known.iter().copied())) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "write an IANA name, like Europe/Berlin".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_by_name_in_any_case() {
        for (name, found) in [
            ("Europe/Berlin", "Europe/Berlin"),
            ("america/new_york", "America/New_York"),
            ("utc", "UTC"),
            ("Etc/GMT-5", "Etc/GMT-5"),
        ] {
            assert_eq!(zone_named(name).unwrap().iana_name(), Some(found));
        }
    }

    #[test]
    fn an_unknown_name_suggests_the_likely_zone() {
        let known = ["America/Louisville", "America/Kentucky/Louisville", "Europe/Berlin", "UTC"];
        for (name, expected) in [
            ("Europe/Berln", "did you mean `Europe/Berlin`?"),
            ("Berlin", "did you mean `Europe/Berlin`?"),
            ("louisville", "did you mean `America/Louisville`?"),
            ("Mars", "write an IANA name, like Europe/Berlin"),
            ("", "write an IANA name, like Europe/Berlin"),
        ] {
            assert_eq!(hint(name, &known), expected, "{name}");
        }
        let without = "this machine has no time zone database; install the package `tzdata`";
        assert_eq!(hint("Europe/Berlin", &[]), without);
        assert!(zone_named("../../etc/passwd").is_err());
    }
}
