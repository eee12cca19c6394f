//! The service: everything behind the socket as one sans-IO state machine.
//!
//! The contract: [`arrive`](Service::arrive) says what becomes of a request; when that is [`Fate::Answer`], ask
//! [`answer`](Service::answer) after the delay; either way end with [`finish`](Service::finish).

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::entra::Entra;
use super::faults::{Faults, Then};
use super::graph::Graph;
use super::journal::{Journal, Outcome, Record};
use super::message::{Reply, Request};
use super::options::Options;
use super::route::{Call, Route};
use super::state::{State, UserState};
use super::{control, help};
use crate::time::Now;

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) graph: Graph,
    pub(super) entra: Entra,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
}

/// A request that arrived, and what becomes of it.
#[derive(Debug)]
pub(super) struct Arrival {
    /// What kind of call it is, and its number in the record; `None`: one of the emulator's own pages.
    pub(super) ticket: Option<(Call, u64)>,
    /// How long it is held up.
    pub(super) delay: Duration,
    /// What happens after that.
    pub(super) fate: Fate,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is answered as ever: ask [`Service::answer`].
    Answer,
    /// This is the answer.
    Reply(Reply),
    /// The connection is reset.
    Reset,
    /// It is never answered.
    Hang,
}

impl Service {
    /// The service at its start.
    pub(super) fn new(options: &Options, now: &Now) -> Self {
        Self {
            graph: Graph::new(options, now),
            entra: Entra::new(options),
            faults: Faults::default(),
            journal: Journal::default(),
        }
    }

    /// Takes a request, and says what becomes of it.
    pub(super) fn arrive(&mut self, request: &Request, now: &Now) -> Arrival {
        let route = Route::of(&request.path);
        let Some(call) = route.call() else {
            return Arrival { ticket: None, delay: Duration::ZERO, fate: Fate::Answer };
        };
        let ticket = Some((call, self.journal.arrive(call, &route, request, now.wall)));
        let Some(hit) = self.faults.strike(call, now.instant) else {
            return Arrival { ticket, delay: Duration::ZERO, fate: Fate::Answer };
        };
        let early = hit.applied.then(|| self.answer(request, now));
        let fate = match hit.then {
            Then::Answer => early.map_or(Fate::Answer, Fate::Reply),
            Then::Respond { status, headers, body } => {
                Fate::Reply(self.fault_reply(call, request, status, &headers, body, now))
            }
            Then::Reset => Fate::Reset,
            Then::Hang => Fate::Hang,
        };
        Arrival { ticket, delay: hit.delay, fate }
    }

    /// Answers a request as if nothing were wrong.
    pub(super) fn answer(&mut self, request: &Request, now: &Now) -> Reply {
        let route = Route::of(&request.path);
        match &route {
            Route::Help => help::page(),
            Route::Control(segments) => control::answer(self, segments, request, now),
            Route::Entra(call, tenant) => {
                let base = format!("http://{}", request.header("host").unwrap_or("127.0.0.1"));
                self.entra.handle(*call, tenant, request, &base, now)
            }
            Route::Presence(..) | Route::Batch | Route::UnknownSegment(_) => {
                self.graph.answer(&route, request, &self.entra, &mut self.journal, now)
            }
            Route::Unknown => self.graph.nothing_here(request, now),
        }
    }

    /// Notes what became of a request; its record, for whoever watches.
    pub(super) fn finish(
        &mut self,
        ticket: (Call, u64),
        request: &Request,
        outcome: Outcome,
        reply: Option<&Reply>,
        now: &Now,
    ) -> Option<Record> {
        let (call, id) = ticket;
        let route = Route::of(&request.path);
        let user = self.graph.concerned(&route, request, &self.entra, now);
        let visible = user.and_then(|user| self.graph.person(&user, now).map(|person| person.visible()));
        let answer = reply.map(|reply| (reply.status.as_u16(), reply.code.clone()));
        self.journal.finish(id, call, outcome, answer, visible)
    }

    /// The whole state.
    pub(super) fn state(&mut self, now: &Now) -> State {
        let mut users = BTreeMap::new();
        for user in self.graph.users().to_vec() {
            if let Some(person) = self.graph.person(&user.id, now) {
                users.insert(user.id.clone(), UserState::of(&user, person, now));
            }
        }
        State {
            time: now.wall,
            users,
            requests: self.journal.counts().clone(),
            devices: self.entra.waiting(now),
            faults: self.faults.list(now.instant).len(),
        }
    }

    /// The answer a fault asks for.
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
            Call::Token | Call::DeviceCode => self.entra.fault(status, now),
            Call::Set
            | Call::Clear
            | Call::Prefer
            | Call::ClearPreferred
            | Call::StatusMessage
            | Call::Read
            | Call::Batch
            | Call::Other => self.graph.fault(status, request, now),
        };
        let standard = std::mem::take(&mut reply.headers);
        reply = match body {
            None => Reply { headers: standard.clone(), ..reply },
            Some(Value::String(text)) => Reply::text(status, text),
            Some(value) => {
                let code = value.pointer("/error/code").or_else(|| value.get("error")).and_then(Value::as_str);
                let reply = Reply::json(status, &value);
                code.map_or(reply.clone(), |code| reply.coded(code))
            }
        };
        for (name, value) in standard {
            if let Some(name) = name.filter(|name| !reply.headers.contains_key(name)) {
                reply.headers.insert(name, value);
            }
        }
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                reply.headers.insert(name, value);
            }
        }
        reply
    }
}
