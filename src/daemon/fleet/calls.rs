//! The calls of users, as their call-state files say.
//!
//! Leaves to others: the files (`signals/call/users`), and what is set through the socket, which comes first (`own`).

use std::collections::HashMap;

use crate::config;
use crate::policy::{Call, CallState, Reading, Snapshot, strongest};
use crate::signals::UserCalls;
use crate::warning::Warning;

/// What the files say about everybody.
#[derive(Debug, Default)]
pub(in crate::daemon) struct FileCalls {
    /// Whether calls have a file for each user.
    is_on: bool,
    /// Whether the folder was read.
    is_heard: bool,
    is_known: bool,
    /// What a user without a file is in: no call, or unknown where files can be stale.
    without_file: Reading<Call>,
    /// By the name of the file: an object id, or the name of a user.
    readings: HashMap<String, Reading<Call>>,
    warnings: Vec<Warning>,
}

impl FileCalls {
    /// Turns them on and off, as the configuration says.
    pub(in crate::daemon) fn configure(&mut self, signals: &config::Signals) {
        let call = signals.call.as_ref().filter(|call| call.users_folder().is_some());
        let idle = Reading::Known(Call { state: CallState::Idle, app: None });
        let without_file = if call.is_some_and(|call| call.stale_after.is_some()) { Reading::Unknown } else { idle };
        *self = Self { is_on: call.is_some(), without_file, ..Self::default() };
    }

    /// Whether nothing is to be waited for before a decision.
    pub(in crate::daemon) fn is_complete(&self) -> bool {
        !self.is_on || self.is_heard
    }

    /// Takes in what has changed. True: that concerns everybody.
    pub(in crate::daemon) fn hear(&mut self, said: UserCalls) -> bool {
        let UserCalls { changed, is_known, warnings } = said;
        let concerns_all = !std::mem::replace(&mut self.is_heard, true) || self.is_known != is_known;
        (self.is_known, self.warnings) = (is_known, warnings);
        for (name, reading) in changed {
            if reading == Reading::Off {
                self.readings.remove(&name);
            } else {
                self.readings.insert(name, reading);
            }
        }
        concerns_all
    }

    pub(in crate::daemon) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The machine's readings with the call of the user of this id and name. `None`: calls have no file for each user.
    pub(super) fn over(&self, machine: &Snapshot, id: &str, name: Option<&str>) -> Option<Snapshot> {
        let reading = |name: &str| self.readings.get(name).cloned();
        let by_name = name.and_then(reading);
        let call = match (reading(id), by_name) {
            _ if !self.is_on => return None,
            _ if !self.is_known => Reading::Unknown,
            (Some(one), Some(other)) => strongest(one, other),
            (one, other) => one.or(other).unwrap_or_else(|| self.without_file.clone()),
        };
        Some(Snapshot { call, ..machine.clone() })
    }
}
