//! The control endpoints `/_emulator/…`: inspect the emulator, and do what a client of Graph cannot.
//!
//! Errors are `{"error": "one sentence"}`.

use hyper::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{End, Service};
use crate::faults::Fault;
use crate::message::{Reply, Request};
use crate::model::{Availability, Pair, Session, SessionOwner, Timeline, UserPresence};
use crate::options::User;
use crate::page;
use crate::state::ShownUsers;
use presenced_core::time::Now;

/// The name of a client's session if the request does not give one.
const DEFAULT_CLIENT_SESSION: &str = "teams-desktop";

/// The body of `POST …/sessions`: a session of another client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientSession {
    #[serde(default = "client")]
    name: String,
    availability: Availability,
    /// Default: the same word as the availability.
    activity: Option<String>,
    /// Whether it fades like an application's session.
    #[serde(default)]
    fades: bool,
    /// Default: it stays until it is deleted.
    expires_in: Option<SignedDuration>,
}

fn client() -> String {
    DEFAULT_CLIENT_SESSION.to_owned()
}

/// The body of `POST …/timeline`: what others should have seen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Comparison {
    /// Each expected presence and when it starts, in chronological order.
    expected: Vec<ExpectedFrom>,
    /// Default: the start of the first.
    from: Option<Timestamp>,
    /// Default: now.
    to: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct ExpectedFrom {
    from: Timestamp,
    #[serde(flatten)]
    pair: Pair,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Value>),
    One(Value),
}

/// Why a control request is refused: a status and one sentence.
type ControlError = (StatusCode, String);

/// Answers a request to `/_emulator/…`.
pub(super) fn answer(service: &mut Service, segments: &[String], request: &Request, now: &Now) -> Reply {
    route(service, segments, request, now).unwrap_or_else(|(status, text)| refusal(status, &text))
}

/// Answers `GET /_emulator/events`: a stream of updates.
pub(super) fn events(service: &Service, request: &Request) -> End {
    match request.parameter("user").map(|id| service.graph.directory().place(&id).ok_or_else(|| unknown_user(&id))) {
        None => End::Events(ShownUsers::First),
        Some(Ok(place)) => End::Events(ShownUsers::One(place)),
        Some(Err((status, text))) => End::Reply(refusal(status, &text)),
    }
}

fn refusal(status: StatusCode, text: &str) -> Reply {
    Reply::json(status, &json!({ "error": text }))
}

fn route(service: &mut Service, segments: &[String], request: &Request, now: &Now) -> Result<Reply, ControlError> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let done = Reply::empty(StatusCode::NO_CONTENT);
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["state"]) => {
            let shown = shown_users(service, request)?;
            Ok(ok(&service.state(shown, now)))
        }
        ("GET", ["page.css"]) => Ok(page::style()),
        ("GET", ["page.js"]) => Ok(page::script()),
        ("GET", ["ca.pem"]) => certificate(service),
        ("DELETE", ["busiest"]) => {
            service.graph.throttler().forget_busiest(now.instant);
            Ok(done)
        }
        ("GET", ["requests"]) => {
            let after = request.parameter("after").map_or(Ok(0), |after| after.parse());
            let after = after.map_err(|_| bad("`after` must be the number of a request"))?;
            let journal = &service.journal;
            Ok(ok(&json!({ "requests": journal.records(after), "dropped": journal.dropped() })))
        }
        ("GET", ["faults"]) => Ok(ok(&service.faults.list(now.instant))),
        ("POST", ["faults"]) => {
            let faults = match read(request)? {
                OneOrMany::Many(faults) => faults,
                OneOrMany::One(fault) => vec![fault],
            };
            // All or nothing: an invalid fault in a list changes nothing.
            let faults: Vec<Fault> = faults.into_iter().map(checked).collect::<Result<_, _>>()?;
            for fault in faults {
                service.faults.add(fault, now).map_err(|error| (StatusCode::CONFLICT, error.to_string()))?;
            }
            Ok(done)
        }
        ("DELETE", ["faults"]) => {
            service.faults.clear();
            Ok(done)
        }
        ("DELETE", ["tokens"]) => {
            service.entra.forget_access();
            Ok(done)
        }
        ("GET", ["device"]) => Ok(device_page(service, request, now)),
        ("POST", ["device", code, decision @ ("approve" | "deny")]) => {
            let user = signing_in(service, request)?;
            let user = (*decision == "approve").then_some(&user);
            let decided = service.entra.decide(code, user, now);
            if decided {
                Ok(done)
            } else {
                Err((StatusCode::NOT_FOUND, format!("no sign-in waits for approval with the code `{code}`")))
            }
        }
        ("POST", ["consent", id, decision @ ("approve" | "deny")]) => {
            let user = signing_in(service, request)?;
            let user = (*decision == "approve").then_some(&user);
            let sent_back = service.entra.consent(id, user, now);
            sent_back.ok_or_else(|| (StatusCode::NOT_FOUND, format!("no sign-in waits for consent with the id `{id}`")))
        }
        ("GET", ["users"]) => Ok(Reply::text(StatusCode::OK, service.graph.directory().users_file())),
        ("GET", ["users", id, "timeline"]) => {
            let presence = service.graph.presence(id, now).ok_or_else(|| unknown_user(id))?;
            Ok(ok(&presence.timeline()))
        }
        ("POST", ["users", id, "timeline"]) => {
            let comparison: Comparison = read(request)?;
            let presence = service.graph.presence(id, now).ok_or_else(|| unknown_user(id))?;
            compare(&presence.timeline(), comparison, now)
        }
        ("POST", ["users", id, "revoke"]) => {
            let user = service.graph.directory().user(id).ok_or_else(|| unknown_user(id))?;
            service.entra.revoke(user);
            Ok(done)
        }
        ("POST", ["users", id, "sessions"]) => {
            let session: ClientSession = read(request)?;
            open(service, id, session, now)?;
            Ok(done)
        }
        ("DELETE", ["users", id, "sessions"]) => {
            let presence = service.graph.presence(id, now).ok_or_else(|| unknown_user(id))?;
            let clients = presence.sessions().iter().filter(|(_, session)| session.owner == SessionOwner::Client);
            let names: Vec<_> = clients.map(|(name, _)| name.clone()).collect();
            service.graph.change(id, now, |presence| {
                for name in &names {
                    presence.clear(name, SessionOwner::Client, now);
                }
            });
            Ok(done)
        }
        ("DELETE", ["users", id, "sessions", name]) => {
            let close = |presence: &mut UserPresence| presence.clear(name, SessionOwner::Client, now);
            if service.graph.change(id, now, close).ok_or_else(|| unknown_user(id))? {
                Ok(done)
            } else {
                Err((StatusCode::NOT_FOUND, format!("no client has a session named `{name}`")))
            }
        }
        (_, other) => Err(not_found_or_not_allowed(other)),
    }
}

/// Which users the state must have: `user=ID` or `users=all` in the query say so.
fn shown_users(service: &Service, request: &Request) -> Result<ShownUsers, ControlError> {
    match (request.parameter("user"), request.parameter("users").as_deref()) {
        (Some(id), None) => {
            let place = service.graph.directory().place(&id);
            place.map(ShownUsers::One).ok_or_else(|| unknown_user(&id))
        }
        (None, Some("all")) => Ok(ShownUsers::All),
        (None, None) => Ok(ShownUsers::IfFew),
        (_, Some(_)) => Err(bad("write `users=all` for all users, or `user=ID` for one")),
    }
}

/// The user who signs in: the one in the query, or the first.
fn signing_in(service: &Service, request: &Request) -> Result<User, ControlError> {
    match request.parameter("user") {
        Some(id) => service.graph.directory().user(&id).cloned().ok_or_else(|| unknown_user(&id)),
        None => service.graph.directory().users().first().cloned().ok_or_else(|| unknown_user("")),
    }
}

/// The certificate of the CA to trust.
fn certificate(service: &Service) -> Result<Reply, ControlError> {
    let pem = service.ca_pem.clone();
    let pem = pem.ok_or_else(|| {
        (StatusCode::NOT_FOUND, "the emulator was started without `--tls`, so it has no CA".to_owned())
    })?;
    Ok(Reply::text(StatusCode::OK, pem))
}

/// The error for a path that does not exist, or that does not allow this method.
fn not_found_or_not_allowed(segments: &[&str]) -> ControlError {
    let allowed = match segments {
        ["state" | "events" | "ca.pem" | "page.css" | "page.js" | "requests" | "device" | "users"] => "GET",
        ["users", _, "timeline"] => "GET and POST",
        ["faults"] => "GET, POST and DELETE",
        ["tokens" | "busiest"] | ["users", _, "sessions", _] => "DELETE",
        ["users", _, "sessions"] => "POST and DELETE",
        ["device" | "consent", _, "approve" | "deny"] | ["users", _, "revoke"] => "POST",
        _ => return (StatusCode::NOT_FOUND, "there is nothing here; `GET /` lists all endpoints".to_owned()),
    };
    (StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed} is allowed here"))
}

/// For how long others saw something other than expected, and how often they saw Available fade.
fn compare(timeline: &Timeline, comparison: Comparison, now: &Now) -> Result<Reply, ControlError> {
    let expected: Vec<_> = comparison.expected.into_iter().map(|expected| (expected.from, expected.pair)).collect();
    let first = expected.first().ok_or_else(|| bad("`expected` is empty"))?.0;
    if !expected.is_sorted_by_key(|expected| expected.0) {
        return Err(bad("`expected` must be in chronological order"));
    }
    let (from, to) = (comparison.from.unwrap_or(first), comparison.to.unwrap_or(now.wall));
    let wrong = timeline.wrong(&expected, from, to).as_secs_f64();
    Ok(ok(&json!({ "wrong_seconds": wrong, "fades": timeline.fades(from, to) })))
}

fn open(service: &mut Service, id: &str, client: ClientSession, now: &Now) -> Result<(), ControlError> {
    let lifetime = client.expires_in.map(std::time::Duration::try_from).transpose();
    let lifetime = lifetime.ok().filter(|lifetime| lifetime.is_none_or(|lifetime| !lifetime.is_zero()));
    let lifetime = lifetime.ok_or_else(|| bad("`expires_in` must be longer than zero"))?;
    let presence = service.graph.presence(id, now).ok_or_else(|| unknown_user(id))?;
    if presence.sessions().get(&client.name).is_some_and(|session| session.owner == SessionOwner::Application) {
        return Err((StatusCode::CONFLICT, format!("`{}` is the session of an application", client.name)));
    }
    let session = Session {
        owner: SessionOwner::Client,
        pair: Pair::new(client.availability, client.activity.unwrap_or_else(|| client.availability.to_string())),
        set_at: now.instant,
        fades: client.fades && client.availability == Availability::Available,
        expires_at: lifetime.map(|lifetime| now.instant + lifetime),
    };
    service.graph.change(id, now, |presence| presence.set(&client.name, session, now));
    Ok(())
}

fn device_page(service: &Service, request: &Request, now: &Now) -> Reply {
    let base = request.header("host").unwrap_or("127.0.0.1");
    let waiting = service.entra.waiting(now);
    let command = |code: &str, decision| format!("  curl -X POST http://{base}/_emulator/device/{code}/{decision}\n");
    let codes = waiting.iter().map(|code| format!("\n{code}\n{}{}", command(code, "approve"), command(code, "deny")));
    let heading = match waiting.len() {
        0 => "No sign-ins wait for approval.\n".to_owned(),
        1 => "One sign-in waits for approval:\n".to_owned(),
        count => format!("{count} sign-ins wait for approval:\n"),
    };
    Reply::text(StatusCode::OK, std::iter::once(heading).chain(codes).collect())
}

fn checked(value: Value) -> Result<Fault, ControlError> {
    let fault: Fault = serde_json::from_value(value).map_err(|error| bad(&format!("invalid fault: {error}")))?;
    fault.check().map_err(|error| bad(&error.to_string()))?;
    Ok(fault)
}

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, ControlError> {
    let body = request.body.as_ref().ok_or((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large".to_owned()))?;
    serde_json::from_slice(body).map_err(|error| bad(&format!("invalid body: {error}")))
}

fn ok(value: &impl serde::Serialize) -> Reply {
    Reply::json(StatusCode::OK, value)
}

fn bad(text: &str) -> ControlError {
    (StatusCode::BAD_REQUEST, text.to_owned())
}

fn unknown_user(id: &str) -> ControlError {
    (StatusCode::NOT_FOUND, format!("no user has the id `{id}`"))
}
