//! Microsoft Graph: permissions, checked in Graph's order, and what each call about presence does.
//!
//! The order: the token, the path, the method, the throttle, the payload, a missing `sessionId`, the permission, whose presence
//! it is, whether the user exists, the values. Users report that `sessionId` comes before the permission. The place of the
//! throttle, and that the values come last, are inferred.

mod arguments;
pub(super) mod batch;
mod behaviour;
mod calls;
mod duration;
mod error;
mod location;
mod permission;
mod reads;
mod resource;
mod status_message;

use hyper::StatusCode;
use hyper::header::{DATE, HeaderName};

pub use self::behaviour::{BEHAVIOURS, Basis, Behaviour};
use self::error::{BASIS_HEADER, GraphError};
use super::directory::Directory;
use super::entra::{Access, Entra, Subject};
use super::faults::Refusal;
use super::message::{Reply, Request};
use super::model::{Population, Totals, UserPresence};
use super::options::Options;
use super::route::{Call, Route, Whose};
use super::state::UserState;
use super::throttle::Throttler;
use presenced_core::time::{Instant, Now};

/// The value of Graph's diagnostic header, which names the machine that answered.
const DIAGNOSTIC_HEADER: &str =
    r#"{"ServerInfo":{"DataCenter":"Loopback","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"EMULATOR"}}"#;

/// Graph's presence service.
#[derive(Debug)]
pub(super) struct Graph {
    directory: Directory,
    population: Population,
    throttler: Throttler,
    /// Whether a session may have another id than its application's.
    any_session: bool,
    rng: fastrand::Rng,
}

/// What identifies one request and its answer.
#[derive(Clone, Debug)]
struct Ids {
    request: String,
    client: String,
}

impl Graph {
    /// A fresh service, in which no user has a session.
    pub(super) fn new(options: &Options, now: &Now) -> Self {
        Self {
            directory: Directory::new(options.users.clone()),
            population: Population::new(options.users.len(), now),
            throttler: Throttler::new(options.throttle),
            any_session: options.any_session,
            rng: fastrand::Rng::with_seed(options.seed.wrapping_add(1)),
        }
    }

    /// Answers a request to Graph.
    pub(super) fn answer(&mut self, route: &Route, request: &Request, entra: &Entra, now: &Now) -> Reply {
        let ids = self.ids(request);
        let answered = self.check(route, request, entra, now).and_then(|access| match route {
            Route::Presence(Call::Read, whose) => self.read(whose, request, &access, now),
            Route::Presence(call, whose) => self.change_presence(*call, whose, request, &access, now),
            Route::Location(change, whose) => self.change_location(*change, whose, request, &access, now),
            Route::ReadMany => self.read_many(request, &access, now),
            Route::List => self.list(request, &access, now),
            Route::User(whose) => self.read_user(whose, request, &access),
            Route::Batch => Err(GraphError::bad_request("A batch cannot be in a batch.", behaviour::UNKNOWN_SEGMENT)),
            Route::UnknownSegment(segment) => Err(GraphError::unknown_segment(segment)),
            Route::Help
            | Route::Control(_)
            | Route::Entra(..)
            | Route::ManagedIdentity(_)
            | Route::Sidecar
            | Route::Unknown => Err(GraphError::nothing_here()),
        });
        let reply = match answered {
            Ok(reply) => reply.with(BASIS_HEADER, &succeeds(route).basis.to_string()),
            Err(refusal) => refusal.reply(&ids, now),
        };
        Self::finish(reply, &ids, now)
    }

    /// The answer for a fault: `status`, with the body that Graph sends with it.
    pub(super) fn fault(&mut self, status: StatusCode, request: &Request, now: &Now) -> Reply {
        let ids = self.ids(request);
        let reply =
            if status.is_success() { Reply::empty(status) } else { GraphError::of_status(status).reply(&ids, now) };
        Self::finish(reply, &ids, now)
    }

    /// The answer for a fault: this refusal.
    pub(super) fn refuse(&mut self, refusal: Refusal, request: &Request, now: &Now) -> Reply {
        let ids = self.ids(request);
        Self::finish(GraphError::refusal(refusal).reply(&ids, now), &ids, now)
    }

    /// The claims challenge that began at `began`, for a request whose token does not satisfy it. `None` if the token does, or if
    /// its client did not declare that it handles claims challenges.
    pub(super) fn claims_challenge(
        &mut self,
        request: &Request,
        entra: &Entra,
        began: Instant,
        now: &Now,
    ) -> Option<Reply> {
        let access = entra.authenticate(bearer(request)?, now).ok()?;
        access.is_subject_to_challenge(began).then(|| {
            let ids = self.ids(request);
            Self::finish(GraphError::claims(now.wall_at(began)).reply(&ids, now), &ids, now)
        })
    }

    /// The answer to a path that neither Graph nor Entra has.
    pub(super) fn nothing_here(&mut self, request: &Request, now: &Now) -> Reply {
        let ids = self.ids(request);
        Self::finish(GraphError::nothing_here().reply(&ids, now), &ids, now)
    }

    /// The users.
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// A user's presence, advanced to `now`.
    pub(super) fn presence(&mut self, id: &str, now: &Now) -> Option<&UserPresence> {
        Some(self.population.get(self.directory.place(id)?, now))
    }

    /// The object id and the state of the user at `place` of the directory.
    pub(super) fn user_state(&mut self, place: usize, now: &Now) -> Option<(String, UserState)> {
        let user = self.directory.users().get(place)?;
        Some((user.id.clone(), UserState::of(user, self.population.get(place, now), now)))
    }

    /// Changes a user's presence, advanced to `now`. `None` if there is no such user.
    pub(super) fn change<T>(&mut self, id: &str, now: &Now, change: impl FnOnce(&mut UserPresence) -> T) -> Option<T> {
        Some(self.population.change(self.directory.place(id)?, now, change))
    }

    /// What all users add up to.
    pub(super) fn totals(&mut self, now: &Now) -> &Totals {
        self.population.totals(now)
    }

    /// A time that is not after the next fade or expiry of any user.
    pub(super) fn next_change(&self) -> Option<Instant> {
        self.population.next_change()
    }

    /// The throttle.
    pub(super) fn throttler(&mut self) -> &mut Throttler {
        &mut self.throttler
    }

    /// The object id of the user whose presence a request is about, if it is known.
    pub(super) fn user_concerned(&self, route: &Route, request: &Request, entra: &Entra, now: &Now) -> Option<String> {
        let (Route::Presence(_, whose) | Route::Location(_, whose) | Route::User(whose)) = route else { return None };
        match whose {
            Whose::User(id) => self.directory.user(id).map(|user| user.id.clone()),
            Whose::Me => match &entra.authenticate(bearer(request)?, now).ok()?.subject {
                Subject::User { id, .. } => Some(id.clone()),
                Subject::Application { .. } => None,
            },
        }
    }

    /// The checks that every call needs: the token, the path, the method, the throttle.
    fn check(&mut self, route: &Route, request: &Request, entra: &Entra, now: &Now) -> Result<Access, GraphError> {
        let token = bearer(request).filter(|token| !token.is_empty()).ok_or_else(GraphError::no_token)?;
        let access = entra.authenticate(token, now).map_err(GraphError::invalid_token)?.clone();
        if let Route::UnknownSegment(segment) = route {
            return Err(GraphError::unknown_segment(segment));
        }
        match route.method() {
            Some(allowed) if allowed != request.method => return Err(GraphError::method(&allowed)),
            Some(_) | None => {}
        }
        // The throttle counts the requests in a batch, not the batch.
        if *route != Route::Batch {
            self.throttler.admit(&access.tenant, &access.app, now.instant).map_err(GraphError::throttled)?;
        }
        if request.body.is_none() {
            return Err(GraphError::too_large());
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
            .with(HeaderName::from_static("x-ms-ags-diagnostic"), DIAGNOSTIC_HEADER)
            .with(DATE, &http_date(now))
    }
}

/// What a successful answer rests on.
fn succeeds(route: &Route) -> Behaviour {
    match route {
        Route::Presence(Call::Read, _) => behaviour::READ,
        Route::Presence(Call::Prefer | Call::ClearPreferred, _) => behaviour::PREFER,
        Route::Presence(Call::StatusMessage, _) => behaviour::STATUS_MESSAGE,
        Route::Presence(..) => behaviour::SET,
        Route::Location(..) => behaviour::LOCATION,
        Route::ReadMany => behaviour::READ_MANY,
        Route::List => behaviour::LIST,
        Route::User(_) => behaviour::USER,
        Route::Batch => behaviour::BATCH,
        Route::Help
        | Route::Control(_)
        | Route::Entra(..)
        | Route::ManagedIdentity(_)
        | Route::Sidecar
        | Route::UnknownSegment(_)
        | Route::Unknown => behaviour::NOT_HERE,
    }
}

/// The bearer token of a request.
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The time in the format of HTTP's `Date`.
pub(super) fn http_date(now: &Now) -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&now.wall).unwrap_or_default()
}
