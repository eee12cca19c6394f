//! Series: the events with one UID, expanded to their times.
//!
//! A series has a master with recurrence rules, and overrides that replace single instances (`RECURRENCE-ID`). If there are
//! several versions of either, the newest counts. Leaves to others: which events belong together, and caching (`timeline`).

use std::collections::{BTreeMap, HashSet};

use jiff::civil::{self, Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::event::{Event, Named, Repeat, Version};
use super::instance_key::{Exceptions, Key};
use super::length::Length;
use super::moment::{Moment, instant};
use super::recurrence::{self, Budget, Exhausted, Rule};

/// The most times that one series may have in a window.
const MAX_TIMES_PER_SERIES: usize = 10_000;

/// The most steps ([`Budget`]) that expanding one series may take.
const MAX_STEPS_PER_SERIES: u64 = 500_000;

/// The most by which local times in two zones can differ: 26 hours, plus an hour for a change to summer time.
const MAX_CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_hours(27);

/// The time of one occurrence.
#[derive(Clone, Debug)]
pub(super) enum Interval {
    /// From one instant to another, in a zone.
    Time(Timestamp, Timestamp, TimeZone),
    /// Whole days, from the first to the day after the last.
    Days(Date, Date),
}

impl Interval {
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

    /// The first instant and the end.
    pub(super) fn span(&self, system: &TimeZone) -> (Timestamp, Timestamp) {
        match self {
            Self::Time(start, end, _) => (*start, *end),
            Self::Days(start, end) => (instant(start.at(0, 0, 0, 0), system), instant(end.at(0, 0, 0, 0), system)),
        }
    }
}

/// Why the expansion of a series is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// Its rules take too many steps. None of their times count.
    Steps,
    /// It has too many times in the window. Only the first ones count.
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
    /// Whether `[start, end)` overlaps the window. A span without length overlaps it if it starts in it.
    fn holds(&self, (start, end): (Timestamp, Timestamp)) -> bool {
        start < self.to && (end > self.from || (end == start && start >= self.from))
    }
}

/// Expands the events with one UID. Calls `emit` for each time that overlaps the window, in no particular order, with the event
/// that it belongs to. The error names the event that repeats too much.
pub(super) fn expand<'a>(
    events: &'a [Event],
    window: &Window<'_>,
    budget: &mut Budget,
    emit: &mut dyn FnMut(&'a Event, Interval),
) -> Result<(), (&'a Event, Incomplete)> {
    if let [event] = events
        && event.repeat.is_none()
    {
        emit_if_held(event, &event.start, event.length, window, emit);
        return Ok(());
    }
    let master = events.iter().filter(|event| event.instance.is_none()).max_by_key(|event| newness(event));
    let overrides = newest_overrides(events, master, window.system);
    let Some(master) = master else {
        for event in overrides.values() {
            emit_if_held(event, &event.start, event.length, window, emit);
        }
        return Ok(());
    };
    let mut own_budget = budget.split(MAX_STEPS_PER_SERIES);
    let outcome = Series { master, overrides, exceptions: Exceptions::default(), window }.expand(&mut own_budget, emit);
    budget.merge(&own_budget);
    outcome.map_err(|reason| (master, reason))
}

/// The greatest is the newest. A cancellation should have a higher SEQUENCE (RFC 5546, 2.1.4), but not every program adds one.
fn newness(event: &Event) -> (Version, bool) {
    (event.version, event.cancelled)
}

fn emit_if_held<'a>(
    event: &'a Event,
    start: &Moment,
    length: Length,
    window: &Window<'_>,
    emit: &mut dyn FnMut(&'a Event, Interval),
) {
    if event.class.is_some() {
        let interval = Interval::new(start, length, window.system);
        if window.holds(interval.span(window.system)) {
            emit(event, interval);
        }
    }
}

/// The newest override of each instance. If the whole series is cancelled, overrides that are not newer are cancelled too.
fn newest_overrides<'a>(events: &'a [Event], master: Option<&'a Event>, system: &TimeZone) -> BTreeMap<Key, &'a Event> {
    let mut newest: BTreeMap<Key, &Event> = BTreeMap::new();
    for event in events {
        let Some(instance) = &event.instance else { continue };
        if master.is_some_and(|master| master.cancelled && master.version.sequence >= event.version.sequence) {
            continue;
        }
        let key = Key::of(&instance.named, master, system);
        let known = newest.entry(key).or_insert(event);
        if newness(known) <= newness(event) {
            *known = event;
        }
    }
    newest
}

/// An override of an instance and of all later ones (`RANGE=THISANDFUTURE`; RFC 5545, 3.2.13).
struct FutureChange<'a> {
    from: Timestamp,
    event: &'a Event,
    /// How far it moves each instance, in local time of the series.
    shift: SignedDuration,
}

/// A time of a series, in local time of the series. An RDATE may have its own moment and length.
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
    fn expand(mut self, budget: &mut Budget, emit: &mut dyn FnMut(&'a Event, Interval)) -> Result<(), Incomplete> {
        let system = self.window.system;
        let changes = self.changes();
        let times = match &self.master.repeat {
            None => Ok(vec![Time { local: self.master.start.civil(), own: None, length: None }]),
            Some(repeat) => self.times(repeat, &changes, budget),
        };
        self.settle_names(times.as_deref().unwrap_or_default());
        self.emit_overrides(emit);
        let times = times.map_err(|Exhausted| Incomplete::Steps)?;
        let mut previous = None;
        let mut count = 0;
        for Time { local, own, length } in times {
            let moment = own.unwrap_or_else(|| match &self.master.start {
                Moment::Day(_) => Moment::Day(local.date()),
                Moment::Time(_, zone) => Moment::Time(local, zone.clone()),
            });
            let starts = moment.instant(system);
            // A time that occurs twice counts once.
            if previous.replace(starts) == Some(starts) || self.exceptions.hold(local.date(), starts) {
                continue;
            }
            if self.emit_instance(&moment, length, &changes, emit) {
                count += 1;
                if count == MAX_TIMES_PER_SERIES {
                    return Err(Incomplete::Times);
                }
            }
        }
        Ok(())
    }

    /// Decides which instances the EXDATEs and the overrides name. `times` has the start and the times of the series in and near
    /// the window. A time that was written in an unknown zone is tried on the clock of the series. If the series has no such time,
    /// it names all instances on its date.
    fn settle_names(&mut self, times: &[Time]) {
        let (master, system) = (self.master, self.window.system);
        let names_day = |named: &Named| {
            named.is_assumed && !master.start.is_day() && !times.iter().any(|time| time.local == named.at.civil())
        };
        for named in master.repeat.iter().flat_map(|repeat| &repeat.exceptions) {
            let key = if names_day(named) { Key::Day(named.day) } else { Key::of(named, Some(master), system) };
            self.exceptions.insert(key);
        }
        let overrides: Vec<&Event> = self.overrides.values().copied().collect();
        for event in overrides {
            let Some(instance) = &event.instance else { continue };
            if names_day(&instance.named) {
                self.overrides.remove(&Key::of(&instance.named, Some(master), system));
                self.overrides.entry(Key::Day(instance.named.day)).or_insert(event);
            }
        }
    }

    /// Emits the overrides. An excluded instance does not exist, even if an override describes it (RFC 5545, 3.8.5.1).
    fn emit_overrides(&self, emit: &mut dyn FnMut(&'a Event, Interval)) {
        let clock = self.master.start.zone(self.window.system);
        for (key, event) in &self.overrides {
            if !self.exceptions.hold_key(*key, clock) {
                emit_if_held(event, &event.start, event.length, self.window, emit);
            }
        }
    }

    /// Emits an instance of the series, unless an override replaces it. Returns whether it was emitted.
    fn emit_instance(
        &self,
        start: &Moment,
        length: Option<Length>,
        changes: &[FutureChange<'a>],
        emit: &mut dyn FnMut(&'a Event, Interval),
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
        let interval = Interval::new(&moved, length, self.window.system);
        let held = self.window.holds(interval.span(self.window.system));
        if held {
            emit(event, interval);
        }
        held
    }

    /// Where a change moves an instance: first by its shift in local time of the series, then into the change's zone.
    fn moved(&self, start: &Moment, change: &FutureChange<'_>) -> Moment {
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
            // The change is in another zone. The instances stay in the series' zone.
            Moment::Time(..) => match &self.master.start {
                Moment::Day(_) => Moment::Day(at.date()),
                Moment::Time(_, zone) => Moment::Time(at, zone.clone()),
            },
        }
    }

    /// The `THISANDFUTURE` changes, in the order of their instances.
    fn changes(&self) -> Vec<FutureChange<'a>> {
        let system = self.window.system;
        let clock = self.master.start.zone(system);
        let on_clock = |moment: &Moment| match moment {
            Moment::Day(_) | Moment::Time(_, None) => moment.civil(),
            Moment::Time(_, Some(_)) if self.master.start.is_day() => moment.civil(),
            Moment::Time(_, Some(_)) => clock.to_datetime(moment.instant(system)),
        };
        let change = |event: &&'a Event| {
            let instance = event.instance.as_ref().filter(|instance| instance.and_future)?;
            // A date names the instance on that day.
            let original = match (&instance.named.at, &self.master.start) {
                (Moment::Day(date), Moment::Time(at, _)) => date.to_datetime(at.time()),
                (_, Moment::Day(_)) => instance.named.day.to_datetime(civil::Time::midnight()),
                (at, Moment::Time(..)) => on_clock(at),
            };
            let shift = original.duration_until(on_clock(&event.start));
            Some(FutureChange { from: instant(original, clock), event, shift })
        };
        let mut changes: Vec<_> = self.overrides.values().filter_map(change).collect();
        changes.sort_by_key(|change| change.from);
        changes
    }

    /// The times from rules and RDATEs that may matter in the window, ascending.
    fn times(
        &self,
        repeat: &Repeat,
        changes: &[FutureChange<'_>],
        budget: &mut Budget,
    ) -> Result<Vec<Time>, Exhausted> {
        let (system, start) = (self.window.system, self.master.start.civil());
        let clock = self.master.start.zone(system);
        let shifts = changes.iter().map(|change| change.shift.abs()).max().unwrap_or_default();
        let lengths = changes.iter().map(|change| change.event.length).chain([self.master.length]);
        let longest = SignedDuration::from_secs(lengths.map(Length::at_most).max().unwrap_or(0));
        let from =
            clock.to_datetime(self.window.from).saturating_sub(MAX_CLOCK_DIFFERENCE + shifts).saturating_sub(longest);
        let to = clock.to_datetime(self.window.to).saturating_add(MAX_CLOCK_DIFFERENCE + shifts);

        let mut given = |rule: &Rule| {
            let end = rule.end(clock).map_or(to, |end| end.min(to));
            recurrence::occurrences(rule, start, from, end, budget)
        };
        let by_rule = |local| Time { local, own: None, length: None };
        // The start takes place even if no rule gives it (RFC 5545, 3.8.5.3, leaves that open; Google, Apple and Outlook show it).
        let mut times = vec![by_rule(start)];
        for rule in &repeat.rules {
            times.extend(given(rule)?.into_iter().map(by_rule));
        }
        let mut excluded = HashSet::new();
        for rule in &repeat.exception_rules {
            excluded.extend(given(rule)?);
        }
        times.retain(|time| !excluded.contains(&time.local));
        times.extend(repeat.dates.iter().map(|(moment, length)| self.date(moment, *length)));
        // If a rule gives the same time as a PERIOD, the PERIOD comes first, because it has its own length.
        times.sort_by_key(|time| (time.local, time.length.is_none()));
        Ok(times)
    }

    /// The time of an RDATE. Dates and floating times are read like the start of the series.
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
