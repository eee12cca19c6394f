//! What a token permits, as far as it says so: for the one who must grant what is missing, and for nothing else. Graph
//! alone decides; it says 403 without a word of why.
//!
//! Source: Microsoft identity platform, "Access token claims reference" (`scp`, `roles`).

use super::jwt::{self, Claims};
use crate::session::Permission;

/// The permissions in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// Of a signed-in user (`scp`).
    Delegated(Vec<String>),
    /// Of the application itself (`roles`).
    Application(Vec<String>),
}

impl Permissions {
    /// What `token` says; `None` when it cannot be read, as nobody promised that it can.
    pub(super) fn of(token: &str) -> Option<Self> {
        let Claims { scp, roles, exp, .. } = jwt::claims(token);
        // Every access token has an end.
        exp?;
        Some(match scp {
            Some(scopes) => Self::Delegated(scopes.split_ascii_whitespace().map(ToOwned::to_owned).collect()),
            None => Self::Application(roles),
        })
    }

    /// What mends it that Graph refuses for want of the permission `needed`; `sign_in` says how a person signs in.
    pub fn mend(&self, needed: Permission, sign_in: &str) -> String {
        let (delegated, application) = match needed {
            Permission::Write => ("Presence.ReadWrite", "Presence.ReadWrite.All"),
            Permission::Read => ("Presence.Read", "Presence.Read.All"),
        };
        let has = |list: &[String], name: &str| list.iter().any(|held| held.eq_ignore_ascii_case(name));
        let mend = match self {
            Self::Delegated(scopes) if has(scopes, delegated) => format!(
                "the sign-in has `{delegated}` and Graph refuses all the same: check that the user has a license for Teams, \
                 and that no policy of the tenant stands against it"
            ),
            Self::Delegated(_) => format!(
                "the sign-in lacks `{delegated}`: add it to the app registration as a delegated permission, and then \
                 {sign_in}"
            ),
            Self::Application(roles) if has(roles, application) => format!(
                "the application has `{application}` and Graph refuses all the same: check that `user` is of this tenant and \
                 has a license for Teams"
            ),
            Self::Application(_) => format!(
                "the application lacks `{application}`: add it to the app registration as an application permission, and have \
                 an administrator consent to it"
            ),
        };
        match needed {
            Permission::Write => mend,
            Permission::Read => mend + "; or take `verify` out of [session]",
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn of(payload: &str) -> Option<Permissions> {
        Permissions::of(&format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn scopes_are_a_users_and_roles_an_applications() {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            of(r#"{"exp": 1, "scp": "Presence.ReadWrite openid"}"#),
            Some(Permissions::Delegated(owned(&["Presence.ReadWrite", "openid"])))
        );
        assert_eq!(
            of(r#"{"exp": 1, "roles": ["Presence.Read.All"]}"#),
            Some(Permissions::Application(owned(&["Presence.Read.All"])))
        );
        assert_eq!(of(r#"{"exp": 1}"#), Some(Permissions::Application(Vec::new())), "no role at all");
        assert_eq!(Permissions::of("opaque"), None);
    }

    #[test]
    fn what_is_missing_is_named_and_what_is_there_is_not_asked_for() {
        let mend = |payload, needed| of(payload).unwrap().mend(needed, "run `presenced login work`");
        let user = r#"{"exp": 1, "scp": "Presence.ReadWrite"}"#;
        let application = r#"{"exp": 1, "roles": ["Presence.Read.All"]}"#;
        for (mend, expected) in [
            (
                mend(user, Permission::Read),
                "the sign-in lacks `Presence.Read`: add it to the app registration as a delegated permission, and then run \
                 `presenced login work`; or",
            ),
            (mend(user, Permission::Write), "the sign-in has `Presence.ReadWrite` and Graph refuses all the same: "),
            (mend(application, Permission::Write), "the application lacks `Presence.ReadWrite.All`: "),
            (
                mend(application, Permission::Read),
                "the application has `Presence.Read.All` and Graph refuses all the same: ",
            ),
        ] {
            assert!(mend.starts_with(expected), "{mend}");
        }
    }
}
