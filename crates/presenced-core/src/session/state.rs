//! The words for what a session is doing and what it waits for, as `status` shows them. What they follow from is
//! [`super::Session`]'s.

use serde::{Deserialize, Serialize};

/// What a session waits for, so that `status` can say why it will wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// To set again what is held, ahead of its fade or expiry.
    Keepalive,
    /// To try again after a failure.
    Retry,
    /// To try again as soon as the service's `Retry-After` allows.
    RetryAfter,
    /// To send the newest of many changes.
    Coalesce,
    /// To look whether the service still refuses.
    LookAgain,
}

impl Why {
    /// The word for it in `status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keepalive => "keepalive",
            Self::Retry => "retry",
            Self::RetryAfter => "retry-after",
            Self::Coalesce => "coalesce",
            Self::LookAgain => "look-again",
        }
    }
}

/// What a session is doing; `status` shows the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing was confirmed yet.
    Starting,
    /// A presence is held.
    Holding,
    /// Nothing is claimed, as wished.
    Released,
    /// The last request failed for a passing reason.
    Retrying,
    /// The service asked to wait.
    Throttled,
    /// Somebody must sign in.
    SignInNeeded,
    /// The service refuses; something must be changed.
    Refused,
    /// Leaving.
    Stopping,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Holding,
        Self::Released,
        Self::Retrying,
        Self::Throttled,
        Self::SignInNeeded,
        Self::Refused,
        Self::Stopping,
    ];
}
