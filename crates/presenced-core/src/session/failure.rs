//! What can go wrong with a request, as one closed enum. Each kind has one policy, and [`super::Session`] is where it is
//! carried out; the edges only say which kind it was.

use std::fmt;
use std::time::Duration;

/// The kinds of failure, by what is to be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// No network, no answer in time, 5xx, 408, 401 `ServiceError`: retry with backoff.
    Passing,
    /// 429: wait, then retry with backoff.
    Throttled,
    /// 401 for the token, also for the claims it lacks: one forced renewal, then retry.
    TokenRefused,
    /// `invalid_grant`, claims that no renewal brings, nobody signed in: stop asking until somebody signs in.
    SignInNeeded,
    /// 400, 403, 401 for another user, 404 user, a broken setup: say what to fix and look again every 15 minutes.
    Refused,
}

impl FailureKind {
    /// The word for it in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Throttled => "throttled",
            Self::TokenRefused => "token-refused",
            Self::SignInNeeded => "sign-in-needed",
            Self::Refused => "refused",
        }
    }
}

/// What the account needs of Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// To write a presence.
    Write,
    /// To read one.
    Read,
}

/// What a request lacked, for whoever can say more about it or bring it: most often of its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// A permission.
    Permission(Permission),
    /// The right to the presence of this user: it is another's.
    User,
    /// Claims: what to ask a token with, as the JSON text of `OpenID` Connect Core, 5.5.
    Claims(String),
    /// The keyring, without which there is no token: the names of its collections that are locked, or none of them where there
    /// is no keyring yet. Worth another look as soon as that has changed.
    Keyring(Vec<String>),
}

/// Whether a request that failed may have changed the session in Graph all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applied {
    /// It was answered with a refusal, or never left this machine.
    No,
    /// It may have: the answer never came, or came from a gateway.
    Perhaps,
    /// It may have, or may have yet, even after requests that are sent now: nobody waited for its answer to the end.
    PerhapsLater,
}

/// One failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is to be done about it.
    pub kind: FailureKind,
    /// Whether it may have had its effect.
    pub applied: Applied,
    /// The service's `Retry-After`: a floor for the next attempt.
    pub retry_after: Option<Duration>,
    /// One sentence: what went wrong, with status and code where there are any. Never a secret.
    pub text: String,
    /// What mends it, where something can.
    pub hint: Option<String>,
    /// What it lacked, if that is why.
    pub lacks: Option<Box<Lack>>,
}

impl Failure {
    /// A failure that had no effect, without `Retry-After` and hint.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, applied: Applied::No, retry_after: None, text: text.into(), hint: None, lacks: None }
    }

    /// The same failure with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
