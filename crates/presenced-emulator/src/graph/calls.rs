//! The calls about presence: what each reads, requires and does.
//!
//! Source: Graph API reference, `presence: setPresence`, `clearPresence`, `setUserPreferredPresence`,
//! `clearUserPreferredPresence`, `setStatusMessage`, `Get presence`.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Graph;
use super::arguments::{Arguments, Length};
use super::error::Refusal;
use crate::entra::{Access, Subject};
use crate::message::{Reply, Request};
use crate::model::{Availability, Holder, Pair, Session};
use crate::route::{Call, Whose};
use presenced_core::presence::{Expiration, Presence};
use presenced_core::time::Now;

/// The preferred pairs that Graph accepts.
const PREFERRED: [(Availability, &str); 6] = [
    (Availability::Available, "Available"),
    (Availability::Busy, "Busy"),
    (Availability::DoNotDisturb, "DoNotDisturb"),
    (Availability::BeRightBack, "BeRightBack"),
    (Availability::Away, "Away"),
    (Availability::Offline, "OffWork"),
];

/// A call's payload, read as far as Graph reads it before it looks at the permission.
enum Payload {
    Set { session: String, arguments: Arguments },
    Clear { session: String },
    Prefer(Arguments),
    ClearPreferred,
    StatusMessage(Arguments),
    Read,
}

impl Payload {
    fn read(call: Call, request: &Request) -> Result<Self, Refusal> {
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
            Call::Batch | Call::Authorize | Call::Token | Call::DeviceCode | Call::Other => {
                return Err(Refusal::nothing_here());
            }
        })
    }
}

impl Graph {
    /// Answers a call about somebody's presence, whose token is good.
    pub(super) fn call(
        &mut self,
        call: Call,
        whose: &Whose,
        request: &Request,
        access: &Access,
        now: &Now,
    ) -> Result<Reply, Refusal> {
        let payload = Payload::read(call, request)?;
        let id = self.permit(call, whose, access)?;
        let person = self.person(&id, now).ok_or_else(|| Refusal::unknown_user(&id))?;
        match payload {
            Payload::Set { session, arguments } => {
                let lifetime = expiration(&arguments)?;
                let presence = supported(&arguments)?;
                let set = Session {
                    holder: Holder::Application,
                    pair: presence.into(),
                    set_at: now.instant,
                    fades: presence.fades(),
                    expires_at: Some(now.instant + lifetime.as_duration()),
                };
                person.set(&session, set, now);
            }
            Payload::Clear { session } => {
                if !person.clear(&session, Holder::Application, now) {
                    return Err(Refusal::no_session());
                }
            }
            Payload::Prefer(arguments) => {
                let (pair, lasts) = preferred(&arguments)?;
                person.prefer(pair, lasts, now);
            }
            Payload::ClearPreferred => person.clear_preferred(now),
            Payload::StatusMessage(arguments) => person.status_message = Some(status_message(&arguments)?),
            Payload::Read => {
                return Ok(shown(&id, &person.visible(), person.status_message.as_ref()));
            }
        }
        Ok(Reply::empty(StatusCode::OK))
    }

    /// The object id of whom the call is about, if the token permits it.
    fn permit(&self, call: Call, whose: &Whose, access: &Access) -> Result<String, Refusal> {
        let known = |id: &str| self.user(id).map(|user| user.id.clone()).ok_or_else(|| Refusal::unknown_user(id));
        match (&access.subject, whose) {
            (Subject::Application { .. }, Whose::Me) => {
                Err(Refusal::bad_request("/me request is only valid with delegated authentication flow."))
            }
            (Subject::Application { roles }, Whose::User(id)) => {
                let needed = if writes(call) { "Presence.ReadWrite.All" } else { "Presence.Read.All" };
                if roles.iter().any(|role| role == needed) { known(id) } else { Err(Refusal::forbidden()) }
            }
            (Subject::User { id: own, scopes }, whose) => {
                let has = |permission: &str| scopes.iter().any(|scope| scope == permission);
                let is_own = match whose {
                    Whose::Me => true,
                    // A principal name may stand for another object, and is refused for writing (reported).
                    Whose::User(id) if writes(call) => id.eq_ignore_ascii_case(own),
                    Whose::User(id) => self.user(id).is_some_and(|user| user.id == *own),
                };
                let permitted = match (writes(call), is_own) {
                    (true, _) => has("Presence.ReadWrite"),
                    (false, true) => has("Presence.Read") || has("Presence.Read.All"),
                    (false, false) => has("Presence.Read.All"),
                };
                match whose {
                    _ if !permitted => Err(Refusal::forbidden()),
                    Whose::User(_) if writes(call) && !is_own => Err(Refusal::another_user()),
                    Whose::User(id) => known(id),
                    Whose::Me => known(own),
                }
            }
        }
    }
}

/// Whether a call needs permission to write.
fn writes(call: Call) -> bool {
    call != Call::Read
}

/// How long the session lives: 5 minutes when the call does not say.
fn expiration(arguments: &Arguments) -> Result<Expiration, Refusal> {
    let out_of_range = || Refusal::invalid_argument("The provided [ExpirationDuration] is out of range.");
    match arguments.length("expirationDuration")? {
        None => Ok(Expiration::MIN),
        Some(Length::Is(length)) => Expiration::try_from(length).map_err(|_| out_of_range()),
        Some(Length::Negative) => Err(out_of_range()),
    }
}

/// The pair, if it is one of the five; letter for letter, since nobody documented that case does not matter.
fn supported(arguments: &Arguments) -> Result<Presence, Refusal> {
    let (availability, activity) = (arguments.text("availability")?, arguments.text("activity")?);
    Presence::ALL
        .into_iter()
        .find(|presence| presence.availability() == availability && presence.activity() == activity)
        .ok_or_else(|| unsupported(availability, activity))
}

fn unsupported(availability: &str, activity: &str) -> Refusal {
    Refusal::invalid_argument(format!(
        "The combination of availability '{availability}' and activity '{activity}' is not supported."
    ))
}

/// The preferred pair, and how long it holds: by default a day for what keeps people away, a week for the rest.
fn preferred(arguments: &Arguments) -> Result<(Pair, Duration), Refusal> {
    let (availability, activity) = (arguments.text("availability")?, arguments.text("activity")?);
    let pair = PREFERRED
        .into_iter()
        .find(|pair| pair.0.to_string() == availability && pair.1 == activity)
        .map(|(availability, activity)| Pair::new(availability, activity))
        .ok_or_else(|| unsupported(availability, activity))?;
    let days = match pair.availability {
        Availability::Busy | Availability::DoNotDisturb => 1,
        Availability::Offline | Availability::Away | Availability::BeRightBack | Availability::Available => 7,
    };
    let lasts = match arguments.length("expirationDuration")? {
        None => Duration::from_hours(24 * days),
        Some(Length::Is(length)) if !length.is_zero() => length,
        Some(Length::Is(_) | Length::Negative) => {
            return Err(Refusal::invalid_argument("The provided [ExpirationDuration] is out of range."));
        }
    };
    Ok((pair, lasts))
}

/// The status message as reading shows it. An empty text takes it away.
fn status_message(arguments: &Arguments) -> Result<Value, Refusal> {
    let required = || Refusal::invalid_argument("[StatusMessage]: The StatusMessage field is required.");
    let message = arguments.value("statusMessage").and_then(Value::as_object).ok_or_else(required)?;
    let content = message.get("message").and_then(|message| message.get("content")).and_then(Value::as_str);
    if content.is_none() {
        return Err(Refusal::invalid_argument("[Message]: The Message field is required."));
    }
    Ok(Value::Object(message.clone()))
}

/// The `presence` resource.
fn shown(id: &str, visible: &Pair, message: Option<&Value>) -> Reply {
    let body = json!({
        "@odata.context": format!("https://graph.microsoft.com/v1.0/$metadata#users('{id}')/presence/$entity"),
        "id": id,
        "availability": visible.availability,
        "activity": visible.activity,
        "statusMessage": message,
        "outOfOfficeSettings": { "message": null, "isOutOfOffice": false },
    });
    Reply::json(StatusCode::OK, &body)
}
