//! The calls that change a presence: the parameters and the effect of each.
//!
//! Source: Graph API reference, `presence: setPresence`, `clearPresence`, `setUserPreferredPresence`,
//! `clearUserPreferredPresence`, `setStatusMessage`. The reference says that `sessionId` is the application's id; that Graph refuses
//! any other is inferred.

use std::time::Duration;

use hyper::StatusCode;

use super::Graph;
use super::arguments::Arguments;
use super::behaviour;
use super::duration::EdmDuration;
use super::error::GraphError;
use super::permission::Purpose;
use super::status_message;
use crate::entra::Access;
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
            Call::Location
            | Call::Read
            | Call::ReadMany
            | Call::User
            | Call::Batch
            | Call::Authorize
            | Call::Token
            | Call::DeviceCode
            | Call::Logout
            | Call::Discovery
            | Call::ManagedIdentity
            | Call::Sidecar
            | Call::Other => return Err(GraphError::nothing_here()),
        })
    }
}

impl Graph {
    /// Answers a call that changes a user's presence. The token has been checked.
    pub(super) fn change_presence(
        &mut self,
        call: Call,
        whose: &Whose,
        request: &Request,
        access: &Access,
        now: &Now,
    ) -> Result<Reply, GraphError> {
        let payload = Payload::read(call, request)?;
        let place = self.permit(Purpose::WritePresence, whose, access)?.place;
        let has_effect = self.directory.users()[place].is_provisioned();
        match payload {
            Payload::Set { session, arguments } => {
                self.check_session(&session, access)?;
                let lifetime = expiration(&arguments)?;
                let presence = supported(&arguments)?;
                let set = Session {
                    owner: SessionOwner::Application,
                    pair: presence.into(),
                    set_at: now.instant,
                    fades: presence.fades(),
                    expires_at: Some(now.instant + lifetime.as_duration()),
                };
                if has_effect {
                    self.population.change(place, now, |user| user.set(&session, set, now));
                }
            }
            Payload::Clear { session } => {
                self.check_session(&session, access)?;
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
                let message = status_message::read(&arguments, now)?;
                self.population.change(place, now, |user| user.set_status_message(message));
            }
        }
        Ok(Reply::empty(StatusCode::OK))
    }

    fn check_session(&self, session: &str, access: &Access) -> Result<(), GraphError> {
        if self.any_session || session.eq_ignore_ascii_case(&access.app) {
            return Ok(());
        }
        let message = format!(
            "[SessionId]: '{session}' is not the id of the token's application, '{}'. The emulator accepts any id with \
             --any-session.",
            access.app
        );
        Err(GraphError::invalid(message, behaviour::OTHER_SESSION_ID))
    }
}

/// How long the session lives: 5 minutes by default.
fn expiration(arguments: &Arguments) -> Result<Expiration, GraphError> {
    match arguments.duration("expirationDuration")? {
        None => Ok(Expiration::MIN),
        Some(EdmDuration::NotNegative(duration)) => Expiration::try_from(duration).map_err(|_| out_of_range()),
        Some(EdmDuration::Negative) => Err(out_of_range()),
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
        Some(EdmDuration::NotNegative(duration)) if !duration.is_zero() => duration,
        Some(EdmDuration::NotNegative(_) | EdmDuration::Negative) => {
            return Err(out_of_range());
        }
    };
    Ok((pair, lasts))
}

fn out_of_range() -> GraphError {
    GraphError::invalid("The provided [ExpirationDuration] is out of range.", behaviour::OUT_OF_RANGE)
}
