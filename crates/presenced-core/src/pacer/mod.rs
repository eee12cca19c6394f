//! The pacer: in front of everything that goes to Graph for one application in one tenant, for one user or for many. It says which
//! requests go next and when, so that the application stays below Graph's limit and no presence fades.
//!
//! [`Pacer`] is a state machine without a clock or a network. The caller must, in this order:
//!
//! 1. report what happened: call any `handle_*` methods, with the one `now` of this turn. Each costs O(log n);
//! 2. drain the pacer: call [`Pacer::poll`] until it returns [`Next::Wait`]. Send each [`Next::Send`] as it is: one item alone, several
//!    in one `$batch`. Report the result of each item exactly once with [`Pacer::handle_answer`], judged by its own status;
//! 3. wait until something else happens or until that instant, and then drain it again.
//!
//! The pacer does not know what there is to say. When it returns a user, the newest wish for that user is what to send.
//!
//! ```
//! use std::time::Duration;
//! use presenced_core::pacer::{Answer, Next, Pacer, Rate, UserIndex, Work};
//! use presenced_core::presence::{Expiration, Presence};
//! use presenced_core::session::Target;
//! use presenced_core::time::{Instant, Now};
//!
//! let mut now = Now { instant: Instant::default(), wall: "2026-11-30T08:00:00Z".parse()?, zone: jiff::tz::TimeZone::UTC };
//! // One for each (Graph, application, tenant). The slot is what `earliest_slot` said before the restart, if it was stored.
//! let mut pacer = Pacer::new(Rate::default(), None, &now);
//! let user = UserIndex(0);
//! pacer.handle_added(user, Some("fa8bf3dc-eca7-46b7-bad1-db199b62afc3"));
//!
//! // The decision for this user changed. Nothing else waits, so it goes at once and alone.
//! pacer.handle_change(user, false, &now);
//! let Next::Send(items) = pacer.poll(&now) else { panic!("it waits") };
//! let [item] = items[..] else { panic!("it is not alone") };
//! assert!(matches!(item.work, Work::User { user: UserIndex(0), .. }));
//! assert_eq!(pacer.poll(&now), Next::Wait(None));
//!
//! // 200 ms later, Graph has answered 200. The caller says what its session holds now, and since when: `Session::asserted`.
//! let held = (Target { presence: Presence::Available, expiration: Expiration::default() }, now.instant);
//! now.instant = now.instant + Duration::from_millis(200);
//! now.wall += Duration::from_millis(200);
//! pacer.handle_answer(item.ticket, Answer::Done(Some(held)), &now);
//!
//! // From now on, its slot comes every 240 s.
//! let Next::Wait(Some(slot)) = pacer.poll(&now) else { panic!("nothing to do") };
//! assert!(slot <= now.instant + Duration::from_secs(240));
//! # Ok::<(), jiff::Error>(())
//! ```
//!
//! **The pace** is a token bucket at 90 % of [`Rate`] that holds one second's worth (`rate`). Each item takes one token. Source: Graph,
//! "Microsoft Graph service-specific throttling limits", and "Combine multiple HTTP requests using JSON batching": each part is
//! throttled separately.
//!
//! **The order** of what goes next:
//!
//! 1. a user within 15 s of a deadline that this process knows, because it made the request itself, with whatever is to be said;
//! 2. changes and clears, the oldest first; at a start, calls first, and then the others in the order of the wheel, so that the next
//!    process, which does not know the deadlines, finds everybody in that order;
//! 3. keepalives, in the order of their slots, not of their deadlines;
//! 4. reads; at a start they go before everything else. The start ends when nothing is left of reads and changes.
//!
//! One [`Next::Send`] has items of one of these four only. A full batch waits for all its tokens, 0.44 s at the default rate. Fewer
//! go as soon as there is a token, so a lone change goes alone at once; only keepalives then wait for the tokens of all that are
//! due. Reads always go alone.
//!
//! **The wheel** (`wheel`) is for users of accounts with `users`. Each has a slot by hash in each interval, and a slot is done by the
//! request that is sent for it (1 or 3), not by a change. So everybody's turn comes in the same order every time, however far the
//! wheel is behind, and the time between two turns is the interval plus what the delay grew in between. If two slots of a
//! user pass while it waits, one request does both. A user who begins to hold something, or something with another interval,
//! enters where the wheel is. The wheel itself is [`Pacer::earliest_slot`]. After a step of the wall clock, it continues with the same
//! delay; users with a known deadline move to their slots on the new clock, and the others keep the time that they had.
//!
//! **Failures** (`pause`) pause everything; nobody has a backoff of their own. After a 429 or a refused token, a user goes back to its
//! place in the line. In an outage, each probe is another user. A user that fails while others succeed is tried again after 2 s, and
//! from the third time on only at its slot. One that is refused is looked at again at its first slot after 15 minutes, or after
//! [`Pacer::handle_setup_changed`].
//!
//! **What people want to see** is [`Pacer::backlog`]: what waits and for how long, how much of the rate is used, and the next
//! deadline. It costs O(log n), and nothing is kept in step for it while nothing happens.
//!
//! **A user who is not on the wheel** has the times of its `Session`, which also retries: the pacer only keeps the pace and the order,
//! and forgets what failed. If no user is on the wheel, silence and a 429 without `Retry-After` pause nothing, as the session has a
//! backoff for them.
//!
//! Leaves to others: what each request says (`session/`, `policy/`), how it travels, and the token for it (`graph/`, `auth/`).
//! While there is no token, do not poll.

mod answer;
mod backlog;
mod pace;
mod pause;
mod rate;
mod turn;
mod user;
mod wheel;
mod window;

#[cfg(test)]
mod failure_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::session::Target;
use crate::time::{Instant, Now};

pub use backlog::{Backlog, Queue};
pub use pace::Pace;
use pause::Pauses;
pub use rate::{Rate, RateOfNothing};
use user::{InLine, Stage, User, Users};
use wheel::{Interval, Place, Second, begin_of, second_of};

/// How long before its deadline a user goes before everybody else.
const URGENT: Duration = Duration::from_secs(15);
/// How far back the wheel begins if no slot was stored, in seconds.
const UNKNOWN_BEGIN: Second = 45;
/// How long a user rests that fails while others succeed, and how often in a row before it waits for its slot.
const REST: Duration = Duration::from_secs(2);
const TROUBLES: u8 = 3;
/// How far the wall clock may be from where it was expected before it counts as set.
const STEP: Duration = Duration::from_secs(1);

/// A user, by the caller's own index. Small numbers cost little memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserIndex(pub u32);

/// A read of many users' presence, by the caller's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadIndex(pub u32);

/// Identifies one item when its answer is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Why a user's turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// What it holds ends within 15 s.
    Deadline,
    /// Its wish changed.
    Change,
    /// Its slot came.
    Keepalive,
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// The newest wish for this user.
    User {
        /// Who.
        user: UserIndex,
        /// Why now.
        cause: Cause,
    },
    /// `getPresencesByUserId`.
    Read(ReadIndex),
}

/// One request. It counts as sent when it is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// For [`Pacer::handle_answer`].
    pub ticket: Ticket,
    /// What it is.
    pub work: Work,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send these now: one alone, several in one `$batch`.
    Send(Vec<Item>),
    /// Poll again at this instant, or when something has happened. `None`: only when something has happened.
    Wait(Option<Instant>),
}

/// The result of one item, judged by its own status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It succeeded. For a user, what its session holds now and when that was sent (`Session::asserted`).
    Done(Option<(Target, Instant)>),
    /// Nothing is wrong with this user and nothing with Graph, but it has to be sent again: the token was refused.
    Again,
    /// A passing failure that only says something about this item: 401 `ServiceError`, 408.
    Failed,
    /// 400, 403, 404 and the like.
    Refused,
    /// 429.
    Throttled {
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// No answer, or a 5xx.
    Unavailable {
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    work: Work,
    sent_at: Instant,
    /// The user's number and its place in the line of changes.
    number: u64,
    change: Option<InLine>,
    /// If it succeeds, the user's slot is done.
    does_slot: bool,
}

/// The state machine.
#[derive(Debug)]
pub struct Pacer {
    users: Users,
    reads: VecDeque<ReadIndex>,
    reads_in_flight: usize,
    flights: BTreeMap<Ticket, Flight>,
    /// Users that failed in an outage. Some may have been removed since.
    bench: VecDeque<UserIndex>,
    pace: Pace,
    pauses: Pauses,
    /// Counts users, changes and tickets.
    last_number: u64,
    successes: u64,
    /// Whether any user is on the wheel.
    has_wheel: bool,
    /// Until all that was to be done at the start is done.
    is_starting: bool,
    /// Where the wheel begins.
    begin: Second,
    /// The clocks when they were last seen.
    seen: (Instant, Timestamp),
}

impl Pacer {
    /// A pacer without users. The wheel begins at `stored`, an earlier process's [`Pacer::earliest_slot`]; without it, or if it
    /// is in the future, 45 s back.
    pub fn new(pace: impl Into<Pace>, stored: Option<Timestamp>, now: &Now) -> Self {
        let begin = stored.filter(|stored| *stored <= now.wall);
        Self {
            users: Users::default(),
            reads: VecDeque::new(),
            reads_in_flight: 0,
            flights: BTreeMap::new(),
            bench: VecDeque::new(),
            pace: pace.into(),
            pauses: Pauses::default(),
            last_number: 0,
            successes: 0,
            has_wheel: false,
            is_starting: true,
            begin: begin.map_or(second_of(now.wall) - UNKNOWN_BEGIN, second_of),
            seen: (now.instant, now.wall),
        }
    }

    /// There is this user from now on. With its object id, it is on the wheel; without, its session says when to send.
    pub fn handle_added(&mut self, user: UserIndex, id: Option<&str>) {
        self.has_wheel |= id.is_some();
        let number = self.next_number();
        self.users.add(user, User::new(number, id.map(Place::of)));
    }

    /// This user is gone. An answer that is still to come is ignored, also if the index is used again.
    pub fn handle_removed(&mut self, user: UserIndex) {
        self.users.remove(user);
    }

    /// A read found that Graph holds what this user should have, and this process has not set it: from now on its slots come, the
    /// ones since the begin of the wheel too.
    pub fn handle_found(&mut self, user: UserIndex, target: Target, now: &Now) {
        self.notice_step(now);
        let from = if self.is_starting { self.begin } else { second_of(now.wall) - UNKNOWN_BEGIN };
        let interval = Interval::of(target);
        self.users.update(user, |user| {
            user.interval = Some(interval);
            user.slot = user.place.map(|place| place.slot_from(from, interval));
            user.deadline = None;
        });
    }

    /// There is something new to say for this user: another presence, or to clear it. `is_call`: it should hold a call.
    pub fn handle_change(&mut self, user: UserIndex, is_call: bool, now: &Now) {
        let number = self.next_number();
        let is_second = self.is_starting && !is_call;
        let begin = self.begin;
        self.users.update(user, |user| {
            // Unless it is on its way at the moment, and the answer may be another one this time.
            if user.is_refused && user.stage != Stage::InFlight {
                return;
            }
            let number = match (user.change, user.place) {
                (Some(waiting), _) if waiting.is_second == is_second => waiting.number,
                // In the order of the wheel, so that it does not matter to the next process whose deadlines this one knew.
                (_, Some(place)) if is_second => place.slot_from(begin, Interval::SHORTEST).unsigned_abs(),
                (_, _) => number,
            };
            let since = user.change.map_or(now.instant, |waiting| waiting.since);
            user.change = Some(InLine { is_second, number, since });
        });
    }

    /// There is nothing new to say any more: what it should have is what it holds.
    pub fn handle_settled(&mut self, user: UserIndex) {
        self.users.update(user, |user| user.change = None);
    }

    /// The session of a user who is not on the wheel wants to set its presence again.
    pub fn handle_keepalive(&mut self, user: UserIndex, now: &Now) {
        let second = second_of(now.wall);
        self.users.update(user, |user| {
            if user.place.is_none() {
                user.slot = Some(second);
            }
        });
    }

    /// A read is wanted. One that fails is forgotten, except after a 429 or a refused token: ask again, but not at once.
    pub fn handle_read(&mut self, read: ReadIndex) {
        self.reads.push_back(read);
    }

    /// Somebody changed the setup, so this user may no longer be refused: it is sent again as a change.
    pub fn handle_setup_changed(&mut self, user: UserIndex, now: &Now) {
        let was_refused = self.users.get(user).is_some_and(|user| user.is_refused);
        if was_refused {
            self.users.update(user, |user| user.is_refused = false);
            self.handle_change(user, false, now);
        }
    }

    /// The earliest slot that is not done, for [`Pacer::new`] after a restart. `None`: nobody on the wheel holds anything.
    pub fn earliest_slot(&self) -> Option<Timestamp> {
        self.users.earliest_slot().map(begin_of)
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Where the wheel is in this second: behind it if slots are late.
    fn wheel_at(&self, second: Second) -> Second {
        self.users.earliest_slot().map_or(second, |earliest| earliest.min(second))
    }

    /// Looks whether the wall clock was set since it was last seen.
    fn notice_step(&mut self, now: &Now) {
        let (instant, wall) = std::mem::replace(&mut self.seen, (now.instant, now.wall));
        let expected = wall.checked_add(now.instant.saturating_since(instant)).unwrap_or(Timestamp::MAX);
        if now.wall.duration_since(expected).unsigned_abs() < STEP {
            return;
        }
        let step = second_of(now.wall) - second_of(expected);
        let wheel_at = self.wheel_at(second_of(expected)) + step;
        self.begin += step;
        self.users.update_all(|user| {
            user.slot = match (user.place, user.interval, user.deadline) {
                (Some(place), Some(interval), Some(_)) => Some(place.slot_from(wheel_at, interval)),
                (_, _, _) => user.slot.map(|slot| slot + step),
            };
        });
    }
}
