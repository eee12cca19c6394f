//! How commands reach the running daemon, and what exit code it means when they do not.

use super::progress::Progress;
use super::runtime::block_on;
use super::{Context, Error, Exit};
use crate::status::{Client, ClientError};

/// Asks the daemon something: connects, and hands the connection to `question`, which prints nothing.
pub(super) fn ask<T, E: Into<Error>>(
    context: &Context,
    question: impl AsyncFnOnce(Client) -> Result<T, E>,
) -> Result<T, Error> {
    let _progress = Progress::new("Waiting for presenced to answer");
    talk(context, question)
}

/// The same for what goes on for long, and prints.
pub(super) fn talk<T, E: Into<Error>>(
    context: &Context,
    question: impl AsyncFnOnce(Client) -> Result<T, E>,
) -> Result<T, Error> {
    let socket = context.require_socket()?;
    block_on(async { question(Client::connect(socket).await?).await.map_err(Into::into) })?
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        let exit = match error {
            ClientError::NotRunning { .. } | ClientError::Stopping => Exit::NotRunning,
            ClientError::ConfigurationRefused { .. } => Exit::Usage,
            ClientError::Connect { .. }
            | ClientError::TimedOut { .. }
            | ClientError::Refused { .. }
            | ClientError::NotUnderstood { .. } => Exit::Failed,
        };
        Self::new(exit, error.to_string()).with_hint(error.hint())
    }
}
