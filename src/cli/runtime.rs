//! The async runtime: one thread, for every command that waits for something, and the daemon's.

use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::error::{Error, Exit};

/// Runs `work` on a new runtime.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    Ok(built(Builder::new_current_thread().enable_all())?.block_on(work))
}

/// The same for work that may leave a blocked thread behind, for example on a network file system that does not answer. It
/// does not wait for that thread.
pub(super) fn block_on_and_go<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    Ok(run_and_go(built(Builder::new_current_thread().enable_all())?, work))
}

/// The same for the daemon. A thread for blocking work is there from the start and never ends: tokio panics if it has no such
/// thread and the system refuses a new one, which happens at any limit of processes (`RLIMIT_NPROC`, `TasksMax`). With one
/// thread, the work waits for it.
pub(super) fn serve_and_go<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = built(Builder::new_current_thread().enable_all().thread_keep_alive(Duration::MAX))?;
    // Where tokio would panic.
    let first = thread::Builder::new().spawn(|| ()).map(thread::JoinHandle::join);
    let _ended = first.map_err(|error| {
        Error::new(Exit::Failed, format!("cannot start a thread: {error}")).with_hint(
            "raise the limit of processes: `ulimit -u` of a shell, `TasksMax=` of a unit, `podPidsLimit` of Kubernetes",
        )
    })?;
    runtime.spawn_blocking(|| ());
    Ok(run_and_go(runtime, work))
}

fn run_and_go<T>(runtime: Runtime, work: impl Future<Output = T>) -> T {
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

fn built(builder: &mut Builder) -> Result<Runtime, Error> {
    builder.build().map_err(|error| Error::new(Exit::Failed, format!("cannot start the async runtime: {error}")))
}
