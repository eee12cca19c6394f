//! Series: all events of one UID, and the times they give together.
//!
//! A master with its rules, the instances that replace its own (`RECURRENCE-ID`), and of several versions of the same the
//! newest. Leaves to others: which events belong together and what is cached (`timeline`).

use std::collections::{BTreeMap, HashSet};

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::event::{Event, Length, Moment, Repeat, instant};
use super::recurrence::{self, Budget, Exhausted, Rule};

/// The most times one series may give in a window.
const MAX_TIMES: usize = 10_000;

/// The steps that one series may take.
const STEPS: u64 = 500_000;

/// A day on either side: what is a day's difference between clocks anywhere in the world, and an hour's for their changes.
const CLOCKS_APART: SignedDuration = SignedDuration::from_hours(27);

/// When an event takes place.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// From instant to instant, in a zone.
    Time(Timestamp, Timestamp, TimeZone),
    /// On whole days, the second not among them.
    Days(Date, Date),
}

impl Place {
    pub(super) fn new(start: &Moment, length: Length, system: &TimeZone) -> Self {
        match start {
            Moment::Day(date) => Self::Days(*date, length.end_day(*date)),
            Moment::Time(at, _) => {
                let zone = start.zone(system);
                let from = instant(*at, zone);
                Self::Time(from, length.end(from, *at, zone), zone.clone())
            }
        }
    }

    /// From which instant to which.
    pub(super) fn span(&self, system: &TimeZone) -> (Timestamp, Timestamp) {
        match self {
            Self::Time(start, end, _) => (*start, *end),
            Self::Days(start, end) => (instant(start.at(0, 0, 0, 0), system), instant(end.at(0, 0, 0, 0), system)),
        }
    }
}

/// Why a series is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// Its rules take too many steps: none of their times count.
    Steps,
    /// It gives too many times in the window: only the first count.
    Times,
}

/// A window and the system's zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) system: &'a TimeZone,
}

impl Window<'_> {
    /// Whether `[start, end)` overlaps the window; what has no length does when it starts in it.
    fn holds(&self, (start, end): (Timestamp, Timestamp)) -> bool {
        start < self.to && (end > self.from || (end == start && start >= self.from))
    }
}

/// Gives `emit` all times of the events of one UID that overlap the window, in no order, with the event that each is an
/// occurrence of. An error says which event gives too much.
pub(super) fn expand<'a>(
    events: &'a [Event],
    window: &Window<'_>,
    budget: &mut Budget,
    emit: &mut dyn FnMut(&'a Event, Place),
) -> Result<(), (&'a Event, Incomplete)> {
    if let [event] = events
        && event.repeat.is_none()
    {
        emit_if_held(event, &event.start, event.length, window, emit);
        return Ok(());
    }
    let master = events.iter().filter(|event| event.instance.is_none()).max_by_key(|event| event.version);
    let overrides = newest_overrides(events, master, window.system);
    let exceptions = master.map(|master| Exceptions::new(master, window.system)).unwrap_or_default();
    for (key, event) in &overrides {
        // What is excepted is no instance of the series, whatever else is said of it (RFC 5545, 3.8.5.1).
        let excepted = master.is_some_and(|master| exceptions.hold_key(*key, master.start.zone(window.system)));
        if !excepted {
            emit_if_held(event, &event.start, event.length, window, emit);
        }
    }
    let Some(master) = master else { return Ok(()) };
    let mut own_budget = budget.split(STEPS);
    let outcome = Series { master, overrides, exceptions, window }.expand(&mut own_budget, emit);
    budget.merge(&own_budget);
    outcome.map_err(|reason| (master, reason))
}

fn emit_if_held<'a>(
    event: &'a Event,
    start: &Moment,
    length: Length,
    window: &Window<'_>,
    emit: &mut dyn FnMut(&'a Event, Place),
) {
    if event.class.is_some() {
        let place = Place::new(start, length, window.system);
        if window.holds(place.span(window.system)) {
            emit(event, place);
        }
    }
}

/// Which instance an override replaces. A day and a time on it are different keys; `Series::replaced` looks for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Day(Date),
    Time(Timestamp),
}

/// Of the overrides of each instance the newest. Those that are older than the cancellation of the whole are gone with it.
fn newest_overrides<'a>(events: &'a [Event], master: Option<&'a Event>, system: &TimeZone) -> BTreeMap<Key, &'a Event> {
    let mut newest: BTreeMap<Key, &Event> = BTreeMap::new();
    for event in events {
        let Some(instance) = &event.instance else { continue };
        if master.is_some_and(|master| master.cancelled && master.version.sequence >= event.version.sequence) {
            continue;
        }
        let key = match &instance.at {
            Moment::Day(date) => Key::Day(*date),
            // Whole days are named by the date as it is written.
            Moment::Time(at, _) if master.is_some_and(|master| master.start.is_day()) => Key::Day(at.date()),
            // A floating time stands on the series' clock, whatever that is.
            Moment::Time(at, None) => {
                Key::Time(instant(*at, master.map_or(system, |master| master.start.zone(system))))
            }
            at @ Moment::Time(_, Some(_)) => Key::Time(at.instant(system)),
        };
        let known = newest.entry(key).or_insert(event);
        if known.version <= event.version {
            *known = event;
        }
    }
    newest
}

/// A change of all instances from one on (`RANGE=THISANDFUTURE`).
struct Change<'a> {
    from: Timestamp,
    event: &'a Event,
    /// By how much it moves each, on the series' clock.
    shift: SignedDuration,
}

/// A time that a series gives: on the series' clock, and with an own moment and length where an RDATE has them.
struct Time {
    local: DateTime,
    own: Option<Moment>,
    length: Option<Length>,
}

struct Series<'a, 'w> {
    master: &'a Event,
    overrides: BTreeMap<Key, &'a Event>,
    exceptions: Exceptions,
    window: &'w Window<'w>,
}

impl<'a> Series<'a, '_> {
    fn expand(&self, budget: &mut Budget, emit: &mut dyn FnMut(&'a Event, Place)) -> Result<(), Incomplete> {
        let system = self.window.system;
        let changes = self.changes();
        let Some(repeat) = &self.master.repeat else {
            self.emit_instance(&self.master.start, None, &changes, emit);
            return Ok(());
        };
        let times = self.times(repeat, &changes, budget).map_err(|Exhausted| Incomplete::Steps)?;
        let mut previous = None;
        let mut count = 0;
        for Time { local, own, length } in times {
            let moment = own.unwrap_or_else(|| match &self.master.start {
                Moment::Day(_) => Moment::Day(local.date()),
                Moment::Time(_, zone) => Moment::Time(local, zone.clone()),
            });
            let starts = moment.instant(system);
            // The same time given twice is one.
            if previous.replace(starts) == Some(starts) || self.exceptions.hold(local.date(), starts) {
                continue;
            }
            if self.emit_instance(&moment, length, &changes, emit) {
                count += 1;
                if count == MAX_TIMES {
                    return Err(Incomplete::Times);
                }
            }
        }
        Ok(())
    }

    /// Emits an instance the series gives, unless an override replaces it; whether it did.
    fn emit_instance(
        &self,
        start: &Moment,
        length: Option<Length>,
        changes: &[Change<'a>],
        emit: &mut dyn FnMut(&'a Event, Place),
    ) -> bool {
        let starts = start.instant(self.window.system);
        let on = start.civil().date();
        if self.overrides.contains_key(&Key::Time(starts)) || self.overrides.contains_key(&Key::Day(on)) {
            return false;
        }
        let change = changes.iter().rev().find(|change| change.from <= starts);
        let (event, moved, length) = match change {
            None => (self.master, start.clone(), length.unwrap_or(self.master.length)),
            Some(change) => (change.event, self.moved(start, change), change.event.length),
        };
        let Some(_) = event.class else { return false };
        let place = Place::new(&moved, length, self.window.system);
        let held = self.window.holds(place.span(self.window.system));
        if held {
            emit(event, place);
        }
        held
    }

    /// Where a change moves an instance: by its shift on the series' clock, then onto the clock of the change.
    fn moved(&self, start: &Moment, change: &Change<'_>) -> Moment {
        let system = self.window.system;
        let at = start.civil().saturating_add(change.shift);
        match &change.event.start {
            Moment::Day(_) => Moment::Day(at.date()),
            Moment::Time(_, zone) if zone.as_ref() == Some(self.master.start.zone(system)) => {
                Moment::Time(at, zone.clone())
            }
            Moment::Time(own, zone) if self.master.start.is_day() => {
                Moment::Time(at.date().to_datetime(own.time()), zone.clone())
            }
            // Another clock: the instances stay where they are on the series' own.
            Moment::Time(..) => match &self.master.start {
                Moment::Day(_) => Moment::Day(at.date()),
                Moment::Time(_, zone) => Moment::Time(at, zone.clone()),
            },
        }
    }

    /// The changes of this and all future instances, in the order of their instances.
    fn changes(&self) -> Vec<Change<'a>> {
        let system = self.window.system;
        let clock = self.master.start.zone(system);
        let on_clock = |moment: &Moment| match moment {
            Moment::Day(_) | Moment::Time(_, None) => moment.civil(),
            Moment::Time(_, Some(_)) if self.master.start.is_day() => moment.civil(),
            Moment::Time(_, Some(_)) => clock.to_datetime(moment.instant(system)),
        };
        let change = |event: &&'a Event| {
            let instance = event.instance.as_ref().filter(|instance| instance.and_future)?;
            // A day names the instance that the series has on it.
            let original = match (&instance.at, &self.master.start) {
                (Moment::Day(date), Moment::Time(at, _)) => date.to_datetime(at.time()),
                (at, _) => on_clock(at),
            };
            let shift = original.duration_until(on_clock(&event.start));
            Some(Change { from: instant(original, clock), event, shift })
        };
        let mut changes: Vec<_> = self.overrides.values().filter_map(change).collect();
        changes.sort_by_key(|change| change.from);
        changes
    }

    /// The times the rules and dates give that may matter in the window, ascending.
    fn times(&self, repeat: &Repeat, changes: &[Change<'_>], budget: &mut Budget) -> Result<Vec<Time>, Exhausted> {
        let (system, start) = (self.window.system, self.master.start.civil());
        let clock = self.master.start.zone(system);
        let shifts = changes.iter().map(|change| change.shift.abs()).max().unwrap_or_default();
        let lengths = changes.iter().map(|change| change.event.length).chain([self.master.length]);
        let longest = SignedDuration::from_secs(lengths.map(Length::at_most).max().unwrap_or(0));
        let from = clock.to_datetime(self.window.from).saturating_sub(CLOCKS_APART + shifts).saturating_sub(longest);
        let to = clock.to_datetime(self.window.to).saturating_add(CLOCKS_APART + shifts);

        let mut given = |rule: &Rule| {
            let end = rule.end(clock).map_or(to, |end| end.min(to));
            recurrence::occurrences(rule, start, from, end, budget)
        };
        let by_rule = |local| Time { local, own: None, length: None };
        let mut times: Vec<Time> = Vec::new();
        if repeat.rules.is_empty() {
            times.push(by_rule(start));
        }
        for rule in &repeat.rules {
            times.extend(given(rule)?.into_iter().map(by_rule));
        }
        let mut excluded = HashSet::new();
        for rule in &repeat.exception_rules {
            excluded.extend(given(rule)?);
        }
        times.retain(|time| !excluded.contains(&time.local));
        times.extend(repeat.dates.iter().map(|(moment, length)| self.date(moment, *length)));
        // A PERIOD knows its length better than a rule that gives the same time.
        times.sort_by_key(|time| (time.local, time.length.is_none()));
        Ok(times)
    }

    /// The time of an RDATE. A date, and a time without a zone, are of the series' own kind.
    fn date(&self, moment: &Moment, length: Option<Length>) -> Time {
        let system = self.window.system;
        let own = match (moment, &self.master.start) {
            (_, Moment::Day(_)) => return Time { local: moment.civil(), own: None, length },
            (Moment::Day(date), Moment::Time(start, zone)) => {
                Moment::Time(date.to_datetime(start.time()), zone.clone())
            }
            (Moment::Time(at, None), Moment::Time(_, zone)) => Moment::Time(*at, zone.clone()),
            (Moment::Time(_, Some(_)), Moment::Time(..)) => moment.clone(),
        };
        let local = self.master.start.zone(system).to_datetime(own.instant(system));
        Time { local, own: Some(own), length }
    }
}

/// The EXDATEs of a series.
#[derive(Default)]
struct Exceptions {
    instants: HashSet<Timestamp>,
    days: HashSet<Date>,
}

impl Exceptions {
    fn new(master: &Event, system: &TimeZone) -> Self {
        let mut exceptions = Self::default();
        for exception in master.repeat.iter().flat_map(|repeat| &repeat.exceptions) {
            match exception {
                Moment::Day(date) => _ = exceptions.days.insert(*date),
                // Whole days are excepted by the date as it is written.
                Moment::Time(at, _) if master.start.is_day() => _ = exceptions.days.insert(at.date()),
                // A floating time stands on the series' clock, whatever that is.
                Moment::Time(at, None) => _ = exceptions.instants.insert(instant(*at, master.start.zone(system))),
                Moment::Time(_, Some(_)) => _ = exceptions.instants.insert(exception.instant(system)),
            }
        }
        exceptions
    }

    /// Whether the instance on `date` on the series' clock, which is at `starts`, is excepted.
    fn hold(&self, date: Date, starts: Timestamp) -> bool {
        self.instants.contains(&starts) || self.days.contains(&date)
    }

    /// Whether the instance that an override replaces is excepted; `clock` is the series' zone.
    fn hold_key(&self, key: Key, clock: &TimeZone) -> bool {
        match key {
            Key::Day(date) => self.days.contains(&date),
            Key::Time(starts) => self.hold(clock.to_datetime(starts).date(), starts),
        }
    }
}
