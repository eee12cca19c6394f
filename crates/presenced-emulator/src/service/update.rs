//! What one event of `GET /_emulator/events` contains.

use presenced_core::time::{Instant, Now};
use serde::Serialize;

use super::Service;
use crate::faults::Fault;
use crate::journal::RequestRecord;
use crate::state::{ShownUsers, State};

/// How many requests an update shows.
const MAX_SHOWN_REQUESTS: usize = 30;

/// All that the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct Update {
    state: State,
    /// The active faults, oldest first.
    faults: Vec<Fault>,
    /// The last requests, newest first, without their bodies.
    requests: Vec<RequestRecord>,
}

impl Service {
    /// What the page shows now, and a time that is not after the next fade or expiry.
    pub(crate) fn update(&mut self, shown: ShownUsers, now: &Now) -> (Update, Option<Instant>) {
        let update = Update {
            state: self.state(shown, now),
            faults: self.faults.list(now.instant),
            requests: self.journal.newest(MAX_SHOWN_REQUESTS),
        };
        (update, self.graph.next_change())
    }
}
