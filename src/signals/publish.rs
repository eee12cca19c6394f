//! Publishing: a signal's whole state goes to the daemon when it differs from what went there last.

use tokio::sync::mpsc;

use super::{Observation, Update};

/// Where one signal publishes.
pub(super) struct Publisher<T> {
    updates: mpsc::Sender<Update>,
    wrap: fn(Observation<T>) -> Update,
    last: Option<Observation<T>>,
}

impl<T: Clone + PartialEq> Publisher<T> {
    /// Publishes as the update that `wrap` makes.
    pub(super) fn new(updates: mpsc::Sender<Update>, wrap: fn(Observation<T>) -> Update) -> Self {
        Self { updates, wrap, last: None }
    }

    /// Publishes what is new; waits while the daemon is busy.
    pub(super) async fn publish(&mut self, observation: Observation<T>) {
        if self.last.as_ref() == Some(&observation) {
            return;
        }
        self.last = Some(observation.clone());
        if self.updates.send((self.wrap)(observation)).await.is_err() {
            // Nobody listens any more: the daemon is leaving and will drop this task.
            std::future::pending::<()>().await;
        }
    }
}
