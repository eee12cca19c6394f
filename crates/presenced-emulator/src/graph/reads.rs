//! The calls that only read: a presence, many presences, a user.
//!
//! Source: Graph API reference, `Get presence`, `cloudCommunications: getPresencesByUserId`, `Get a user`. Inferred: that an unknown
//! id is answered with `PresenceUnknown`, which is what Graph shows of a user it does not know, and which presences
//! `GET /communications/presences` lists, in pages of 650.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Graph;
use super::arguments::Arguments;
use super::behaviour;
use super::error::GraphError;
use super::permission::{Concerned, Purpose, permits_all};
use super::resource::{self, PRESENCE, Select, USER};
use crate::entra::{Access, Subject};
use crate::message::{Reply, Request};
use crate::route::Whose;
use presenced_core::time::Now;

/// How many users one request may name, and how many presences a page lists.
const MAX_IDS: usize = 650;

impl Graph {
    /// A user's presence.
    pub(super) fn read(
        &mut self,
        whose: &Whose,
        request: &Request,
        access: &Access,
        now: &Now,
    ) -> Result<Reply, GraphError> {
        let Concerned { place, own } = self.permit(Purpose::ReadPresence, whose, access)?;
        let select = Select::of(request, &PRESENCE)?;
        let user = &self.directory.users()[place];
        let mut body = select.apply(resource::presence(user, self.population.get(place, now), own, now));
        body["@odata.context"] = select.context(request, &format!("users('{}')/presence", user.id), "/$entity").into();
        Ok(Reply::json(StatusCode::OK, &body))
    }

    /// The presences of up to 650 users with one request, which counts once for the throttle.
    pub(super) fn read_many(&mut self, request: &Request, access: &Access, now: &Now) -> Result<Reply, GraphError> {
        let arguments = Arguments::read(request, "getPresencesByUserId", &["ids"])?;
        if !permits_all(Purpose::ReadPresence, access) {
            return Err(GraphError::forbidden());
        }
        let select = Select::of(request, &PRESENCE)?;
        let ids = arguments.texts("ids")?;
        if ids.len() > MAX_IDS {
            let message = format!("[Ids]: The maximum number of ids is {MAX_IDS}.");
            return Err(GraphError::invalid(message, behaviour::TOO_MANY_IDS));
        }
        let presences: Vec<Value> =
            ids.into_iter().map(|id| select.apply(self.presence_of_object(id, access, now))).collect();
        let context = select.context(request, "Collection(microsoft.graph.presence)", "");
        Ok(Reply::json(StatusCode::OK, &json!({ "@odata.context": context, "value": presences })))
    }

    /// The `presence` resource of the user with this object id. A principal name is not an object id.
    fn presence_of_object(&mut self, id: &str, access: &Access, now: &Now) -> Value {
        let users = self.directory.users();
        match self.directory.place(id).filter(|place| users[*place].id.eq_ignore_ascii_case(id)) {
            Some(place) => {
                let own = is_own(access, &users[place].id);
                resource::presence(&users[place], self.population.get(place, now), own, now)
            }
            None => resource::unknown(id),
        }
    }

    /// The presences that the token may read: those of all users, or the user's own.
    pub(super) fn list(&mut self, request: &Request, access: &Access, now: &Now) -> Result<Reply, GraphError> {
        let select = Select::of(request, &PRESENCE)?;
        let places = if permits_all(Purpose::ReadPresence, access) {
            0..self.directory.users().len()
        } else {
            match &access.subject {
                Subject::User { .. } => {
                    let own = self.permit(Purpose::ReadPresence, &Whose::Me, access)?.place;
                    own..own + 1
                }
                Subject::Application { .. } => return Err(GraphError::forbidden()),
            }
        };
        let first = match request.parameter("$skiptoken") {
            None => places.start,
            Some(token) => token
                .parse()
                .map_err(|_| GraphError::bad_request("The skip token is invalid.", behaviour::UNKNOWN_PARAMETER))?,
        };
        let end = places.end.min(first.saturating_add(MAX_IDS));
        let presences: Vec<Value> = (first.max(places.start)..end)
            .map(|place| {
                let user = &self.directory.users()[place];
                let own = is_own(access, &user.id);
                select.apply(resource::presence(user, self.population.get(place, now), own, now))
            })
            .collect();
        let mut body = json!({ "value": presences });
        body["@odata.context"] = select.context(request, "communications/presences", "").into();
        if end < places.end {
            let (path, selected) = (&request.path, request.parameter("$select"));
            let selected = selected.map(|names| format!("&$select={names}")).unwrap_or_default();
            body["@odata.nextLink"] = format!("{}{path}?$skiptoken={end}{selected}", request.base()).into();
        }
        Ok(Reply::json(StatusCode::OK, &body))
    }

    /// A user of the directory.
    pub(super) fn read_user(&self, whose: &Whose, request: &Request, access: &Access) -> Result<Reply, GraphError> {
        let place = self.permit(Purpose::ReadUser, whose, access)?.place;
        let select = Select::of(request, &USER)?;
        let mut body = select.apply(resource::user(&self.directory.users()[place]));
        body["@odata.context"] = select.context(request, "users", "/$entity").into();
        Ok(Reply::json(StatusCode::OK, &body))
    }
}

fn is_own(access: &Access, id: &str) -> bool {
    matches!(&access.subject, Subject::User { id: user, .. } if user == id)
}
