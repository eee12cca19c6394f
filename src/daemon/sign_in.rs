//! What the report shows about a sign-in.

use crate::auth::{Permissions, TokenStatus};
use crate::config;
use crate::status::report::{PermissionKind, SignIn};

use super::rounded;

/// The sign-in's part of the report.
pub(super) fn report(status: TokenStatus, config: &config::Account) -> SignIn {
    let TokenStatus { who, permissions, expires_at, renewal_failure } = status;
    let (kind, permissions) = match permissions {
        Some(Permissions::Delegated(scopes)) => (Some(PermissionKind::Delegated), scopes),
        Some(Permissions::Application(roles)) => (Some(PermissionKind::Application), roles),
        None => (None, Vec::new()),
    };
    SignIn {
        method: config.auth.method().to_owned(),
        user: who.user,
        username: who.username,
        tenant: who.tenant,
        permissions,
        kind,
        token_expires_at: Some(rounded(expires_at)),
        renewal_error: renewal_failure,
    }
}
