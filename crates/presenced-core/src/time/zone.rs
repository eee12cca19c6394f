//! Time zones by the IANA names that people write in the configuration and on the command line.
//!
//! The machine's database of zones is data that jiff finds; no clock is read, and the zone of the machine itself is not asked
//! for. Leaves to others: the many names of zones in calendar files (`calendar/zone`).

use jiff::tz::{self, TimeZone};

use crate::suggest;

/// The zone called `name`, whatever its case; as an error the mend, as a clause: ``did you mean `Europe/Berlin`?``
pub fn zone_named(name: &str) -> Result<TimeZone, String> {
    // Also where there is no database, as in a small container.
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        let known: Vec<_> = tz::db().available().collect();
        mend(name, &known.iter().map(tz::TimeZoneName::as_str).collect::<Vec<_>>())
    })
}

fn mend(name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return "this machine has no database of time zones; install the package `tzdata`".to_owned();
    }
    // Of places with one name the shortest is the present one: the others are names of former times.
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
    fn a_zone_is_found_by_its_name_in_any_case() {
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
    fn of_a_name_that_is_none_the_meant_one_is_told() {
        let known = ["America/Louisville", "America/Kentucky/Louisville", "Europe/Berlin", "UTC"];
        for (name, expected) in [
            ("Europe/Berln", "did you mean `Europe/Berlin`?"),
            ("Berlin", "did you mean `Europe/Berlin`?"),
            ("louisville", "did you mean `America/Louisville`?"),
            ("Mars", "write an IANA name, like Europe/Berlin"),
            ("", "write an IANA name, like Europe/Berlin"),
        ] {
            assert_eq!(mend(name, &known), expected, "{name}");
        }
        let without = "this machine has no database of time zones; install the package `tzdata`";
        assert_eq!(mend("Europe/Berlin", &[]), without);
        assert!(zone_named("../../etc/passwd").is_err());
    }
}
