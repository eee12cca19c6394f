//! The resources that Graph answers with, and `$select`, which picks some of their properties.
//!
//! Source: Graph API reference, `presence` and `user`; `OData` 4.01, `$select` and context URL. Inferred: that the case of a selected
//! name does not matter, the form of `sequenceNumber`, and that a user's other properties are empty.

use serde_json::{Map, Value, json};

use super::behaviour;
use super::error::GraphError;
use crate::message::Request;
use crate::model::UserPresence;
use crate::options::User;
use presenced_core::time::Now;

/// A type of resource, with its properties.
#[derive(Debug)]
pub(super) struct ResourceType {
    name: &'static str,
    properties: &'static [&'static str],
}

pub(super) const PRESENCE: ResourceType = ResourceType {
    name: "microsoft.graph.presence",
    properties: &[
        "id",
        "availability",
        "activity",
        "sequenceNumber",
        "statusMessage",
        "workLocation",
        "outOfOfficeSettings",
    ],
};

pub(super) const USER: ResourceType = ResourceType {
    name: "microsoft.graph.user",
    properties: &[
        "id",
        "displayName",
        "userPrincipalName",
        "mail",
        "givenName",
        "surname",
        "jobTitle",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "businessPhones",
    ],
};

/// Which properties an answer has; `None` for all.
#[derive(Debug)]
pub(super) struct Select(Option<Vec<&'static str>>);

impl Select {
    /// The `$select` of a request.
    pub(super) fn of(request: &Request, kind: &ResourceType) -> Result<Self, GraphError> {
        let Some(names) = request.parameter("$select").filter(|names| !names.is_empty()) else { return Ok(Self(None)) };
        let mut selected = Vec::new();
        for name in names.split(',').map(str::trim) {
            if name == "*" {
                return Ok(Self(None));
            }
            let property = kind.properties.iter().find(|property| property.eq_ignore_ascii_case(name));
            let property = property.ok_or_else(|| {
                let text = format!("Could not find a property named '{name}' on type '{}'.", kind.name);
                GraphError::bad_request(text, behaviour::UNKNOWN_PARAMETER)
            })?;
            if !selected.contains(property) {
                selected.push(*property);
            }
        }
        Ok(Self(Some(selected)))
    }

    /// What is selected of a resource.
    pub(super) fn apply(&self, resource: Value) -> Value {
        match (&self.0, resource) {
            (Some(names), Value::Object(mut all)) => {
                let take = |name: &&str| Some(((*name).to_owned(), all.remove(*name)?));
                Value::Object(names.iter().filter_map(take).collect::<Map<_, _>>())
            }
            (_, resource) => resource,
        }
    }

    /// The context of an answer: `set`, what is selected, and `end`.
    pub(super) fn context(&self, request: &Request, set: &str, end: &str) -> String {
        let version = request.path.split('/').nth(1).unwrap_or("v1.0");
        let names = self.0.as_ref().map(|names| format!("({})", names.join(","))).unwrap_or_default();
        format!("https://graph.microsoft.com/{version}/$metadata#{set}{names}{end}")
    }
}

/// The `presence` of somebody whom the presence service does not know.
pub(super) fn unknown(id: &str) -> Value {
    json!({ "id": id, "availability": "PresenceUnknown", "activity": "PresenceUnknown" })
}

/// The `presence` of a user. `own` says whether the user asks.
pub(super) fn presence(user: &User, presence: &UserPresence, own: bool, now: &Now) -> Value {
    if user.guest {
        return unknown(&user.id);
    }
    let visible = presence.visible();
    let (source, location) = presence.locations().winner();
    json!({
        "id": user.id,
        "availability": visible.availability,
        "activity": visible.activity,
        "sequenceNumber": format!("A{:010}", presence.version()),
        "statusMessage": presence.status_message(now.wall).map(|message| message.resource(own)),
        "workLocation": { "workLocationType": location.kind, "source": source, "placeId": location.place },
        "outOfOfficeSettings": { "message": null, "isOutOfOffice": false },
    })
}

/// The `user` resource.
pub(super) fn user(user: &User) -> Value {
    let mut resource: Map<String, Value> =
        USER.properties.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    resource.insert("id".to_owned(), user.id.clone().into());
    let display_name = user.principal_name.split('@').next().unwrap_or_default();
    resource.insert("displayName".to_owned(), display_name.into());
    resource.insert("userPrincipalName".to_owned(), user.principal_name.clone().into());
    resource.insert("mail".to_owned(), user.principal_name.clone().into());
    resource.insert("businessPhones".to_owned(), json!([]));
    Value::Object(resource)
}
