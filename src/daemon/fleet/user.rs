//! One user of many: the decision in force, what is set for them alone, and the session.

use std::sync::Arc;

use jiff::Timestamp;

use crate::failure::FailureKind;
use crate::pacer::Ticket;
use crate::policy::{Decision, Snapshot};
use crate::presence::Presence;
use crate::session::{Action, PacedSession, State, Target};
use crate::time::{Instant, Now};

use super::super::owners::UserNames;
use super::Readings;
use super::own::Own;

/// Why requests for users fail; users with the same reason share it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reason {
    pub(super) kind: FailureKind,
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

/// A request that is on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) ticket: Ticket,
    pub(super) action: Action,
    pub(super) sent_at: Instant,
}

/// What a user counts as in the summary: what the session does, and what it should hold.
pub(super) type Row = (State, Option<Presence>);

/// One user.
#[derive(Debug)]
pub(super) struct User {
    /// The object id, in lower case.
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) session: PacedSession,
    pub(super) own: Option<Box<Own>>,
    pub(super) decision: Option<Box<Decision>>,
    /// Wall time since which the same rule has asked for the same presence.
    pub(super) since: Option<Timestamp>,
    /// What the decision asks for; `None`: nothing, or nothing was decided yet.
    pub(super) wish: Option<Target>,
    /// When that changed, until Graph holds it. Not for the first wish, because a start takes as long as the pace says.
    pub(super) changed_at: Option<Instant>,
    pub(super) flight: Option<Flight>,
    /// A read will show whether Graph holds the wish already.
    pub(super) awaits_read: bool,
    /// It is missing where users are listed: when it leaves if it still is.
    pub(super) dismissed_at: Option<Instant>,
    /// It leaves: it is removed once its session is cleared.
    pub(super) is_leaving: bool,
    pub(super) reason: Option<Arc<Reason>>,
    /// When the decision must be made again, on both clocks, and when what is held fades or expires.
    pub(super) decide_at: Option<Instant>,
    pub(super) decide_at_wall: Option<Timestamp>,
    pub(super) fades_at: Option<Instant>,
    /// What should be held has faded or expired.
    pub(super) has_faded: bool,
    /// When a change that Graph does not hold is worth a record.
    pub(super) settles_at: Option<Instant>,
    pub(super) counted_as: Option<Row>,
    /// What the last record about it says, as a hash.
    pub(super) recorded: Option<u64>,
}

impl User {
    pub(super) fn new(id: String, name: Option<String>, awaits_read: bool) -> Self {
        Self {
            id,
            name,
            session: PacedSession::default(),
            own: None,
            decision: None,
            since: None,
            wish: None,
            changed_at: None,
            flight: None,
            awaits_read,
            dismissed_at: None,
            is_leaving: false,
            reason: None,
            decide_at: None,
            decide_at_wall: None,
            fades_at: None,
            has_faded: false,
            settles_at: None,
            counted_as: None,
            recorded: None,
        }
    }

    /// The readings for this user of `account`, if they are not just the machine's.
    pub(super) fn readings(&self, account: &str, readings: &Readings<'_>, now: &Now) -> Option<Snapshot> {
        let names = UserNames { id: &self.id, name: self.name.as_deref() };
        let from_files = readings.owners.over(readings.machine, account, Some(names));
        // What is set for the account comes before what files say.
        let from_files = from_files.map(|files| match readings.of_account {
            Some(own) => own.over(&files, now),
            None => files,
        });
        match &self.own {
            Some(own) => Some(own.over(from_files.as_ref().unwrap_or(readings.machine), now)),
            None => from_files,
        }
    }

    /// Whether Graph refuses its requests.
    pub(super) fn is_refused(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| reason.kind == FailureKind::Refused)
    }

    /// The presence that it should hold.
    pub(super) fn desired(&self) -> Option<Presence> {
        self.wish.map(|target| target.presence)
    }

    pub(super) fn row(&self, now: &Now) -> Row {
        let state = if self.is_leaving { State::Stopping } else { self.session.state(now.instant) };
        (state, self.desired())
    }
}
