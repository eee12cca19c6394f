//! What a new configuration does to a fleet: it continues as another account, or it leaves and clears all its users.
//!
//! Leaves to others: which fleet continues as which account (`daemon/fleets`), and who its users are ([`super::roster`]).

use std::path::PathBuf;
use std::sync::Arc;

use crate::auth::{Authenticator, TokenPool};
use crate::config;
use crate::presence::Expiration;
use crate::time::Now;

use super::journal::Journal;
use super::reads::Reads;
use super::token::TokenState;
use super::{Fleet, Phase};

impl Fleet {
    /// The account has changed, or what it signs in with may have. Its users stay, even those who were leaving with it.
    pub(in crate::daemon) fn reconfigure(
        &mut self,
        name: &str,
        config: config::Account,
        kept: Option<PathBuf>,
        environment: &config::Environment,
        tokens: &TokenPool,
        now: &Now,
    ) {
        let (is_other_name, was_leaving) = (self.name != name, self.phase == Phase::Leaving);
        let is_other_roster = config.users != self.config.users || was_leaving;
        if was_leaving {
            self.dropped_at = None;
            self.phase = if self.users.is_empty() { Phase::Loading } else { Phase::AtWork };
        }
        if is_other_name || was_leaving {
            name.clone_into(&mut self.name);
            // Nothing is kept under the old name.
            self.journal.replace(std::iter::empty());
            self.journal = Journal::start(kept);
            self.rewrite_journal(now);
        }
        if config == self.config && !is_other_name {
            self.authenticator = Arc::new(self.authenticator.anew(environment));
        } else {
            let metrics = Arc::clone(&self.metrics);
            self.authenticator = Arc::new(Authenticator::sharing(&self.name, &config, environment, tokens, metrics));
            self.config = config;
        }
        self.all_changed = true;
        self.token = TokenState::absent();
        self.confirm_roster(now);
        if is_other_roster {
            self.is_following = false;
            self.load_configured(now);
        }
        let users: Vec<_> = self.users.iter().map(|(index, _)| index).collect();
        for user in users {
            self.pacer.handle_setup_changed(user, now);
        }
    }

    /// Whether the account of the new configuration holds the same sessions.
    pub(in crate::daemon) fn is_same_application(&self, config: &config::Account) -> bool {
        config.users.is_some()
            && config.tenant.eq_ignore_ascii_case(&self.config.tenant)
            && config.client_id.eq_ignore_ascii_case(&self.config.client_id)
            && config.endpoints == self.config.endpoints
    }

    /// The account is no longer configured: every user is cleared, at the paced rate.
    pub(in crate::daemon) fn leave(&mut self, now: &Now) {
        self.phase = Phase::Leaving;
        self.dropped_at.get_or_insert(now.instant + Expiration::MAX.as_duration());
        // The file may be another fleet's from now on.
        self.journal = Journal::start(None);
        // What others see of them does not matter any more.
        self.reads = Reads::default();
        let users: Vec<_> = self.users.iter().map(|(index, _)| index).collect();
        for user in users {
            self.dismiss(user, now);
        }
    }

    /// Another account of the same application holds the session of this user from now on.
    pub(in crate::daemon) fn hand_over(&mut self, other: &config::Account, now: &Now) {
        let is_same = other.client_id.eq_ignore_ascii_case(&self.config.client_id)
            && other.endpoints.graph == self.config.endpoints.graph;
        let user = other.user.as_ref().filter(|_| is_same && self.phase == Phase::Leaving);
        if let Some(user) = user.and_then(|user| self.users.find(user)) {
            self.remove(user, now);
        }
    }

    /// Whether it has finished leaving.
    pub(in crate::daemon) fn has_left(&self, now: &Now) -> bool {
        let is_dropped = self.dropped_at.is_some_and(|at| at <= now.instant);
        self.phase == Phase::Leaving && (self.users.is_empty() || is_dropped)
    }
}
