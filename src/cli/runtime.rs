//! The async runtime: one thread, for every command that waits for something.

use tokio::runtime::Runtime;

use super::error::{Error, Exit};

/// Runs `work` on a new runtime.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    Ok(runtime()?.block_on(work))
}

/// The same for work that may leave a blocked thread behind, for example on a network file system that does not answer. It
/// does not wait for that thread.
pub(super) fn block_on_and_go<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(outcome)
}

fn runtime() -> Result<Runtime, Error> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let built = builder.enable_all().build();
    built.map_err(|error| Error::new(Exit::Failed, format!("cannot start the async runtime: {error}")))
}
