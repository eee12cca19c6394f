//! The client: how the commands talk to a running daemon, and what can go wrong, grouped by how to fix it.

mod users;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::answer::{CONFIGURATION_REFUSED, ErrorBody, Refusal, STOPPING, TOO_MANY_CONNECTIONS};
use super::peer;
use super::report::Report;
use super::request::{OverrideBody, SignalBody, SignalName, SignalValue, write_ttl};
use crate::policy::Claim;
use crate::tasks;

/// How long a connection may take. On a socket of this machine it takes no time, unless the daemon is stuck.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to try again if the daemon has too many connections, and the time between two tries.
const RETRY_TIME: Duration = Duration::from_secs(2);
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing answers at the socket.
    #[error("presenced is not running: nothing answers at {}", socket.display())]
    NotRunning {
        /// The socket.
        socket: PathBuf,
    },
    /// The daemon has too many connections, and none ended in 2 seconds.
    #[error("{message}")]
    TooManyConnections {
        /// Its reason.
        message: String,
        /// How to fix it.
        hint: String,
    },
    /// The daemon is stopping, or stopped before it answered.
    #[error("presenced is stopping")]
    Stopping,
    /// The file system refuses access to this user.
    #[error("cannot connect to {}: {source}", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The daemon runs but does not answer.
    #[error("presenced did not answer within {} s", limit.as_secs())]
    TimedOut {
        /// How long the client waited.
        limit: Duration,
    },
    /// The new configuration is invalid; the text is the whole report, as `presenced check` prints it.
    #[error("{message}")]
    ConfigurationRefused {
        /// The report.
        message: String,
        /// How to fix it.
        hint: String,
    },
    /// The daemon did not do what it was asked.
    #[error("{message}")]
    Refused {
        /// Its reason.
        message: String,
        /// How to fix it.
        hint: String,
    },
    /// The answer does not come from presenced, or from another version of it.
    #[error("the answer from the socket is not understood: {what}")]
    NotUnderstood {
        /// What was not understood.
        what: String,
    },
}

impl ClientError {
    /// The command or change that fixes it.
    pub fn hint(&self) -> &str {
        match self {
            Self::NotRunning { .. } | Self::Stopping => {
                "start it with `presenced run` or `systemctl --user start presenced`"
            }
            Self::Connect { .. } => "run this as the user who runs presenced, or name another socket with `--socket`",
            Self::TimedOut { .. } => "its log shows what it is doing; `systemctl --user restart presenced` restarts it",
            Self::TooManyConnections { hint, .. }
            | Self::ConfigurationRefused { hint, .. }
            | Self::Refused { hint, .. } => hint,
            Self::NotUnderstood { .. } => {
                "restart the daemon if it is older than this program; see `presenced --version`"
            }
        }
    }
}

impl From<hyper::Error> for ClientError {
    /// If the connection ends without an answer, the daemon is stopping. Any other error means that the answer is not HTTP.
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() { Self::NotUnderstood { what: error.to_string() } } else { Self::Stopping }
    }
}

/// A connection to the daemon. Needs a Tokio runtime that outlives it. If the daemon has too many connections, a request is tried
/// again for 2 seconds, each time on a new connection.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects to the daemon at `socket`, within 2 seconds.
    pub async fn connect(socket: &Path) -> Result<Self, ClientError> {
        let sender = connect(socket).await?;
        Ok(Self { socket: socket.to_owned(), sender })
    }

    /// `GET /v1/status`.
    pub async fn status(&mut self) -> Result<Report, ClientError> {
        let body = self.ask(Method::GET, "/v1/status", None::<()>).await?;
        parse(&body)
    }

    /// `GET /v1/watch`: the report now and at each change. What is new about single users is skipped.
    pub async fn watch(mut self) -> Result<Watch, ClientError> {
        let request = || request(Method::GET, "/v1/watch", Bytes::new());
        let body = self.retried(async |sender| open(sender, request()).await).await?;
        Ok(Watch { body, unread: Vec::new(), _connection: self })
    }

    /// `PUT /v1/override`: holds `claim` by hand, for `ttl` or until unset.
    pub async fn set_override(&mut self, claim: Claim, ttl: Option<Duration>) -> Result<(), ClientError> {
        let body = OverrideBody { presence: claim.to_string(), ttl: ttl.map(write_ttl) };
        self.ask(Method::PUT, "/v1/override", Some(body)).await.map(drop)
    }

    /// `DELETE /v1/override`.
    pub async fn clear_override(&mut self) -> Result<(), ClientError> {
        self.ask(Method::DELETE, "/v1/override", None::<()>).await.map(drop)
    }

    /// `PUT /v1/signals/{name}`: sets a signal, for `ttl` or until it is cleared.
    pub async fn set_signal(
        &mut self,
        name: &SignalName,
        value: &SignalValue,
        ttl: Option<Duration>,
    ) -> Result<(), ClientError> {
        let body = SignalBody { value: value.as_str().to_owned(), ttl: ttl.map(write_ttl) };
        self.ask(Method::PUT, &signal_path(name), Some(body)).await.map(drop)
    }

    /// `DELETE /v1/signals/{name}`.
    pub async fn clear_signal(&mut self, name: &SignalName) -> Result<(), ClientError> {
        self.ask(Method::DELETE, &signal_path(name), None::<()>).await.map(drop)
    }

    /// `POST /v1/reload`: answered when the new configuration is in force.
    pub async fn reload(&mut self) -> Result<(), ClientError> {
        self.ask(Method::POST, "/v1/reload", None::<()>).await.map(drop)
    }

    /// Sends a request and reads the whole answer.
    async fn ask(&mut self, method: Method, path: &str, body: Option<impl Serialize>) -> Result<Bytes, ClientError> {
        let body = match body {
            Some(body) => serde_json::to_vec(&body).expect("strings are JSON").into(),
            None => Bytes::new(),
        };
        self.retried(async |sender| {
            let answer = open(sender, request(method.clone(), path, Bytes::clone(&body))).await?;
            Ok(answer.collect().await?.to_bytes())
        })
        .await
    }

    /// Does something on the connection, within 10 seconds. If the daemon has too many connections, tries again on a new one.
    async fn retried<T>(
        &mut self,
        work: impl AsyncFn(&mut SendRequest<Full<Bytes>>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let mut refused = match in_time(work(&mut self.sender)).await {
            Err(refused @ ClientError::TooManyConnections { .. }) => refused,
            other => return other,
        };
        let again = async {
            loop {
                pause().await;
                self.sender = connect(&self.socket).await?;
                match in_time(work(&mut self.sender)).await {
                    Err(again @ ClientError::TooManyConnections { .. }) => refused = again,
                    other => return other,
                }
            }
        };
        let answered = tokio::time::timeout(RETRY_TIME, again).await;
        answered.unwrap_or(Err(refused))
    }
}

/// What the daemon would say if it could accept the connection.
fn full() -> ClientError {
    let Refusal { message, hint, .. } = Refusal::too_many_connections();
    ClientError::TooManyConnections { message, hint }
}

#[expect(clippy::disallowed_methods, reason = "it does no harm if a suspend makes this pause longer")]
async fn pause() {
    tokio::time::sleep(RETRY_INTERVAL).await;
}

async fn connect(socket: &Path) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    let mut is_full = false;
    let connected = async {
        loop {
            match UnixStream::connect(socket).await {
                // More connections wait for the daemon than the kernel keeps (connect(2), `EAGAIN`).
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => is_full = true,
                connected => return connected,
            }
            pause().await;
        }
    };
    let Ok(connected) = tokio::time::timeout(CONNECT_TIMEOUT, connected).await else {
        return Err(if is_full { full() } else { ClientError::TimedOut { limit: CONNECT_TIMEOUT } });
    };
    let stream = connected.map_err(|source| {
        let socket = socket.to_owned();
        if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
            ClientError::NotRunning { socket }
        } else {
            ClientError::Connect { socket, source }
        }
    })?;
    // Whoever may write to the folder could put a socket there, and would get what is asked.
    if !stream.peer_cred().is_ok_and(|peer| peer::may_answer(peer.uid())) {
        let source = io::Error::new(io::ErrorKind::PermissionDenied, "another user listens there");
        return Err(ClientError::Connect { socket: socket.to_owned(), source });
    }
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // An error of the connection is also returned by the request that it breaks.
    tasks::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Sends a request; the body of its answer, if that is a success.
async fn open(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<Incoming, ClientError> {
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    let (status, body) = (answer.status(), answer.into_body());
    if status.is_success() {
        return Ok(body);
    }
    let body = body.collect().await?.to_bytes();
    Err(refusal(status, &body))
}

/// The daemon's reports, as they arrive.
#[derive(Debug)]
pub struct Watch {
    body: Incoming,
    /// What arrived after the last complete line.
    unread: Vec<u8>,
    _connection: Client,
}

impl Watch {
    /// Waits for the next report; `None` when the daemon has stopped. Nothing is lost when the wait is dropped.
    pub async fn next(&mut self) -> Result<Option<Report>, ClientError> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                match parse(&line) {
                    Ok(report) => return Ok(Some(report)),
                    Err(_) if is_about_something_else(&line) => continue,
                    Err(error) => return Err(error),
                }
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.unread.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                // A daemon that is killed does not end its answer properly.
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

/// Whether a line is not meant to be a report.
fn is_about_something_else(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Kind {
        accounts: Option<IgnoredAny>,
    }
    serde_json::from_slice::<Kind>(line).is_ok_and(|kind| kind.accounts.is_none())
}

fn signal_path(name: &SignalName) -> String {
    format!("/v1/signals/{}", name.as_str())
}

fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "presenced")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .expect("the paths are fixed except for a signal's name, which has only letters, digits, `-` and `_`")
}

async fn in_time<T>(answer: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    let timed = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
    timed.unwrap_or(Err(ClientError::TimedOut { limit: ANSWER_TIMEOUT }))
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(json).map_err(|error| ClientError::NotUnderstood { what: error.to_string() })
}

/// What an error answer means.
fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    let Ok(ErrorBody { error }) = serde_json::from_slice(body) else {
        return ClientError::NotUnderstood { what: format!("it answered {status}") };
    };
    match error.code.as_str() {
        STOPPING => ClientError::Stopping,
        // `busy` is the word of version 0.1.
        TOO_MANY_CONNECTIONS | "busy" => ClientError::TooManyConnections { message: error.message, hint: error.hint },
        CONFIGURATION_REFUSED => ClientError::ConfigurationRefused { message: error.message, hint: error.hint },
        _ => ClientError::Refused { message: error.message, hint: error.hint },
    }
}
