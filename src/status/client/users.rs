//! The client's requests about the users of accounts with many.

use std::fmt::Display;
use std::time::Duration;

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::report::word;
use super::super::request::{OverrideBody, SignalBody, write_ttl};
use super::super::users::{CALL, Page, Query, UserChange, UserRow, Whom};
use super::{Client, ClientError, parse};

impl Client {
    /// `GET /v1/users`: one page.
    pub async fn users(&mut self, query: &Query) -> Result<Page, ClientError> {
        let mut path = format!("/v1/users?limit={}", query.limit);
        let parameters = [
            ("account", query.account.clone()),
            ("state", query.state.map(word)),
            ("presence", query.presence.clone()),
            ("after", query.after.clone()),
        ];
        for (name, value) in parameters {
            path.extend(value.map(|value| format!("&{name}={}", escaped(&value))));
        }
        let body = self.ask(Method::GET, &path, None::<()>).await?;
        parse(&body)
    }

    /// `GET /v1/users/{user}`.
    pub async fn user(&mut self, user: &str) -> Result<UserRow, ClientError> {
        let body = self.ask(Method::GET, &format!("/v1/users/{}", escaped(user)), None::<()>).await?;
        parse(&body)
    }

    /// `PUT` and `DELETE /v1/users/{user}/…`, for one of many users.
    pub async fn change_user(&mut self, user: &str, change: &UserChange) -> Result<(), ClientError> {
        self.change(&Whom::user(user), change).await
    }

    /// The same for a user or an account.
    pub async fn change(&mut self, whom: &Whom, change: &UserChange) -> Result<(), ClientError> {
        let user = whom.user.as_ref().map(|user| format!("/users/{}", escaped(user))).unwrap_or_default();
        let account = whom.account.as_ref().map(|account| format!("?account={}", escaped(account))).unwrap_or_default();
        let manual = format!("/v1{user}/override{account}");
        let signal = |name: &str| format!("/v1{user}/signals/{}{account}", escaped(name));
        let set = |value: &dyn Display, ttl: Option<Duration>| {
            Some(SignalBody { value: value.to_string(), ttl: ttl.map(write_ttl) })
        };
        match change {
            UserChange::SetOverride(claim, ttl) => {
                let body = OverrideBody { presence: claim.to_string(), ttl: ttl.map(write_ttl) };
                self.ask(Method::PUT, &manual, Some(body)).await
            }
            UserChange::ClearOverride => self.ask(Method::DELETE, &manual, None::<()>).await,
            UserChange::SetCall(state, ttl) => self.ask(Method::PUT, &signal(CALL), set(state, *ttl)).await,
            UserChange::ClearCall => self.ask(Method::DELETE, &signal(CALL), None::<()>).await,
            UserChange::SetSignal(name, value, ttl) => self.ask(Method::PUT, &signal(name), set(value, *ttl)).await,
            UserChange::ClearSignal(name) => self.ask(Method::DELETE, &signal(name), None::<()>).await,
        }
        .map(drop)
    }
}

fn escaped(text: &str) -> impl Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}
