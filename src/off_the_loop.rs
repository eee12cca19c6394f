//! Work that may block on a file system, off the event loop. A file system on another machine may not answer for as long as that
//! machine is away, and a thread that waits for it cannot be stopped.
//!
//! Leaves to others: what is done there, and what it means that it takes long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::Duration;

/// How long a file system may take before presenced says so, or gives up. A disk that has to spin up, or a folder that is mounted
/// when it is first used, takes a few seconds; a network file system waits a minute before it even repeats a request (nfs(5),
/// `timeo`).
pub(crate) const LATE_AFTER: Duration = Duration::from_secs(10);

/// Runs `work` on a thread where it may block.
pub(crate) async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down and drops this task next.
        Err(_) => std::future::pending().await,
    }
}

/// The same. If that takes longer than [`LATE_AFTER`], `when_late` is done meanwhile.
pub(crate) async fn off_the_loop_or_late<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    when_late: impl Future<Output = ()>,
) -> T {
    let mut work = pin!(off_the_loop(work));
    tokio::select! {
        biased;
        outcome = &mut work => return outcome,
        () = late() => {}
    }
    when_late.await;
    work.await
}

/// Does `work` with the file at `place` in the same way, one after the other. `None` if that takes longer than [`LATE_AFTER`]; the
/// work goes on, and whatever it owns stays in use until then. While it hangs, no further thread is started for that place.
pub(crate) async fn off_the_loop_in_time<T: Send + 'static>(
    place: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    within(LATE_AFTER, place, work).await
}

async fn within<T: Send + 'static>(
    limit: Duration,
    place: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let turn = turn(place);
    let taken = async {
        let held = turn.lock_owned().await;
        off_the_loop(move || (work(), held)).await.0
    };
    tokio::time::timeout(limit, taken).await.ok()
}

/// Starts `work` on a thread where it may block. Its outcome arrives at the receiver, which may wait a moment for it: an ordinary
/// file system answers before anybody notices.
pub(crate) fn handed_over<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    tokio::task::spawn_blocking(move || sender.send(work()));
    receiver
}

/// Whose turn it is at a place: one value for all who are there.
fn turn(place: &Path) -> Arc<tokio::sync::Mutex<()>> {
    static TURNS: Mutex<BTreeMap<PathBuf, Weak<tokio::sync::Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(turn) = turns.get(place).and_then(Weak::upgrade) {
        return turn;
    }
    turns.retain(|_, turn| turn.strong_count() > 0);
    let turn = Arc::default();
    turns.insert(place.to_owned(), Arc::downgrade(&turn));
    turn
}

#[expect(clippy::disallowed_methods, reason = "a file system does not answer sooner when the daemon's clock runs fast")]
async fn late() {
    tokio::time::sleep(LATE_AFTER).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);
    /// Nothing in this test takes this long.
    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_place_that_does_not_answer_costs_one_thread_and_no_other_place_waits() {
        let (answer, hangs) = mpsc::channel::<()>();
        let (stuck, other) = (Path::new("/stuck"), Path::new("/other"));
        let first = within(LIMIT, stuck, move || hangs.recv().is_ok());
        let second = within(LIMIT, stuck, || panic!("it waits for its turn"));
        let third = within(LONG, other, || 3);
        let ((first, second), third) = tokio::join!(async { tokio::join!(first, second) }, third);
        assert_eq!((first, second, third), (None, None::<()>, Some(3)));
        answer.send(()).unwrap();
        assert_eq!(within(LONG, stuck, || 4).await, Some(4));
    }
}
