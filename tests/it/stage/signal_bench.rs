//! A bench for signal tasks: a clock that moves only when the test moves it, and the observations a task publishes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use presenced::signals::{Buses, Context, FileWatcher, LockedSessions, Observation, SleepHold, Update};
use presenced::time::{Clock, Instant, Now};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// A hang guard, not a measure: what is waited for comes in milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A clock that stands still until it is moved.
pub(crate) struct ManualClock {
    now: watch::Sender<Now>,
    /// How often somebody set the wall clock.
    jumps: watch::Sender<u32>,
    /// How many wait until which instant or wall time.
    sleepers: Mutex<BTreeMap<Until, usize>>,
    changed: tokio::sync::Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Until {
    Instant(Instant),
    Wall(Timestamp),
}

struct Asleep<'a>(&'a ManualClock, Until);

impl<'a> Asleep<'a> {
    fn new(clock: &'a ManualClock, until: Until) -> Self {
        *clock.sleepers.lock().unwrap().entry(until).or_default() += 1;
        clock.changed.notify_one();
        Self(clock, until)
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        *self.0.sleepers.lock().unwrap().get_mut(&self.1).unwrap() -= 1;
    }
}

impl ManualClock {
    pub(crate) fn at(wall: &str) -> Arc<Self> {
        let instant = Instant::from_origin(Duration::from_secs(1000));
        let now = Now { instant, wall: wall.parse().unwrap(), zone: TimeZone::UTC };
        Arc::new(Self {
            now: watch::Sender::new(now),
            jumps: watch::Sender::new(0),
            sleepers: Mutex::default(),
            changed: tokio::sync::Notify::new(),
        })
    }

    /// Lets time pass once somebody waits for exactly that long.
    pub(crate) async fn pass(&self, duration: Duration) {
        self.is_waited_for(duration).await;
        let now = self.now.borrow().clone();
        let wall = now.wall.checked_add(duration).unwrap();
        self.now.send_modify(|now| (now.instant, now.wall) = (now.instant + duration, wall));
    }

    /// Waits until somebody waits for just so long from now.
    pub(crate) async fn is_waited_for(&self, duration: Duration) {
        let now = self.now.borrow().clone();
        let wall = now.wall.checked_add(duration).unwrap();
        let targets = [Until::Instant(now.instant + duration), Until::Wall(wall)];
        soon(&format!("a wait of {duration:?}"), async {
            while !self.waits_for(&targets) {
                self.changed.notified().await;
            }
        })
        .await;
    }

    /// Lets time pass, whatever is waited for.
    pub(crate) fn advance(&self, duration: Duration) {
        self.now.send_modify(|now| {
            (now.instant, now.wall) = (now.instant + duration, now.wall.checked_add(duration).unwrap());
        });
    }

    /// The machine sleeps: both clocks advance, and for whoever waits in wall time, the wall clock was set.
    pub(crate) fn suspend(&self, duration: Duration) {
        self.advance(duration);
        self.jumps.send_modify(|jumps| *jumps += 1);
    }

    fn waits_for(&self, targets: &[Until]) -> bool {
        let sleepers = self.sleepers.lock().unwrap();
        targets.iter().any(|target| sleepers.get(target).is_some_and(|&count| count > 0))
    }

    /// When the next sleeper is due. A time that has passed belongs to one that has not been polled since.
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        let now = self.now.borrow().clone();
        let sleepers = self.sleepers.lock().unwrap();
        let waiting = sleepers.iter().filter(|&(_, &count)| count > 0);
        let at = waiting.map(|(until, _)| match until {
            Until::Instant(instant) => *instant,
            Until::Wall(wall) => now.instant_at(*wall),
        });
        at.min()
    }

    /// Sets the wall clock, as a person or a time server does, and the zone.
    pub(crate) fn set_wall(&self, wall: &str, zone: TimeZone) {
        self.now.send_modify(|now| (now.wall, now.zone) = (wall.parse().unwrap(), zone));
        self.jumps.send_modify(|jumps| *jumps += 1);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        self.now.borrow().clone()
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let _asleep = Asleep::new(self, Until::Instant(deadline));
            let _ = self.now.subscribe().wait_for(|now| now.instant >= deadline).await;
        })
    }

    fn sleep_until_wall(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let _asleep = Asleep::new(self, Until::Wall(deadline));
            let (mut now, mut jumps) = (self.now.subscribe(), self.jumps.subscribe());
            jumps.mark_unchanged();
            tokio::select! {
                _ = now.wait_for(|now| now.wall >= deadline) => {}
                _ = jumps.changed() => {}
            }
        })
    }
}

/// A running signal task, and what it publishes.
pub(crate) struct Signal<T> {
    updates: mpsc::Receiver<Update>,
    unwrap: fn(Update) -> Option<Observation<T>>,
    /// What holds sleep up.
    pub(crate) holds: Vec<SleepHold>,
    task: JoinSet<()>,
}

impl<T: Debug> Signal<T> {
    /// Starts `run`; `unwrap` picks its kind of update.
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static, C: Clock + 'static>(
        clock: &Arc<C>,
        buses: Buses,
        unwrap: fn(Update) -> Option<Observation<T>>,
        run: impl FnOnce(Context) -> F,
    ) -> Self {
        Self::start_in(clock, buses, "/nonexistent".into(), unwrap, run)
    }

    /// The same with a cache folder.
    pub(crate) fn start_in<F: Future<Output = ()> + Send + 'static, C: Clock + 'static>(
        clock: &Arc<C>,
        buses: Buses,
        cache_dir: PathBuf,
        unwrap: fn(Update) -> Option<Observation<T>>,
        run: impl FnOnce(Context) -> F,
    ) -> Self {
        let (sender, updates) = mpsc::channel(16);
        let context = Context {
            clock: clock.clone(),
            updates: sender,
            buses,
            file_watcher: FileWatcher::new(),
            cache_dir,
            locked_sessions: LockedSessions::default(),
        };
        let mut task = JoinSet::new();
        task.spawn(run(context));
        Self { updates, unwrap, holds: Vec::new(), task }
    }

    /// The next observation.
    pub(crate) async fn next(&mut self) -> Observation<T> {
        loop {
            let update = soon("an observation", self.updates.recv()).await.expect("the task runs");
            if let Update::SleepHold(hold) = update {
                self.holds.push(hold);
            } else {
                return (self.unwrap)(update).expect("an update of this signal");
            }
        }
    }

    /// The first observation from now on for which `wanted` holds; others in between are passed over.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Observation<T>) -> bool) -> Observation<T> {
        loop {
            let observation = self.next().await;
            if wanted(&observation) {
                return observation;
            }
        }
    }

    /// Ends the task.
    pub(crate) async fn stop(mut self) {
        self.task.shutdown().await;
    }
}
