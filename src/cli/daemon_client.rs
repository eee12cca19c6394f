//! How commands reach the running daemon.

use super::context::Context;
use super::error::{Error, Exit};
use super::runtime::block_on;
use super::terminal::progress::Progress;
use crate::status::Client;

/// Asks the daemon something: connects, and hands the connection to `question`, which prints nothing.
pub(super) fn request<T, E: Into<Error>>(
    context: &Context,
    question: impl AsyncFnOnce(Client) -> Result<T, E>,
) -> Result<T, Error> {
    let _progress = Progress::new("Waiting for presenced to answer");
    stream(context, question)
}

/// The same for what goes on for long, and prints.
pub(super) fn stream<T, E: Into<Error>>(
    context: &Context,
    question: impl AsyncFnOnce(Client) -> Result<T, E>,
) -> Result<T, Error> {
    let socket = context.require_socket()?;
    block_on(async { question(Client::connect(socket).await?).await.map_err(Into::into) })?
}

/// Has a running daemon go on with what is on disk now, or says why none does. That none runs is as well.
pub(super) fn reload_daemon(context: &Context) {
    if let Some(text) = reload_running(context) {
        anstream::eprintln!("note: {text}. It goes by this from its start on.");
    }
}

/// The same, which says nothing where none runs, but gives back that.
pub(super) fn reload_running(context: &Context) -> Option<String> {
    let Error { exit, text, hint } = request(context, async |mut daemon| daemon.reload().await).err()?;
    if exit == Exit::NotRunning {
        return Some(text);
    }
    let hint = hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    anstream::eprintln!("No running presenced took it over: {text}{hint}");
    None
}
