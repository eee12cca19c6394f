//! Reads what others see of many users at once, with `getPresencesByUserId`.
//!
//! Source: Graph API reference, `cloudCommunications: getPresencesByUserId`.

use std::collections::HashMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::Action;
use super::{Client, url_of};
use crate::failure::{Failure, FailureKind};
use crate::http;
use crate::session::Seen;

/// How many users one request may ask for. Source: the same page.
const MAX_USERS: usize = 650;

/// Enough for a long status message of each of them.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

#[derive(Serialize)]
struct Ids<'a> {
    ids: &'a [String],
}

#[derive(Deserialize)]
struct Presences {
    value: Vec<Value>,
}

#[derive(Deserialize)]
struct PresenceOfUser {
    id: String,
    availability: String,
    activity: String,
}

impl Client {
    /// Reads what others see of up to 650 `users`, by object id. The keys of the result are in lower case. A user whom Graph's answer
    /// leaves out, or of whom it cannot be read, is not in it.
    ///
    /// # Errors
    /// If the request as a whole fails, or its answer is not a list of presences.
    pub async fn read_presences(
        &self,
        bearer: &SecretString,
        users: &[String],
    ) -> Result<HashMap<String, Seen>, Failure> {
        debug_assert!(users.len() <= MAX_USERS, "{} users in one read", users.len());
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let action = Action::ReadPresences;
        let url = url_of(&self.endpoint, &["communications", action.as_str()]);
        let response = self.post(bearer, url, action, &Ids { ids: users }).await?;
        if !response.status().is_success() {
            self.judge(action, response).await?;
            return Ok(HashMap::new());
        }
        let body = http::whole_body(response, MAX_BODY_BYTES).await?;
        let read: Presences = serde_json::from_slice(&body).map_err(|_| {
            let text = format!("Microsoft Graph's answer to {} contains no presences", action.as_str());
            Failure::new(FailureKind::Passing, text)
        })?;
        let mut wanted: HashMap<String, Option<Seen>> =
            users.iter().map(|user| (user.to_ascii_lowercase(), None)).collect();
        for value in read.value {
            let Ok(presence) = PresenceOfUser::deserialize(value) else { continue };
            if let Some(seen) = wanted.get_mut(&presence.id.to_ascii_lowercase()) {
                *seen = Some(Seen::new(&presence.availability, &presence.activity));
            }
        }
        Ok(wanted.into_iter().filter_map(|(user, seen)| Some((user, seen?))).collect())
    }
}
