//! A user's status message: a text that disappears at its own time.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A status message, as it was last set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusMessage {
    /// The text.
    pub(crate) content: String,
    /// Its end as the client wrote it, for the answers, and the same as a time; `None` if it stays.
    pub(crate) expiry: Option<(Value, Timestamp)>,
    /// When it was set.
    pub(crate) published: Timestamp,
}

impl StatusMessage {
    /// Whether it is still shown at `now`.
    pub(crate) fn is_shown_at(&self, now: Timestamp) -> bool {
        self.expiry.as_ref().is_none_or(|(_, ends)| now < *ends)
    }

    /// Graph's `presenceStatusMessage`. Only the user sees when it was published and when it expires.
    pub(crate) fn resource(&self, own: bool) -> Value {
        let mut resource = json!({ "message": { "content": self.content, "contentType": "text" } });
        if own {
            resource["publishedDateTime"] = self.published.to_string().into();
            if let Some((written, _)) = &self.expiry {
                resource["expiryDateTime"] = written.clone();
            }
        }
        resource
    }
}
