//! Serves metrics and health over TCP, if `[status] listen` says so. The presence does not depend on it: an address that is not
//! available is a warning, and is tried again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::metrics::Metrics;
use crate::status::Listener;
use crate::status::report::Report;
use crate::tasks::spawn_into;
use crate::time::{Instant, Now};
use crate::warning::{Code, Warning};

/// How long after a failure to try again: nobody announces that a port is free.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// The listener, or why it is missing.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// `None`: it is off.
    address: Option<SocketAddr>,
    /// The running listener; dropping it frees the address.
    serving: JoinSet<()>,
    /// When to try next, while it is missing.
    due: Option<Instant>,
    failure: Option<String>,
}

impl Listening {
    /// Listens at `address` from the next turn on, or not at all.
    pub(super) fn configure(&mut self, address: Option<SocketAddr>, now: &Now) {
        if address == self.address && self.failure.is_none() {
            return;
        }
        // By the next turn the old listener is gone and its port is free, which the new one may need.
        *self = Self { address, due: address.map(|_| now.instant), ..Self::default() };
    }

    /// A new attempt is worthwhile now.
    pub(super) fn nudge(&mut self, now: &Now) {
        self.due = self.due.map(|due| due.min(now.instant));
    }

    /// Starts to listen if that is due.
    pub(super) fn drain(&mut self, reports: &watch::Sender<Arc<Report>>, metrics: &Arc<Metrics>, now: &Now) {
        let Some(address) = self.address.filter(|_| self.due.is_some_and(|due| due <= now.instant)) else { return };
        match Listener::bind(address) {
            Ok(listener) => {
                tracing::info!("metrics and health are at http://{}", listener.address());
                spawn_into(&mut self.serving, listener.serve(reports.subscribe(), Arc::clone(metrics)));
                (self.due, self.failure) = (None, None);
            }
            Err(error) => {
                self.failure = Some(format!("cannot listen at {address} for metrics and health: {error}"));
                self.due = Some(now.instant + RETRY_INTERVAL);
            }
        }
    }

    /// When to look again.
    pub(super) fn next_wakeup(&self) -> Option<Instant> {
        self.due
    }

    /// What is wrong.
    pub(super) fn warning(&self) -> Option<Warning> {
        self.failure.as_ref().map(|failure| Warning {
            code: Code::ListenFailed,
            text: failure.clone(),
            hint: "stop the program that uses this address, or change `listen` in [status] and run `presenced reload`"
                .to_owned(),
        })
    }
}
