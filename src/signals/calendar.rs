//! The calendar signal: keeps a [`Timeline`] true to the configured calendar files, and publishes its [`Schedule`].
//!
//! All reading and parsing is done off the event loop, one batch at a time: what changes during a batch makes the next.
//! Only files that changed are read again. A source that cannot be read makes the calendar unknown, because the meeting
//! that matters may be the one in there. Leaves to others: finding the files (`calendar_files`), what is in them.

use std::sync::{Arc, Weak};

use super::backoff::{Backoff, until};
use super::calendar_collection::Collection;
use super::watch::Changes;
use super::{Context, Publisher, Update};
use crate::config;

/// Follows the calendar files. Never returns.
pub async fn run(config: config::Calendar, context: Context) {
    let clock = &*context.clock;
    let mut publisher = Publisher::new(context.updates, Update::Calendar);
    let mut collection = Collection::new(config, context.watches.share(), &clock.now());
    let mut backoff = Backoff::new();
    let mut changes = Changes::Everything;
    // Dropped with this task, which tells a batch that nobody waits for it any more.
    let wanted = Arc::new(());
    loop {
        let now = clock.now();
        let wanted = Arc::downgrade(&wanted);
        let observation;
        (collection, observation) = off_the_loop(move || {
            collection.update(&changes, &now, || Weak::strong_count(&wanted) > 0);
            let observation = collection.observe();
            (collection, observation)
        })
        .await;
        publisher.publish(observation).await;
        let retry = if collection.wants_another_try() {
            Some(backoff.next(clock.now().instant))
        } else {
            backoff = Backoff::new();
            None
        };
        let window_moves = collection.window_moves();
        changes = tokio::select! {
            changes = collection.changed(clock) => changes,
            () = clock.sleep_until_wall(window_moves) => Changes::Paths(std::collections::BTreeSet::new()),
            () = until(clock, retry) => Changes::Everything,
        };
    }
}

/// Runs `work` where it may block.
async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down and drops this task next.
        Err(_) => std::future::pending().await,
    }
}
