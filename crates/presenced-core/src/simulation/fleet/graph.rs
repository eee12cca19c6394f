//! A model of Graph for many users of one application: its limit, and the two clocks of each session. It was written from Graph's
//! documentation alone, and shares no code with the pacer.
//!
//! - 1,500 requests in any 30 s for an application in a tenant. Each part of a `$batch` counts. The documentation does not say
//!   whether a refused request counts, so here it does, which is the worst case.
//! - A session that is Available fades 5 minutes after it was last set. The others are Offline when `expirationDuration` has passed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::session::Target;
use crate::time::Instant;

pub(super) const LIMIT: usize = 1500;
const WINDOW: Duration = Duration::from_secs(30);
const FADES_AFTER: Duration = Duration::from_mins(5);

/// What the application's session of a user holds.
#[derive(Clone, Copy)]
struct Held {
    target: Target,
    set_at: Instant,
}

impl Held {
    fn ends_at(self) -> Instant {
        let expires_after = self.target.expiration.as_duration();
        let fades = self.target.presence.availability() == "Available";
        self.set_at + if fades { expires_after.min(FADES_AFTER) } else { expires_after }
    }
}

/// How a request ended at Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    TooManyRequests(Duration),
}

pub(super) struct Graph {
    pub(super) limit: usize,
    sessions: Vec<Option<Held>>,
    /// When the requests of the last 30 s came.
    recent: VecDeque<Instant>,
    /// The most requests that came in any 30 s.
    pub(super) busiest: usize,
    /// Of each session that ended although nobody cleared it, when it did.
    pub(super) ended: Vec<Instant>,
    pub(super) throttled: usize,
    /// The longest time between two requests that set the same Available session.
    pub(super) longest_gap: Duration,
}

impl Graph {
    pub(super) fn new(users: usize) -> Self {
        Self {
            limit: LIMIT,
            sessions: vec![None; users],
            recent: VecDeque::new(),
            busiest: 0,
            ended: Vec::new(),
            throttled: 0,
            longest_gap: Duration::ZERO,
        }
    }

    /// A request arrives. Whatever it is, it counts.
    pub(super) fn arrive(&mut self, now: Instant) -> Status {
        while self.recent.front().is_some_and(|at| now.saturating_since(*at) >= WINDOW) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.busiest = self.busiest.max(self.recent.len());
        if self.recent.len() <= self.limit {
            return Status::Ok;
        }
        self.throttled += 1;
        let oldest = self.recent.front().copied().unwrap_or(now);
        Status::TooManyRequests((oldest + WINDOW).saturating_since(now))
    }

    /// `setPresence`, or `clearPresence` for nothing.
    pub(super) fn set(&mut self, user: usize, target: Option<Target>, now: Instant) {
        let before = std::mem::replace(&mut self.sessions[user], target.map(|target| Held { target, set_at: now }));
        let Some(before) = before else { return };
        self.note_end(before, now);
        if before.ends_at() == before.set_at + FADES_AFTER {
            self.longest_gap = self.longest_gap.max(now.saturating_since(before.set_at));
        }
    }

    /// What others see: nothing if it faded or expired.
    pub(super) fn read(&self, user: usize, now: Instant) -> Option<Target> {
        self.sessions[user].filter(|held| now < held.ends_at()).map(|held| held.target)
    }

    /// Counts the sessions that have ended by now and were not set since.
    pub(super) fn close(&mut self, now: Instant) {
        for held in self.sessions.clone().into_iter().flatten() {
            self.note_end(held, now);
        }
    }

    fn note_end(&mut self, held: Held, now: Instant) {
        if now >= held.ends_at() {
            self.ended.push(held.ends_at());
        }
    }
}
