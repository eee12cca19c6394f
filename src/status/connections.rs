//! The connections of a server: accepts them, and limits how many are served at once. Both servers use it, the one on the status
//! socket and the one over TCP.
//!
//! Leaves to others: who is served, and what with ([`super::server`], [`super::listen`]).

use std::fmt::Display;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::tasks::spawn_into;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// The pause after a failed accept. It fails when the process is out of files or memory, which takes a moment to pass.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Something that connections come from.
pub(super) trait Accept {
    type Stream;

    /// Waits for the next connection. Nothing is lost when the wait is dropped.
    fn accept_one(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept_one(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept_one(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// The seat of one connection.
#[derive(Clone, Debug)]
pub(super) struct Seat(Arc<Mutex<OwnedSemaphorePermit>>);

impl Seat {
    /// Gives this seat up for one of `others`. False: they are all taken, and nothing changes.
    pub(super) fn move_to(&self, others: &Arc<Semaphore>) -> bool {
        let Ok(other) = Arc::clone(others).try_acquire_owned() else { return false };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = other;
        true
    }
}

/// The open connections. Dropping it ends them all.
#[derive(Debug)]
pub(super) struct Connections {
    seats: Arc<Semaphore>,
    /// How many tasks there may be at once, refusals and all.
    max_tasks: usize,
    tasks: JoinSet<()>,
}

impl Connections {
    /// No connections yet, and never more than `limit` that are served at once, and `others` that have left their seat or are being
    /// refused.
    pub(super) fn new(limit: usize, others: usize) -> Self {
        Self { seats: Arc::new(Semaphore::new(limit)), max_tasks: limit + others, tasks: JoinSet::new() }
    }

    /// Waits for the next connection to `listener`, which the log calls `place`. If too many refusals are still in progress, new
    /// connections wait in the listener's queue, so that each one gets an answer.
    pub(super) async fn next<L: Accept + Sync>(&mut self, listener: &L, place: &(dyn Display + Sync)) -> L::Stream {
        // Lets connections that have just ended give up their seat, before the next one asks for it.
        tokio::task::yield_now().await;
        while self.tasks.len() >= self.max_tasks {
            self.tasks.join_next().await;
        }
        loop {
            match listener.accept_one().await {
                Ok(stream) => {
                    while self.tasks.try_join_next().is_some() {}
                    return stream;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection at {place}");
                    pause().await;
                }
            }
        }
    }

    /// A seat for one connection; `None`: all are taken.
    pub(super) fn seat(&self) -> Option<Seat> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        Some(Seat(Arc::new(Mutex::new(seat))))
    }

    /// Serves a connection that has a seat.
    pub(super) fn serve(&mut self, seat: Seat, conversation: impl Future<Output = ()> + Send + 'static) {
        spawn_into(&mut self.tasks, async move {
            conversation.await;
            drop(seat);
        });
    }

    /// Refuses a connection that gets no seat. A refusal must not take long.
    pub(super) fn refuse(&mut self, refusal: impl Future<Output = ()> + Send + 'static) {
        spawn_into(&mut self.tasks, refusal);
    }
}

#[expect(clippy::disallowed_methods, reason = "it does no harm if a suspend makes this pause longer")]
async fn pause() {
    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
}
