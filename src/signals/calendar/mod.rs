//! The calendar signal: keeps a [`Timeline`](crate::calendar::Timeline) true to the configured sources, and publishes its
//! [`Schedule`](crate::calendar::Schedule).
//!
//! All reading and parsing is done off the event loop, one batch at a time: what changes during a batch makes the next.
//! Only files that changed are read again. A source that cannot be read makes the calendar unknown, because the meeting
//! that matters may be the one in there. Leaves to others: finding the files (`files`), fetching subscriptions
//! (`subscription`), what is in them.

mod collection;
pub(crate) mod extent;
mod files;
pub(crate) mod once;
mod subscription;
mod subscription_copy;
mod subscription_fetch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{self, CalendarSource};
use crate::file_watch::Changes;
use crate::signals::backoff::{Backoff, until};
use crate::signals::batch::Burst;
use crate::signals::{Context, Publisher, Update};
use collection::Collection;
use subscription::{Standing, Subscription};
use subscription_copy::CachedCopy;

/// Follows the calendar sources. Never returns.
pub async fn run(config: config::Calendar, context: Context) {
    let clock = &*context.clock;
    let mut subscriptions = Subscriptions::start(&config.sources, &context);
    let copy_of =
        |subscription: &config::Subscription| CachedCopy::of(&subscription.url, &context.cache_dir).path().to_owned();
    let mut collection = Collection::new(config, copy_of, context.file_watcher.subscribe(), &clock.now());
    let mut publisher = Publisher::new(context.updates, Update::Calendar);
    let (mut backoff, mut burst) = (Backoff::new(), Burst::default());
    let mut changes = Changes::Everything;
    let mut unpublished = None;
    // Dropped with this task, which tells a batch that nobody waits for it any more.
    let wanted = Arc::new(());
    loop {
        let now = clock.now();
        let settled = subscriptions.take_in(&mut collection, &mut changes);
        let wanted = Arc::downgrade(&wanted);
        let observation;
        (collection, observation) = off_the_loop(move || {
            collection.update(&changes, &now, || Weak::strong_count(&wanted) > 0);
            let observation = collection.observe();
            (collection, observation)
        })
        .await;
        if observation.is_some() {
            burst.note(clock.now().instant);
            unpublished = observation;
        }
        // Before the first fetch has ended nobody knows whether something is wrong.
        if settled && let Some(observation) = unpublished.take() {
            publisher.publish(observation).await;
        }
        let now = clock.now();
        if !collection.is_current(&now) {
            changes = nothing();
            continue;
        }
        let retry = if collection.wants_another_try() {
            Some(backoff.next(now.instant))
        } else {
            backoff = Backoff::new();
            None
        };
        let window_moves = collection.window_moves();
        let gathered = async {
            if let Some(end) = burst.gathers_until(clock.now().instant) {
                clock.sleep_until(end).await;
            }
            collection.changed(clock).await
        };
        changes = tokio::select! {
            changes = gathered => changes,
            () = subscriptions.changed() => nothing(),
            () = clock.sleep_until_wall(window_moves) => nothing(),
            () = until(clock, retry) => Changes::Everything,
        };
    }
}

const fn nothing() -> Changes {
    Changes::Paths(BTreeSet::new())
}

/// The subscriptions, each followed by a task of its own that ends with this.
struct Subscriptions {
    followed: Vec<Followed>,
    _tasks: JoinSet<()>,
}

struct Followed {
    copy: PathBuf,
    standing: watch::Receiver<Standing>,
    /// How many of its copies were read.
    copies: u64,
}

impl Subscriptions {
    fn start(sources: &[CalendarSource], context: &Context) -> Self {
        let (mut followed, mut tasks) = (Vec::new(), JoinSet::new());
        let now = context.clock.now();
        for source in sources {
            let CalendarSource::Subscription(subscription) = source else { continue };
            let subscription = Subscription::new(subscription.clone(), &context.cache_dir, &now);
            let (sender, standing) = watch::channel(subscription.standing(&now));
            followed.push(Followed { copy: subscription.path().to_owned(), standing, copies: 0 });
            tasks.spawn(subscription.follow(Arc::clone(&context.clock), sender));
        }
        Self { followed, _tasks: tasks }
    }

    /// Hands over what is new of them. True when of each there is a copy, or word that there is none.
    fn take_in(&mut self, collection: &mut Collection, changes: &mut Changes) -> bool {
        let mut settled = true;
        for (number, followed) in self.followed.iter_mut().enumerate() {
            let standing = followed.standing.borrow_and_update().clone();
            settled &= standing.settled;
            collection.set_subscription_warning(number, standing.warning);
            if std::mem::replace(&mut followed.copies, standing.copies) != standing.copies
                && let Changes::Paths(paths) = changes
            {
                paths.insert(followed.copy.clone());
            }
        }
        settled
    }

    /// Waits until one of them stands differently.
    async fn changed(&mut self) {
        if self.followed.is_empty() {
            return std::future::pending().await;
        }
        let changes = self.followed.iter_mut().map(|followed| Box::pin(followed.standing.changed()));
        if select_all(changes).await.0.is_err() {
            // Its task has panicked, which ends the daemon too.
            std::future::pending::<()>().await;
        }
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
