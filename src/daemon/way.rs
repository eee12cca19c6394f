//! The way of one request: a token first, then the one call to Graph that it stands for. What Graph refuses for want of a
//! permission is explained with what the token says it permits; the claims that Graph asks for go to who gets the next token.

use std::sync::Arc;

use tokio::time::Instant as Stopwatch;

use crate::auth::{Authenticator, Token};
use crate::config::{self, Auth};
use crate::failure::{Applied, Failure, FailureKind, Missing};
use crate::graph::Client;
use crate::session::{Action, Request, Seen, Target};
use crate::tally::{Call, Outcome, Tally};
use crate::time::Now;

/// What a request needs on its way.
pub(super) struct Way {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) client: Arc<Client>,
    pub(super) account: config::Account,
    /// When it is sent.
    pub(super) now: Now,
    /// Where it counts.
    pub(super) tally: Arc<Tally>,
}

impl Way {
    /// Sends what a session asks for.
    pub(super) async fn write(self, request: Request) -> Result<(), Failure> {
        let (token, user) = self.token(request.fresh_token).await?;
        let bearer = &token.bearer;
        let (client, session_id) = (&self.client, &self.account.client_id);
        let count = self.begin(request.action.into());
        let outcome = match request.action {
            Action::Set(Target { presence, expiration }) => {
                client.set_presence(bearer, &user, session_id, presence, expiration).await
            }
            Action::Clear => client.clear_presence(bearer, &user, session_id).await,
            Action::Prefer(Target { presence, expiration }) => {
                client.set_preferred_presence(bearer, &user, presence, expiration).await
            }
            Action::ClearPreferred => client.clear_preferred_presence(bearer, &user).await,
        };
        let outcome = outcome.map_err(|failure| self.judge(failure, &token, &user));
        count(Outcome::of(&outcome));
        if outcome.is_ok() {
            self.authenticator.note_accepted(&token);
        }
        outcome
    }

    /// Reads what others see.
    pub(super) async fn read(self) -> Result<Seen, Failure> {
        let (token, user) = self.token(false).await?;
        let count = self.begin(Call::Read);
        let outcome = self.client.read_presence(&token.bearer, &user).await;
        let outcome = outcome.map_err(|failure| self.judge(failure, &token, &user));
        count(Outcome::of(&outcome));
        outcome
    }

    /// A call to Graph begins now. What is returned counts its end.
    fn begin(&self, call: Call) -> impl FnOnce(Outcome) + use<> {
        let pending = self.tally.begin(self.authenticator.account(), call);
        let (began, sent_at) = (Stopwatch::now(), self.now.wall);
        move |outcome| pending.end(outcome, began.elapsed(), sent_at)
    }

    /// A token, and the user it is good for.
    async fn token(&self, fresh: bool) -> Result<(Token, String), Failure> {
        let token = self.authenticator.token(&self.now, fresh).await?;
        let user = self.account.user.clone().or_else(|| token.user.clone()).ok_or_else(|| {
            Failure::new(FailureKind::Refused, "nobody knows whose presence this is: the sign-in named no user")
                .with_hint("set `user` of the account to the object id")
        })?;
        Ok((token, user))
    }

    /// What Graph's refusal of a request about `user` with `token` means for this account.
    fn judge(&self, failure: Failure, token: &Token, user: &str) -> Failure {
        match failure.missing.as_deref() {
            Some(Missing::Permission(needed)) => {
                let mend = token.permissions.as_ref().map(|permissions| permissions.remedy(*needed, &self.sign_in()));
                mend.map_or(failure.clone(), |mend| failure.with_hint(mend))
            }
            Some(Missing::Claims(claims)) => {
                let another_may_do = self.authenticator.challenge(token, claims);
                if another_may_do { failure } else { self.ask_for_more(failure) }
            }
            // It cannot be that, or was not before: it is one of the service's 401s that come and go.
            Some(Missing::User) if token.may_set(user) || self.authenticator.was_accepted() => {
                Failure { kind: FailureKind::Passing, applied: Applied::Perhaps, hint: None, ..failure }
            }
            None if failure.kind == FailureKind::SignInNeeded => self.ask_for_more(failure),
            Some(Missing::User | Missing::Keyring(_)) | None => failure,
        }
    }

    /// How to sign in to this account, where somebody can.
    fn sign_in(&self) -> String {
        match self.account.auth {
            Auth::DeviceCode
            | Auth::Browser
            | Auth::ClientSecret { .. }
            | Auth::ClientCertificate { .. }
            | Auth::Federated { .. } => {
                format!("run `presenced login {}`", self.authenticator.account())
            }
            Auth::TokenCommand { .. } => "sign in anew to the program behind the token command".to_owned(),
        }
    }

    /// No token that can be had without somebody has the claims that Graph asks for.
    fn ask_for_more(&self, failure: Failure) -> Failure {
        let hint = match self.account.auth {
            Auth::DeviceCode | Auth::Browser => {
                return Failure { kind: FailureKind::SignInNeeded, ..failure }.with_hint(self.sign_in());
            }
            Auth::ClientSecret { .. } | Auth::ClientCertificate { .. } | Auth::Federated { .. } => {
                "have an administrator check which Conditional Access policy asks for more than the token has"
                    .to_owned()
            }
            Auth::TokenCommand { .. } => {
                self.sign_in() + ": Graph asks for more than its token has, and presenced cannot tell it"
            }
        };
        Failure { kind: FailureKind::Refused, ..failure }.with_hint(hint)
    }
}
