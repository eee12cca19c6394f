//! Routing: the path of a request decides where it goes.

use hyper::Method;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use presenced_core::words;

words! {
    /// A kind of call. [`as_str`](Self::as_str) is its name in counts, fault plans and JSON.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Call {
        /// `setPresence`.
        Set = "set",
        /// `clearPresence`.
        Clear = "clear",
        /// `setUserPreferredPresence`.
        Prefer = "prefer",
        /// `clearUserPreferredPresence`.
        ClearPreferred = "clear-preferred",
        /// `setStatusMessage`.
        StatusMessage = "status-message",
        /// `GET …/presence`.
        Read = "read",
        /// `getPresencesByUserId`.
        ReadMany = "read-many",
        /// `POST /$batch`. The requests in it are also counted, as their own kind.
        Batch = "batch",
        /// The authorization endpoint, which a user opens in a browser.
        Authorize = "authorize",
        /// The token endpoint.
        Token = "token",
        /// The device authorization endpoint.
        DeviceCode = "device-code",
        /// The end of a sign-in in a browser.
        Logout = "logout",
        /// What clients ask before they sign in: the OpenID configuration, the keys, the known instances.
        Discovery = "discovery",
        /// Anything else, except the emulator's own pages.
        Other = "other",
    }
}

impl Call {
    /// Whether Entra answers it, not Graph.
    pub(super) fn is_sign_in(self) -> bool {
        matches!(self, Self::Authorize | Self::Token | Self::DeviceCode | Self::Logout | Self::Discovery)
    }
}

/// An endpoint of Entra.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Authorize,
    Token,
    DeviceCode,
    Logout,
    /// The OpenID configuration. The one of version 1 also leads to endpoints of version 2: the emulator has no others.
    OpenId(Version),
    /// The keys that sign tokens.
    Keys,
    /// The known instances of Entra.
    Instance,
}

/// A version of Entra's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

impl Endpoint {
    /// The endpoint at this path after the tenant.
    fn of(path: &[&str]) -> Option<Self> {
        match path {
            ["oauth2", "v2.0", "authorize"] => Some(Self::Authorize),
            ["oauth2", "v2.0", "token"] => Some(Self::Token),
            ["oauth2", "v2.0", "devicecode"] => Some(Self::DeviceCode),
            ["oauth2", "v2.0", "logout"] => Some(Self::Logout),
            ["v2.0", ".well-known", "openid-configuration"] => Some(Self::OpenId(Version::V2)),
            [".well-known", "openid-configuration"] => Some(Self::OpenId(Version::V1)),
            ["discovery", "v2.0", "keys"] | ["discovery", "keys"] => Some(Self::Keys),
            ["discovery", "instance"] => Some(Self::Instance),
            _ => None,
        }
    }

    fn call(self) -> Call {
        match self {
            Self::Authorize => Call::Authorize,
            Self::Token => Call::Token,
            Self::DeviceCode => Call::DeviceCode,
            Self::Logout => Call::Logout,
            Self::OpenId(_) | Self::Keys | Self::Instance => Call::Discovery,
        }
    }

    /// The only method that is allowed.
    pub(super) fn method(self) -> Method {
        match self {
            Self::Token | Self::DeviceCode => Method::POST,
            Self::Authorize | Self::Logout | Self::OpenId(_) | Self::Keys | Self::Instance => Method::GET,
        }
    }
}

/// Whose presence a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// `/me`.
    Me,
    /// `/users/{id}`: an object id or a user principal name.
    User(String),
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/`.
    Help,
    /// `/_emulator/…`: the segments after it.
    Control(Vec<String>),
    /// A call about a user's presence.
    Presence(Call, Whose),
    /// Graph's `getPresencesByUserId`.
    ReadMany,
    /// Graph's `$batch`.
    Batch,
    /// A path within Graph; this is its first unknown segment.
    UnknownSegment(String),
    /// A sign-in endpoint, and the tenant.
    Entra(Endpoint, String),
    /// A path that neither Graph nor Entra has.
    Unknown,
}

impl Route {
    /// Where `path` goes.
    pub(super) fn of(path: &str) -> Self {
        let segments: Vec<String> = path
            .split('/')
            .skip(1)
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            [] | [""] => Self::Help,
            ["_emulator", rest @ ..] => Self::Control(rest.iter().map(|segment| (*segment).to_owned()).collect()),
            ["v1.0" | "beta", rest @ ..] => Self::of_graph(rest),
            [tenant, path @ ..] => {
                Endpoint::of(path).map_or(Self::Unknown, |endpoint| Self::Entra(endpoint, (*tenant).to_owned()))
            }
        }
    }

    fn of_graph(segments: &[&str]) -> Self {
        let unknown = |segment: &str| Self::UnknownSegment(segment.to_owned());
        let (whose, rest) = match segments {
            ["$batch"] => return Self::Batch,
            ["communications", "getPresencesByUserId"] => return Self::ReadMany,
            ["me", rest @ ..] => (Whose::Me, rest),
            ["users", id, rest @ ..] if !id.is_empty() => (Whose::User((*id).to_owned()), rest),
            // An alias of `/users/{id}/presence`.
            ["communications", "presences", id, rest @ ..] => {
                return Self::of_action(Whose::User((*id).to_owned()), rest);
            }
            [first, ..] => return unknown(first),
            [] => return unknown(""),
        };
        match rest {
            ["presence", action @ ..] => Self::of_action(whose, action),
            [other, ..] => unknown(other),
            [] => unknown(segments.last().unwrap_or(&"")),
        }
    }

    fn of_action(whose: Whose, action: &[&str]) -> Self {
        match action {
            [] => Self::Presence(Call::Read, whose),
            ["setPresence"] => Self::Presence(Call::Set, whose),
            ["clearPresence"] => Self::Presence(Call::Clear, whose),
            ["setUserPreferredPresence"] => Self::Presence(Call::Prefer, whose),
            ["clearUserPreferredPresence"] => Self::Presence(Call::ClearPreferred, whose),
            ["setStatusMessage"] => Self::Presence(Call::StatusMessage, whose),
            [other, ..] => Self::UnknownSegment((*other).to_owned()),
        }
    }

    /// The kind of call; `None` for the emulator's own pages, which are not counted and not affected by faults.
    pub(super) fn call(&self) -> Option<Call> {
        match self {
            Self::Help | Self::Control(_) => None,
            Self::Presence(call, _) => Some(*call),
            Self::Entra(endpoint, _) => Some(endpoint.call()),
            Self::ReadMany => Some(Call::ReadMany),
            Self::Batch => Some(Call::Batch),
            Self::UnknownSegment(_) | Self::Unknown => Some(Call::Other),
        }
    }

    /// The only method that is allowed; `None` if the route does not restrict it.
    pub(super) fn method(&self) -> Option<Method> {
        match self {
            Self::Presence(Call::Read, _) | Self::Help => Some(Method::GET),
            Self::Presence(..) | Self::ReadMany | Self::Batch => Some(Method::POST),
            Self::Entra(endpoint, _) => Some(endpoint.method()),
            Self::Control(_) | Self::UnknownSegment(_) | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_routed_like_those_of_graph_and_entra() {
        let user = |call, id: &str| Route::Presence(call, Whose::User(id.to_owned()));
        let unknown = |segment: &str| Route::UnknownSegment(segment.to_owned());
        let common = |endpoint| Route::Entra(endpoint, "common".to_owned());
        for (path, expected) in [
            ("/", Route::Help),
            ("/v1.0/users/1/presence/setPresence", user(Call::Set, "1")),
            ("/beta/users/1/presence/clearPresence", user(Call::Clear, "1")),
            ("/v1.0/users/me%40contoso.com/presence", user(Call::Read, "me@contoso.com")),
            ("/v1.0/communications/presences/1", user(Call::Read, "1")),
            ("/v1.0/communications/getPresencesByUserId", Route::ReadMany),
            ("/v1.0/me/presence/setStatusMessage", Route::Presence(Call::StatusMessage, Whose::Me)),
            ("/v1.0/$batch", Route::Batch),
            ("/v1.0", unknown("")),
            ("/v1.0/users/1", unknown("1")),
            ("/v1.0/users/1/presence/setpresence", unknown("setpresence")),
            ("/v1.0/planets", unknown("planets")),
            ("/common/oauth2/v2.0/token", common(Endpoint::Token)),
            ("/common/oauth2/v2.0/authorize", common(Endpoint::Authorize)),
            ("/common/oauth2/v2.0/logout", common(Endpoint::Logout)),
            ("/common/v2.0/.well-known/openid-configuration", common(Endpoint::OpenId(Version::V2))),
            ("/common/.well-known/openid-configuration", common(Endpoint::OpenId(Version::V1))),
            ("/common/discovery/v2.0/keys", common(Endpoint::Keys)),
            ("/common/discovery/instance", common(Endpoint::Instance)),
            ("/common/discovery", Route::Unknown),
            ("/common/oauth2/token", Route::Unknown),
            ("/v3.0/users/1/presence", Route::Unknown),
            ("//", Route::Unknown),
            ("*", Route::Help),
        ] {
            assert_eq!(Route::of(path), expected, "{path}");
        }
    }
}
