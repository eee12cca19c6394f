//! One exchange with Graph: get a token, send one request, judge the answer.
//!
//! Some refusals depend on the token. If a permission is missing, the hint compares what Graph wants with what the token grants.
//! If Graph challenges the token for more claims, they go into the next token request; only a token that already met a challenge
//! and is challenged again ends in a sign-in. A 401 without a reason can mean three things: the token lacks the permission, the
//! presence belongs to another user, or the service fails for a moment. The token shows which of them can be true.
//!
//! Leaves to others: tokens (`auth/`), requests (`graph/`), and what follows from a failure (`session/`).

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant as Stopwatch;

use crate::auth::{Authenticator, Token};
use crate::config::{self, Auth};
use crate::failure::{Applied, Extent, Failure, FailureKind, Missing, Permission};
use crate::graph::Client;
use crate::metrics::{Call, Metrics, Outcome};
use crate::off_the_loop::off_the_loop_in_time;
use crate::session::{Action, Request, Seen, Target};
use crate::time::Now;

use super::session_lock::SessionLock;

/// What one exchange needs.
pub(super) struct Exchange {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) client: Arc<Client>,
    pub(super) account: config::Account,
    /// When the request is sent.
    pub(super) now: Now,
    /// Where the request is counted.
    pub(super) metrics: Arc<Metrics>,
    /// Without it, nothing is written.
    pub(super) lock: SessionLock,
}

/// Stands for the users of an account with many: one lock is enough for all of them.
const ALL_USERS: &str = "all users";

impl Exchange {
    /// Sends a request of the session.
    pub(super) async fn write(self, request: Request) -> Result<(), Failure> {
        let (token, user) = self.token(request.fresh_token).await?;
        self.lock(&user).await?;
        self.write_for(&user, request.action, &token).await
    }

    async fn write_for(&self, user: &str, action: Action, token: &Token) -> Result<(), Failure> {
        let bearer = &token.bearer;
        let (client, session_id) = (&self.client, &self.account.client_id);
        let count = self.begin(action.into());
        let outcome = match action {
            Action::Set(Target { presence, expiration }) => {
                client.set_presence(bearer, user, session_id, presence, expiration).await
            }
            Action::Clear => client.clear_presence(bearer, user, session_id).await,
            Action::Prefer(Target { presence, expiration }) => {
                client.set_preferred_presence(bearer, user, presence, expiration).await
            }
            Action::ClearPreferred => client.clear_preferred_presence(bearer, user).await,
        };
        let outcome = outcome.map_err(|failure| self.judge(failure, token, user, Permission::Write));
        count(Outcome::of(&outcome));
        if outcome.is_ok() {
            self.authenticator.note_accepted(token);
        }
        outcome
    }

    /// Sends one request for each of these users: one alone, several in one `$batch`. The outcomes are in the same order.
    ///
    /// # Errors
    /// There is no token, or another process holds the sessions of this application, so nothing was sent.
    pub(super) async fn write_many(self, writes: Vec<(String, Action)>) -> Result<Vec<Result<(), Failure>>, Failure> {
        let token = self.bearer(false).await?;
        self.lock(ALL_USERS).await?;
        if let [(user, action)] = writes.as_slice() {
            return Ok(vec![self.write_for(user, *action, &token).await]);
        }
        let counts: Vec<_> = writes.iter().map(|(_, action)| self.begin((*action).into())).collect();
        let answered = self.client.write_batch(&token.bearer, &self.account.client_id, &writes).await;
        let outcomes = answered.unwrap_or_else(|failure| vec![Err(about_nobody(failure)); writes.len()]);
        let judged = writes.iter().zip(outcomes).zip(counts).map(|(((user, _), outcome), count)| {
            let outcome = outcome.map_err(|failure| self.judge(failure, &token, user, Permission::Write));
            count(Outcome::of(&outcome));
            outcome
        });
        let judged: Vec<_> = judged.collect();
        if judged.iter().any(Result::is_ok) {
            self.authenticator.note_accepted(&token);
        }
        Ok(judged)
    }

    /// Reads what others see of these users.
    ///
    /// # Errors
    /// As for [`Exchange::write_many`].
    pub(super) async fn read_many(self, users: Vec<String>) -> Result<Result<HashMap<String, Seen>, Failure>, Failure> {
        let token = self.bearer(false).await?;
        let count = self.begin(Call::Read);
        let outcome = self.client.read_presences(&token.bearer, &users).await;
        let outcome = outcome.map_err(|failure| self.judge(failure, &token, ALL_USERS, Permission::Read));
        count(Outcome::of(&outcome));
        Ok(outcome)
    }

    /// A token for many users.
    pub(super) async fn bearer(&self, fresh: bool) -> Result<Token, Failure> {
        self.authenticator.token(&self.now, fresh).await
    }

    /// Reads what others see.
    pub(super) async fn read(self) -> Result<Seen, Failure> {
        let (token, user) = self.token(false).await?;
        let count = self.begin(Call::Read);
        let outcome = self.client.read_presence(&token.bearer, &user).await;
        let outcome = outcome.map_err(|failure| self.judge(failure, &token, &user, Permission::Read));
        count(Outcome::of(&outcome));
        outcome
    }

    /// Takes the lock of the user's session, on a thread where it may block.
    async fn lock(&self, user: &str) -> Result<(), Failure> {
        if self.lock.is_settled(user) {
            // A keepalive need not start a thread.
            return Ok(());
        }
        let (lock, user) = (self.lock.clone(), user.to_owned());
        off_the_loop_in_time(self.lock.place(), move || lock.take(&user)).await.unwrap_or_else(|| {
            let text = format!("the session cannot be locked: {} does not answer", self.lock.place().display());
            Err(Failure::new(FailureKind::Passing, text))
        })
    }

    /// Starts to count a call to Graph. The result must be called when it ends.
    fn begin(&self, call: Call) -> impl FnOnce(Outcome) + use<> {
        let pending = self.metrics.begin(self.authenticator.account(), call);
        let (began, sent_at) = (Stopwatch::now(), self.now.wall);
        move |outcome| pending.end(outcome, began.elapsed(), sent_at)
    }

    /// A token, and the user whose presence it is about.
    async fn token(&self, fresh: bool) -> Result<(Token, String), Failure> {
        let token = self.authenticator.token(&self.now, fresh).await?;
        let user = self.account.user.clone().or_else(|| token.user.clone()).ok_or_else(|| {
            Failure::new(FailureKind::Refused, "it is unknown whose presence this is: the sign-in named no user")
                .with_hint("set `user` of the account to the user's object id")
        })?;
        Ok((token, user))
    }

    /// What it means that Graph refused a request about `user` with `token`, which needs the permission `needed`.
    fn judge(&self, failure: Failure, token: &Token, user: &str, needed: Permission) -> Failure {
        let failure = self.by_token(failure, token, user, needed);
        match self.account.cloud.obstacle() {
            Some(obstacle) if failure.kind == FailureKind::Refused => failure.with_hint(obstacle),
            Some(_) | None => failure,
        }
    }

    /// The same, as far as it depends on the token.
    fn by_token(&self, failure: Failure, token: &Token, user: &str, needed: Permission) -> Failure {
        match failure.missing.as_deref() {
            Some(Missing::Permission(needed)) => self.with_remedy(failure.clone(), token, *needed),
            Some(Missing::Claims(claims)) => {
                let worth_another_token = self.authenticator.challenge(token, claims);
                if worth_another_token { failure } else { self.ask_for_more(failure) }
            }
            Some(Missing::User) if self.lacks(token, needed) => {
                let missing = Some(Box::new(Missing::Permission(needed)));
                self.with_remedy(Failure { missing, hint: None, ..failure }, token, needed)
            }
            // The token is for this user, or worked before: it is one of the service's 401s that come and go.
            Some(Missing::User) if token.may_set(user) || self.authenticator.was_accepted() => {
                Failure { kind: FailureKind::Passing, applied: Applied::Perhaps, hint: None, ..failure }
            }
            None if failure.kind == FailureKind::SignInNeeded => self.ask_for_more(failure),
            Some(Missing::User | Missing::Keyring(_) | Missing::Lock(_)) | None => failure,
        }
    }

    /// Whether `token` is known to lack the permission `needed`. If Graph has accepted it for the same, it does not.
    fn lacks(&self, token: &Token, needed: Permission) -> bool {
        let proved = needed == Permission::Write && self.authenticator.is_accepted(token);
        !proved && token.permissions.as_ref().is_some_and(|permissions| permissions.lacks(needed))
    }

    /// The same failure with what the token tells about the missing permission, if it can be read.
    fn with_remedy(&self, failure: Failure, token: &Token, needed: Permission) -> Failure {
        match &token.permissions {
            Some(permissions) => failure.with_hint(permissions.remedy(needed, &self.sign_in())),
            None => failure,
        }
    }

    /// How to sign in to this account.
    fn sign_in(&self) -> String {
        match self.account.auth {
            Auth::DeviceCode
            | Auth::Browser
            | Auth::ClientSecret { .. }
            | Auth::ClientCertificate { .. }
            | Auth::Federated { .. } => {
                format!("run `presenced login {}`", self.authenticator.account())
            }
            Auth::TokenCommand { .. } => "sign in again to the program behind the token command".to_owned(),
        }
    }

    /// Graph asks for claims that no token has without a person's help.
    fn ask_for_more(&self, failure: Failure) -> Failure {
        let hint = match self.account.auth {
            Auth::DeviceCode | Auth::Browser => {
                return Failure { kind: FailureKind::SignInNeeded, ..failure }.with_hint(self.sign_in());
            }
            Auth::ClientSecret { .. } | Auth::ClientCertificate { .. } | Auth::Federated { .. } => {
                "ask an administrator which Conditional Access policy asks for more than the token has".to_owned()
            }
            Auth::TokenCommand { .. } => {
                self.sign_in() + ": Graph asks for more than its token has, and presenced cannot pass that on"
            }
        };
        Failure { kind: FailureKind::Refused, ..failure }.with_hint(hint)
    }
}

/// A batch that is refused as a whole says nothing about its users: each may still be served by a request of its own.
fn about_nobody(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Refused => Failure { kind: FailureKind::Passing, extent: Extent::Service, ..failure },
        FailureKind::Passing | FailureKind::Throttled | FailureKind::TokenRefused | FailureKind::SignInNeeded => {
            failure
        }
    }
}
