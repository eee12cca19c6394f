//! The calls about presence: the parameters, permission and effect of each.
//!
//! Source: Graph API reference, `presence: setPresence`, `clearPresence`, `setUserPreferredPresence`,
//! `clearUserPreferredPresence`, `setStatusMessage`, `Get presence`.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Graph;
use super::arguments::{Arguments, ExpirationDuration};
use super::error::GraphError;
use crate::entra::{Access, Subject};
use crate::message::{Reply, Request};
use crate::model::{Availability, Pair, Session, SessionOwner, UserPresence};
use crate::route::{Call, Whose};
use presenced_core::presence::{Expiration, Presence};
use presenced_core::time::Now;

/// The pairs that Graph accepts as a preferred presence.
const PREFERRED_PAIRS: [(Availability, &str); 6] = [
    (Availability::Available, "Available"),
    (Availability::Busy, "Busy"),
    (Availability::DoNotDisturb, "DoNotDisturb"),
    (Availability::BeRightBack, "BeRightBack"),
    (Availability::Away, "Away"),
    (Availability::Offline, "OffWork"),
];

/// A call's payload, as far as Graph reads it before it checks the permission.
enum Payload {
    Set { session: String, arguments: Arguments },
    Clear { session: String },
    Prefer(Arguments),
    ClearPreferred,
    StatusMessage(Arguments),
    Read,
}

impl Payload {
    fn read(call: Call, request: &Request) -> Result<Self, GraphError> {
        let read = |action, known: &[&str]| Arguments::read(request, action, known);
        Ok(match call {
            Call::Set => {
                let known = ["sessionId", "availability", "activity", "expirationDuration"];
                let arguments = read("setPresence", &known)?;
                Self::Set { session: arguments.text("sessionId")?.to_owned(), arguments }
            }
            Call::Clear => {
                let arguments = read("clearPresence", &["sessionId"])?;
                Self::Clear { session: arguments.text("sessionId")?.to_owned() }
            }
            Call::Prefer => {
                let known = ["availability", "activity", "expirationDuration"];
                Self::Prefer(read("setUserPreferredPresence", &known)?)
            }
            Call::ClearPreferred => {
                read("clearUserPreferredPresence", &[])?;
                Self::ClearPreferred
            }
            Call::StatusMessage => Self::StatusMessage(read("setStatusMessage", &["statusMessage"])?),
            Call::Read => Self::Read,
            Call::ReadMany
            | Call::Batch
            | Call::Authorize
            | Call::Token
            | Call::DeviceCode
            | Call::Logout
            | Call::Discovery
            | Call::Other => {
                return Err(GraphError::nothing_here());
            }
        })
    }
}

impl Graph {
    /// Answers a call about a user's presence. The token has been checked.
    pub(super) fn call(
        &mut self,
        call: Call,
        whose: &Whose,
        request: &Request,
        access: &Access,
        now: &Now,
    ) -> Result<Reply, GraphError> {
        let payload = Payload::read(call, request)?;
        let place = self.permit(call, whose, access)?;
        match payload {
            Payload::Set { session, arguments } => {
                let lifetime = expiration(&arguments)?;
                let presence = supported(&arguments)?;
                let set = Session {
                    owner: SessionOwner::Application,
                    pair: presence.into(),
                    set_at: now.instant,
                    fades: presence.fades(),
                    expires_at: Some(now.instant + lifetime.as_duration()),
                };
                self.population.change(place, now, |user| user.set(&session, set, now));
            }
            Payload::Clear { session } => {
                let clear = |user: &mut UserPresence| user.clear(&session, SessionOwner::Application, now);
                if !self.population.change(place, now, clear) {
                    return Err(GraphError::no_session());
                }
            }
            Payload::Prefer(arguments) => {
                let (pair, lasts) = preferred(&arguments)?;
                self.population.change(place, now, |user| user.prefer(pair, lasts, now));
            }
            Payload::ClearPreferred => self.population.change(place, now, |user| user.clear_preferred(now)),
            Payload::StatusMessage(arguments) => {
                let message = status_message(&arguments)?;
                self.population.change(place, now, |user| user.status_message = Some(message));
            }
            Payload::Read => {
                let id = &self.directory.users()[place].id;
                let mut body = resource(id, self.population.get(place, now));
                let context = format!("https://graph.microsoft.com/v1.0/$metadata#users('{id}')/presence/$entity");
                body["@odata.context"] = context.into();
                return Ok(Reply::json(StatusCode::OK, &body));
            }
        }
        Ok(Reply::empty(StatusCode::OK))
    }

    /// The place in the directory of the user whose presence the call is about, if the token permits the call.
    fn permit(&self, call: Call, whose: &Whose, access: &Access) -> Result<usize, GraphError> {
        let known = |id: &str| self.directory.place(id).ok_or_else(|| GraphError::unknown_user(id));
        match (&access.subject, whose) {
            (Subject::Application { .. }, Whose::Me) => {
                Err(GraphError::bad_request("/me request is only valid with delegated authentication flow."))
            }
            (Subject::Application { roles }, Whose::User(id)) => {
                let has = |permission: &str| roles.iter().any(|role| role == permission);
                // The permission to write includes reading.
                let permitted = has("Presence.ReadWrite.All") || (!writes(call) && has("Presence.Read.All"));
                if permitted { known(id) } else { Err(GraphError::forbidden()) }
            }
            (Subject::User { id: own, scopes }, whose) => {
                let has = |permission: &str| scopes.iter().any(|scope| scope == permission);
                let is_own = match whose {
                    Whose::Me => true,
                    // Users report that Graph refuses to write with a principal name, even the user's own.
                    Whose::User(id) if writes(call) => id.eq_ignore_ascii_case(own),
                    Whose::User(id) => self.directory.user(id).is_some_and(|user| user.id == *own),
                };
                let permitted = match (writes(call), is_own) {
                    (true, _) => has("Presence.ReadWrite"),
                    (false, true) => has("Presence.Read") || has("Presence.Read.All"),
                    (false, false) => has("Presence.Read.All"),
                };
                match whose {
                    _ if !permitted => Err(GraphError::forbidden()),
                    Whose::User(_) if writes(call) && !is_own => Err(GraphError::another_user()),
                    Whose::User(id) => known(id),
                    Whose::Me => known(own),
                }
            }
        }
    }
}

/// Whether a call needs a write permission.
fn writes(call: Call) -> bool {
    call != Call::Read
}

/// How long the session lives: 5 minutes by default.
fn expiration(arguments: &Arguments) -> Result<Expiration, GraphError> {
    let out_of_range = || GraphError::invalid_argument("The provided [ExpirationDuration] is out of range.");
    match arguments.duration("expirationDuration")? {
        None => Ok(Expiration::MIN),
        Some(ExpirationDuration::NotNegative(duration)) => Expiration::try_from(duration).map_err(|_| out_of_range()),
        Some(ExpirationDuration::Negative) => Err(out_of_range()),
    }
}

/// The presence, if the pair is one of the five that Graph accepts. Case matters: the reference does not say otherwise.
fn supported(arguments: &Arguments) -> Result<Presence, GraphError> {
    let (availability, activity) = (arguments.text("availability")?, arguments.text("activity")?);
    Presence::ALL
        .into_iter()
        .find(|presence| presence.availability() == availability && presence.activity() == activity)
        .ok_or_else(|| unsupported(availability, activity))
}

fn unsupported(availability: &str, activity: &str) -> GraphError {
    GraphError::invalid_argument(format!(
        "The combination of availability '{availability}' and activity '{activity}' is not supported."
    ))
}

/// The preferred pair, and how long it lasts: by default one day for Busy and `DoNotDisturb`, seven days for the rest.
fn preferred(arguments: &Arguments) -> Result<(Pair, Duration), GraphError> {
    let (availability, activity) = (arguments.text("availability")?, arguments.text("activity")?);
    let pair = PREFERRED_PAIRS
        .into_iter()
        .find(|pair| pair.0.to_string() == availability && pair.1 == activity)
        .map(|(availability, activity)| Pair::new(availability, activity))
        .ok_or_else(|| unsupported(availability, activity))?;
    let days = match pair.availability {
        Availability::Busy | Availability::DoNotDisturb => 1,
        Availability::Offline | Availability::Away | Availability::BeRightBack | Availability::Available => 7,
    };
    let lasts = match arguments.duration("expirationDuration")? {
        None => Duration::from_hours(24 * days),
        Some(ExpirationDuration::NotNegative(duration)) if !duration.is_zero() => duration,
        Some(ExpirationDuration::NotNegative(_) | ExpirationDuration::Negative) => {
            return Err(GraphError::invalid_argument("The provided [ExpirationDuration] is out of range."));
        }
    };
    Ok((pair, lasts))
}

/// The status message, as it will be shown. A client removes it by setting an empty text.
fn status_message(arguments: &Arguments) -> Result<Value, GraphError> {
    let required = || GraphError::invalid_argument("[StatusMessage]: The StatusMessage field is required.");
    let message = arguments.value("statusMessage").and_then(Value::as_object).ok_or_else(required)?;
    let content = message.get("message").and_then(|message| message.get("content")).and_then(Value::as_str);
    if content.is_none() {
        return Err(GraphError::invalid_argument("[Message]: The Message field is required."));
    }
    Ok(Value::Object(message.clone()))
}

/// The `presence` resource of a user.
pub(super) fn resource(id: &str, presence: &UserPresence) -> Value {
    let visible = presence.visible();
    json!({
        "id": id,
        "availability": visible.availability,
        "activity": visible.activity,
        "statusMessage": presence.status_message,
        "outOfOfficeSettings": { "message": null, "isOutOfOffice": false },
    })
}
