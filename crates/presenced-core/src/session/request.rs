//! The requests of a session.

use std::fmt;

use crate::presence::{Expiration, Presence};

/// A presence to hold, and how long it lasts without a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The presence.
    pub presence: Presence,
    /// Its `expirationDuration`.
    pub expiration: Expiration,
}

/// What a request asks Graph to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `setPresence`.
    Set(Target),
    /// `clearPresence`.
    Clear,
    /// `setUserPreferredPresence`, with the matching pair.
    Prefer(Target),
    /// `clearUserPreferredPresence`.
    ClearPreferred,
}

impl Action {
    /// Whether it is about the preferred presence instead of the session.
    pub const fn is_about_preferred(self) -> bool {
        match self {
            Self::Set(_) | Self::Clear => false,
            Self::Prefer(_) | Self::ClearPreferred => true,
        }
    }
}

impl fmt::Display for Action {
    /// The result of the request, as a clause: `Busy/InACall is set`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(target) => write!(f, "{} is set", target.presence),
            Self::Clear => f.write_str("the session is cleared"),
            Self::Prefer(target) => write!(f, "{} is preferred", target.presence),
            Self::ClearPreferred => f.write_str("the preferred presence is cleared"),
        }
    }
}

/// Identifies one request of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub(super) u64);

/// A request to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Identifies the request when its outcome is reported.
    pub id: RequestId,
    /// What to ask for.
    pub action: Action,
    /// Whether to get a new token first, because the last one was refused or may lack a permission.
    pub fresh_token: bool,
}
