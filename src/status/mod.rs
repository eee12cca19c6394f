//! Status: every program of the same user may look, through a Unix socket that speaks HTTP/1.1.
//!
//! [`report`] is what they see; the daemon fills it in. [`Server`] is the daemon's end, [`Client`] is the commands' end. The daemon
//! makes and locks the socket itself, or systemd passes one, which is then left alone. Metrics come from the report and from
//! [`crate::metrics`]. Leaves to others: every decision.
//!
//! # The interface, version 1
//!
//! `curl --unix-socket $XDG_RUNTIME_DIR/presenced/presenced.sock http://presenced/v1/status` is all it takes.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/status` | | 200, the [`report::Report`] as JSON |
//! | `GET /v1/watch` | | 200, `application/x-ndjson`: the whole report on one line, and again after each change, until the daemon stops. For accounts with `users`, also a line for each user of whom something changes: [`WatchLine`] |
//! | `PUT /v1/override` | `{"presence": "Busy/InACall", "for": "30m"}` | 204: holds this presence by hand; `presence` is one of the five pairs or `nothing`; without `for`: until unset |
//! | `DELETE /v1/override` | | 204: back to the rules |
//! | `PUT /v1/signals/{name}` | `{"value": "on-air", "ttl": "2m"}` | 204: sets `signal.{name}`; without `ttl`: until it is deleted |
//! | `DELETE /v1/signals/{name}` | | 204 |
//! | `GET /v1/users?account=&state=&presence=&after=&limit=` | | 200, [`users::Page`]: the users of accounts with `users`, in the order of their ids, 1000 unless `limit` says (10,000 at most); `presence` is an availability or `nothing` |
//! | `GET /v1/users/{user}` | | 200, [`users::UserRow`]; `{user}` is an object id, or the name in the users file |
//! | `PUT`, `DELETE /v1/users/{user}/override` | as for `/v1/override` | 204: for this user alone |
//! | `PUT`, `DELETE /v1/users/{user}/signals/{name}` | as for `/v1/signals/{name}` | 204: for this user alone; the name `call` takes the call states |
//! | `POST /v1/users/signals` | a line of JSON for each: `{"user": "…", "signal": "call", "value": "in-call", "ttl": "2h"}`; without `value`, it is unset | 200, [`users::Accepted`]: how many lines are in force, and what is wrong with the others; the body may have 4 MiB |
//! | `POST /v1/reload` | | 204 when the new configuration is in force, 422 `configuration-refused` when it is wrong |
//! | `GET /healthz` | | 200 as long as it is alive, for probes that restart it: `ok`, `degraded` or `failing`, as a line of plain text |
//! | `GET /readyz` | | 200 `ok` or `degraded`, 503 `starting`, `failing` or `stopping`: whether the presence is kept |
//! | `GET /metrics` | | 200, `OpenMetrics` 1.0 |
//!
//! All requests for an override or a signal take `?account=NAME`: for that account alone, or for a user of that account. The name
//! `call` then takes the call states.
//!
//! A change of an override or a signal is in force at once. The answer comes when the change is also in the file that survives a
//! restart, but after a second at the latest.
//!
//! **Whoever watches** gets a report first. A line with `accounts` is a report; every other line has one of these keys, and clients skip
//! keys that they do not know: `{"user": …}` is a [`users::UserRow`] of which something other than the time of the last keepalive is
//! new, `{"removed": {"user", "account"}}` a user who is gone. `{"missed": 12}` follows a report if the client read so slowly that 12 of
//! these lines were left out: ask `GET /v1/users` again. To know all users from the beginning, first watch, and then ask.
//!
//! `/healthz`, `/readyz` and `/metrics`, and nothing else, are also answered over TCP where `[status] listen` says so ([`Listener`]).
//!
//! Durations are written `30m`, `1h 30m` or `PT15M`, from one second to 366 days (`8784h`). A signal's name is 1 to 64 of
//! `A-Z a-z 0-9 _ -`, its value 1 to 256 characters without control characters. Unknown fields are errors.
//!
//! Every error is JSON, `{"error": {"code": "…", "message": "…", "hint": "…"}}`, with one of these codes:
//!
//! | status | code |
//! |---|---|
//! | 400 | `bad-query`, `bad-json`, `bad-presence`, `bad-duration`, `bad-signal-name`, `bad-signal-value`, `body-lost` |
//! | 403 | `not-yours`: the client is another user, and not root; `not-by-name`: over TCP on loopback, the request uses a name other than `localhost`, or its `Origin` does |
//! | 404 | `not-found`, `unknown-user`, `unknown-account` |
//! | 405 | `method-not-allowed`, with an `Allow` header |
//! | 408 | `too-slow`: the body took more than 5 seconds |
//! | 413 | `too-large`: the body has more than 64 KiB |
//! | 422 | `refused`, `configuration-refused`: the daemon did not do what it was asked |
//! | 503 | `too-many-connections`: 32 connections are open, or 16 others watch; `stopping`: the daemon is stopping |
//!
//! Only a request that is not HTTP at all gets an answer without a body: 400, or 431 for a head of more than 16 KiB. A connection
//! that is silent for 5 seconds before or between requests is closed. So is one that reads nothing of its answer for 5 seconds.

mod answer;
pub mod client;
mod connections;
mod conversation;
mod feed;
mod listen;
mod open_metrics;
mod peer;
mod process;
pub mod report;
mod request;
mod routes;
mod server;
mod socket;
pub mod users;
mod write_timeout;

pub use client::{Client, ClientError};
pub use conversation::rehearse;
pub use feed::{Feed, WatchLine};
pub use listen::Listener;
pub use request::{Invalid, SignalName, SignalValue, parse_ttl};
pub use server::{Listen, MAX_CONNECTIONS, MAX_WATCHERS, Server};
pub use socket::BindError;

use std::time::Duration;

use tokio::sync::oneshot;

use crate::policy::Claim;

/// A client's command to the daemon. The daemon answers through `reply`; an error is one sentence for the client.
#[derive(Debug)]
pub enum Command {
    /// `PUT /v1/override`: claim this by hand, for some time or until unset.
    SetOverride {
        /// What to claim.
        claim: Claim,
        /// For how long; `None`: until unset.
        ttl: Option<Duration>,
        /// Answered once it is in force.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// `DELETE /v1/override`.
    ClearOverride {
        /// Answered once it is in force.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// `PUT /v1/signals/{name}`.
    SetSignal {
        /// The signal's name.
        name: String,
        /// Its value.
        value: String,
        /// After how long it becomes unknown; `None`: never.
        ttl: Option<Duration>,
        /// The program that sets it, for people to see; `None`: unknown.
        writer: Option<String>,
        /// Answered once it is in force.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// `DELETE /v1/signals/{name}`.
    ClearSignal {
        /// The signal's name.
        name: String,
        /// Answered once it is in force.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Something about the users of accounts with many.
    Users(users::UsersCommand),
    /// `POST /v1/reload`: read the configuration again; an error is the whole text that `presenced check` would print.
    Reload {
        /// Answered when the new configuration is in force, or was refused.
        reply: oneshot::Sender<Result<(), String>>,
    },
}
