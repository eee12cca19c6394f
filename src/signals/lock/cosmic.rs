//! COSMIC as a source of the lock signal: while the screen is locked, its greeter keeps a file in the runtime folder, so that it
//! locks the screen again after a crash. It reports the lock neither to logind nor on the session bus.
//!
//! Source: cosmic-greeter, `src/locker.rs`: `$XDG_RUNTIME_DIR/cosmic-greeter-$XDG_SESSION_ID.lock`.

use std::convert::Infallible;
use std::path::Path;

use tokio::sync::watch;

use crate::file_watch::resolve::Resolved;
use crate::signals::Context;
use crate::signals::backoff::{Backoff, until};
use crate::signals::logind;

/// The desktop, as its sessions call it.
const DESKTOP: &str = "COSMIC";

/// What COSMIC says about the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Nothing yet.
    Unread,
    /// The user has a different desktop, or there is no runtime folder.
    None,
    /// Whether the file exists.
    Locked(bool),
}

/// Keeps `view` up to date for the session that `logind` shows. Never returns.
pub(super) async fn follow(
    runtime_dir: Option<&Path>,
    context: &Context,
    mut logind: watch::Receiver<logind::View>,
    view: &watch::Sender<View>,
) {
    loop {
        let file = match (runtime_dir, &*logind.borrow_and_update()) {
            (Some(dir), logind::View::Session(session, _)) if session.desktop.eq_ignore_ascii_case(DESKTOP) => {
                Some(dir.join(format!("cosmic-greeter-{}.lock", session.id)))
            }
            _ => None,
        };
        let following = async {
            if let Some(file) = file {
                return follow_file(&file, context, view).await;
            }
            publish(view, View::None);
            std::future::pending().await
        };
        tokio::select! {
            never = following => match never {},
            // Something about the session changed. The sender lives as long as this future.
            _ = logind.changed() => {}
        }
    }
}

fn publish(view: &watch::Sender<View>, new: View) {
    view.send_if_modified(|view| std::mem::replace(view, new) != new);
}

async fn follow_file(file: &Path, context: &Context, view: &watch::Sender<View>) -> Infallible {
    let mut watch = context.file_watcher.subscribe();
    let mut backoff = Backoff::new();
    loop {
        let locked = !matches!(watch.resolve(file), Resolved::Missing);
        publish(view, View::Locked(locked));
        let retry = if watch.failures().is_empty() {
            backoff = Backoff::new();
            None
        } else {
            Some(backoff.next(context.clock.now().instant))
        };
        tokio::select! {
            _ = watch.changed(&*context.clock) => {}
            () = until(&*context.clock, retry) => {}
        }
    }
}
