//! What a fault is: the public types, and the checks of their values.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::route::Call;
use presenced_core::time::{Instant, Now};

/// Something that goes wrong on purpose: for which calls, when, and what happens to them.
///
/// The fields work together in this order. From [`at`](Self::at) on, the fault counts the calls that [`call`](Self::call) matches.
/// The first [`after`](Self::after) of them pass. Then it hits up to [`times`](Self::times) calls, until [`lasts`](Self::lasts) is
/// over. Several faults can be injected; of those that would hit a request, only the oldest acts.
///
/// Create one with [`Fault::new`] and set fields, or read several from text with [`Fault::plan`]. As JSON, for
/// `POST /_emulator/faults`, it has the same keys; `lasts` is called `for`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls it affects. Default: all.
    #[serde(default)]
    pub call: Matches,
    /// When it starts to count calls. `None`: when it is injected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// How many matching calls pass before it begins.
    #[serde(default)]
    pub after: u32,
    /// How many calls it hits. `None`: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How long it lasts in the emulator's time: from `at` if that is set, otherwise from the moment it begins. `None`: until it is
    /// removed. Must be positive.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<SignedDuration>,
    /// How long a request is delayed in the emulator's time. Must not be negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<SignedDuration>,
    /// What happens to the request after the delay.
    #[serde(default)]
    pub then: Then,
    /// Whether the request still takes effect, when it arrives. Only its answer is lost or replaced, as when a connection breaks
    /// after the service has acted.
    #[serde(default)]
    pub applied: bool,
}

/// When a fault starts to count calls, in the emulator's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`at` must be a duration from now on, like \"1h\", or a time, like \"2026-11-24T09:10:00Z\""
)]
pub enum At {
    /// This long after the fault was injected. Must not be negative.
    After(SignedDuration),
    /// At this time. If it is in the past, the fault acts as if it had been injected then.
    Time(Timestamp),
}

impl At {
    pub(super) fn instant(self, now: &Now) -> Instant {
        let wait = match self {
            Self::After(wait) => wait,
            Self::Time(time) => time.duration_since(now.wall),
        };
        if wait.is_negative() { now.instant - wait.unsigned_abs() } else { now.instant + wait.unsigned_abs() }
    }
}

/// Which calls a fault affects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    expecting = "`call` must be any, graph, set, clear, prefer, clear-preferred, status-message, location, read, \
                 read-many, user, batch, authorize, token, device-code, logout, discovery, managed-identity, \
                 sidecar or other"
)]
pub enum Matches {
    /// Every call to Graph or Entra, and a batch as a whole. The emulator's own pages are never affected.
    #[default]
    Any,
    /// Every call to Graph, known or not, and a batch as a whole.
    Graph,
    /// One kind of call, also in a batch. All of a batch shares the connection: resetting one part loses the whole answer.
    #[serde(untagged)]
    Only(Call),
}

impl Matches {
    pub(super) fn matches(self, call: Call) -> bool {
        match self {
            Self::Any => true,
            Self::Graph => !call.is_sign_in(),
            Self::Only(only) => only == call,
        }
    }

    /// Whether it affects a call that arrives in a batch. The batch itself is what [`Any`](Self::Any) and [`Graph`](Self::Graph)
    /// affect.
    pub(super) fn matches_part(self, call: Call) -> bool {
        self == Self::Only(call)
    }
}

impl From<Call> for Matches {
    fn from(call: Call) -> Self {
        Self::Only(call)
    }
}

/// What happens to a request that a fault hits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Then {
    /// It is answered as usual. Useful with a [`delay`](Fault::delay).
    #[default]
    Answer,
    /// It gets this answer.
    Respond {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// Additional headers. They replace the emulator's own of the same name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
        /// The body. A JSON string is sent as plain text, anything else as JSON. `None`: an error body as Graph or Entra send it
        /// with this status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<serde_json::Value>,
    },
    /// It gets Entra's error with this AADSTS number, for example 53003. Only for [`Call::Token`] and [`Call::DeviceCode`]; must not
    /// be 0.
    Aadsts(u32),
    /// It gets one of Graph's refusals that do not say what is wrong. Only for calls to Graph.
    Refuse(Refusal),
    /// It takes effect, and then something is wrong with the parts of its answer. Only for [`Call::Batch`].
    Parts(Parts),
    /// The connection is reset.
    Reset,
    /// It is never answered.
    Hang,
    /// It gets a claims challenge (Continuous Access Evaluation): 401 with the claims that the client must send to get its next
    /// token. This only affects calls to Graph whose client declared the capability `cp1` when it got its token. A token that was
    /// issued for the challenge is accepted.
    ClaimsChallenge,
    /// All sign-ins of all users are revoked, as if passwords had changed, and then the call is answered as usual. Refresh tokens
    /// are refused from then on. Access tokens stay valid until they expire.
    Revoke,
}

/// Refusals of Graph, reported by users, whose status and code have several causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// 401 `Unauthorized`: the token lacks the permission, or the service fails for a moment.
    Unauthorized,
    /// 404 `Request_ResourceNotFound`, as in a cloud that has no presence. For a user that does not exist, only the message
    /// differs.
    NoPresence,
    /// 400 `BadRequest`, as for the token of a personal Microsoft account.
    PersonalAccount,
}

/// What is wrong with the parts of a batch's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parts {
    /// The last one is missing.
    Missing,
    /// The last one is there twice; the second time, its status is 500.
    Doubled,
    /// There is one more, with an id that the batch does not have.
    Unknown,
}

impl Then {
    /// An answer with this HTTP status, 200 to 599, and the error body that Graph or Entra send with it.
    pub fn status(status: u16) -> Self {
        Self::Respond { status, headers: BTreeMap::new(), body: None }
    }
}

impl Fault {
    /// A fault that does `then` to every call that `call` matches, until it is removed.
    ///
    /// ```
    /// # use presenced_emulator::{Call, Fault, Matches, Then};
    /// let once = Fault { times: Some(1), ..Fault::new(Call::Set, Then::status(503)) };
    /// let always = Fault::new(Matches::Graph, Then::Reset);
    /// ```
    pub fn new(call: impl Into<Matches>, then: Then) -> Self {
        Self { call: call.into(), at: None, after: 0, times: None, lasts: None, delay: None, then, applied: false }
    }

    /// Checks the ranges of its values.
    pub(crate) fn check(&self) -> Result<(), FaultError> {
        self.check_values().map_err(FaultError)
    }

    fn check_values(&self) -> Result<(), String> {
        if matches!(self.at, Some(At::After(wait)) if wait.is_negative()) {
            return Err("`at` must not be negative".to_owned());
        }
        if self.lasts.is_some_and(|lasts| !lasts.is_positive()) {
            return Err("`for` must be longer than zero".to_owned());
        }
        if self.delay.is_some_and(|delay| delay.is_negative()) {
            return Err("`delay` must not be negative".to_owned());
        }
        let (status, headers) = match &self.then {
            Then::Respond { status, headers, .. } => (status, headers),
            Then::Aadsts(number) => return self.check_number(*number),
            Then::Refuse(_) => return self.check_refusal(),
            Then::Parts(_) => {
                let batch = self.call == Matches::Only(Call::Batch);
                return if batch {
                    Ok(())
                } else {
                    Err("only a batch has `parts`, so `call` must be batch".to_owned())
                };
            }
            Then::Answer | Then::Reset | Then::Hang | Then::ClaimsChallenge | Then::Revoke => return Ok(()),
        };
        if !(200..=599).contains(status) {
            return Err(format!("`status` must be from 200 to 599, not {status}"));
        }
        let wrong = headers.iter().find(|(name, value)| {
            hyper::header::HeaderName::try_from(name.as_str()).is_err()
                || hyper::header::HeaderValue::try_from(value.as_str()).is_err()
        });
        wrong.map_or(Ok(()), |(name, _)| Err(format!("`{name}` with this value is not a valid HTTP header")))
    }

    fn check_number(&self, number: u32) -> Result<(), String> {
        if number == 0 {
            return Err("`aadsts` must be one of Entra's error numbers, like 53003".to_owned());
        }
        match self.call {
            Matches::Only(Call::Token | Call::DeviceCode) => Ok(()),
            Matches::Any | Matches::Graph | Matches::Only(_) => {
                Err("`aadsts` is an error of the sign-in service, so `call` must be token or device-code".to_owned())
            }
        }
    }

    fn check_refusal(&self) -> Result<(), String> {
        match self.call {
            Matches::Only(call) if !call.is_sign_in() => Ok(()),
            Matches::Graph => Ok(()),
            Matches::Any | Matches::Only(_) => {
                Err("`refuse` is an answer of Graph, so `call` must be graph, or one of Graph's calls".to_owned())
            }
        }
    }
}

/// Why a fault was refused. It displays as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultError(pub(super) String);

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FaultError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_faults_are_refused() {
        for json in [
            r#"{"call": "sett"}"#,
            r#"{"cal": "set"}"#,
            r#"{"then": "explode"}"#,
            r#"{"then": {"respond": {}}}"#,
            r#"{"call": "set", "then": {"refuse": "politely"}}"#,
            r#"{"for": "soon"}"#,
            r#"{"times": -1}"#,
        ] {
            assert!(serde_json::from_str::<Fault>(json).is_err(), "{json}");
        }
        for json in [
            r#"{"for": "-1s"}"#,
            r#"{"for": "0s"}"#,
            r#"{"delay": "-1s"}"#,
            r#"{"at": "-1s"}"#,
            r#"{"then": {"respond": {"status": 101}}}"#,
            r#"{"then": {"respond": {"status": 503, "headers": {"Retry After": "1"}}}}"#,
            r#"{"then": {"respond": {"status": 503, "headers": {"Retry-After": "1\n"}}}}"#,
            r#"{"then": {"aadsts": 53003}}"#,
            r#"{"call": "set", "then": {"aadsts": 53003}}"#,
            r#"{"call": "token", "then": {"aadsts": 0}}"#,
            r#"{"call": "graph", "then": {"parts": "missing"}}"#,
            r#"{"then": {"refuse": "unauthorized"}}"#,
            r#"{"call": "token", "then": {"refuse": "no-presence"}}"#,
        ] {
            assert!(serde_json::from_str::<Fault>(json).unwrap().check().is_err(), "{json}");
        }
    }
}
