//! The async runtime: one thread, for every command that waits for something, and the daemon's.

use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::error::{Error, Exit};

/// Runs `work` on a new runtime. If that leaves a blocked thread behind, as a network file system that does not answer makes it,
/// that thread is not waited for.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    Ok(run(built(Builder::new_current_thread().enable_all())?, work))
}

/// The same for the daemon. A thread for blocking work is there from the start and never ends: tokio panics if it has no such
/// thread and the system refuses a new one, which happens at any limit of processes (`RLIMIT_NPROC`, `TasksMax`). With one
/// thread, the work waits for it.
pub(super) fn serve<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = built(Builder::new_current_thread().enable_all().thread_keep_alive(Duration::MAX))?;
    // Where tokio would panic.
    let first = thread::Builder::new().spawn(|| ()).map(thread::JoinHandle::join);
    let _ended = first.map_err(|error| {
        Error::new(Exit::Failed, format!("cannot start a thread: {error}")).with_hint(
            "raise the limit of processes: `ulimit -u` of a shell, `TasksMax=` of a unit, `podPidsLimit` of Kubernetes",
        )
    })?;
    runtime.spawn_blocking(|| ());
    Ok(run(runtime, work))
}

fn run<T>(runtime: Runtime, work: impl Future<Output = T>) -> T {
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

fn built(builder: &mut Builder) -> Result<Runtime, Error> {
    builder.build().map_err(|error| Error::new(Exit::Failed, format!("cannot start the async runtime: {error}")))
}
