//! The routes about the users of accounts with many.

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use serde::Deserialize;

use super::super::Command;
use super::super::answer::Refusal;
use super::super::peer;
use super::super::request::{Invalid, OverrideBody, SignalBody};
use super::super::users::{
    Accepted, DEFAULT_LIMIT, Line, LineError, MAX_LIMIT, NotDone, Page, Query, UserChange, UserRow, UsersCommand, Whom,
};
use super::{Daemon, Done, Peer, read, read_json};
use crate::session::State as SessionState;

/// The largest body of `POST /v1/users/signals`: 10,000 lines with room to spare.
const MAX_LINES_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn routes() -> Router<Daemon> {
    Router::new()
        .route("/v1/users", get(list))
        .route("/v1/users/signals", post(set_many))
        .route("/v1/users/{user}", get(show))
        .route("/v1/users/{user}/override", put(set_override).delete(clear_override))
        .route("/v1/users/{user}/signals/{name}", put(set_signal).delete(clear_signal))
}

/// The parameters of `GET /v1/users`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    account: Option<String>,
    state: Option<SessionState>,
    presence: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn list(
    State(daemon): State<Daemon>,
    wanted: Result<Parameters<Wanted>, QueryRejection>,
) -> Result<Json<Page>, Refusal> {
    let Parameters(wanted) = wanted.map_err(|rejection| Refusal::bad_query(&rejection.body_text()))?;
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let Wanted { account, state, presence, after, limit: _ } = wanted;
    let query = Query { account: account.clone(), state, presence, after, limit };
    let page = daemon.ask(|reply| Command::Users(UsersCommand::List { query, reply })).await?;
    page.map(Json).ok_or_else(|| Refusal::no_account_with_users(account.as_deref().unwrap_or_default()))
}

async fn show(
    State(daemon): State<Daemon>,
    user: Result<Path<String>, PathRejection>,
) -> Result<Json<UserRow>, Refusal> {
    let user = user.map(|Path(user)| user).unwrap_or_default();
    let asked = user.clone();
    let row = daemon.ask(|reply| Command::Users(UsersCommand::Show { user, reply })).await?;
    row.map(Json).ok_or_else(|| Refusal::unknown_user(&asked))
}

async fn set_override(
    State(daemon): State<Daemon>,
    user: Result<Path<String>, PathRejection>,
    account: Result<Parameters<OfAccount>, QueryRejection>,
    body: Body,
) -> Done {
    let body: OverrideBody = read_json(body, r#"{"presence": "Busy/InACall", "for": "30m"}"#).await?;
    let change = UserChange::hold(&body.presence, body.ttl.as_deref())?;
    daemon.change(whom(user, account)?, change, None).await
}

async fn clear_override(
    State(daemon): State<Daemon>,
    user: Result<Path<String>, PathRejection>,
    account: Result<Parameters<OfAccount>, QueryRejection>,
) -> Done {
    daemon.change(whom(user, account)?, UserChange::ClearOverride, None).await
}

fn whom(
    user: Result<Path<String>, PathRejection>,
    account: Result<Parameters<OfAccount>, QueryRejection>,
) -> Result<Whom, Refusal> {
    let user = user.map(|Path(user)| user).unwrap_or_default();
    Ok(Whom { user: Some(user), account: of_account(account)? })
}

async fn set_signal(
    State(daemon): State<Daemon>,
    peer: Option<Extension<Peer>>,
    path: Result<Path<(String, String)>, PathRejection>,
    account: Result<Parameters<OfAccount>, QueryRejection>,
    body: Body,
) -> Done {
    let (user, name) = path.map(|Path(path)| path).unwrap_or_default();
    let whom = Whom { user: Some(user), account: of_account(account)? };
    let body: SignalBody = read_json(body, r#"{"value": "on-air", "ttl": "2m"}"#).await?;
    daemon.change(whom, UserChange::set(&name, &body.value, body.ttl.as_deref())?, writer(peer)).await
}

async fn clear_signal(
    State(daemon): State<Daemon>,
    path: Result<Path<(String, String)>, PathRejection>,
    account: Result<Parameters<OfAccount>, QueryRejection>,
) -> Done {
    let (user, name) = path.map(|Path(path)| path).unwrap_or_default();
    let whom = Whom { user: Some(user), account: of_account(account)? };
    daemon.change(whom, UserChange::clear(&name)?, None).await
}

/// The parameter that names the account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfAccount {
    account: Option<String>,
}

pub(super) fn of_account(parameters: Result<Parameters<OfAccount>, QueryRejection>) -> Result<Option<String>, Refusal> {
    let Parameters(OfAccount { account }) =
        parameters.map_err(|rejection| Refusal::bad_query(&rejection.body_text()))?;
    Ok(account)
}

pub(super) fn writer(peer: Option<Extension<Peer>>) -> Option<String> {
    peer.and_then(|Extension(Peer(pid))| peer::name(pid))
}

impl Daemon {
    /// Has something changed for a user or for an account.
    pub(super) async fn change(&self, whom: Whom, change: UserChange, writer: Option<String>) -> Done {
        let changes = vec![(whom.clone(), change)];
        let outcomes = self.ask(|reply| Command::Users(UsersCommand::Change { changes, writer, reply })).await?;
        let Whom { user, account } = whom;
        match outcomes.into_iter().next() {
            Some(Ok(())) => Ok(StatusCode::NO_CONTENT),
            Some(Err(NotDone::Refused(message))) => Err(Refusal::refused(message)),
            Some(Err(NotDone::UnknownUser)) => Err(Refusal::unknown_user(&user.unwrap_or_default())),
            Some(Err(NotDone::UnknownAccount)) => Err(Refusal::unknown_account(&account.unwrap_or_default())),
            None => Err(Refusal::stopping()),
        }
    }
}

/// Each line stands for itself: those that can be read are in force, the others are named in the answer.
async fn set_many(
    State(daemon): State<Daemon>,
    peer: Option<Extension<Peer>>,
    body: Body,
) -> Result<Json<Accepted>, Refusal> {
    let body = read(body, MAX_LINES_BYTES).await?;
    let mut accepted = Accepted::default();
    let (mut changes, mut lines) = (Vec::<(Whom, UserChange)>::new(), Vec::new());
    for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match read_line(line) {
            Ok(change) => {
                changes.push(change);
                lines.push(number);
            }
            Err(Invalid { code, message, hint }) => accepted.errors.push(LineError {
                line: number,
                code: code.to_owned(),
                message: format!("{message}; {hint}"),
            }),
        }
    }
    let whoms: Vec<Whom> = changes.iter().map(|(whom, _)| whom.clone()).collect();
    let writer = writer(peer);
    let outcomes = daemon.ask(|reply| Command::Users(UsersCommand::Change { changes, writer, reply })).await?;
    for ((line, whom), outcome) in lines.into_iter().zip(whoms).zip(outcomes) {
        let (code, message) = match outcome {
            Ok(()) => {
                accepted.accepted += 1;
                continue;
            }
            Err(NotDone::Refused(message)) => ("refused", message),
            Err(NotDone::UnknownUser) => {
                ("unknown-user", Refusal::unknown_user(&whom.user.unwrap_or_default()).message)
            }
            Err(NotDone::UnknownAccount) => {
                ("unknown-account", Refusal::unknown_account(&whom.account.unwrap_or_default()).message)
            }
        };
        accepted.errors.push(LineError { line, code: code.to_owned(), message });
    }
    accepted.errors.sort_by_key(|error| error.line);
    Ok(Json(accepted))
}

fn read_line(line: &[u8]) -> Result<(Whom, UserChange), Invalid> {
    let line: Line = serde_json::from_slice(line).map_err(|error| Invalid {
        code: "bad-json",
        message: format!("the line cannot be read: {error}"),
        hint: r#"write {"user": "ID or name", "signal": "call", "value": "in-call", "ttl": "2h"}"#.to_owned(),
    })?;
    let change = match &line.value {
        Some(value) => UserChange::set(&line.signal, value, line.ttl.as_deref())?,
        None => UserChange::clear(&line.signal)?,
    };
    Ok((Whom { user: Some(line.user), account: line.account }, change))
}
