//! Starts tasks of the runtime. All tasks with one kind of result have one type, because tokio's part of each type has several
//! kilobytes.

use std::pin::Pin;

use tokio::task::{AbortHandle, JoinHandle, JoinSet};

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Starts a task. It goes on when the handle is dropped.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let work: Work<()> = Box::pin(work);
    tokio::spawn(work)
}

/// Starts a task that ends when `tasks` is dropped.
pub(crate) fn spawn_into<T: Send + 'static>(
    tasks: &mut JoinSet<T>,
    work: impl Future<Output = T> + Send + 'static,
) -> AbortHandle {
    let work: Work<T> = Box::pin(work);
    tasks.spawn(work)
}
