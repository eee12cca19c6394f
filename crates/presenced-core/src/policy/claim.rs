//! What a rule or an override asks for: a presence, or nothing.

use std::fmt;

use crate::presence::Presence;

/// The presence that a rule or an override asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Hold this presence.
    Hold(Presence),
    /// Hold nothing: clear the app's session.
    Nothing,
}

impl Claim {
    /// The presence to hold, if any.
    pub const fn presence(self) -> Option<Presence> {
        match self {
            Self::Hold(presence) => Some(presence),
            Self::Nothing => None,
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold(presence) => presence.fmt(f),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}
