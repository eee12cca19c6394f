//! The calendar signal: keeps a [`Timeline`](crate::calendar::Timeline) in step with the configured sources, and publishes its
//! [`Schedule`](crate::calendar::Schedule).
//!
//! The sources are .ics files, folders of them, and subscriptions by URL, each of which has its last good copy in the cache
//! folder. `files` finds and opens the files, `collection` remembers what was read and reads only files that changed,
//! `subscription` keeps a copy fresh. `owners` follows the calendars of many. `once` and `extent` read the same files for commands that do not follow them.
//!
//! All reading and parsing runs off the event loop, one batch at a time; changes during a batch go into the next. While a file
//! system does not answer, what was read before counts, with a warning.
//!
//! A file counts only when it is whole. Until it is, its last good reading counts. If there is none, the calendar is unknown,
//! because the meeting that matters may be in there: for as long as the file is not whole if it is named, for a minute if it was
//! found in a folder, and not at all if its source is optional (`fault`). Leaves to others: the calendar format
//! (`crate::calendar`), and which presence an event leads to (`policy/`).

mod collection;
pub(crate) mod extent;
mod fault;
mod files;
pub(crate) mod once;
pub(crate) mod owners;
mod subscription;
mod subscription_copy;
mod subscription_fetch;
mod timelines;
mod whose;

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{self, CalendarPlace, CalendarSource};
use crate::file_watch::{Changes, WriteQuiet};
use crate::off_the_loop::off_the_loop_or_late;
use crate::signals::backoff::Backoff;
use crate::signals::batch::Batch;
use crate::signals::{Context, Publisher, Update};
use crate::tasks::spawn_into;
use collection::{Collection, nothing};
use subscription::SubscriptionStatus;
pub(crate) use subscription_copy::sweep;

use subscription_copy::CachedCopy;

/// Other programs write a calendar in pieces, some of them slowly.
const QUIET: WriteQuiet = WriteQuiet { after: Duration::from_secs(1), at_most: Duration::from_secs(10) };

/// Follows the calendar sources. Never returns.
pub async fn run(config: config::Calendar, context: Context) {
    let clock = &*context.clock;
    let mut subscriptions = Subscriptions::start(&config.sources, &context);
    let copy_of =
        |subscription: &config::Subscription| CachedCopy::of(&subscription.url, &context.cache_dir).path().to_owned();
    let watch = context.file_watcher.subscribe_to_writers(QUIET).with_looks();
    let mut collection = Collection::new(config, copy_of, watch, &clock.now());
    let mut publisher = Publisher::new(context.updates, Update::Calendar);
    let (mut backoff, mut batch) = (Backoff::new(), Batch::default());
    let mut changes = Changes::Everything;
    let mut unpublished = None;
    // Dropped with this task, so that a running batch sees that its result is not needed any more.
    let wanted = Arc::new(());
    loop {
        let now = clock.now();
        let is_settled = subscriptions.pass_on(&mut collection, &mut changes);
        let wanted = Arc::downgrade(&wanted);
        let place = collection.place().to_owned();
        let mut before = None;
        let when_late = async {
            before = publisher.last().cloned();
            publisher.publish(fault::late(&place, before.clone())).await;
        };
        let work = move || {
            collection.update(&changes, &now, || Weak::strong_count(&wanted) > 0);
            let observation = collection.observe(&now);
            (collection, observation)
        };
        let observation;
        (collection, observation) = off_the_loop_or_late(work, when_late).await;
        if observation.is_some() {
            batch.note(clock.now().instant);
            unpublished = observation;
        } else if before.is_some() {
            unpublished = before;
        }
        // Until the first fetch has ended, it is not known whether something is wrong.
        if is_settled && let Some(observation) = unpublished.take() {
            publisher.publish(observation).await;
        }
        let collects_until = batch.collects_until(clock.now().instant);
        changes = tokio::select! {
            changes = collection.next_changes(&mut backoff, collects_until, clock) => changes,
            () = subscriptions.changed() => nothing(),
        };
    }
}

/// The subscriptions, each followed by its own task, which ends when this is dropped.
struct Subscriptions {
    followed: Vec<Followed>,
    _tasks: JoinSet<()>,
}

struct Followed {
    copy: PathBuf,
    status: watch::Receiver<SubscriptionStatus>,
    /// How many of its copies were read.
    copies: u64,
}

impl Subscriptions {
    fn start(sources: &[CalendarSource], context: &Context) -> Self {
        let (mut followed, mut tasks) = (Vec::new(), JoinSet::new());
        for source in sources {
            let CalendarPlace::Subscription(subscription) = &source.place else { continue };
            let copy = CachedCopy::of(&subscription.url, &context.cache_dir);
            let (sender, status) = watch::channel(SubscriptionStatus::default());
            followed.push(Followed { copy: copy.path().to_owned(), status, copies: 0 });
            spawn_into(
                &mut tasks,
                subscription::follow(subscription.clone(), copy, Arc::clone(&context.clock), sender),
            );
        }
        Self { followed, _tasks: tasks }
    }

    /// Passes on what is new. True if each subscription has a copy, or is known to have none.
    fn pass_on(&mut self, collection: &mut Collection, changes: &mut Changes) -> bool {
        let mut is_settled = true;
        for (number, followed) in self.followed.iter_mut().enumerate() {
            let status = followed.status.borrow_and_update().clone();
            is_settled &= status.is_settled;
            collection.set_subscription_warning(number, status.warning);
            if std::mem::replace(&mut followed.copies, status.copies) != status.copies
                && let Changes::Paths(paths) = changes
            {
                paths.insert(followed.copy.clone());
            }
        }
        is_settled
    }

    /// Waits until the status of one of them changes.
    async fn changed(&mut self) {
        if self.followed.is_empty() {
            return std::future::pending().await;
        }
        let changes = self.followed.iter_mut().map(|followed| Box::pin(followed.status.changed()));
        if select_all(changes).await.0.is_err() {
            // Its task has panicked, which ends the daemon too.
            std::future::pending::<()>().await;
        }
    }
}
