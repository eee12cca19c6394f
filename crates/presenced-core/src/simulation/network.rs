//! The way of a request: first a token, as `auth/` gets it, then Graph, through a network and two services that may fail.
//! Failures are classified as in `graph/answer.rs`, `auth/token_service.rs` and `http/`.

use std::fmt;
use std::time::Duration;

use crate::failure::{Applied, Failure, FailureKind};
use crate::session::Request;
use crate::time::Instant;

/// How long the client waits for an answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time that a service takes to answer without a fault.
pub(super) const MAX_TOKEN_LATENCY: Duration = Duration::from_millis(200);
pub(super) const MAX_GRAPH_LATENCY: Duration = Duration::from_millis(400);

/// A fault that lasts for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No route: requests fail at once.
    Down,
    /// Connections are never established.
    NoConnection,
    /// Requests are carried out, but the answers are lost.
    AnswersLost,
    /// Requests are lost.
    RequestsLost,
    /// 503, with or without `Retry-After`. The request may have been carried out.
    Failing(Option<Duration>),
    /// 408. The request may have been carried out.
    TimingOut,
    /// 429, with or without `Retry-After`.
    Throttling(Option<Duration>),
    /// Either 401 `ServiceError` or 200, at random.
    Flapping,
    /// The token endpoint does not answer.
    NoTokens,
    /// The token endpoint requires the user to sign in, and no token is valid any more.
    SignIn,
    /// Graph requires claims that the token does not have.
    Claims,
    /// 403.
    Refusing,
    /// Answers take up to [`ANSWER_TIMEOUT`].
    Slow,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("no network"),
            Self::NoConnection => f.write_str("no connection"),
            Self::AnswersLost => f.write_str("requests are carried out, but answers are lost"),
            Self::RequestsLost => f.write_str("requests are lost"),
            Self::Failing(None) => f.write_str("503"),
            Self::Failing(Some(wait)) => write!(f, "503 with Retry-After {wait:?}"),
            Self::TimingOut => f.write_str("408"),
            Self::Throttling(None) => f.write_str("429"),
            Self::Throttling(Some(wait)) => write!(f, "429 with Retry-After {wait:?}"),
            Self::Flapping => f.write_str("401 ServiceError or 200 at random"),
            Self::NoTokens => f.write_str("the token endpoint is down"),
            Self::SignIn => f.write_str("the user must sign in"),
            Self::Claims => f.write_str("more claims are required"),
            Self::Refusing => f.write_str("403"),
            Self::Slow => f.write_str("answers are slow"),
        }
    }
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) request: Request,
    pub(super) sent_at: Instant,
    /// When it has its token and is sent to Graph.
    pub(super) leaves_at: Instant,
    /// When Graph carries it out; `None` if it does not.
    pub(super) arrives_at: Option<Instant>,
    pub(super) ends_at: Instant,
    pub(super) outcome: Result<(), Failure>,
    /// Whether there was a fault when it was sent.
    pub(super) in_trouble: bool,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    renew_at: Instant,
    expires_at: Instant,
    revoked: bool,
}

/// The network, the two services, and the account's token.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) fault: Option<Fault>,
    token: Option<Token>,
    token_life: Duration,
    /// How many of the next tokens are refused too.
    refused_tokens: u8,
    random: fastrand::Rng,
}

impl Network {
    pub(super) fn new(token_life: Duration, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { fault: None, token: None, token_life, refused_tokens: 0, random }
    }

    /// Graph refuses the present token and the next `after` ones.
    pub(super) fn revoke(&mut self, after: u8) {
        self.token.iter_mut().for_each(|token| token.revoked = true);
        self.refused_tokens = after;
    }

    /// The user signed in, so the daemon starts with a new authenticator.
    pub(super) fn sign_in(&mut self) {
        self.token = None;
        self.refused_tokens = 0;
    }

    /// presenced starts again, without its last access token.
    pub(super) fn restart(&mut self) {
        self.token = None;
    }

    /// Whether the token lets the next request succeed.
    pub(super) fn has_good_tokens(&self) -> bool {
        self.refused_tokens == 0 && !self.token.is_some_and(|token| token.revoked)
    }

    /// Sends `request` at `now`. The result already contains how the request will end.
    pub(super) fn send(&mut self, request: Request, now: Instant) -> Flight {
        let in_trouble = self.fault.is_some();
        let (asked, token) = self.token(request.fresh_token, now);
        let (arrives_at, ends_at, outcome) = match token {
            Ok(token) => self.ask_graph(token, now + asked),
            Err(failure) => (None, now + asked, Err(failure)),
        };
        Flight { request, sent_at: now, leaves_at: now + asked, arrives_at, ends_at, outcome, in_trouble }
    }

    /// A random time up to `longest`. It is never zero, because an answer cannot arrive at the moment of sending.
    fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.random.f64()).max(Duration::from_nanos(1))
    }

    /// A token, and how long it took to get it. Follows `auth::Authenticator::token`.
    fn token(&mut self, fresh: bool, now: Instant) -> (Duration, Result<Token, Failure>) {
        if let Some(token) = self.token.filter(|token| !fresh && now < token.renew_at) {
            return (Duration::ZERO, Ok(token));
        }
        let refusal = match self.fault {
            Some(Fault::NoTokens | Fault::Down) => Some((FailureKind::Passing, self.up_to(MAX_TOKEN_LATENCY))),
            Some(Fault::NoConnection | Fault::AnswersLost | Fault::RequestsLost) => {
                Some((FailureKind::Passing, ANSWER_TIMEOUT))
            }
            Some(Fault::SignIn) => Some((FailureKind::SignInNeeded, self.up_to(MAX_TOKEN_LATENCY))),
            _ => None,
        };
        match (refusal, &mut self.token) {
            (Some((FailureKind::Passing, took)), Some(token)) if !fresh && now < token.expires_at => {
                token.renew_at = (now + Duration::from_mins(1)).min(token.expires_at);
                (took, Ok(*token))
            }
            (Some((kind, took)), _) => (took, Err(Failure::new(kind, "no token"))),
            (None, held) => {
                let revoked = self.refused_tokens > 0;
                self.refused_tokens = self.refused_tokens.saturating_sub(1);
                let ahead = Duration::from_mins(5).max(self.token_life / 10).min(self.token_life / 2);
                let expires_at = now + self.token_life;
                let token = *held.insert(Token { renew_at: expires_at - ahead, expires_at, revoked });
                (self.up_to(MAX_TOKEN_LATENCY), Ok(token))
            }
        }
    }

    /// When Graph carries out a request that is sent at `now`, when it answers, and what.
    fn ask_graph(&mut self, token: Token, now: Instant) -> (Option<Instant>, Instant, Result<(), Failure>) {
        let longest = if self.fault == Some(Fault::Slow) { ANSWER_TIMEOUT } else { MAX_GRAPH_LATENCY };
        let latency = self.up_to(longest);
        let (arrives_at, ends_at) = (now + self.up_to(latency), now + latency);
        let perhaps = Failure { applied: Applied::Perhaps, ..Failure::new(FailureKind::Passing, "it failed") };
        let wait = |kind, retry_after| Failure { retry_after, ..Failure::new(kind, "wait") };
        let (arrives, ends_at, failure) = match self.fault {
            Some(Fault::Down) => (false, ends_at, Failure::new(FailureKind::Passing, "no network")),
            Some(Fault::NoConnection) => {
                (false, now + ANSWER_TIMEOUT, Failure::new(FailureKind::Passing, "no connection"))
            }
            Some(Fault::RequestsLost) => (false, now + ANSWER_TIMEOUT, perhaps),
            // Graph checks the token first.
            _ if token.revoked || arrives_at >= token.expires_at => {
                (false, ends_at, Failure::new(FailureKind::TokenRefused, "401"))
            }
            Some(Fault::SignIn) => (false, ends_at, Failure::new(FailureKind::TokenRefused, "401")),
            Some(Fault::Claims) => (false, ends_at, Failure::new(FailureKind::SignInNeeded, "401 with claims")),
            Some(Fault::AnswersLost) => (true, now + ANSWER_TIMEOUT, perhaps),
            Some(Fault::Failing(retry_after)) => (self.random.bool(), ends_at, Failure { retry_after, ..perhaps }),
            Some(Fault::TimingOut) => (self.random.bool(), ends_at, perhaps),
            Some(Fault::Flapping) if self.random.bool() => (self.random.bool(), ends_at, perhaps),
            Some(Fault::Throttling(retry_after)) => (false, ends_at, wait(FailureKind::Throttled, retry_after)),
            Some(Fault::Refusing) => (false, ends_at, Failure::new(FailureKind::Refused, "403")),
            Some(Fault::Flapping | Fault::NoTokens | Fault::Slow) | None => return (Some(arrives_at), ends_at, Ok(())),
        };
        (arrives.then_some(arrives_at), ends_at, Err(failure))
    }
}
