//! `client_info`: who signed in, for the cache of a client that asks for it with `client_info=1`.
//!
//! Reported: no page of Microsoft's describes it, but MSAL in every language reads it.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// Whether a request asks for it.
pub(super) fn is_asked(parameters: &HashMap<String, String>) -> bool {
    parameters.get("client_info").is_some_and(|value| value == "1")
}

/// The value for a user and a tenant, both by their id.
pub(super) fn of(user: &str, tenant: &str) -> String {
    URL_SAFE_NO_PAD.encode(json!({ "uid": user, "utid": tenant }).to_string())
}
