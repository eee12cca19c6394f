//! Checks the clock and the time zone. Tokens expire, and meetings have a time, so both matter.

use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::check::{Check, Group};
use super::text::{Kind, Part, private, text};
use super::{Scene, bounded};
use crate::cli::terminal::times::exact_span;
use crate::signals::Buses;
use crate::signals::bus::probe;
use crate::time::Now;

const GROUP: Group = Group::Clock;

/// Entra and Graph accept tokens if the clocks differ by less than this.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

const LOCALTIME: &str = "/etc/localtime";
const ZONES: &str = "/usr/share/zoneinfo";

/// Time zone rules change several times a year. A database older than this may have outdated rules.
const MAX_DATABASE_AGE_YEARS: i16 = 2;

/// Compares the clocks. `ahead` is how far the services' clocks are ahead of this machine's.
pub(super) fn difference(ahead: Option<SignedDuration>) -> Check {
    let name = "clock";
    let Some(ahead) = ahead else {
        return Check::skipped(GROUP, name, "no service reported its time");
    };
    // A `Date` header has whole seconds, and an answer takes time to arrive.
    if ahead.abs() < SignedDuration::from_secs(3) {
        return Check::ok(GROUP, name, "this machine and the services agree");
    }
    let span = Part::Plain(exact_span(ahead).into());
    let side = if ahead.is_positive() { " behind" } else { " ahead of" };
    let found = text!["this machine is ", span, side, " the services"];
    if ahead.abs() < CLOCK_TOLERANCE {
        return Check::ok(GROUP, name, found);
    }
    Check::warning(GROUP, name, found.then(", which may refuse its tokens"))
        .with_hint("synchronize the clock with the network: `timedatectl set-ntp true`")
}

/// Whether the clock is synchronized with the network.
pub(super) async fn synchronized() -> Check {
    let name = "network time";
    match bounded(probe::clock_is_synchronized(&Buses::default())).await.flatten() {
        Some(true) => Check::ok(GROUP, name, "the clock is synchronized with the network"),
        Some(false) => Check::warning(GROUP, name, "the clock is not synchronized with the network")
            .with_hint("run `timedatectl set-ntp true`, unless another program sets the clock"),
        None => Check::skipped(GROUP, name, "timedate1 on the system bus does not say whether it is used"),
    }
}

/// The time zone and the zone database.
pub(super) fn zone(scene: &Scene<'_>) -> [Check; 2] {
    let localtime = std::fs::read_link(LOCALTIME).ok();
    let linked = localtime.as_deref().and_then(name_in_zones);
    let system = system_zone(&scene.now, scene.environment.var("TZ"), linked.as_deref());
    [system, database(scene)]
}

/// The zone that a path below the zone folder names: `Europe/Berlin`.
fn name_in_zones(link: &Path) -> Option<String> {
    let link = link.to_str()?;
    let (_, name) = link.split_once("zoneinfo/")?;
    Some(name.to_owned())
}

fn system_zone(now: &Now, tz: Option<String>, linked: Option<&str>) -> Check {
    let name = "time zone";
    let zone = &now.zone;
    let linked = linked.filter(|linked| differs(zone, linked, now.wall));
    if zone.is_unknown() {
        let found = match tz {
            Some(tz) => text!["TZ is `", private(Kind::Name, tz), "`, which is not a time zone; times are read as UTC"],
            None => text!["it cannot be determined from ", LOCALTIME, "; times are read as UTC"],
        };
        return Check::failed(GROUP, name, found).with_hint("run `timedatectl set-timezone Europe/Berlin`, or set TZ");
    }
    let Some(known) = zone.iana_name() else {
        return Check::ok(GROUP, name, "unnamed, but valid");
    };
    let known_part = private(Kind::Name, known);
    match (tz, linked) {
        (Some(_), Some(linked)) => {
            let found = text![known_part, ", from TZ; the system's zone is ", private(Kind::Name, linked)];
            Check::warning(GROUP, name, found)
                .with_hint("the service may have a different TZ: see `systemctl --user show-environment`")
        }
        (Some(_), None) => Check::ok(GROUP, name, text![known_part, ", from TZ"]),
        (None, Some(linked)) => {
            let found = text![known_part, "; ", LOCALTIME, " points to ", private(Kind::Name, linked)];
            Check::warning(GROUP, name, found).with_hint("run `timedatectl set-timezone` and the correct zone")
        }
        (None, None) => Check::ok(GROUP, name, text![known_part]),
    }
}

/// Whether the zone of this name differs from `zone` at some time of the year. Many zones have several names, so the names are not
/// compared.
fn differs(zone: &TimeZone, name: &str, now: Timestamp) -> bool {
    let Ok(other) = TimeZone::get(name) else { return false };
    (0..4).map(|quarter| SignedDuration::from_hours(quarter * 91 * 24)).any(|later| {
        let at = now.saturating_add(later).unwrap_or(now);
        zone.to_offset(at) != other.to_offset(at)
    })
}

fn database(scene: &Scene<'_>) -> Check {
    let name = "zone database";
    if jiff::tz::db().available().next().is_none() {
        return Check::failed(GROUP, name, "it is missing, so calendars have no time zone except UTC")
            .with_hint("install the package `tzdata`");
    }
    let folder = scene.environment.var("TZDIR").unwrap_or_else(|| ZONES.to_owned());
    let Some(version) = version(Path::new(&folder)) else {
        return Check::ok(GROUP, name, "it is installed; its version is unknown");
    };
    let this_year = scene.now.wall.to_zoned_datetime(TimeZone::UTC).year();
    let is_old = version
        .get(..4)
        .and_then(|year| year.parse().ok())
        .is_some_and(|year: i16| year + MAX_DATABASE_AGE_YEARS < this_year);
    if is_old {
        return Check::warning(
            GROUP,
            name,
            text!["version ", shown_version(version), "; rules have changed since then"],
        )
        .with_hint("update the package `tzdata`");
    }
    Check::ok(GROUP, name, text!["version ", shown_version(version)])
}

/// A version of the zone database. It is private unless it has the usual form.
fn shown_version(version: String) -> Part {
    let is_usual =
        version.len() <= 6 && version.starts_with("20") && version.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_usual { Part::Plain(version.into()) } else { private(Kind::Name, version) }
}

/// The version of the zone database: `2026a`.
fn version(folder: &Path) -> Option<String> {
    use std::io::{BufRead as _, BufReader, Read as _};
    let first_line = |name: &str| {
        let file = std::fs::File::open(folder.join(name)).ok()?.take(100);
        BufReader::new(file).lines().next()?.ok()
    };
    let from_source = first_line("tzdata.zi").and_then(|line| line.strip_prefix("# version ").map(ToOwned::to_owned));
    from_source.or_else(|| first_line("+VERSION")).map(|version| version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    fn zone_of(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn a_clock_that_is_far_off_is_reported_with_its_direction() {
        for (ahead, verdict, expected) in [
            (0, Verdict::Ok, "this machine and the services agree"),
            (-120, Verdict::Ok, "this machine is 2 min ahead of the services"),
            (299, Verdict::Ok, "this machine is 4 min 59 s behind the services"),
            (600, Verdict::Warning, "this machine is 10 min behind the services, which may refuse its tokens"),
            (-86_400, Verdict::Warning, "this machine is 1 d ahead of the services, which may refuse its tokens"),
        ] {
            let check = difference(Some(SignedDuration::from_secs(ahead)));
            assert_eq!((check.verdict, check.found.to_string().as_str()), (verdict, expected));
        }
        assert_eq!(difference(None).verdict, Verdict::Skipped);
    }

    #[test]
    fn zones_that_disagree_are_reported() {
        let berlin = zone_of("Europe/Berlin");
        for (zone, tz, linked, verdict) in [
            (&berlin, None, Some("Europe/Berlin"), Verdict::Ok),
            (&berlin, None, None, Verdict::Ok),
            (&zone_of("UTC"), Some("UTC"), Some("Etc/UTC"), Verdict::Ok),
            (&zone_of("UTC"), None, Some("Africa/Abidjan"), Verdict::Ok),
            (&zone_of("UTC"), None, Some("Europe/London"), Verdict::Warning),
            (&berlin, None, Some("Asia/Tokyo"), Verdict::Warning),
            (&berlin, Some("Europe/Berlin"), Some("Europe/Berlin"), Verdict::Ok),
            (&berlin, Some("Europe/Berlin"), Some("Asia/Tokyo"), Verdict::Warning),
            (&TimeZone::unknown(), Some("Mars"), None, Verdict::Failed),
            (&TimeZone::unknown(), None, None, Verdict::Failed),
        ] {
            let now = Now {
                instant: crate::time::Instant::default(),
                wall: "2026-11-24T09:00:00Z".parse().unwrap(),
                zone: zone.clone(),
            };
            let check = system_zone(&now, tz.map(ToOwned::to_owned), linked);
            assert_eq!(check.verdict, verdict, "{tz:?} {linked:?}: {}", check.found);
        }
        assert_eq!(name_in_zones(Path::new("../usr/share/zoneinfo/Asia/Tokyo")).as_deref(), Some("Asia/Tokyo"));
    }

    #[test]
    fn the_version_of_the_database_is_read() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(version(folder.path()), None);
        std::fs::write(folder.path().join("+VERSION"), "2024b\n").unwrap();
        assert_eq!(version(folder.path()).as_deref(), Some("2024b"));
        std::fs::write(folder.path().join("tzdata.zi"), "# version 2026a\n# x\n").unwrap();
        assert_eq!(version(folder.path()).as_deref(), Some("2026a"));
    }
}
