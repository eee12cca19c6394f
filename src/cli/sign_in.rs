//! A sign-in in words: who, and what it permits.

use crate::status::report::{PermissionKind, SignIn};

/// What is asked for to know who signs in and to renew it, and permits nothing in Graph.
const ABOUT_THE_SIGN_IN: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Who signed in.
pub(super) fn who(sign_in: &SignIn) -> String {
    match (&sign_in.username, &sign_in.user, sign_in.kind) {
        (Some(name), ..) => name.clone(),
        (None, Some(id), _) => format!("user {id}"),
        (None, None, Some(PermissionKind::Application)) => "the application".to_owned(),
        (None, None, Some(PermissionKind::Delegated) | None) => "somebody".to_owned(),
    }
}

/// What it permits; `None` where the token does not say.
pub(super) fn permissions(sign_in: &SignIn) -> Option<String> {
    sign_in.kind?;
    let names = sign_in.permissions.iter().map(String::as_str);
    let permits: Vec<_> = names.filter(|name| !ABOUT_THE_SIGN_IN.contains(name)).collect();
    Some(if permits.is_empty() { "nothing".to_owned() } else { permits.join(", ") })
}
