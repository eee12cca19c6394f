//! The runtime: one thread, for every command that waits for something.

use super::{Error, Exit};

/// Does `work` on a runtime of its own.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Exit::Failed, format!("the runtime cannot be started: {error}")))?;
    Ok(runtime.block_on(work))
}
