//! Work that may block on a file system, off the event loop. A file system on another machine may not answer for as long as that
//! machine is away, and a thread that waits for it cannot be stopped.

use std::pin::pin;
use std::time::Duration;

/// How long a file system may take before the signal says so. A disk that has to spin up, or a folder that is mounted when it is
/// first used, takes a few seconds; a network file system waits a minute before it even repeats a request (nfs(5), `timeo`).
pub(super) const LATE_AFTER: Duration = Duration::from_secs(10);

/// Runs `work` on a thread where it may block. If that takes longer than [`LATE_AFTER`], `when_late` is done meanwhile.
pub(super) async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    when_late: impl Future<Output = ()>,
) -> T {
    let mut work = pin!(run(work));
    tokio::select! {
        biased;
        outcome = &mut work => return outcome,
        () = late() => {}
    }
    when_late.await;
    work.await
}

#[expect(clippy::disallowed_methods, reason = "a file system does not answer sooner when the daemon's clock runs fast")]
async fn late() {
    tokio::time::sleep(LATE_AFTER).await;
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down and drops this task next.
        Err(_) => std::future::pending().await,
    }
}
