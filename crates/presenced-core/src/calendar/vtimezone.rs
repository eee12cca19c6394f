//! Time zones that a file defines itself (VTIMEZONE; RFC 5545, 3.6.5), compiled to ordinary zones.
//!
//! A definition is compiled only if its name is not known otherwise. Outlook's definitions begin in 1601, so transitions are
//! listed only for the years that matter. Leaves to others: which names are known (`zone`).

use std::collections::{BTreeMap, HashMap};

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;

use super::property::Property;
use super::recurrence::{self, Budget, Rule, RuleText, Until};
use super::value::{self, Written};

/// Transitions are listed in this range. Before and after it, the nearest offset applies.
const LISTED_FROM: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
const LISTED_TO: DateTime = date(2070, 1, 1).at(0, 0, 0, 0);

/// The most observances in one definition, and the most RDATE values in one observance.
const MAX_OBSERVANCES: usize = 500;
const MAX_DATES_PER_OBSERVANCE: usize = 2_000;

/// The most steps ([`Budget`]) for listing the transitions of one definition. Two yearly rules take a tenth of that.
const MAX_STEPS_PER_DEFINITION: u64 = 300_000;

/// How many compiled definitions are cached for later files.
const MAX_CACHED_DEFINITIONS: usize = 256;

/// A VTIMEZONE as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Definition {
    observances: Vec<Observance>,
}

/// A STANDARD or DAYLIGHT part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Observance {
    daylight: bool,
    start: Option<DateTime>,
    /// The offsets before and after each onset, in seconds east of Greenwich.
    from: Option<i32>,
    to: Option<i32>,
    rule: Option<String>,
    dates: Vec<DateTime>,
}

impl Definition {
    /// Begins a STANDARD part, or a DAYLIGHT part if `daylight` is set.
    pub(super) fn begin_observance(&mut self, daylight: bool) {
        if self.observances.len() < MAX_OBSERVANCES {
            self.observances.push(Observance { daylight, ..Observance::default() });
        }
    }

    /// Adds a property to the part that was begun last.
    pub(super) fn property(&mut self, property: &Property<'_>) {
        let Some(observance) = self.observances.last_mut() else { return };
        // Onsets are local times. A Z or a TZID has no meaning here.
        let civil = |text: &[u8]| match value::date_or_time(text)? {
            Written::Day(date) => Some(date.at(0, 0, 0, 0)),
            Written::Local(at) | Written::Utc(at) => Some(at),
        };
        if property.is("DTSTART") {
            observance.start = civil(property.value);
        } else if property.is("TZOFFSETFROM") {
            observance.from = value::utc_offset(property.value);
        } else if property.is("TZOFFSETTO") {
            observance.to = value::utc_offset(property.value);
        } else if property.is("RRULE") {
            observance.rule = Some(property.text().into_owned());
        } else if property.is("RDATE") {
            let room = MAX_DATES_PER_OBSERVANCE.saturating_sub(observance.dates.len());
            observance.dates.extend(property.value.split(|&byte| byte == b',').filter_map(civil).take(room));
        }
    }

    /// The zone; `None` if the definition cannot be used.
    fn compile(&self, budget: &mut Budget) -> Option<TimeZone> {
        let mut onsets: BTreeMap<i64, (i32, bool)> = BTreeMap::new();
        let mut earliest: Option<(i64, i32)> = None;
        for observance in &self.observances {
            let (Some(start), Some(to)) = (observance.start, observance.to) else { continue };
            let from = observance.from.unwrap_or(to);
            let utc = |onset: DateTime| {
                let since = date(1970, 1, 1).at(0, 0, 0, 0).duration_until(onset);
                since.as_secs() - i64::from(from)
            };
            let rule = observance.rule.as_ref().and_then(|text| {
                let text = RuleText::read(text);
                let until = if let Until::At(until) = text.until { Some(until) } else { None };
                Rule::parse(&text.parts, until, start, false).ok()
            });
            let ruled = rule.map(|(rule, _)| ruled_onsets(&rule, start, from, budget)).unwrap_or_default();
            for onset in std::iter::once(start).chain(observance.dates.iter().copied()).chain(ruled) {
                let at = utc(onset);
                onsets.insert(at, (to, observance.daylight));
                if earliest.is_none_or(|(first, _)| at < first) {
                    earliest = Some((at, from));
                }
            }
        }
        let (_, before) = earliest?;
        TimeZone::tzif("calendar", &tzif(before, &onsets)?).ok()
    }
}

/// The onsets of a rule in the listed years. An UNTIL in UTC is converted with the offset before the onset.
fn ruled_onsets(rule: &Rule, start: DateTime, from: i32, budget: &mut Budget) -> Vec<DateTime> {
    let clock = jiff::tz::Offset::from_seconds(from).map_or(TimeZone::UTC, TimeZone::fixed);
    let to = rule.end(&clock).map_or(LISTED_TO, |end| end.min(LISTED_TO));
    recurrence::occurrences(rule, start, LISTED_FROM - SignedDuration::from_hours(366 * 24), to, budget)
        .unwrap_or_default()
}

/// The transitions as a `TZif` file (RFC 8536), version 2 with an empty footer; `None` if they do not fit.
fn tzif(before: i32, onsets: &BTreeMap<i64, (i32, bool)>) -> Option<Vec<u8>> {
    let mut types = vec![(before, false)];
    let mut indexes = Vec::with_capacity(onsets.len());
    for kind in onsets.values() {
        let index = types.iter().position(|known| known == kind).unwrap_or_else(|| {
            types.push(*kind);
            types.len() - 1
        });
        indexes.push(u8::try_from(index).ok()?);
    }
    let header = |transitions: u32, types: u32| {
        let mut header = b"TZif2".to_vec();
        header.resize(20, 0);
        for count in [0, 0, 0, transitions, types, 1] {
            header.extend_from_slice(&u32::to_be_bytes(count));
        }
        header
    };
    let local_type = |&(offset, daylight): &(i32, bool)| {
        let mut bytes = offset.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[u8::from(daylight), 0]);
        bytes
    };
    // The block of version 1 must exist, but is not read.
    let mut file = header(0, 1);
    file.extend(local_type(&types[0]));
    file.push(0);
    file.extend(header(u32::try_from(onsets.len()).ok()?, u32::try_from(types.len()).ok()?));
    file.extend(onsets.keys().flat_map(|at| at.to_be_bytes()));
    file.extend(indexes);
    file.extend(types.iter().flat_map(local_type));
    file.extend_from_slice(b"\0\n\n");
    Some(file)
}

/// Compiled definitions. Many files share the same one, which is then compiled once.
#[derive(Debug, Default)]
pub(super) struct Compiled(HashMap<Definition, Option<TimeZone>>);

impl Compiled {
    /// The zone of a definition; `None` if it cannot be used.
    pub(super) fn zone(&mut self, definition: &Definition, budget: &mut Budget) -> Option<TimeZone> {
        if let Some(zone) = self.0.get(definition) {
            return zone.clone();
        }
        if self.0.len() >= MAX_CACHED_DEFINITIONS {
            self.0.clear();
        }
        let mut own_budget = budget.split(MAX_STEPS_PER_DEFINITION);
        let zone = definition.compile(&mut own_budget);
        budget.merge(&own_budget);
        self.0.insert(definition.clone(), zone.clone());
        zone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    fn define(parts: &[(bool, &[&str])]) -> Definition {
        let mut definition = Definition::default();
        for (daylight, lines) in parts {
            definition.begin_observance(*daylight);
            for line in *lines {
                definition.property(&Property::parse(line.as_bytes()).unwrap());
            }
        }
        definition
    }

    fn outlook() -> Definition {
        define(&[
            (
                false,
                &[
                    "DTSTART:16011028T030000",
                    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10",
                    "TZOFFSETFROM:+0200",
                    "TZOFFSETTO:+0100",
                ],
            ),
            (
                true,
                &[
                    "DTSTART:16010325T020000",
                    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3",
                    "TZOFFSETFROM:+0100",
                    "TZOFFSETTO:+0200",
                ],
            ),
        ])
    }

    #[test]
    fn outlooks_definition_agrees_with_the_real_zone() {
        let zone = Compiled::default().zone(&outlook(), &mut Budget::new(MAX_STEPS_PER_DEFINITION)).unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        // Since 1996, the whole EU changes its clocks on the last Sundays of March and October.
        let mut at = datetime(1997, 1, 1, 0, 30, 0, 0);
        while at < datetime(2037, 12, 31, 0, 0, 0, 0) {
            assert_eq!(zone.to_timestamp(at).unwrap(), berlin.to_timestamp(at).unwrap(), "{at}");
            at += SignedDuration::from_mins(60 * 7 + 30);
        }
    }

    #[test]
    fn a_single_observance_is_a_fixed_offset() {
        let definition = define(&[(false, &["DTSTART:16010101T000000", "TZOFFSETFROM:+0530", "TZOFFSETTO:+0530"])]);
        let zone = definition.compile(&mut Budget::new(MAX_STEPS_PER_DEFINITION)).unwrap();
        for year in [1500, 1900, 2026, 2500] {
            let at = datetime(year, 7, 1, 12, 0, 0, 0);
            assert_eq!(zone.to_timestamp(at).unwrap(), at.to_zoned_datetime_at(19_800));
        }
    }

    trait AtOffset {
        fn to_zoned_datetime_at(self, seconds: i32) -> jiff::Timestamp;
    }

    impl AtOffset for DateTime {
        fn to_zoned_datetime_at(self, seconds: i32) -> jiff::Timestamp {
            let offset = jiff::tz::Offset::from_seconds(seconds).unwrap();
            offset.to_timestamp(self).unwrap()
        }
    }

    #[test]
    fn rules_that_have_ended_and_single_dates_count() {
        // The United States had a different rule until 2006.
        let definition = define(&[
            (
                false,
                &[
                    "DTSTART:20001029T020000",
                    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10;UNTIL=20061029T060000Z",
                    "TZOFFSETFROM:-0400",
                    "TZOFFSETTO:-0500",
                ],
            ),
            (
                true,
                &[
                    "DTSTART:20000402T020000",
                    "RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=4;UNTIL=20060402T070000Z",
                    "TZOFFSETFROM:-0500",
                    "TZOFFSETTO:-0400",
                ],
            ),
            (
                true,
                &[
                    "DTSTART:20070311T020000",
                    "RDATE:20080309T020000,20090308T020000",
                    "TZOFFSETFROM:-0500",
                    "TZOFFSETTO:-0400",
                ],
            ),
            (
                false,
                &[
                    "DTSTART:20071104T020000",
                    "RDATE:20081102T020000,20091101T020000",
                    "TZOFFSETFROM:-0400",
                    "TZOFFSETTO:-0500",
                ],
            ),
        ]);
        let zone = definition.compile(&mut Budget::new(MAX_STEPS_PER_DEFINITION)).unwrap();
        let new_york = TimeZone::get("America/New_York").unwrap();
        let mut at = datetime(2000, 6, 1, 0, 30, 0, 0);
        while at < datetime(2010, 3, 1, 0, 0, 0, 0) {
            assert_eq!(zone.to_timestamp(at).unwrap(), new_york.to_timestamp(at).unwrap(), "{at}");
            at += SignedDuration::from_mins(60 * 5);
        }
    }

    #[test]
    fn an_incomplete_definition_is_rejected() {
        assert_eq!(Definition::default().compile(&mut Budget::new(MAX_STEPS_PER_DEFINITION)), None);
        assert_eq!(
            define(&[(false, &["DTSTART:20000101T000000"])]).compile(&mut Budget::new(MAX_STEPS_PER_DEFINITION)),
            None
        );
        assert_eq!(
            define(&[(false, &["TZOFFSETTO:+0100", "TZOFFSETFROM:+0100"])])
                .compile(&mut Budget::new(MAX_STEPS_PER_DEFINITION)),
            None
        );
    }

    #[test]
    fn a_hostile_definition_ends() {
        let definition = define(&[(
            false,
            &["DTSTART:16010101T000000", "RRULE:FREQ=SECONDLY", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200"],
        )]);
        assert!(definition.compile(&mut Budget::new(MAX_STEPS_PER_DEFINITION)).is_some());
    }
}
