//! The client's requests about the users of accounts with many.

use std::fmt::Display;
use std::time::Duration;

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::report::word;
use super::super::request::{OverrideBody, SignalBody, write_ttl};
use super::super::users::{CALL, Page, Query, UserChange, UserRow};
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

    /// `PUT` and `DELETE /v1/users/{user}/…`.
    pub async fn change_user(&mut self, user: &str, change: &UserChange) -> Result<(), ClientError> {
        let user = format!("/v1/users/{}", escaped(user));
        let manual = format!("{user}/override");
        let signal = |name: &str| format!("{user}/signals/{}", escaped(name));
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
