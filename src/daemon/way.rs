//! The way of one request: a token first, then the one call to Graph that it stands for. What Graph refuses for want of a
//! permission is explained with what the token says it permits.

use std::sync::Arc;

use crate::auth::{Authenticator, Permissions, Token};
use crate::config::{self, Auth};
use crate::graph::Client;
use crate::session::{Action, Failure, FailureKind, Request, Seen, Target};
use crate::time::Now;

/// What a request needs on its way.
pub(super) struct Way {
    authenticator: Arc<Authenticator>,
    client: Arc<Client>,
    account: config::Account,
    now: Now,
}

impl Way {
    /// The way of a request of `account` that is sent at `now`.
    pub(super) fn new(
        authenticator: Arc<Authenticator>,
        client: Arc<Client>,
        account: config::Account,
        now: Now,
    ) -> Self {
        Self { authenticator, client, account, now }
    }

    /// Sends what a session asks for.
    pub(super) async fn write(self, request: Request) -> Result<(), Failure> {
        let (Token { bearer, permissions, .. }, user) = self.token(request.fresh_token).await?;
        let (client, session_id) = (&self.client, &self.account.client_id);
        let outcome = match request.action {
            Action::Set(Target { presence, expiration }) => {
                client.set_presence(&bearer, &user, session_id, presence, expiration).await
            }
            Action::Clear => client.clear_presence(&bearer, &user, session_id).await,
            Action::Prefer(Target { presence, expiration }) => {
                client.set_preferred_presence(&bearer, &user, presence, expiration).await
            }
            Action::ClearPreferred => client.clear_preferred_presence(&bearer, &user).await,
        };
        outcome.map_err(|failure| self.judge(failure, permissions.as_ref()))
    }

    /// Reads what others see.
    pub(super) async fn read(self) -> Result<Seen, Failure> {
        let (Token { bearer, permissions, .. }, user) = self.token(false).await?;
        let outcome = self.client.read_presence(&bearer, &user).await;
        outcome.map_err(|failure| self.judge(failure, permissions.as_ref()))
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

    /// What Graph's refusal means for an account of this kind, whose token permits what it says.
    fn judge(&self, failure: Failure, permissions: Option<&Permissions>) -> Failure {
        let nobody_signs_in = !matches!(self.account.auth, Auth::DeviceCode);
        match (failure.kind, failure.lacks.zip(permissions)) {
            (_, Some((needed, permissions))) => failure.with_hint(permissions.mend(needed)),
            // What a person would be asked for, an application can only be allowed to do without.
            (FailureKind::SignInNeeded, None) if nobody_signs_in => {
                let hint =
                    "have an administrator check which Conditional Access policy asks for more than the token has";
                Failure { kind: FailureKind::Refused, ..failure }.with_hint(hint)
            }
            (_, None) => failure,
        }
    }
}
