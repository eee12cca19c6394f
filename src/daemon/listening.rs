//! Where metrics and health are told over TCP, if they are to be. The presence does not depend on it: an address that is not to
//! be had is a warning, and is tried again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::metrics::Metrics;
use crate::status::Listener;
use crate::status::report::Report;
use crate::time::{Instant, Now};
use crate::warning::{Code, Warning};

/// How long after a failure it is tried again: nobody announces that a port is free.
const RETRY: Duration = Duration::from_secs(30);

/// The listener, or why there is none.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// `None`: it is off.
    address: Option<SocketAddr>,
    /// The one that serves; dropping it frees the address.
    serving: JoinSet<()>,
    /// When to try, while there is none.
    due: Option<Instant>,
    failure: Option<String>,
}

impl Listening {
    /// Listens at `address` from the next turn on, or not at all.
    pub(super) fn configure(&mut self, address: Option<SocketAddr>, now: &Now) {
        if address == self.address && self.failure.is_none() {
            return;
        }
        // The old one is gone by the next turn, and its port free, which may be the new one's too.
        *self = Self { address, due: address.map(|_| now.instant), ..Self::default() };
    }

    /// Trying again is worth it now.
    pub(super) fn nudge(&mut self, now: &Now) {
        self.due = self.due.map(|due| due.min(now.instant));
    }

    /// Begins to listen where that is due.
    pub(super) fn drain(&mut self, reports: &watch::Sender<Arc<Report>>, metrics: &Arc<Metrics>, now: &Now) {
        let Some(address) = self.address.filter(|_| self.due.is_some_and(|due| due <= now.instant)) else { return };
        match Listener::bind(address) {
            Ok(listener) => {
                tracing::info!("metrics and health are at http://{}", listener.address());
                self.serving.spawn(listener.serve(reports.subscribe(), Arc::clone(metrics)));
                (self.due, self.failure) = (None, None);
            }
            Err(error) => {
                self.failure = Some(format!("cannot listen at {address} for metrics and health: {error}"));
                self.due = Some(now.instant + RETRY);
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
            hint: "stop what has that address, or change `listen` in [status] and run `presenced reload`".to_owned(),
        })
    }
}
