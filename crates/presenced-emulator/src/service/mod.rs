//! The service: everything behind the socket, as one sans-IO state machine.
//!
//! The contract: call [`arrive`](Service::arrive) for each request and wait for the delay it returns. If the fate is
//! [`Fate::Answer`], call [`answer`](Service::answer), and wait for its delay too. In any case end with
//! [`finish`](Service::finish).

mod batch;
mod control;
mod update;

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use hyper::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::Value;

use super::entra::Entra;
use super::faults::{FaultHit, Faults, Then};
use super::graph::Graph;
use super::graph::batch::garble;
use super::host::Host;
use super::journal::{Journal, Outcome, RequestRecord};
use super::message::{Reply, Request};
use super::options::Options;
use super::page;
use super::route::{Call, Route};
use super::state::{Busiest, ShownUsers, State, Summary};
use presenced_core::fill::Fill as _;
use presenced_core::local_request::{is_local_host, is_local_origin};
use presenced_core::time::Now;

/// How many users the state shows without being asked for them.
const MAX_SHOWN_USERS: usize = 20;

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) graph: Graph,
    pub(super) entra: Entra,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    /// The names of this machine besides `localhost` and addresses.
    pub(super) hosts: Vec<Host>,
    /// The certificate of the CA to trust, once it serves with TLS.
    pub(super) ca_pem: Option<String>,
}

/// What happens to a request that arrived.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Its kind and its number in the journal; `None` for one of the emulator's own pages.
    pub(super) journal_entry: Option<(Call, u64)>,
    /// How long it is delayed.
    pub(super) delay: Duration,
    /// What happens after that.
    pub(super) fate: Fate,
}

/// What happens to a request after its delay.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is answered as usual: call [`Service::answer`].
    Answer,
    /// It ends like this.
    End(End),
}

/// How a request ends.
#[derive(Debug)]
pub(super) enum End {
    /// This is the answer.
    Reply(Reply),
    /// The answer is the stream of events with these users. Only one of the emulator's own pages ends like this.
    Events(ShownUsers),
    /// The connection is reset.
    Reset,
    /// It is never answered.
    Hang,
}

impl End {
    /// How the journal calls it.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Reply(_) | Self::Events(_) => Outcome::Answered,
            Self::Reset => Outcome::Reset,
            Self::Hang => Outcome::Hung,
        }
    }
}

/// A request that was answered as usual.
#[derive(Debug)]
pub(super) struct Served {
    /// How it ends.
    pub(super) end: End,
    /// How long that is delayed.
    pub(super) delay: Duration,
}

impl From<End> for Served {
    fn from(end: End) -> Self {
        Self { end, delay: Duration::ZERO }
    }
}

impl Service {
    /// A fresh service.
    pub(super) fn new(options: Options, now: &Now) -> Self {
        Self {
            graph: Graph::new(&options, now),
            faults: Faults::default(),
            journal: Journal::default(),
            hosts: options.hosts.clone(),
            ca_pem: None,
            entra: Entra::new(options),
        }
    }

    /// Takes a request and decides what happens to it.
    pub(super) fn arrive(&mut self, request: &Request, now: &Now) -> Arrival {
        if !is_local(request, &self.hosts) {
            let text = "The emulator only answers requests to an address, localhost or a name of `--host`, and from its own pages.\n";
            let refused = Reply::text(StatusCode::FORBIDDEN, text.to_owned());
            return Arrival { journal_entry: None, delay: Duration::ZERO, fate: Fate::End(End::Reply(refused)) };
        }
        let route = Route::of(&request.path);
        let Some(call) = route.call() else {
            return Arrival { journal_entry: None, delay: Duration::ZERO, fate: Fate::Answer };
        };
        let journal_entry = Some((call, self.journal.arrive(call, &route, request, None, now.wall)));
        let Some(hit) = self.faults.hit(call, now.instant) else {
            return Arrival { journal_entry, delay: Duration::ZERO, fate: Fate::Answer };
        };
        let delay = hit.delay;
        let fate = self.strike(hit, call, request, journal_entry.map(|entry| entry.1), now);
        Arrival { journal_entry, delay, fate }
    }

    /// What happens to a request that a fault hits. `number` is its number in the journal.
    fn strike(&mut self, hit: FaultHit, call: Call, request: &Request, number: Option<u64>, now: &Now) -> Fate {
        let early = hit.applied.then(|| self.answer(request, number, now).end);
        match hit.then {
            Then::Answer => early.map_or(Fate::Answer, Fate::End),
            Then::Respond { status, headers, body } => {
                Fate::End(End::Reply(self.fault_reply(call, request, status, &headers, body, now)))
            }
            Then::Aadsts(number) => Fate::End(End::Reply(self.entra.numbered_error(number, now))),
            Then::Refuse(refusal) => Fate::End(End::Reply(self.graph.refuse(refusal, request, now))),
            Then::Parts(parts) => {
                let mut end = early.unwrap_or_else(|| self.answer(request, number, now).end);
                if let End::Reply(reply) = &mut end {
                    garble(reply, parts);
                }
                Fate::End(end)
            }
            Then::Reset => Fate::End(End::Reset),
            Then::Hang => Fate::End(End::Hang),
            Then::ClaimsChallenge => {
                let challenge = self.graph.claims_challenge(request, &self.entra, hit.began, now).map(End::Reply);
                challenge.or(early).map_or(Fate::Answer, Fate::End)
            }
            Then::Revoke => {
                self.entra.revoke_all();
                early.map_or(Fate::Answer, Fate::End)
            }
        }
    }

    /// Answers a request without regard to faults, except those of the parts of a batch. `number` is its number in the journal.
    pub(super) fn answer(&mut self, request: &Request, number: Option<u64>, now: &Now) -> Served {
        let route = Route::of(&request.path);
        if route == Route::Batch {
            self.batch(request, number, now)
        } else if request.method == Method::GET && matches!(&route, Route::Control(segments) if segments == &["events"])
        {
            control::events(self, request).into()
        } else {
            End::Reply(self.single(request, now)).into()
        }
    }

    /// Answers a request that is not a batch.
    fn single(&mut self, request: &Request, now: &Now) -> Reply {
        let route = Route::of(&request.path);
        match &route {
            Route::Help => page::help_or_page(request),
            Route::Control(segments) => control::answer(self, segments, request, now),
            Route::Entra(endpoint, tenant) => self.entra.handle(*endpoint, tenant, request, &request.base(), now),
            Route::Presence(..)
            | Route::Location(..)
            | Route::ReadMany
            | Route::List
            | Route::User(_)
            | Route::Batch
            | Route::UnknownSegment(_) => self.graph.answer(&route, request, &self.entra, now),
            Route::ManagedIdentity(endpoint) => self.entra.machine_answer(*endpoint, request, now),
            Route::Sidecar => self.entra.sidecar_answer(request, now),
            Route::Unknown => self.graph.nothing_here(request, now),
        }
    }

    /// Notes how a request ended. Returns the records for subscribers: its own, and those of requests that ended since the last
    /// call, which are the parts of a batch.
    pub(super) fn finish(
        &mut self,
        entry: (Call, u64),
        request: &Request,
        end: &End,
        now: &Now,
    ) -> impl Iterator<Item = RequestRecord> + use<> {
        let parts = self.journal.take_ended();
        self.note_end(entry, request, end, now);
        self.journal.take_ended().into_iter().chain(parts)
    }

    /// Notes in the journal how a request ended.
    fn note_end(&mut self, (call, id): (Call, u64), request: &Request, end: &End, now: &Now) {
        let route = Route::of(&request.path);
        let user = self.graph.user_concerned(&route, request, &self.entra, now);
        let seen = user.and_then(|user| {
            let visible = self.graph.presence(&user, now)?.visible();
            Some((user, visible))
        });
        let answer = match end {
            End::Reply(reply) => Some((reply.status.as_u16(), reply.code.clone())),
            End::Events(_) | End::Reset | End::Hang => None,
        };
        self.journal.finish(id, call, end.outcome(), answer, seen);
    }

    /// The state, with these users.
    pub(super) fn state(&mut self, shown: ShownUsers, now: &Now) -> State {
        let count = self.graph.directory().users().len();
        let places = match shown {
            ShownUsers::IfFew if count > MAX_SHOWN_USERS => 0..0,
            ShownUsers::IfFew | ShownUsers::All => 0..count,
            ShownUsers::First => 0..count.min(MAX_SHOWN_USERS),
            ShownUsers::One(place) => place..place + 1,
        };
        let throttled = self.journal.counts().values().filter_map(|counts| counts.answered.get(&429)).sum();
        let busiest = self.graph.throttler().busiest();
        let window = SignedDuration::try_from(self.graph.throttler().window()).unwrap_or(SignedDuration::MAX);
        let totals = self.graph.totals(now);
        let summary = Summary {
            users: count,
            visible: totals.visible.iter().map(|(pair, count)| (pair.to_string(), *count)).fill(),
            fades: totals.fades,
            expired: totals.expired,
            throttled,
            busiest: Busiest {
                requests: busiest.requests,
                window,
                until: busiest.until.map(|until| now.wall_at(until)),
            },
        };
        State {
            time: now.wall,
            summary,
            users: places.filter_map(|place| self.graph.user_state(place, now)).fill(),
            throttled,
            requests: self.journal.counts().clone(),
            devices: self.entra.waiting(now),
            consents: self.entra.waiting_for_consent(now),
            faults: self.faults.list(now.instant).len(),
        }
    }

    /// The answer that a fault prescribes.
    fn fault_reply(
        &mut self,
        call: Call,
        request: &Request,
        status: u16,
        headers: &BTreeMap<String, String>,
        body: Option<Value>,
        now: &Now,
    ) -> Reply {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = match call {
            Call::Authorize
            | Call::Token
            | Call::DeviceCode
            | Call::Logout
            | Call::Discovery
            | Call::ManagedIdentity
            | Call::Sidecar => self.entra.fault(status, now),
            Call::Set
            | Call::Clear
            | Call::Prefer
            | Call::ClearPreferred
            | Call::StatusMessage
            | Call::Location
            | Call::Read
            | Call::ReadMany
            | Call::User
            | Call::Batch
            | Call::Other => self.graph.fault(status, request, now),
        };
        if let Some(body) = body {
            let code = body.pointer("/error/code").or_else(|| body.get("error")).and_then(Value::as_str);
            reply.code = code.map(ToOwned::to_owned);
            let (media_type, bytes) = if let Value::String(text) = body {
                ("text/plain; charset=utf-8", text.into_bytes())
            } else {
                ("application/json; charset=utf-8", body.to_string().into_bytes())
            };
            reply.body = bytes.into();
            reply = reply.with(CONTENT_TYPE, media_type);
        }
        for (name, value) in headers {
            // The names were checked when the fault was injected.
            if let Ok(name) = HeaderName::try_from(name) {
                reply = reply.with(name, value);
            }
        }
        reply
    }
}

/// Whether all headers say that the request was meant for this machine, which also has the names `hosts`. A request without them
/// does not come from a browser.
fn is_local(request: &Request, hosts: &[Host]) -> bool {
    let named = |header: &str| hosts.iter().any(|host| host.is_in_header(header));
    let named_origin = |origin: &str| {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(named)
    };
    let all = |name, is: &dyn Fn(&str) -> bool| {
        request.headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(is))
    };
    all(HOST, &|host| is_local_host(host) || named(host))
        && all(ORIGIN, &|origin| is_local_origin(origin) || named_origin(origin))
}

#[cfg(test)]
mod tests;
