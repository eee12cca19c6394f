//! The end of a browser sign-in: the browser goes back to the application. The emulator keeps no sign-in in the browser, so there is
//! nothing else to end, and tokens stay good, as at Entra.
//!
//! Source: Entra's page on OpenID Connect, "Send a sign-out request": an address that no application has registered is ignored.

use std::collections::HashMap;

use hyper::StatusCode;
use hyper::header::LOCATION;
use url::Url;

use super::authorize::is_registered;
use crate::message::Reply;

/// Answers a request with this query.
pub(super) fn answer(query: &HashMap<String, String>) -> Reply {
    let redirect = query.get("post_logout_redirect_uri").and_then(|uri| Url::parse(uri).ok()).filter(is_registered);
    let Some(mut redirect) = redirect else {
        return Reply::text(StatusCode::OK, "You signed out of your account.\n".to_owned());
    };
    if let Some(state) = query.get("state") {
        redirect.query_pairs_mut().append_pair("state", state);
    }
    Reply::empty(StatusCode::FOUND).with(LOCATION, redirect.as_str())
}
