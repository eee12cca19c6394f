//! The way of one request: a token first, then the one call to Graph that it stands for.

use std::sync::Arc;

use secrecy::SecretString;

use crate::auth::Authenticator;
use crate::config;
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
        let (bearer, user) = self.token(request.fresh_token).await?;
        let (client, session_id) = (&self.client, &self.account.client_id);
        match request.action {
            Action::Set(Target { presence, expiration }) => {
                client.set_presence(&bearer, &user, session_id, presence, expiration).await
            }
            Action::Clear => client.clear_presence(&bearer, &user, session_id).await,
            Action::Prefer(Target { presence, expiration }) => {
                client.set_preferred_presence(&bearer, &user, presence, expiration).await
            }
            Action::ClearPreferred => client.clear_preferred_presence(&bearer, &user).await,
        }
    }

    /// Reads what others see.
    pub(super) async fn read(self) -> Result<Seen, Failure> {
        let (bearer, user) = self.token(false).await?;
        self.client.read_presence(&bearer, &user).await
    }

    /// A token, and the user it is good for.
    async fn token(&self, fresh: bool) -> Result<(SecretString, String), Failure> {
        let token = self.authenticator.token(&self.now, fresh).await?;
        let user = self.account.user.clone().or(token.user).ok_or_else(|| {
            Failure::new(FailureKind::Refused, "nobody knows whose presence this is: the sign-in named no user")
                .with_hint("set `user` of the account to the object id")
        })?;
        Ok((token.bearer, user))
    }
}
