//! The routes: how each request is answered. The documentation of [`super`] is the contract.

mod users;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query as Parameters, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::Command;
use super::answer::Refusal;
use super::connections::Seat;
use super::feed::{Feed, Subscription, WatchLine};
use super::open_metrics;
use super::report::{self, Health, Report};
use super::request::{OverrideBody, SignalBody, SignalName, SignalValue, parse_claim, parse_ttl};
use super::users::{UserChange, Whom};
use crate::metrics::Metrics;
use users::{OfAccount, of_account, writer};

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The process id of the client.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) i32);

/// The daemon, as far as clients know it.
#[derive(Clone)]
struct Daemon {
    reports: watch::Receiver<Arc<Report>>,
    feed: Feed,
    commands: mpsc::Sender<Command>,
    /// The seats of those who watch.
    watchers: Arc<Semaphore>,
}

impl Daemon {
    fn report(&self) -> Arc<Report> {
        self.reports.borrow().clone()
    }

    /// Sends a command to the daemon. The outer error means that it is stopping, the inner one that it refused.
    async fn ask<Answer>(&self, command: impl FnOnce(oneshot::Sender<Answer>) -> Command) -> Result<Answer, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Refusal::stopping())?;
        answer.await.map_err(|_| Refusal::stopping())
    }
}

/// The answer to a request that changes something: 204, or why it was not done.
type Done = Result<StatusCode, Refusal>;

/// What anybody may see of the daemon, and nobody can change.
#[derive(Clone)]
pub(super) struct View {
    reports: watch::Receiver<Arc<Report>>,
    metrics: Arc<Metrics>,
}

impl View {
    pub(super) fn new(reports: watch::Receiver<Arc<Report>>, metrics: Arc<Metrics>) -> Self {
        Self { reports, metrics }
    }

    fn report(&self) -> Arc<Report> {
        self.reports.borrow().clone()
    }
}

/// The routes for anybody who can connect.
pub(super) fn open(view: View) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(openmetrics))
        .with_state(view)
}

/// All routes. At most `max_watchers` connections may watch at once.
pub(super) fn router(
    reports: watch::Receiver<Arc<Report>>,
    feed: Feed,
    commands: mpsc::Sender<Command>,
    metrics: Arc<Metrics>,
    max_watchers: usize,
) -> Router {
    let open = open(View::new(reports.clone(), metrics));
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/watch", get(watch_reports))
        .route("/v1/override", put(set_override).delete(clear_override))
        .route("/v1/signals/{name}", put(set_signal).delete(clear_signal))
        .route("/v1/reload", post(reload))
        .merge(users::routes())
        .with_state(Daemon { reports, feed, commands, watchers: Arc::new(Semaphore::new(max_watchers)) })
        .merge(open)
        .method_not_allowed_fallback(async |request: Request| {
            Refusal::method_not_allowed(request.method().as_str(), request.uri().path())
        })
        .fallback(async |request: Request| Refusal::not_found(request.uri().path()))
}

async fn status(State(daemon): State<Daemon>) -> Response {
    Json(&*daemon.report()).into_response()
}

async fn watch_reports(State(daemon): State<Daemon>, Extension(seat): Extension<Seat>) -> Result<Response, Refusal> {
    if !seat.move_to(&daemon.watchers) {
        return Err(Refusal::too_many_watchers());
    }
    let watching = Watching { reports: daemon.reports, shown: None, feed: daemon.feed.subscribe() };
    let lines = futures_util::stream::unfold(watching, async |mut watching| {
        let lines = watching.next().await?;
        Some((Ok::<_, Infallible>(lines), watching))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// What one client that watches has seen.
struct Watching {
    reports: watch::Receiver<Arc<Report>>,
    shown: Option<Arc<Report>>,
    feed: Subscription,
}

impl Watching {
    /// The next lines: the report if it differs from the one already shown, and then what is new about users. `None` when the daemon
    /// has stopped. A client that reads slowly may miss what was in between, but never the latest report.
    async fn next(&mut self) -> Option<String> {
        loop {
            let mut lines = String::new();
            let (missed, users) = self.feed.take();
            let next = self.reports.borrow_and_update().clone();
            let is_shown = self.shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &next) || *shown == next);
            if !is_shown || missed > 0 {
                lines += &serde_json::to_string(&*next).expect("a report is JSON: its keys are strings");
                lines.push('\n');
            }
            if missed > 0 {
                lines += &WatchLine::Missed(missed).write();
            }
            lines += &users;
            self.shown = Some(next);
            if !lines.is_empty() {
                return Some(lines);
            }
            tokio::select! {
                changed = self.reports.changed() => changed.ok()?,
                () = self.feed.wait() => {}
            }
        }
    }
}

async fn set_override(
    State(daemon): State<Daemon>,
    account: Result<Parameters<OfAccount>, QueryRejection>,
    body: Body,
) -> Done {
    let account = of_account(account)?;
    let body: OverrideBody = read_json(body, r#"{"presence": "Busy/InACall", "for": "30m"}"#).await?;
    if account.is_some() {
        let change = UserChange::hold(&body.presence, body.ttl.as_deref())?;
        return daemon.change(Whom { user: None, account }, change, None).await;
    }
    let claim = parse_claim(&body.presence)?;
    let ttl = body.ttl.as_deref().map(parse_ttl).transpose()?;
    done(daemon.ask(|reply| Command::SetOverride { claim, ttl, reply }).await?)
}

async fn clear_override(State(daemon): State<Daemon>, account: Result<Parameters<OfAccount>, QueryRejection>) -> Done {
    let account = of_account(account)?;
    if account.is_some() {
        return daemon.change(Whom { user: None, account }, UserChange::ClearOverride, None).await;
    }
    done(daemon.ask(|reply| Command::ClearOverride { reply }).await?)
}

async fn set_signal(
    State(daemon): State<Daemon>,
    peer: Option<Extension<Peer>>,
    name: Result<Path<String>, PathRejection>,
    account: Result<Parameters<OfAccount>, QueryRejection>,
    body: Body,
) -> Done {
    let (name, account) = (signal_name(name)?, of_account(account)?);
    let body: SignalBody = read_json(body, r#"{"value": "on-air", "ttl": "2m"}"#).await?;
    if account.is_some() {
        let change = UserChange::set(&name, &body.value, body.ttl.as_deref())?;
        return daemon.change(Whom { user: None, account }, change, writer(peer)).await;
    }
    let value = body.value.parse::<SignalValue>()?.into();
    let ttl = body.ttl.as_deref().map(parse_ttl).transpose()?;
    done(daemon.ask(|reply| Command::SetSignal { name, value, ttl, writer: writer(peer), reply }).await?)
}

async fn clear_signal(
    State(daemon): State<Daemon>,
    name: Result<Path<String>, PathRejection>,
    account: Result<Parameters<OfAccount>, QueryRejection>,
) -> Done {
    let (name, account) = (signal_name(name)?, of_account(account)?);
    if account.is_some() {
        return daemon.change(Whom { user: None, account }, UserChange::clear(&name)?, None).await;
    }
    done(daemon.ask(|reply| Command::ClearSignal { name, reply }).await?)
}

async fn reload(State(daemon): State<Daemon>) -> Done {
    let answer = daemon.ask(|reply| Command::Reload { reply }).await?;
    answer.map(|()| StatusCode::NO_CONTENT).map_err(Refusal::configuration_refused)
}

/// Whether it is alive, which any answer proves: it comes from the thread of the event loop. A restart would not fix anything
/// that the report may show, so every report is a success here.
async fn healthz(State(view): State<View>) -> &'static str {
    health(&view.report())
}

/// Whether the presence is kept.
async fn readyz(State(view): State<View>) -> (StatusCode, &'static str) {
    let report = view.report();
    let is = |state| report.accounts.values().any(|account| account.state == state);
    if is(report::State::Stopping) {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if report.health == Health::Failing {
        (StatusCode::SERVICE_UNAVAILABLE, health(&report))
    } else if report.accounts.is_empty() || is(report::State::Starting) {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n")
    } else {
        (StatusCode::OK, health(&report))
    }
}

fn health(report: &Report) -> &'static str {
    match report.health {
        Health::Ok => "ok\n",
        Health::Degraded => "degraded\n",
        Health::Failing => "failing\n",
    }
}

async fn openmetrics(State(view): State<View>) -> Response {
    ([(header::CONTENT_TYPE, open_metrics::CONTENT_TYPE)], open_metrics::render(view.report(), view.metrics.snapshot()))
        .into_response()
}

fn done(answer: Result<(), String>) -> Done {
    answer.map(|()| StatusCode::NO_CONTENT).map_err(Refusal::refused)
}

/// The name in the path. If it is not valid UTF-8 after percent-decoding, it breaks the rule for names.
fn signal_name(path: Result<Path<String>, PathRejection>) -> Result<String, Refusal> {
    let name = path.map(|Path(name)| name).unwrap_or_default();
    Ok(name.parse::<SignalName>()?.into())
}

/// Reads a body, with a limit for its size and for the time it takes.
async fn read_json<T: DeserializeOwned>(body: Body, example: &str) -> Result<T, Refusal> {
    let bytes = read(body, MAX_BODY_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| Refusal::bad_json(&error, example))
}

async fn read(body: Body, limit: usize) -> Result<axum::body::Bytes, Refusal> {
    let read = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await;
    let read = read
        .map_err(|_| Refusal::too_slow())?
        .map_err(|error| if error.is::<LengthLimitError>() { Refusal::too_large(limit) } else { Refusal::body_lost() });
    Ok(read?.to_bytes())
}
