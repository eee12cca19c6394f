//! Status: everyone of the same user may look, through a Unix socket that speaks HTTP/1.1.
//!
//! [`report`] is what they see; the daemon fills it in. Leaves to others: everything that decides.

pub mod report;

use std::time::Duration;

use tokio::sync::oneshot;

use crate::policy::Claim;

/// What a client asks the daemon to do. The daemon answers through `reply`: an error is one sentence for the client.
#[derive(Debug)]
pub enum Command {
    /// `PUT /v1/override`: claim this by hand, for a time or until unset.
    SetOverride {
        /// What to claim.
        claim: Claim,
        /// For how long; `None`: until unset.
        ttl: Option<Duration>,
        /// Answered once it is in force.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// `DELETE /v1/override`.
    ClearOverride {
        /// Answered once it is in force.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// `PUT /v1/signals/{name}`.
    SetSignal {
        /// The signal's name.
        name: String,
        /// Its value.
        value: String,
        /// After how long it is unknown; `None`: never.
        ttl: Option<Duration>,
        /// Answered once it is in force.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// `DELETE /v1/signals/{name}`.
    ClearSignal {
        /// The signal's name.
        name: String,
        /// Answered once it is in force.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// `POST /v1/reload`: read the configuration again; an error is the whole text that `presenced check` would print.
    Reload {
        /// Answered when the new configuration is in force, or was refused.
        reply: oneshot::Sender<Result<(), String>>,
    },
}
