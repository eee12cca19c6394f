//! What a request that changes a presence says: its action and its body, the same alone and in a batch.
//!
//! Source: Graph API reference, `presence` resource type, its methods.

use serde::Serialize;

use super::answer::Action;
use crate::session;

/// One such request.
pub(super) struct Write<'a> {
    pub(super) action: Action,
    pub(super) body: Body<'a>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(super) enum Body<'a> {
    SetPresence {
        session_id: &'a str,
        availability: &'static str,
        activity: &'static str,
        expiration_duration: String,
    },
    ClearPresence {
        session_id: &'a str,
    },
    SetPreferred {
        availability: &'static str,
        activity: &'static str,
        expiration_duration: String,
    },
    /// An empty object.
    ClearPreferred {},
}

impl<'a> Write<'a> {
    /// The preferred presence belongs to no session, and `session_id` is ignored.
    pub(super) fn new(session_id: &'a str, action: session::Action) -> Self {
        match action {
            session::Action::Set(target) => Self {
                action: Action::SetPresence,
                body: Body::SetPresence {
                    session_id,
                    availability: target.presence.availability(),
                    activity: target.presence.activity(),
                    expiration_duration: target.expiration.to_iso(),
                },
            },
            session::Action::Clear => Self { action: Action::ClearPresence, body: Body::ClearPresence { session_id } },
            session::Action::Prefer(target) => Self {
                action: Action::SetPreferred,
                body: Body::SetPreferred {
                    availability: target.presence.availability(),
                    activity: target.presence.preferred_activity(),
                    expiration_duration: target.expiration.to_iso(),
                },
            },
            session::Action::ClearPreferred => Self { action: Action::ClearPreferred, body: Body::ClearPreferred {} },
        }
    }
}
