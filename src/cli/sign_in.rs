//! Describes a sign-in: the user and the permissions.

use crate::status::report::{PermissionKind, SignIn};

/// The permissions that identify the user and renew the sign-in. They permit nothing in Graph.
const IDENTITY_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Who signed in.
pub(super) fn who(sign_in: &SignIn) -> String {
    match (&sign_in.username, &sign_in.user, sign_in.kind) {
        (Some(name), ..) => name.clone(),
        (None, Some(id), _) => format!("user {id}"),
        (None, None, Some(PermissionKind::Application)) => "the application".to_owned(),
        (None, None, Some(PermissionKind::Delegated) | None) => "an unknown user".to_owned(),
    }
}

/// The permissions; `None` if the token does not list them.
pub(super) fn permissions(sign_in: &SignIn) -> Option<String> {
    sign_in.kind?;
    let names = sign_in.permissions.iter().map(String::as_str);
    let permits: Vec<_> = names.filter(|name| !IDENTITY_SCOPES.contains(name)).collect();
    Some(if permits.is_empty() { "nothing".to_owned() } else { permits.join(", ") })
}
