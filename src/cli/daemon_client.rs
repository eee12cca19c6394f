//! How commands talk to the running daemon.

use super::context::Context;
use super::error::{Error, Exit};
use super::runtime::block_on;
use super::terminal::progress::Progress;
use crate::sanitize::printable_lines;
use crate::status::Client;

/// Connects to the daemon and runs `question`, which must not print anything.
pub(super) fn request<T, E: Into<Error>>(
    context: &Context,
    question: impl AsyncFnOnce(Client) -> Result<T, E>,
) -> Result<T, Error> {
    let _progress = Progress::new("Waiting for presenced to answer");
    stream(context, question)
}

/// The same for a question that runs for long and may print. It shows no progress line.
pub(super) fn stream<T, E: Into<Error>>(
    context: &Context,
    question: impl AsyncFnOnce(Client) -> Result<T, E>,
) -> Result<T, Error> {
    let socket = context.require_socket()?;
    block_on(async { question(Client::connect(socket).await?).await.map_err(Into::into) })?
}

/// Makes a running daemon reload, or prints a note saying why it did not. It is fine if none is running.
pub(super) fn reload_daemon(context: &Context) {
    if let Some(text) = reload_running(context) {
        let text = printable_lines(&text);
        anstream::eprintln!("note: {text}. The daemon will use this the next time it starts.");
    }
}

/// The same, but if no daemon is running it returns that message instead of printing it.
pub(super) fn reload_running(context: &Context) -> Option<String> {
    let Error { exit, text, hint, .. } = request(context, async |mut daemon| daemon.reload().await).err()?;
    if exit == Exit::NotRunning {
        return Some(text);
    }
    let hint = hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    anstream::eprintln!("{}", printable_lines(&format!("The running daemon did not reload: {text}{hint}")));
    None
}
