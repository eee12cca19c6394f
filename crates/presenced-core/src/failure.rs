//! What can go wrong with a request, as one closed enum. The edges only say which kind of failure it was. Each kind has one
//! policy, and [`crate::session::Session`] carries it out.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::words;

words! {
    /// The kinds of failure, by what has to happen next.
    pub enum FailureKind {
        /// No network, no answer in time, 5xx, 408, 401 `ServiceError`: retry with backoff.
        Passing = "passing",
        /// 429: wait, then retry with backoff.
        Throttled = "throttled",
        /// 401 for the token, also for missing claims: renew it once, then retry.
        TokenRefused = "token-refused",
        /// `invalid_grant`, claims that no renewal brings, no sign-in: stop until somebody signs in.
        SignInNeeded = "sign-in-needed",
        /// 400, 403, 401 for another user or without the permission, 404 user, a broken setup: say what to fix and check again every 15 minutes.
        Refused = "refused",
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

/// What a request was missing, for code that can say more about it or supply it. Most often the token lacked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A permission.
    Permission(Permission),
    /// The right to this user's presence, as far as the answer tells: it belongs to somebody else, or the token lacks the
    /// permission.
    User,
    /// Claims: the next token request must ask for them. The JSON text of `OpenID` Connect Core, 5.5.
    Claims(String),
    /// The keyring, without which there is no token: the names of its locked collections. Empty if there is no keyring yet.
    /// Try again as soon as that has changed.
    Keyring(Vec<String>),
    /// The lock of the session, which another process holds: the lock's file. Try again as soon as that has changed.
    Lock(PathBuf),
}

/// Whether a failed request may have changed the session in Graph anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applied {
    /// No: it was refused, or it never left this machine.
    No,
    /// Perhaps: no answer came, or a gateway answered.
    Perhaps,
    /// Perhaps, or it may still happen, even after requests that are sent now: nobody waited for its answer to the end.
    PerhapsLater,
}

/// How far a passing failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// To the whole service, as far as it tells: no connection, no answer, 5xx. Other requests would fail now, too.
    Service,
    /// To this request only, because the service answered it: 401 `ServiceError`, 408.
    Request,
}

/// One failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What has to happen next.
    pub kind: FailureKind,
    /// Whether it may have taken effect.
    pub applied: Applied,
    /// How far it reaches, if it passes.
    pub extent: Extent,
    /// The service's `Retry-After`: the next attempt must not come earlier.
    pub retry_after: Option<Duration>,
    /// One sentence: what went wrong, with the status and the code if there are any. Never a secret.
    pub text: String,
    /// How to fix it, if the user can.
    pub hint: Option<String>,
    /// What was missing, if that is the cause.
    pub missing: Option<Box<Missing>>,
}

impl Failure {
    /// A failure that had no effect, without `Retry-After` and hint. If it passes, it is about the whole service.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        let (applied, extent) = (Applied::No, Extent::Service);
        Self { kind, applied, extent, retry_after: None, text: text.into(), hint: None, missing: None }
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
