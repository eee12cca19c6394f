//! The handle through which a program holds the emulator: serve it, look at it, break it. Leaves the behaviour to `service`.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};

use super::clock::Clock;
use super::faults::{Fault, FaultError};
use super::http;
use super::journal::{Outcome, RequestRecord};
use super::model::{Pair, Timeline, UserPresence};
use super::options::Options;
use super::service::Service;
use super::state::{ShownUsers, State, UserState};
use super::tls::Tls;

/// How many records a subscriber may leave unread before it loses the oldest.
const MAX_UNREAD_RECORDS: usize = 1_024;

/// A handle to an emulator. Clones share the emulator.
///
/// Tests usually want a [`Server`](crate::Server), which also binds a port. All methods may be called while it serves, from any
/// thread.
#[derive(Clone)]
pub struct Emulator {
    service: Arc<Mutex<Service>>,
    clock: Arc<dyn Clock>,
    records: broadcast::Sender<RequestRecord>,
    changes: watch::Sender<()>,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").finish_non_exhaustive()
    }
}

impl Emulator {
    /// A fresh emulator: no requests, no sessions, no faults. All its time comes from `clock`.
    pub fn new(options: Options, clock: Arc<dyn Clock>) -> Self {
        let service = Service::new(options, &clock.now());
        Self {
            service: Arc::new(Mutex::new(service)),
            clock,
            records: broadcast::Sender::new(MAX_UNREAD_RECORDS),
            changes: watch::Sender::new(()),
        }
    }

    /// Serves on `listener` until the returned future is dropped. Dropping it closes every connection.
    ///
    /// # Errors
    /// The listener is not on a loopback address although there are no [`Options::hosts`] ([`io::ErrorKind::InvalidInput`]), or
    /// its address cannot be read.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<Infallible> {
        http::serve(self, listener, None).await
    }

    /// Serves with TLS on `listener` until the returned future is dropped. It may serve without TLS on another one at the same time.
    ///
    /// # Errors
    /// As for [`serve`](Self::serve).
    pub async fn serve_tls(&self, listener: TcpListener, tls: Tls) -> io::Result<Infallible> {
        self.service().ca_pem = Some(tls.ca_pem.clone());
        http::serve(self, listener, Some(tls)).await
    }

    /// What others see of a user now. `user` is an object id or a user principal name; case does not matter. `None` if there is
    /// no such user.
    pub fn visible(&self, user: &str) -> Option<Pair> {
        let now = self.clock.now();
        self.service().graph.presence(user, &now).map(UserPresence::visible)
    }

    /// What others saw of a user since the emulator started, with the time and cause of each change. The newest 10,000 changes are
    /// kept, and 400,000 of all users together: each of 12,000 users has 33. `None` if there is no such user.
    pub fn timeline(&self, user: &str) -> Option<Timeline> {
        let now = self.clock.now();
        self.service().graph.presence(user, &now).map(UserPresence::timeline)
    }

    /// The whole state now: users, sessions, request counts, pending sign-ins. If the directory has more than 20 users, it has only
    /// their [`summary`](State::summary). `GET /_emulator/state` returns the same as JSON.
    pub fn state(&self) -> State {
        let now = self.clock.now();
        self.service().state(ShownUsers::IfFew, &now)
    }

    /// The whole state now, with every user however many there are. `GET /_emulator/state?users=all` returns the same as JSON.
    pub fn state_of_all(&self) -> State {
        let now = self.clock.now();
        self.service().state(ShownUsers::All, &now)
    }

    /// The state of one user now. `user` is an object id or a user principal name; case does not matter. `None` if there is no such
    /// user.
    pub fn state_of(&self, user: &str) -> Option<UserState> {
        let now = self.clock.now();
        let mut service = self.service();
        let place = service.graph.directory().place(user)?;
        service.graph.user_state(place, &now).map(|(_, state)| state)
    }

    /// Looks for the [busiest window](crate::Busiest) from now on, for example when the start of a program is over.
    pub fn forget_busiest(&self) {
        let now = self.clock.now();
        self.service().graph.throttler().forget_busiest(now.instant);
    }

    /// The newest 2,000 requests to Graph and Entra, oldest first, including those without an answer yet. Requests to the
    /// emulator's own pages are not recorded.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.service().journal.records(0)
    }

    /// Waits for a request that has ended and that `matches` accepts, and returns its record.
    ///
    /// A request that ended before this call counts too, so no request can be missed. The oldest match is returned. The client
    /// may not have read its answer yet. This waits forever if there is no such request: wrap it in `tokio::time::timeout`.
    pub async fn wait_for(&self, matches: impl Fn(&RequestRecord) -> bool) -> RequestRecord {
        let mut records = self.subscribe();
        loop {
            let ended = self.requests().into_iter().filter(|record| record.outcome != Outcome::Pending);
            if let Some(record) = ended.into_iter().find(&matches) {
                return record;
            }
            while let Ok(record) = records.recv().await {
                if matches(&record) {
                    return record;
                }
            }
            // Some were lost, but the journal has them.
        }
    }

    /// Each request from now on, sent when it ends. A receiver that falls more than 1,024 records behind loses the oldest and gets
    /// [`Lagged`](broadcast::error::RecvError::Lagged).
    pub fn subscribe(&self) -> broadcast::Receiver<RequestRecord> {
        self.records.subscribe()
    }

    /// The newest 10,000 secrets that the sign-in service issued, oldest first: access, refresh and `id` tokens, and device codes.
    /// A test can check that none of them is in a log.
    pub fn issued_secrets(&self) -> Vec<String> {
        self.service().entra.issued_secrets()
    }

    /// Injects a fault. It acts from now on, or from its [`at`](Fault::at).
    ///
    /// # Errors
    /// The fault is invalid, or 100 faults are active already.
    pub fn inject(&self, fault: Fault) -> Result<(), FaultError> {
        let now = self.clock.now();
        let added = self.service().faults.add(fault, &now);
        self.note_change();
        added
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.service().faults.clear();
        self.note_change();
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The service, locked for one event. Never hold it across an await.
    pub(super) fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request or a program may have changed something.
    pub(super) fn note_change(&self) {
        self.changes.send_replace(());
    }

    /// Tells of each [`note_change`](Self::note_change) from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(super) fn announce(&self, record: RequestRecord) {
        // An error only means that there are no subscribers.
        drop(self.records.send(record));
    }
}
