//! Whose turn it is: what of all that waits goes next, or when.
//!
//! Leaves to others: the lists ([`super::user`]), the pace, the pauses, and what follows from the answers.

use super::pause::Allowed;
use super::wheel::{begin_of, second_of};
use super::{Cause, Flight, Item, Next, Pacer, Stage, Ticket, URGENT, UserIndex, Work};
use crate::time::{Instant, Now};

/// What goes next, and how many of it wait; at most a batch is counted.
enum Turn {
    Read,
    Users(Cause, Vec<UserIndex>),
}

impl Pacer {
    /// What to send now, or when to ask again. Call it until it says [`Next::Wait`].
    pub fn poll(&mut self, now: &Now) -> Next {
        self.notice_step(now);
        self.wake(now);
        let (limit, is_probe) = match self.pauses.allowed(now.instant) {
            Allowed::NotBefore(then) => return Next::Wait(Some(then)),
            Allowed::Probe => (1, true),
            Allowed::All => (self.pace.batch(), false),
        };
        let turn = self.turn(limit, now).or_else(|| if is_probe { self.bench_turn() } else { None });
        let Some(turn) = turn else { return Next::Wait(self.next_event(now)) };
        // A backlog goes in full batches. Keepalives have the time to go together even if they are fewer.
        let needed = match &turn {
            Turn::Users(Cause::Keepalive, users) => users.len(),
            Turn::Users(_, users) if users.len() == limit => limit,
            Turn::Users(..) | Turn::Read => 1,
        };
        let tokens = self.pace.tokens(now.instant);
        if tokens < needed {
            let then = self.pace.has_at(needed);
            return Next::Wait(Some(self.next_urgent(now).map_or(then, |urgent| urgent.min(then))));
        }
        if is_probe {
            self.pauses.note_probe(now.instant);
        }
        let items = match turn {
            Turn::Read => self.send_read(now.instant).into_iter().collect(),
            Turn::Users(cause, users) => {
                users.into_iter().take(tokens).filter_map(|user| self.send_user(user, cause, now)).collect::<Vec<_>>()
            }
        };
        self.pace.note_sent(items.len(), now.instant);
        Next::Send(items)
    }

    /// Ends what is over by now: rests, deadlines that were missed, the start.
    fn wake(&mut self, now: &Now) {
        while let Some((until, user)) = self.users.resting.first().copied().filter(|(until, _)| *until <= now.instant) {
            self.users.update(user, |user| {
                debug_assert_eq!(user.stage, Stage::Resting(until), "the list says so");
                user.stage = Stage::Ready;
            });
        }
        // It has faded. Those who still can be saved go first, but its slot has come in any case.
        let second = second_of(now.wall);
        while let Some((_, user)) = self.users.deadlines.first().copied().filter(|(at, _)| *at <= now.instant) {
            self.users.update(user, |user| {
                user.deadline = None;
                user.slot = user.slot.map(|slot| slot.min(second));
            });
        }
        let has_sent = !self.flights.is_empty() || self.successes > 0;
        if has_sent && self.reads.is_empty() && self.reads_in_flight == 0 && self.users.changes.is_empty() {
            self.is_starting = false;
        }
    }

    /// What goes next if there are tokens for it.
    fn turn(&self, limit: usize, now: &Now) -> Option<Turn> {
        let users = &self.users;
        if self.is_starting && !self.reads.is_empty() {
            return Some(Turn::Read);
        }
        let is_urgent = |at: Instant| at <= now.instant + URGENT;
        let urgent = users.deadlines.iter().take_while(|(at, _)| is_urgent(*at)).map(|(_, user)| *user);
        let changes = users.changes.iter().map(|(_, user)| *user);
        let second = second_of(now.wall);
        let due = users.slots.iter().take_while(|(slot, _)| *slot <= second).map(|(_, user)| *user);
        let some = |cause, users: Vec<UserIndex>| (!users.is_empty()).then_some(Turn::Users(cause, users));
        some(Cause::Deadline, urgent.take(limit).collect())
            .or_else(|| some(Cause::Change, changes.take(limit).collect()))
            .or_else(|| some(Cause::Keepalive, due.take(limit).collect()))
            .or_else(|| (!self.reads.is_empty()).then_some(Turn::Read))
    }

    /// Nobody else is there as a probe, so one that failed before is.
    fn bench_turn(&mut self) -> Option<Turn> {
        while let Some(index) = self.bench.pop_front() {
            let Some(user) = self.users.get(index).filter(|user| user.stage == Stage::Benched) else { continue };
            let cause = if user.change.is_some() { Cause::Change } else { Cause::Keepalive };
            self.users.update(index, |user| user.stage = Stage::Ready);
            return Some(Turn::Users(cause, vec![index]));
        }
        None
    }

    /// When the next user comes within reach of its deadline.
    fn next_urgent(&self, now: &Now) -> Option<Instant> {
        let next = self.users.deadlines.range((now.instant + URGENT, UserIndex(u32::MAX))..).next();
        next.map(|(deadline, _)| *deadline - URGENT)
    }

    /// When something will wait that does not wait now, if nothing happens before.
    fn next_event(&self, now: &Now) -> Option<Instant> {
        let slot = self.users.slots.first().map(|(slot, _)| now.instant_at(begin_of(*slot)));
        let rest = self.users.resting.first().map(|(until, _)| *until);
        [self.next_urgent(now), slot, rest].into_iter().flatten().min()
    }

    fn send_read(&mut self, now: Instant) -> Option<Item> {
        let read = self.reads.pop_front()?;
        self.reads_in_flight += 1;
        Some(self.send(Flight { work: Work::Read(read), sent_at: now, number: 0, change: None, does_slot: false }))
    }

    fn send_user(&mut self, index: UserIndex, cause: Cause, now: &Now) -> Option<Item> {
        let user = *self.users.get(index)?;
        let is_due = user.slot.is_some_and(|slot| slot <= second_of(now.wall));
        let does_slot = is_due && cause != Cause::Change;
        let work = Work::User { user: index, cause };
        self.users.update(index, |user| {
            user.stage = Stage::InFlight;
            user.change = None;
            // Without a place, there is no later slot.
            user.slot = user.slot.filter(|_| user.place.is_some());
        });
        Some(self.send(Flight { work, sent_at: now.instant, number: user.number, change: user.change, does_slot }))
    }

    fn send(&mut self, flight: Flight) -> Item {
        let ticket = Ticket(self.next_number());
        self.flights.insert(ticket, flight);
        Item { ticket, work: flight.work }
    }
}
