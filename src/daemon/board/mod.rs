//! The board: the present state of every signal, as last heard, and what was set through the socket. It makes the snapshot for
//! a decision and the signals' part of the report.
//!
//! **To add a signal**, give it a row in [`slots`] and name it in [`Board::snapshot`], the one place that says what rules learn
//! from it. Only a signal that is made of two sources also needs a row of the report of its own: the lock, which may be set
//! through the socket, and calls, which the microphone also reports ([`Board::lock_row`], [`Board::call_row`]).

mod long_call;
mod slot;
mod slots;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::config;
use crate::fill::Fill as _;
use crate::kept::{Kept, Lasting, Life, Restored};
use crate::policy::{Claim, Idle, Lock, Named, Override, Reading, Sleep, Snapshot, strongest};
use crate::signals::Update;
use crate::status::report::{self, Health};
use crate::time::{Instant, Now};
use crate::warning::Warning;

use super::kept::Word;
use super::{lock_word, rounded};
use long_call::{LongCall, Reporter};
use slot::Row;
use slots::Slots;

/// How many signals may be set through the socket, so that a runaway script cannot fill the memory.
pub(super) const MAX_NAMED_SIGNALS: usize = 256;

/// The present state of every signal.
#[derive(Debug, Default)]
pub(super) struct Board {
    slots: Slots,
    named: BTreeMap<String, Lasting<Word>>,
    manual: Option<Lasting<Claim>>,
    shown: BTreeMap<String, Shown>,
    long_call: LongCall,
}

/// The value that the report last showed, and since when.
#[derive(Debug)]
struct Shown {
    value: String,
    since: Timestamp,
}

impl Board {
    /// Turns signals on and off, as the configuration says.
    pub(super) fn configure(&mut self, signals: &config::Signals) {
        self.slots.all_mut().for_each(|slot| slot.configure(signals));
    }

    /// Takes in what a signal says.
    pub(super) fn hear(&mut self, update: Update, now: &Now) {
        self.slots.hear(update, now);
    }

    /// The machine woke up: forgets every reading that may have changed meanwhile. What was set through the socket stays.
    pub(super) fn forget(&mut self) {
        self.slots.all_mut().for_each(slot::AnySlot::forget);
    }

    /// Whether `update` still counts if the machine slept after it was sent.
    pub(super) fn survives_suspend(&self, update: &Update) -> bool {
        self.slots.survives_suspend(update)
    }

    /// What was last heard of sleep.
    pub(super) fn sleep(&self) -> &Reading<Sleep> {
        self.slots.sleep.last()
    }

    /// Whether every configured signal was heard at least once.
    pub(super) fn is_complete(&self) -> bool {
        self.slots.all().all(|(_, slot)| slot.is_heard())
    }

    /// What was set for the lock through the socket, while it is in force.
    fn lock_word(&self, now: &Now) -> Option<Lock> {
        let entry = self.named.get(lock_word::NAME).filter(|entry| entry.is_in_force(now))?;
        lock_word::read(&entry.value.value)
    }

    /// Whether the user is known to be at the machine: unlocked, not idle, and not about to sleep.
    pub(super) fn is_present(&self, now: &Now) -> bool {
        let [unlocked, _] = self.signs_of_life(now);
        let idle = *self.slots.idle.last() == Reading::Known(Idle::Idle);
        unlocked && !idle && *self.sleep() != Reading::Known(Sleep::Suspending)
    }

    /// What shows that somebody is at the machine, as two facts: the screen is unlocked, and there is input.
    pub(super) fn signs_of_life(&self, now: &Now) -> [bool; 2] {
        let lock = lock_word::join(self.lock_word(now), self.slots.lock.last().clone());
        [lock == Reading::Known(Lock::Unlocked), *self.slots.idle.last() == Reading::Known(Idle::Active)]
    }

    /// Overrides the rules, for `ttl` or until cleared.
    pub(super) fn set_override(&mut self, claim: Claim, ttl: Option<Duration>, now: &Now) {
        self.manual = Some(Lasting::new(claim, ttl, now));
    }

    /// Ends an override.
    pub(super) fn clear_override(&mut self) {
        self.manual = None;
    }

    /// Sets the signal `name`. The error is a sentence for the client.
    pub(super) fn set_signal(
        &mut self,
        name: String,
        value: String,
        ttl: Option<Duration>,
        writer: Option<String>,
        now: &Now,
    ) -> Result<(), String> {
        self.insert(name, Lasting::new(Word { value, writer }, ttl, now))
    }

    fn insert(&mut self, name: String, signal: Lasting<Word>) -> Result<(), String> {
        if name == lock_word::NAME && lock_word::read(&signal.value.value).is_none() {
            return Err("the signal `lock` is either locked or unlocked".to_owned());
        }
        if self.named.len() >= MAX_NAMED_SIGNALS && !self.named.contains_key(&name) {
            return Err(format!("{MAX_NAMED_SIGNALS} signals are set already; unset one first"));
        }
        self.named.insert(name, signal);
        Ok(())
    }

    /// Forgets the signal `name`. The error is a sentence for the client.
    pub(super) fn clear_signal(&mut self, name: &str) -> Result<(), String> {
        self.shown.remove(&format!("signal.{name}"));
        self.named.remove(name).map(|_| ()).ok_or_else(|| format!("no signal `{name}` is set"))
    }

    /// What was set through the socket and has not ended, to be kept over a restart.
    pub(super) fn kept(&self, life: &Life, now: &Now) -> Kept<Word> {
        let in_force = self.named.iter().filter(|(_, signal)| signal.is_in_force(now));
        Kept {
            life: life.clone(),
            instant: now.instant,
            wall: now.wall,
            manual: self.manual.clone().filter(|manual| manual.is_in_force(now)),
            signals: in_force.map(|(name, signal)| (name.clone(), signal.clone())).fill(),
        }
    }

    /// Sets what still holds after a restart.
    pub(super) fn restore(&mut self, Restored { manual, signals, outdated: _, differs: _ }: Restored<Word>) {
        self.manual = manual;
        for (name, signal) in signals {
            if let Err(refused) = self.insert(name, signal) {
                tracing::warn!("a signal from before the restart is not set: {refused}");
            }
        }
    }

    /// All readings, for a decision.
    pub(super) fn snapshot(&self, now: &Now) -> Snapshot {
        let named = |(name, entry): (&String, &Lasting<Word>)| {
            (name.clone(), Named { value: entry.value.value.clone(), until: entry.ends_at(now) })
        };
        let Slots { lock, sleep, call, microphone, idle, calendar } = &self.slots;
        Snapshot {
            account: None,
            lock: lock_word::join(self.lock_word(now), lock.reading(now)),
            sleep: sleep.reading(now),
            call: strongest(call.reading(now), microphone.reading(now)),
            idle: idle.reading(now),
            calendar: calendar.reading(now),
            signals: self.named.iter().filter(|(_, entry)| entry.is_in_force(now)).map(named).fill(),
            manual: self
                .manual
                .as_ref()
                .filter(|manual| manual.is_in_force(now))
                .map(|manual| Override { claim: manual.value, until: manual.ends_at(now) }),
        }
    }

    /// The first time after `now` at which something that was set expires, a held value stops counting, or a call becomes suspect.
    pub(super) fn next_end(&self, snapshot: &Snapshot, now: &Now) -> Option<Instant> {
        let named = self.named.values().filter_map(|entry| entry.until);
        let manual = self.manual.iter().filter_map(|manual| manual.until);
        let held = self.slots.all().filter_map(|(_, slot)| slot.held_until());
        let long_call = self.long_call.begins(snapshot);
        named.chain(manual).chain(held).chain(long_call).filter(|end| *end > now.instant).min()
    }

    /// The warnings of all signals. A lock that cannot be seen is fine while somebody sets it through the socket.
    pub(super) fn warnings(&self, snapshot: &Snapshot, now: &Now) -> impl Iterator<Item = Warning> {
        let path = self.slots.call.source();
        let reporter = if self.is_by_microphone(snapshot, now) { Reporter::Microphone } else { Reporter::Files(path) };
        let long_call = self.long_call.warning(snapshot, &reporter, now);
        let lock_is_set = self.lock_word(now).is_some();
        let slots = self.slots.all().filter(move |(name, _)| !(lock_is_set && *name == lock_word::NAME));
        slots.flat_map(|(_, slot)| slot.warnings().iter().cloned()).chain(long_call)
    }

    /// The signals' part of the report.
    pub(super) fn report(&mut self, snapshot: &Snapshot, now: &Now) -> BTreeMap<String, report::Signal> {
        self.long_call.update(snapshot, now);
        let rows = self.slots.all().filter_map(|(name, slot)| Some((name.to_owned(), slot.row(now)?)));
        let mut rows: BTreeMap<String, Row> = rows.fill();
        rows.insert("lock".to_owned(), self.lock_row(snapshot, now));
        rows.insert("call".to_owned(), self.call_row(snapshot, now));
        rows.extend(
            self.named.iter().map(|(name, entry)| (format!("signal.{name}"), named_row(name, entry, snapshot))),
        );
        let mut signals = BTreeMap::new();
        for (name, Row { value, source, health, reason, until, watched }) in rows {
            let before = self.shown.get(&name).filter(|shown| shown.value == value).map(|shown| shown.since);
            let since = before.unwrap_or_else(|| rounded(now.wall));
            self.shown.insert(name.clone(), Shown { value: value.clone(), since });
            signals.insert(name, report::Signal { value, since, source, health, reason, until, watched });
        }
        signals
    }

    /// The lock comes from its slot, or was set through the socket.
    fn lock_row(&self, snapshot: &Snapshot, now: &Now) -> Row {
        let slot = &self.slots.lock;
        let word = self.lock_word(now);
        let decided_by_word = |word| snapshot.lock == Reading::Known(word) && *slot.last() != Reading::Known(word);
        let source = if word.is_some_and(decided_by_word) { "presenced signal" } else { slot.source() };
        let health = if word.is_some() { Health::Ok } else { slot.health(&snapshot.lock) };
        let reason = slot.reason(&snapshot.lock);
        Row { value: snapshot.lock.to_string(), source: source.to_owned(), health, reason, until: None, watched: None }
    }

    /// Whether the reading of calls is the microphone's.
    fn is_by_microphone(&self, snapshot: &Snapshot, now: &Now) -> bool {
        let Slots { call, microphone, .. } = &self.slots;
        microphone.reading(now) == snapshot.call && call.reading(now) != snapshot.call
    }

    /// A call comes from two slots; the row shows the one that decided.
    fn call_row(&self, snapshot: &Snapshot, now: &Now) -> Row {
        let Slots { call, microphone, .. } = &self.slots;
        let slot = if self.is_by_microphone(snapshot, now) { microphone } else { call };
        let (source, health) = (slot.source().to_owned(), slot.health(&snapshot.call));
        Row {
            value: snapshot.call.to_string(),
            source,
            health,
            reason: slot.reason(&snapshot.call),
            until: None,
            watched: call.watched(),
        }
    }
}

/// The row of a signal that was set through the socket. One that has expired is not a fault.
fn named_row(name: &str, entry: &Lasting<Word>, snapshot: &Snapshot) -> Row {
    let in_force = snapshot.signals.get(name);
    Row {
        value: in_force.map_or("unknown", |_| entry.value.value.as_str()).to_owned(),
        source: entry.value.writer.as_deref().unwrap_or("socket").to_owned(),
        health: Health::Ok,
        reason: None,
        until: in_force.and_then(|named| named.until),
        watched: None,
    }
}

#[cfg(test)]
mod tests;
