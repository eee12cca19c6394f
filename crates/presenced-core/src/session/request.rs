//! What a session asks for: a presence, as a request to send.

use std::fmt;

use crate::presence::{Expiration, Presence};

/// A presence to hold, and for how long without a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The pair.
    pub presence: Presence,
    /// Its `expirationDuration`.
    pub expiration: Expiration,
}

/// What a request asks Graph to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// setPresence.
    Set(Target),
    /// clearPresence.
    Clear,
    /// setUserPreferredPresence, to the pair that matches.
    Prefer(Target),
    /// clearUserPreferredPresence.
    ClearPreferred,
}

impl Action {
    /// Whether it is about the preferred presence, and not about the session.
    pub const fn is_about_preferred(self) -> bool {
        match self {
            Self::Set(_) | Self::Clear => false,
            Self::Prefer(_) | Self::ClearPreferred => true,
        }
    }
}

impl fmt::Display for Action {
    /// What Graph has done once it carried it out: `Busy/InACall is set`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(target) => write!(f, "{} is set", target.presence),
            Self::Clear => f.write_str("the session is cleared"),
            Self::Prefer(target) => write!(f, "{} is preferred", target.presence),
            Self::ClearPreferred => f.write_str("the preferred presence is cleared"),
        }
    }
}

/// Names one request of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub(super) u64);

/// A request to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// To be given back with the outcome.
    pub id: RequestId,
    /// What to ask for.
    pub action: Action,
    /// The last token was refused: get a new one first.
    pub fresh_token: bool,
}
