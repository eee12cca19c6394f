//! The service: everything behind the socket, as one sans-IO state machine.
//!
//! The contract: call [`arrive`](Service::arrive) for each request and wait for the delay it returns. If the fate is
//! [`Fate::Answer`], call [`answer`](Service::answer). In any case end with [`finish`](Service::finish).

mod control;

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use jiff::SignedDuration;
use serde_json::Value;

use super::entra::Entra;
use super::faults::{Faults, Then};
use super::graph::Graph;
use super::help;
use super::journal::{Journal, Outcome, RequestRecord};
use super::message::{Reply, Request};
use super::model::UserPresence;
use super::options::Options;
use super::route::{Call, Route};
use super::state::{Busiest, ShownUsers, State, Summary};
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
    /// This is the answer.
    Reply(Reply),
    /// The connection is reset.
    Reset,
    /// It is never answered.
    Hang,
}

impl Service {
    /// A fresh service.
    pub(super) fn new(options: Options, now: &Now) -> Self {
        Self {
            graph: Graph::new(&options, now),
            entra: Entra::new(options),
            faults: Faults::default(),
            journal: Journal::default(),
        }
    }

    /// Takes a request and decides what happens to it.
    pub(super) fn arrive(&mut self, request: &Request, now: &Now) -> Arrival {
        if !is_local(request) {
            let text =
                "The emulator only answers requests to an address or localhost, and from pages of this machine.\n";
            let refused = Reply::text(StatusCode::FORBIDDEN, text.to_owned());
            return Arrival { journal_entry: None, delay: Duration::ZERO, fate: Fate::Reply(refused) };
        }
        let route = Route::of(&request.path);
        let Some(call) = route.call() else {
            return Arrival { journal_entry: None, delay: Duration::ZERO, fate: Fate::Answer };
        };
        let journal_entry = Some((call, self.journal.arrive(call, &route, request, now.wall)));
        let Some(hit) = self.faults.hit(call, now.instant) else {
            return Arrival { journal_entry, delay: Duration::ZERO, fate: Fate::Answer };
        };
        let early = hit.applied.then(|| self.answer(request, now));
        let fate = match hit.then {
            Then::Answer => early.map_or(Fate::Answer, Fate::Reply),
            Then::Respond { status, headers, body } => {
                Fate::Reply(self.fault_reply(call, request, status, &headers, body, now))
            }
            Then::Aadsts(number) => Fate::Reply(self.entra.numbered_error(number, now)),
            Then::Refuse(refusal) => Fate::Reply(self.graph.refuse(refusal, request, now)),
            Then::Reset => Fate::Reset,
            Then::Hang => Fate::Hang,
            Then::ClaimsChallenge => {
                let challenge = self.graph.claims_challenge(request, &self.entra, hit.began, now);
                challenge.or(early).map_or(Fate::Answer, Fate::Reply)
            }
            Then::Revoke => {
                self.entra.revoke_all();
                early.map_or(Fate::Answer, Fate::Reply)
            }
        };
        Arrival { journal_entry, delay: hit.delay, fate }
    }

    /// Answers a request without regard to faults.
    pub(super) fn answer(&mut self, request: &Request, now: &Now) -> Reply {
        let route = Route::of(&request.path);
        match &route {
            Route::Help => help::page(),
            Route::Control(segments) => control::answer(self, segments, request, now),
            Route::Entra(call, tenant) => {
                let base = format!("http://{}", request.header("host").unwrap_or("127.0.0.1"));
                self.entra.handle(*call, tenant, request, &base, now)
            }
            Route::Presence(..) | Route::ReadMany | Route::Batch | Route::UnknownSegment(_) => {
                self.graph.answer(&route, request, &self.entra, &mut self.journal, now)
            }
            Route::Unknown => self.graph.nothing_here(request, now),
        }
    }

    /// Notes how a request ended. Returns its record for subscribers.
    pub(super) fn finish(
        &mut self,
        journal_entry: (Call, u64),
        request: &Request,
        outcome: Outcome,
        reply: Option<&Reply>,
        now: &Now,
    ) -> Option<RequestRecord> {
        let (call, id) = journal_entry;
        let route = Route::of(&request.path);
        let user = self.graph.user_concerned(&route, request, &self.entra, now);
        let visible = user.and_then(|user| self.graph.presence(&user, now).map(UserPresence::visible));
        let answer = reply.map(|reply| (reply.status.as_u16(), reply.code.clone()));
        self.journal.finish(id, call, outcome, answer, visible)
    }

    /// The state, with these users.
    pub(super) fn state(&mut self, shown: ShownUsers, now: &Now) -> State {
        let count = self.graph.directory().users().len();
        let places = match shown {
            ShownUsers::IfFew if count > MAX_SHOWN_USERS => 0..0,
            ShownUsers::IfFew | ShownUsers::All => 0..count,
            ShownUsers::One(place) => place..place + 1,
        };
        let throttled = self.journal.counts().values().filter_map(|counts| counts.answered.get(&429)).sum();
        let busiest = self.graph.throttler().busiest();
        let window = SignedDuration::try_from(self.graph.throttler().window()).unwrap_or(SignedDuration::MAX);
        let totals = self.graph.totals(now);
        let summary = Summary {
            users: count,
            visible: totals.visible.iter().map(|(pair, count)| (pair.to_string(), *count)).collect(),
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
            users: places.filter_map(|place| self.graph.user_state(place, now)).collect(),
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
            Call::Authorize | Call::Token | Call::DeviceCode => self.entra.fault(status, now),
            Call::Set
            | Call::Clear
            | Call::Prefer
            | Call::ClearPreferred
            | Call::StatusMessage
            | Call::Read
            | Call::ReadMany
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

/// Whether all headers say that the request was meant for this machine. A request without them does not come from a browser.
fn is_local(request: &Request) -> bool {
    let all =
        |name, is: fn(&str) -> bool| request.headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(is));
    all(HOST, is_local_host) && all(ORIGIN, is_local_origin)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::body::Bytes;
    use hyper::{HeaderMap, Method};
    use jiff::Timestamp;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use presenced_core::time::Instant;

    #[test]
    fn only_requests_for_this_machine_are_answered() {
        let now = Now { instant: Instant::default(), wall: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
        let mut service = Service::new(Options::default(), &now);
        let mut status = |headers: &[(HeaderName, &str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            let request = Request {
                method: Method::POST,
                path: "/_emulator/faults".to_owned(),
                query: String::new(),
                headers: headers.collect(),
                body: Some(Bytes::from_static(b"{}")),
            };
            match service.arrive(&request, &now).fate {
                Fate::Reply(reply) => Some(reply.status),
                Fate::Answer | Fate::Reset | Fate::Hang => None,
            }
        };
        let forbidden = Some(StatusCode::FORBIDDEN);
        assert_eq!(status(&[(HOST, "127.0.0.1:8765")]), None);
        assert_eq!(status(&[(HOST, "localhost"), (ORIGIN, "http://localhost:3000")]), None);
        assert_eq!(status(&[]), None, "HTTP/1.0");
        assert_eq!(status(&[(HOST, "rebound.example:8765")]), forbidden);
        assert_eq!(status(&[(HOST, "127.0.0.1:8765"), (ORIGIN, "https://evil.example")]), forbidden);
        assert_eq!(status(&[(HOST, "127.0.0.1:8765"), (ORIGIN, "null")]), forbidden);
        assert_eq!(status(&[(HOST, "127.0.0.1:8765"), (HOST, "rebound.example")]), forbidden);
    }

    /// Paths of known and unknown segments.
    fn path() -> impl Strategy<Value = String> {
        let known: Vec<&str> = vec![
            "v1.0",
            "beta",
            "users",
            "me",
            "presence",
            "setPresence",
            "clearPresence",
            "setUserPreferredPresence",
            "setStatusMessage",
            "$batch",
            "communications",
            "presences",
            "getPresencesByUserId",
            "oauth2",
            "v2.0",
            "token",
            "devicecode",
            "authorize",
            "consent",
            "_emulator",
            "state",
            "requests",
            "faults",
            "tokens",
            "device",
            "approve",
            "deny",
            "timeline",
            "sessions",
            "revoke",
            "fa8bf3dc-eca7-46b7-bad1-db199b62afc3",
            "%",
            "%ff",
            "%2F",
            "",
        ];
        prop::collection::vec(select(known), 0..7).prop_map(|segments| format!("/{}", segments.join("/")))
    }

    /// Bodies: valid, nearly valid and random.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        let expected: Vec<&str> = vec![
            r#"{"sessionId": "a", "availability": "Available", "activity": "Available", "expirationDuration": "PT5M"}"#,
            r#"{"availability": "Away", "activity": "Away", "expirationDuration": "P9999999D"}"#,
            r#"{"availability": "Busy", "expires_in": "PT9000000000000000S", "fades": true}"#,
            r#"{"statusMessage": {"message": {"content": ""}}}"#,
            r#"{"then": {"respond": {"status": 599, "body": {"error": 1}}}, "times": 1}"#,
            r#"{"delay": "PT9000000000000000S", "for": "1s", "after": 4294967295}"#,
            r#"{"ids": ["fa8bf3dc-eca7-46b7-bad1-db199b62afc3", "nobody", ""]}"#,
            r#"{"requests": [{"id": "1", "method": "POST", "url": "/me/presence", "body": null}]}"#,
            "grant_type=client_credentials&client_id=22553876-f5ab-4529-bffb-cfe50aa89f87&scope=/.default",
            "client_id=22553876-f5ab-4529-bffb-cfe50aa89f87&scope=openid",
        ];
        prop_oneof![
            select(expected).prop_map(|body| body.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..40),
        ]
    }

    proptest! {
        /// Every request at any time gets an answer, and the state survives a round trip through JSON.
        #[test]
        fn any_request_is_answered(
            requests in prop::collection::vec((path(), body(), any::<bool>(), any::<bool>(), 0_u64..100_000_000), 1..20)
        ) {
            let at = |secs| Now {
                instant: Instant::from_origin(Duration::from_secs(secs)),
                wall: Timestamp::UNIX_EPOCH + Duration::from_secs(secs),
                zone: TimeZone::UTC,
            };
            let mut service = Service::new(Options::default(), &at(0));
            let mut form = Request {
                method: Method::POST,
                path: "/t/oauth2/v2.0/token".to_owned(),
                query: String::new(),
                headers: HeaderMap::new(),
                body: Some("grant_type=client_credentials&client_id=22553876-f5ab-4529-bffb-cfe50aa89f87&\
                    client_secret=emulator-secret&scope=/.default".into()),
            };
            let mut secs = 0;
            for (path, body, posts, signed_in, later) in requests {
                secs += later;
                let now = at(secs);
                let token: Value = serde_json::from_slice(&service.answer(&form, &now).body).unwrap();
                let mut request = Request { path, body: Some(body.into()), ..form.clone() };
                request.method = if posts { Method::POST } else { Method::GET };
                request.headers.insert("content-type", "application/json".parse().unwrap());
                if signed_in {
                    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
                    request.headers.insert("authorization", bearer.parse().unwrap());
                }
                let Arrival { journal_entry, fate, .. } = service.arrive(&request, &now);
                let reply = match fate {
                    Fate::Answer => service.answer(&request, &now),
                    Fate::Reply(reply) => reply,
                    Fate::Reset | Fate::Hang => Reply::empty(StatusCode::OK),
                };
                prop_assert!(reply.status.as_u16() >= 200);
                if let Some(journal_entry) = journal_entry {
                    service.finish(journal_entry, &request, Outcome::Answered, Some(&reply), &now);
                }
                form.headers.clear();
                let state = service.state(ShownUsers::IfFew, &now);
                let json = serde_json::to_string(&state).unwrap();
                prop_assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
            }
        }
    }
}
