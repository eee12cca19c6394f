//! `POST /communications/getPresencesByUserId`: the presences of up to 650 users with one request, which counts once for the
//! throttle.
//!
//! Source: Graph API reference, `cloudCommunications: getPresencesByUserId`. Inferred: the texts of the errors, and that an unknown
//! id is answered with `PresenceUnknown`, which is what Graph shows of a user it does not know.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Graph;
use super::arguments::Arguments;
use super::calls;
use super::error::GraphError;
use crate::entra::{Access, Subject};
use crate::message::{Reply, Request};
use presenced_core::time::Now;

/// How many users one request may name.
const MAX_IDS: usize = 650;

impl Graph {
    /// Answers the call. The token has been checked.
    pub(super) fn read_many(&mut self, request: &Request, access: &Access, now: &Now) -> Result<Reply, GraphError> {
        let arguments = Arguments::read(request, "getPresencesByUserId", &["ids"])?;
        permit(access)?;
        let ids = arguments.texts("ids")?;
        if ids.len() > MAX_IDS {
            return Err(GraphError::invalid_argument(format!("[Ids]: The maximum number of ids is {MAX_IDS}.")));
        }
        let presences: Vec<Value> = ids.into_iter().map(|id| self.presence_of_object(id, now)).collect();
        let context = "https://graph.microsoft.com/v1.0/$metadata#Collection(microsoft.graph.presence)";
        Ok(Reply::json(StatusCode::OK, &json!({ "@odata.context": context, "value": presences })))
    }

    /// The `presence` resource of the user with this object id. A principal name is not an object id.
    fn presence_of_object(&mut self, id: &str, now: &Now) -> Value {
        let users = self.directory.users();
        match self.directory.place(id).filter(|place| users[*place].id.eq_ignore_ascii_case(id)) {
            Some(place) => calls::resource(&users[place].id, self.population.get(place, now)),
            None => json!({ "id": id, "availability": "PresenceUnknown", "activity": "PresenceUnknown" }),
        }
    }
}

fn permit(access: &Access) -> Result<(), GraphError> {
    let (granted, sufficient): (_, &[&str]) = match &access.subject {
        Subject::Application { roles } => (roles, &["Presence.Read.All", "Presence.ReadWrite.All"]),
        Subject::User { scopes, .. } => (scopes, &["Presence.Read.All"]),
    };
    let permitted = granted.iter().any(|permission| sufficient.contains(&permission.as_str()));
    if permitted { Ok(()) } else { Err(GraphError::forbidden()) }
}
