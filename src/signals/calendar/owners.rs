//! The calendars of many: a folder has a file or a folder for each user or each account, named after them.
//!
//! They follow the same rules as the calendar for everybody. Whoever has no entry is free. A calendar that cannot be used is
//! unknown for its own owner only. Leaves to others: who the users are (`daemon/fleet`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use tokio::sync::mpsc;

use super::collection::{Collection, OwnersObservation};
use super::files::Source;
use super::whose::Whose;
use super::{QUIET, fault};
use crate::calendar::{Schedule, SourceId};
use crate::config::{self, CalendarPlace, CalendarSource};
use crate::file_watch::Changes;
use crate::off_the_loop::off_the_loop_or_late;
use crate::policy::Reading;
use crate::signals::backoff::Backoff;
use crate::signals::{Context, Owners, OwnersReadings, Update};
use crate::warning::Warning;

/// The sources with entries of each owner, by whose entries they are.
pub(crate) fn sources(calendar: &config::Calendar) -> BTreeMap<Owners, Vec<Source>> {
    let mut sources: BTreeMap<Owners, Vec<Source>> = BTreeMap::new();
    for CalendarSource { place, optional } in &calendar.sources {
        let CalendarPlace::Owners(path) = place else { continue };
        for (owners, folder) in &path.folders {
            let source = Source { path: folder.clone(), optional: *optional, whose: Whose::Each(path.suffix) };
            sources.entry(owners.clone()).or_default().push(source);
        }
    }
    sources
}

/// Follows the calendars of these owners. Never returns.
pub(crate) async fn run(owners: Owners, sources: Vec<Source>, identity: Vec<String>, context: Context) {
    let clock = &*context.clock;
    let watch = context.file_watcher.subscribe_to_writers(QUIET).with_looks();
    let sources = (0..).map(SourceId).zip(sources).collect();
    let mut collection = Collection::of_files(sources, identity, watch, &clock.now());
    let mut publisher =
        OwnersPublisher { owners, updates: context.updates, published: HashMap::new(), is_first: true, last: None };
    let mut backoff = Backoff::new();
    let mut changes = Changes::Everything;
    // Dropped with this task, so that a running batch sees that its result is not needed any more.
    let wanted = Arc::new(());
    loop {
        let now = clock.now();
        let wanted = Arc::downgrade(&wanted);
        let place = collection.place().to_owned();
        let work = move || {
            collection.update(&changes, &now, || Weak::strong_count(&wanted) > 0);
            let observation = collection.observe_owners(&now);
            (collection, observation)
        };
        let late = async {
            let warnings = fault::late(&place, None).warnings;
            publisher.publish(OwnersObservation { readings: Vec::new(), is_known: false, warnings }, false).await;
        };
        let observation;
        (collection, observation) = off_the_loop_or_late(work, late).await;
        publisher.publish(observation, true).await;
        changes = collection.next_changes(&mut backoff, None, clock).await;
    }
}

/// Publishes what has changed.
struct OwnersPublisher {
    owners: Owners,
    updates: mpsc::Sender<Update>,
    published: HashMap<Arc<str>, Reading<Arc<Schedule>>>,
    /// No reading was published yet.
    is_first: bool,
    /// Whether the folders could be read, and what was wrong.
    last: Option<(bool, Vec<Warning>)>,
}

impl OwnersPublisher {
    /// `was_read`: the folder answered.
    async fn publish(&mut self, observation: OwnersObservation, was_read: bool) {
        let OwnersObservation { readings, is_known, warnings } = observation;
        let mut changed = BTreeMap::new();
        for (owner, reading) in readings {
            if self.published.get(&owner).is_some_and(|known| is_same(known, &reading)) {
                continue;
            }
            let reading = reading.map(Arc::new);
            if reading == Reading::Off {
                if self.published.remove(&owner).is_none() {
                    continue;
                }
            } else {
                self.published.insert(Arc::clone(&owner), reading.clone());
            }
            changed.insert((*owner).to_owned(), reading);
        }
        let general = Some((is_known, warnings.clone()));
        let replaces = was_read && std::mem::take(&mut self.is_first);
        if changed.is_empty() && !replaces && self.last == general {
            return;
        }
        self.last = general;
        let said = OwnersReadings { owners: self.owners.clone(), replaces, changed, is_known, warnings };
        if self.updates.send(Update::OwnersCalendars(said)).await.is_err() {
            // The daemon is shutting down and will drop this task.
            std::future::pending::<()>().await;
        }
    }
}

fn is_same(known: &Reading<Arc<Schedule>>, reading: &Reading<Schedule>) -> bool {
    match (known, reading) {
        (Reading::Known(known), Reading::Known(schedule)) => **known == *schedule,
        (Reading::Unknown, Reading::Unknown) => true,
        _ => false,
    }
}
