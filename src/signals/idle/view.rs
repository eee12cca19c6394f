//! What one source of the idle signal says.

use tokio::sync::watch;

use crate::policy::Idle;

/// What one source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Nothing yet; or it is not asked, because one before it answers.
    Unread,
    /// It cannot answer.
    Absent {
        /// Why, as a clause for people.
        reason: String,
        /// Whether a compositor runs nevertheless, so that an X server sees only part of the input.
        wayland: bool,
    },
    /// It answers.
    Says {
        /// Whether the user is idle.
        idle: Idle,
        /// The name of the source, for people.
        source: String,
    },
}

impl View {
    /// A source that cannot answer.
    pub(super) fn absent(reason: impl Into<String>) -> Self {
        Self::Absent { reason: reason.into(), wayland: false }
    }

    /// Publishes it through `sender`, if it is new.
    pub(super) fn show(self, sender: &watch::Sender<Self>) {
        sender.send_if_modified(|view| {
            let changed = *view != self;
            *view = self;
            changed
        });
    }
}
