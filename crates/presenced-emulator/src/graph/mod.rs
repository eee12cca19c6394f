//! Microsoft Graph: who may call what, in the order in which Graph checks, and what each call about presence does.
//!
//! The order: the token, the path, the method, the throttle, the payload, a missing `sessionId`, the permission, whose
//! presence it is, whether there is such a user, the values. That `sessionId` comes before the permission is reported by
//! users; where the throttle stands, and that the values come last, is inferred.

mod arguments;
mod batch;
mod calls;
mod error;

use std::collections::BTreeMap;

use hyper::StatusCode;
use hyper::header::{DATE, HeaderName};

use self::error::Refusal;
use super::entra::{Access, Entra, Subject};
use super::journal::Journal;
use super::message::{Reply, Request};
use super::model::Person;
use super::options::{Options, User};
use super::route::{Route, Whose};
use super::throttle::Throttle;
use presenced_core::time::{Instant, Now};

/// Graph's diagnostic header names the machine that answered.
const DIAGNOSTIC: &str =
    r#"{"ServerInfo":{"DataCenter":"Loopback","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"EMULATOR"}}"#;

/// Graph's presence service.
#[derive(Debug)]
pub(super) struct Graph {
    users: Vec<User>,
    people: BTreeMap<String, Person>,
    throttle: Throttle,
    rng: fastrand::Rng,
}

/// What identifies one request and its answer.
#[derive(Clone, Debug)]
struct Ids {
    request: String,
    client: String,
}

impl Graph {
    /// The service at its start: nobody has a session.
    pub(super) fn new(options: &Options, now: &Now) -> Self {
        Self {
            users: options.users.clone(),
            people: options.users.iter().map(|user| (user.id.clone(), Person::new(now))).collect(),
            throttle: Throttle::new(options.throttle),
            rng: fastrand::Rng::with_seed(options.seed.wrapping_add(1)),
        }
    }

    /// Answers a request within Graph.
    pub(super) fn answer(
        &mut self,
        route: &Route,
        request: &Request,
        entra: &Entra,
        journal: &mut Journal,
        now: &Now,
    ) -> Reply {
        let ids = self.ids(request);
        let answered = self.check(route, request, entra, now).and_then(|access| match route {
            Route::Presence(call, whose) => self.call(*call, whose, request, &access, now),
            Route::Batch => self.batch(request, entra, journal, now),
            Route::UnknownSegment(segment) => Err(Refusal::unknown_segment(segment)),
            Route::Help | Route::Control(_) | Route::Entra(..) | Route::Unknown => Err(Refusal::nothing_here()),
        });
        Self::finish(answered.unwrap_or_else(|refusal| refusal.reply(&ids, now)), &ids, now)
    }

    /// An error of Graph's, for a fault: with `status`, and what Graph says with it.
    pub(super) fn fault(&mut self, status: StatusCode, request: &Request, now: &Now) -> Reply {
        let ids = self.ids(request);
        let reply =
            if status.is_success() { Reply::empty(status) } else { Refusal::of_status(status).reply(&ids, now) };
        Self::finish(reply, &ids, now)
    }

    /// The claims challenge that has stood since `began`, for a request whose token does not meet it; `None`: this one's does,
    /// or its client never said that it handles such.
    pub(super) fn claims_challenge(
        &mut self,
        request: &Request,
        entra: &Entra,
        began: Instant,
        now: &Now,
    ) -> Option<Reply> {
        let access = entra.authenticate(bearer(request)?, now).ok()?;
        access.is_open_to_challenge(began).then(|| {
            let ids = self.ids(request);
            Self::finish(Refusal::claims(now.wall_at(began)).reply(&ids, now), &ids, now)
        })
    }

    /// The answer to a path that is neither Graph's nor Entra's.
    pub(super) fn nothing_here(&mut self, request: &Request, now: &Now) -> Reply {
        let ids = self.ids(request);
        Self::finish(Refusal::nothing_here().reply(&ids, now), &ids, now)
    }

    /// The users, in their order.
    pub(super) fn users(&self) -> &[User] {
        &self.users
    }

    /// The user with this object id or principal name.
    pub(super) fn user(&self, id: &str) -> Option<&User> {
        let is = |user: &&User| user.id.eq_ignore_ascii_case(id) || user.principal_name.eq_ignore_ascii_case(id);
        self.users.iter().find(is)
    }

    /// A user's presence, up to date.
    pub(super) fn person(&mut self, id: &str, now: &Now) -> Option<&mut Person> {
        let id = self.user(id)?.id.clone();
        let person = self.people.get_mut(&id)?;
        person.advance(now);
        Some(person)
    }

    /// The object id of whom a request is about, if that can be told.
    pub(super) fn concerned(&self, route: &Route, request: &Request, entra: &Entra, now: &Now) -> Option<String> {
        let Route::Presence(_, whose) = route else { return None };
        match whose {
            Whose::User(id) => self.user(id).map(|user| user.id.clone()),
            Whose::Me => match &entra.authenticate(bearer(request)?, now).ok()?.subject {
                Subject::User { id, .. } => Some(id.clone()),
                Subject::Application { .. } => None,
            },
        }
    }

    /// What holds for every call: the token, the path, the method, the throttle.
    fn check(&mut self, route: &Route, request: &Request, entra: &Entra, now: &Now) -> Result<Access, Refusal> {
        let token = bearer(request).filter(|token| !token.is_empty()).ok_or_else(Refusal::no_token)?;
        let access = entra.authenticate(token, now).map_err(Refusal::invalid_token)?.clone();
        if let Route::UnknownSegment(segment) = route {
            return Err(Refusal::unknown_segment(segment));
        }
        match route.method() {
            Some(allowed) if allowed != request.method => return Err(Refusal::method(&allowed)),
            Some(_) | None => {}
        }
        // A batch is not counted itself: each of its parts is.
        if *route != Route::Batch {
            self.throttle.admit(&access.tenant, &access.app, now.instant).map_err(Refusal::throttled)?;
        }
        if request.body.is_none() {
            return Err(Refusal::too_large());
        }
        Ok(access)
    }

    fn ids(&mut self, request: &Request) -> Ids {
        let id = uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid().to_string();
        Ids { client: request.header("client-request-id").map_or_else(|| id.clone(), ToOwned::to_owned), request: id }
    }

    fn finish(reply: Reply, ids: &Ids, now: &Now) -> Reply {
        reply
            .with(HeaderName::from_static("request-id"), &ids.request)
            .with(HeaderName::from_static("client-request-id"), &ids.client)
            .with(HeaderName::from_static("x-ms-ags-diagnostic"), DIAGNOSTIC)
            .with(DATE, &http_date(now))
    }
}

/// The bearer token of a request.
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The time as HTTP writes it.
pub(super) fn http_date(now: &Now) -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&now.wall).unwrap_or_default()
}
