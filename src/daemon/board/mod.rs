//! The board: the present state of every signal, as last heard, and what was set through the socket. From it come the
//! snapshot that is decided on and the signals' part of the report.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use crate::calendar::Schedule;
use crate::config;
use crate::policy::{Call, Claim, Idle, Lock, Named, Override, Reading, Sleep, Snapshot, strongest};
use crate::signals::{Observation, Update};
use crate::status::report::{self, Health};
use crate::time::{Instant, Now};
use crate::warning::Warning;

use super::{lock_word, rounded};

/// How many signals may be set through the socket, so that a runaway script fills no memory.
const NAMED_MAX: usize = 256;

/// How long a lock, sleep, idle or calendar reading still holds after its source was lost: logind restarts and folders are made
/// anew in less, and a presence that goes and comes back helps nobody. Call-state files have their own such time.
const HOLD: Duration = Duration::from_secs(5);

/// The present state of every signal.
#[derive(Debug, Default)]
pub(super) struct Board {
    lock: Slot<Lock>,
    sleep: Slot<Sleep>,
    call: Slot<Call>,
    microphone: Slot<Call>,
    idle: Slot<Idle>,
    calendar: Slot<Arc<Schedule>>,
    named: BTreeMap<String, Entry<Word>>,
    manual: Option<Entry<Claim>>,
    shown: BTreeMap<String, Shown>,
}

/// What one signal last said.
#[derive(Debug)]
struct Slot<T> {
    observation: Observation<T>,
    /// Whether it said anything since it was configured.
    heard: bool,
    /// What it said before its source was lost, and until when that still holds.
    held: Option<(T, Instant)>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        let observation =
            Observation { reading: Reading::Off, source: "not configured".to_owned(), warnings: Vec::new() };
        Self { observation, heard: true, held: None }
    }
}

impl<T: Clone> Slot<T> {
    /// Turns the signal on or off. One that stays on keeps its reading until it is heard again.
    fn configure(&mut self, on: bool) {
        if !on {
            *self = Self::default();
        } else if matches!(self.observation.reading, Reading::Off) {
            self.observation.reading = Reading::Unknown;
            "starting".clone_into(&mut self.observation.source);
            self.heard = false;
        }
    }

    /// Forgets what it said, if it is on.
    fn forget(&mut self) {
        if !matches!(self.observation.reading, Reading::Off) {
            *self = Self::default();
            self.configure(true);
        }
    }

    fn hear(&mut self, observation: Observation<T>) {
        // A task of an old configuration may still be heard of after its signal was turned off.
        if !matches!(self.observation.reading, Reading::Off) {
            self.observation = observation;
            self.heard = true;
        }
    }

    /// The same; a value that is lost holds until `until`.
    fn hear_and_hold(&mut self, observation: Observation<T>, until: Instant) {
        match (&self.observation.reading, &observation.reading) {
            (Reading::Known(value), Reading::Unknown) => self.held = Some((value.clone(), until)),
            (Reading::Off | Reading::Unknown, Reading::Unknown) => {}
            (_, Reading::Off | Reading::Known(_)) => self.held = None,
        }
        self.hear(observation);
    }

    /// What it comes to at `now`.
    fn reading(&self, now: &Now) -> Reading<T> {
        match (&self.observation.reading, &self.held) {
            (Reading::Unknown, Some((value, until))) if now.instant < *until => Reading::Known(value.clone()),
            (reading, _) => reading.clone(),
        }
    }

    /// How well it is, given what its reading comes to now.
    fn health<U>(&self, reading: &Reading<U>) -> Health {
        let well = self.observation.warnings.is_empty() && !matches!(reading, Reading::Unknown);
        if well || !self.heard { Health::Ok } else { Health::Degraded }
    }
}

/// The value of a signal that was set through the socket, and by which program.
#[derive(Debug)]
struct Word {
    value: String,
    writer: Option<String>,
}

/// What was set through the socket.
#[derive(Debug)]
struct Entry<T> {
    value: T,
    until: Option<Instant>,
}

/// The value the report last showed, and since when.
#[derive(Debug)]
struct Shown {
    value: String,
    since: Timestamp,
}

impl Board {
    /// Takes over which signals are on.
    pub(super) fn configure(&mut self, signals: &config::Signals) {
        self.lock.configure(signals.lock.is_some());
        self.sleep.configure(signals.lock.is_some());
        self.call.configure(signals.call.is_some());
        self.microphone.configure(signals.microphone.is_some());
        self.idle.configure(signals.idle.is_some());
        self.calendar.configure(signals.calendar.is_some());
    }

    /// Takes in what a signal says.
    pub(super) fn hear(&mut self, update: Update, now: &Now) {
        let until = now.instant + HOLD;
        match update {
            Update::Lock(observation) => self.lock.hear_and_hold(observation, until),
            Update::Sleep(observation) => self.sleep.hear_and_hold(observation, until),
            Update::Call(observation) => self.call.hear(observation),
            Update::Microphone(observation) => self.microphone.hear_and_hold(observation, until),
            Update::Idle(observation) => self.idle.hear_and_hold(observation, until),
            Update::Calendar(observation) => self.calendar.hear_and_hold(observation, until),
            // Nothing to read on it.
            Update::SleepHold(_) | Update::NetworkBack => {}
        }
    }

    /// Forgets all readings but that of sleep itself. What was set through the socket stays.
    pub(super) fn forget(&mut self) {
        self.lock.forget();
        self.call.forget();
        self.microphone.forget();
        self.idle.forget();
        self.calendar.forget();
    }

    /// What was last heard of sleep.
    pub(super) fn sleep(&self) -> &Reading<Sleep> {
        &self.sleep.observation.reading
    }

    /// Whether every configured signal was heard at least once.
    pub(super) fn is_complete(&self) -> bool {
        let calls = self.call.heard && self.microphone.heard;
        self.lock.heard && self.sleep.heard && calls && self.idle.heard && self.calendar.heard
    }

    /// What was said of the lock through the socket, while that holds.
    fn lock_word(&self, now: &Now) -> Option<Lock> {
        self.named
            .get(lock_word::NAME)
            .filter(|entry| entry.lives(now))
            .and_then(|entry| lock_word::read(&entry.value.value))
    }

    /// Whether the user is known to be at the machine: unlocked, not idle, and not about to sleep.
    pub(super) fn is_present(&self, now: &Now) -> bool {
        let lock = lock_word::join(self.lock_word(now), self.lock.observation.reading.clone());
        let unlocked = lock == Reading::Known(Lock::Unlocked);
        let idle = self.idle.observation.reading == Reading::Known(Idle::Idle);
        unlocked && !idle && *self.sleep() != Reading::Known(Sleep::Suspending)
    }

    /// Overrides the rules, for `ttl` or until cleared.
    pub(super) fn set_override(&mut self, claim: Claim, ttl: Option<Duration>, now: &Now) {
        self.manual = Some(Entry { value: claim, until: ttl.map(|ttl| now.instant + ttl) });
    }

    /// Ends an override.
    pub(super) fn clear_override(&mut self) {
        self.manual = None;
    }

    /// Sets the signal `name`. The error is a sentence for whoever asked.
    pub(super) fn set_signal(
        &mut self,
        name: String,
        value: String,
        ttl: Option<Duration>,
        writer: Option<String>,
        now: &Now,
    ) -> Result<(), String> {
        if name == lock_word::NAME && lock_word::read(&value).is_none() {
            return Err("the signal `lock` is either locked or unlocked".to_owned());
        }
        if self.named.len() >= NAMED_MAX && !self.named.contains_key(&name) {
            return Err(format!("{NAMED_MAX} signals are set already; unset one first"));
        }
        self.named.insert(name, Entry { value: Word { value, writer }, until: ttl.map(|ttl| now.instant + ttl) });
        Ok(())
    }

    /// Forgets the signal `name`. The error is a sentence for whoever asked.
    pub(super) fn clear_signal(&mut self, name: &str) -> Result<(), String> {
        self.shown.remove(&format!("signal.{name}"));
        self.named.remove(name).map(|_| ()).ok_or_else(|| format!("no signal `{name}` is set"))
    }

    /// All readings, for a decision.
    pub(super) fn snapshot(&self, now: &Now) -> Snapshot {
        // In whole seconds, so that it does not change from turn to turn; and never earlier than the end itself, which is what
        // counts.
        let up = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
        let until = |until: Option<Instant>| {
            until.map(|until| now.wall_at(until)).map(|until| until.round(up).unwrap_or(until))
        };
        let named = |(name, entry): (&String, &Entry<Word>)| {
            (name.clone(), Named { value: entry.value.value.clone(), until: until(entry.until) })
        };
        Snapshot {
            lock: lock_word::join(self.lock_word(now), self.lock.reading(now)),
            sleep: self.sleep.reading(now),
            call: strongest(self.call.reading(now), self.microphone.reading(now)),
            idle: self.idle.reading(now),
            calendar: self.calendar.reading(now),
            signals: self.named.iter().filter(|(_, entry)| entry.lives(now)).map(named).collect(),
            manual: self
                .manual
                .as_ref()
                .filter(|manual| manual.lives(now))
                .map(|manual| Override { claim: manual.value, until: until(manual.until) }),
        }
    }

    /// The first time after `now` at which something that was set, or still holds, ends.
    pub(super) fn next_end(&self, now: &Now) -> Option<Instant> {
        let ends = self.named.values().map(|entry| entry.until).chain(self.manual.iter().map(|manual| manual.until));
        let held = [
            self.lock.held.map(|held| held.1),
            self.sleep.held.map(|held| held.1),
            self.microphone.held.as_ref().map(|held| held.1),
            self.idle.held.map(|held| held.1),
            self.calendar.held.as_ref().map(|held| held.1),
        ];
        ends.chain(held).flatten().filter(|end| *end > now.instant).min()
    }

    /// All warnings of all signals. That the lock cannot be seen is no trouble once it is said.
    pub(super) fn warnings(&self, now: &Now) -> impl Iterator<Item = &Warning> {
        let (lock, sleep) = (&self.lock.observation.warnings, &self.sleep.observation.warnings);
        let (call, calendar) = (&self.call.observation.warnings, &self.calendar.observation.warnings);
        let lock = if self.lock_word(now).is_some() { &[] } else { lock.as_slice() };
        let (microphone, idle) = (&self.microphone.observation.warnings, &self.idle.observation.warnings);
        lock.iter().chain(sleep).chain(call).chain(microphone).chain(idle).chain(calendar)
    }

    /// The signals' part of the report.
    pub(super) fn report(&mut self, snapshot: &Snapshot, now: &Now) -> BTreeMap<String, report::Signal> {
        let busy = snapshot.calendar_at(now.wall);
        let word = self.lock_word(now);
        let calendar_until = busy.known().and_then(|state| state.until);
        let mut signals = BTreeMap::new();
        let shown = &mut self.shown;
        let mut add = |name: &str, value: &dyn fmt::Display, source: &str, health, until| {
            let value = value.to_string();
            let before = shown.get(name).filter(|shown| shown.value == value).map(|shown| shown.since);
            let since = before.unwrap_or_else(|| rounded(now.wall));
            shown.insert(name.to_owned(), Shown { value: value.clone(), since });
            let signal = report::Signal { value, since, source: source.to_owned(), health, until };
            signals.insert(name.to_owned(), signal);
        };
        let Self { lock, sleep, call, microphone, idle, calendar, .. } = self;
        let (lock_source, lock_health) = match word {
            Some(word) if snapshot.lock == Reading::Known(word) && lock.observation.reading != Reading::Known(word) => {
                ("presenced signal", Health::Ok)
            }
            Some(_) => (&*lock.observation.source, Health::Ok),
            None => (&*lock.observation.source, lock.health(&snapshot.lock)),
        };
        add("lock", &snapshot.lock, lock_source, lock_health, None);
        add("sleep", &snapshot.sleep, &sleep.observation.source, sleep.health(&snapshot.sleep), None);
        let recording = microphone.reading(now);
        // The call signal is made of two, and shows the one that it comes from.
        let by_microphone = recording == snapshot.call && call.reading(now) != snapshot.call;
        let from = if by_microphone { &*microphone } else { &*call };
        add("call", &snapshot.call, &from.observation.source, from.health(&snapshot.call), None);
        if !matches!(recording, Reading::Off) {
            add("microphone", &recording, &microphone.observation.source, microphone.health(&recording), None);
        }
        add("idle", &snapshot.idle, &idle.observation.source, idle.health(&snapshot.idle), None);
        add("calendar", &busy, &calendar.observation.source, calendar.health(&busy), calendar_until);
        for (name, entry) in &self.named {
            let lives = snapshot.signals.get(name);
            let value = if lives.is_some() { entry.value.value.as_str() } else { "unknown" };
            let writer = entry.value.writer.as_deref().unwrap_or("socket");
            // One whose time is up is as it was meant to be.
            add(&format!("signal.{name}"), &value, writer, Health::Ok, lives.and_then(|named| named.until));
        }
        signals
    }
}

impl<T> Entry<T> {
    fn lives(&self, now: &Now) -> bool {
        self.until.is_none_or(|until| now.instant < until)
    }
}
