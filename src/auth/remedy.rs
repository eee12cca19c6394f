//! What fixes an error of the sign-in service, and so which kind of failure it is. The words for a person are in `token_service`.

use crate::failure::FailureKind;

/// How to fix an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// `presenced login`.
    SignIn,
    /// The same, with these words about how.
    SignInAnd(&'static str),
    /// The same; if that does not help with a device code, a browser.
    SignInOrBrowser(&'static str),
    /// A sign-in with a browser on this machine, if a device code was used; otherwise a change, in these words.
    Browser(&'static str),
    /// A change, in these words.
    Change(&'static str),
    /// Waiting.
    Wait,
    /// Waiting, with fewer requests.
    Pause,
}

impl Remedy {
    /// The kind of failure that it fixes, when a person signs in.
    pub(super) fn kind(self) -> FailureKind {
        match self {
            Self::SignIn | Self::SignInAnd(_) | Self::SignInOrBrowser(_) => FailureKind::SignInNeeded,
            Self::Browser(_) | Self::Change(_) => FailureKind::Refused,
            Self::Wait => FailureKind::Passing,
            Self::Pause => FailureKind::Throttled,
        }
    }
}
