//! What one source of the idle signal says of itself.

use tokio::sync::watch;

use crate::policy::Idle;

/// What one source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Nothing yet; or it is not asked, since one before it tells.
    Unread,
    /// It cannot tell.
    Absent {
        /// Why, as a clause for people.
        reason: String,
        /// Whether there is a compositor all the same, so that an X server sees only part of the input.
        wayland: bool,
    },
    /// It tells.
    Says {
        /// What.
        idle: Idle,
        /// What it is, for people.
        source: String,
    },
}

impl View {
    /// One that cannot tell.
    pub(super) fn absent(reason: impl Into<String>) -> Self {
        Self::Absent { reason: reason.into(), wayland: false }
    }

    /// Makes it what `sender` shows.
    pub(super) fn show(self, sender: &watch::Sender<Self>) {
        sender.send_if_modified(|view| {
            let changed = *view != self;
            *view = self;
            changed
        });
    }
}
