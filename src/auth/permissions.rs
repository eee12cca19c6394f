//! What a token permits, as far as it says so. This helps people to grant what is missing: Graph alone decides, but its refusals
//! do not say why.
//!
//! Source: Microsoft identity platform, "Access token claims reference" (`scp`, `roles`).

use super::jwt::{self, Claims};
use crate::failure::Permission;

/// Scopes that are not permissions (`OpenID` Connect Core, 3.1.2.1, 5.4 and 11).
const ABOUT_THE_SIGN_IN: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// The permissions in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// Of a signed-in user (`scp`).
    Delegated(Vec<String>),
    /// Of the application itself (`roles`).
    Application(Vec<String>),
}

impl Permissions {
    /// What `token` says; `None` if it cannot be read. Microsoft does not promise that it can.
    pub(super) fn of(token: &str) -> Option<Self> {
        let Claims { scp, roles, exp, .. } = jwt::claims(token);
        // Every access token expires.
        exp?;
        Some(match scp {
            Some(scopes) => Self::Delegated(scopes.split_ascii_whitespace().map(ToOwned::to_owned).collect()),
            None => Self::Application(roles),
        })
    }

    /// What a sign-in was granted: what the answer with the token says (RFC 6749, 5.1), otherwise what the token itself says.
    pub(super) fn granted(scope: Option<&str>, token: &str) -> Option<Self> {
        let Some(scope) = scope else { return Self::of(token) };
        // With or without the resource as a prefix.
        let names = scope.split_ascii_whitespace().map(|scope| scope.rsplit('/').next().unwrap_or(scope));
        let permissions = names.filter(|name| !ABOUT_THE_SIGN_IN.contains(name));
        Some(Self::Delegated(permissions.map(ToOwned::to_owned).collect()))
    }

    /// Their names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Delegated(names) | Self::Application(names) => names,
        }
    }

    /// Whether `needed` is missing.
    pub fn lacks(&self, needed: Permission) -> bool {
        self.held(needed).is_none()
    }

    /// The permissions that allow `needed`, the least first; any of them is enough.
    ///
    /// Source: Graph API reference, the permissions of `presence: setPresence` and `Get presence`. The description of
    /// `Presence.ReadWrite.All` includes reading.
    const fn enough_for(&self, needed: Permission) -> &'static [&'static str] {
        match (self, needed) {
            (Self::Delegated(_), Permission::Write) => &["Presence.ReadWrite"],
            (Self::Application(_), Permission::Write) => &["Presence.ReadWrite.All"],
            (Self::Delegated(_), Permission::Read) => &["Presence.Read", "Presence.Read.All"],
            (Self::Application(_), Permission::Read) => &["Presence.Read.All", "Presence.ReadWrite.All"],
        }
    }

    /// The permission in the token that allows `needed`.
    fn held(&self, needed: Permission) -> Option<&'static str> {
        self.enough_for(needed).iter().copied().find(|name| has(self.names(), name))
    }

    /// How to fix a refusal by Graph for lack of the permission `needed`; `sign_in` says how a person signs in.
    pub fn remedy(&self, needed: Permission, sign_in: &str) -> String {
        let least = self.enough_for(needed)[0];
        let remedy = match (self, self.held(needed)) {
            (Self::Delegated(_), Some(held)) => format!(
                "the sign-in has `{held}` but Graph still refuses: check that the user has a license for Teams, \
                 and that no policy of the tenant forbids it"
            ),
            (Self::Delegated(_), None) => format!(
                "the sign-in lacks `{least}`: add it to the app registration as a delegated permission, and then \
                 {sign_in}"
            ),
            (Self::Application(_), Some(held)) => format!(
                "the application has `{held}` but Graph still refuses: check that `user` belongs to this tenant and \
                 has a license for Teams"
            ),
            (Self::Application(_), None) => format!(
                "the application lacks `{least}`: add it to the app registration as an application permission, and have \
                 an administrator consent to it"
            ),
        };
        match needed {
            Permission::Write => remedy,
            Permission::Read => remedy + "; or remove `verify` from [session]",
        }
    }
}

fn has(list: &[String], name: &str) -> bool {
    list.iter().any(|held| held.eq_ignore_ascii_case(name))
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
    fn scopes_belong_to_a_user_and_roles_to_an_application() {
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
        let remedy = |payload, needed| of(payload).unwrap().remedy(needed, "run `presenced login work`");
        let user = r#"{"exp": 1, "scp": "Presence.ReadWrite"}"#;
        let application = r#"{"exp": 1, "roles": ["Presence.Read.All"]}"#;
        let writer = r#"{"exp": 1, "roles": ["Presence.ReadWrite.All"]}"#;
        for (remedy, expected) in [
            (
                remedy(user, Permission::Read),
                "the sign-in lacks `Presence.Read`: add it to the app registration as a delegated permission, and then run \
                 `presenced login work`; or",
            ),
            (remedy(user, Permission::Write), "the sign-in has `Presence.ReadWrite` but Graph still refuses: "),
            (remedy(application, Permission::Write), "the application lacks `Presence.ReadWrite.All`: "),
            (
                remedy(application, Permission::Read),
                "the application has `Presence.Read.All` but Graph still refuses: ",
            ),
            (
                remedy(writer, Permission::Read),
                "the application has `Presence.ReadWrite.All` but Graph still refuses: ",
            ),
        ] {
            assert!(remedy.starts_with(expected), "{remedy}");
        }
    }

    #[test]
    fn what_was_granted_is_in_the_answer_or_else_in_the_token() {
        let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"exp": 1, "scp": "Presence.Read"}"#));
        for (scope, token, expected) in [
            (Some("openid profile Presence.ReadWrite"), "opaque", Some(vec!["Presence.ReadWrite"])),
            (Some("https://graph.microsoft.com/Presence.Read offline_access"), "opaque", Some(vec!["Presence.Read"])),
            (Some("email"), &token, Some(Vec::new())),
            (None, &token, Some(vec!["Presence.Read"])),
            (None, "opaque", None),
        ] {
            let granted = Permissions::granted(scope, token);
            assert_eq!(
                granted.map(|granted| granted.names().to_vec()),
                expected.map(|names| names.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>())
            );
        }
    }

    #[test]
    fn missing_permissions_are_told_from_present_ones() {
        let lacks =
            |payload: &str| [Permission::Write, Permission::Read].map(|needed| of(payload).unwrap().lacks(needed));
        assert_eq!(lacks(r#"{"exp": 1, "scp": "presence.readwrite"}"#), [false, true]);
        assert_eq!(lacks(r#"{"exp": 1, "scp": "Presence.ReadWrite.All Presence.Read"}"#), [true, false]);
        assert_eq!(lacks(r#"{"exp": 1, "scp": "Presence.ReadWrite Presence.Read.All"}"#), [false, false]);
        assert_eq!(lacks(r#"{"exp": 1, "roles": ["Presence.ReadWrite.All"]}"#), [false, false]);
        assert_eq!(lacks(r#"{"exp": 1, "roles": ["Presence.Read.All"]}"#), [true, false]);
        // The names of the other kind do not count.
        assert_eq!(lacks(r#"{"exp": 1, "roles": ["Presence.ReadWrite", "Presence.Read"]}"#), [true, true]);
    }
}
