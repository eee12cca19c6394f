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
        /// `setManualLocation`, `setAutomaticLocation`, `clearLocation` and `clearAutomaticLocation`.
        Location = "location",
        /// `GET …/presence`.
        Read = "read",
        /// `getPresencesByUserId`, and `GET /communications/presences`.
        ReadMany = "read-many",
        /// `GET /me` and `GET /users/{id}`.
        User = "user",
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
        /// The machine's managed identity.
        ManagedIdentity = "managed-identity",
        /// Microsoft's sign-in sidecar.
        Sidecar = "sidecar",
        /// Anything else, except the emulator's own pages.
        Other = "other",
    }
}

impl Call {
    /// Whether Entra answers it, not Graph.
    pub(super) fn is_sign_in(self) -> bool {
        matches!(
            self,
            Self::Authorize
                | Self::Token
                | Self::DeviceCode
                | Self::Logout
                | Self::Discovery
                | Self::ManagedIdentity
                | Self::Sidecar
        )
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

/// Where a program asks for a token of the machine's managed identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentityEndpoint {
    /// Azure's metadata service.
    Metadata,
    /// The address in `IDENTITY_ENDPOINT`. App Service picks the path; this one is usual (reported).
    AppService,
}

/// Whose presence a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// `/me`.
    Me,
    /// `/users/{id}`: an object id or a user principal name.
    User(String),
}

/// What a call does to a work location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocationChange {
    /// `setManualLocation`.
    SetManual,
    /// `setAutomaticLocation`.
    SetAutomatic,
    /// `clearLocation`: both layers.
    Clear,
    /// `clearAutomaticLocation`.
    ClearAutomatic,
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
    /// A call about a user's work location.
    Location(LocationChange, Whose),
    /// Graph's `getPresencesByUserId`.
    ReadMany,
    /// `GET /communications/presences`.
    List,
    /// A user of the directory.
    User(Whose),
    /// Graph's `$batch`.
    Batch,
    /// A path within Graph; this is its first unknown segment.
    UnknownSegment(String),
    /// A sign-in endpoint, and the tenant.
    Entra(Endpoint, String),
    /// The machine's managed identity.
    ManagedIdentity(IdentityEndpoint),
    /// Microsoft's sign-in sidecar.
    Sidecar,
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
            ["metadata", "identity", "oauth2", "token"] => Self::ManagedIdentity(IdentityEndpoint::Metadata),
            ["msi", "token"] => Self::ManagedIdentity(IdentityEndpoint::AppService),
            [name, _] if name.eq_ignore_ascii_case("AuthorizationHeaderUnauthenticated") => Self::Sidecar,
            [tenant, path @ ..] => {
                Endpoint::of(path).map_or(Self::Unknown, |endpoint| Self::Entra(endpoint, (*tenant).to_owned()))
            }
        }
    }

    /// Graph does not care about the case of a segment. A key may be a segment of its own or in parentheses, and an action may
    /// carry its namespace.
    fn of_graph(segments: &[&str]) -> Self {
        let segments: Vec<String> = segments.iter().flat_map(|segment| with_key(segment)).collect();
        let names: Vec<String> = segments.iter().map(|segment| without_namespace(segment)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let unknown =
            |place: usize| Self::UnknownSegment(segments.get(place).or(segments.last()).cloned().unwrap_or_default());
        let user = |place: usize| Whose::User(segments[place].clone());
        let (whose, action) = match names.as_slice() {
            ["$batch"] => return Self::Batch,
            ["me"] => return Self::User(Whose::Me),
            ["users", ""] => return unknown(1),
            ["users", _] => return Self::User(user(1)),
            ["communications", "getpresencesbyuserid"] => return Self::ReadMany,
            ["communications", "presences"] => return Self::List,
            // An alias of `/users/{id}/presence`.
            ["communications", "presences", id, action @ ..] if !id.is_empty() => (user(2), action),
            ["me", "presence", action @ ..] => (Whose::Me, action),
            ["users", id, "presence", action @ ..] if !id.is_empty() => (user(1), action),
            ["users", _, _, ..] => return unknown(2),
            ["me" | "communications", _, ..] => return unknown(1),
            _ => return unknown(0),
        };
        Self::of_action(whose, action).unwrap_or_else(|| unknown(segments.len() - action.len()))
    }

    fn of_action(whose: Whose, action: &[&str]) -> Option<Self> {
        Some(match action {
            [] => Self::Presence(Call::Read, whose),
            ["setpresence"] => Self::Presence(Call::Set, whose),
            ["clearpresence"] => Self::Presence(Call::Clear, whose),
            ["setuserpreferredpresence"] => Self::Presence(Call::Prefer, whose),
            ["clearuserpreferredpresence"] => Self::Presence(Call::ClearPreferred, whose),
            ["setstatusmessage"] => Self::Presence(Call::StatusMessage, whose),
            ["setmanuallocation"] => Self::Location(LocationChange::SetManual, whose),
            ["setautomaticlocation"] => Self::Location(LocationChange::SetAutomatic, whose),
            ["clearlocation"] => Self::Location(LocationChange::Clear, whose),
            ["clearautomaticlocation"] => Self::Location(LocationChange::ClearAutomatic, whose),
            _ => return None,
        })
    }

    /// The kind of call; `None` for the emulator's own pages, which are not counted and not affected by faults.
    pub(super) fn call(&self) -> Option<Call> {
        match self {
            Self::Help | Self::Control(_) => None,
            Self::Presence(call, _) => Some(*call),
            Self::Entra(endpoint, _) => Some(endpoint.call()),
            Self::ManagedIdentity(_) => Some(Call::ManagedIdentity),
            Self::Sidecar => Some(Call::Sidecar),
            Self::Location(..) => Some(Call::Location),
            Self::ReadMany | Self::List => Some(Call::ReadMany),
            Self::User(_) => Some(Call::User),
            Self::Batch => Some(Call::Batch),
            Self::UnknownSegment(_) | Self::Unknown => Some(Call::Other),
        }
    }

    /// The only method that is allowed; `None` if the route does not restrict it.
    pub(super) fn method(&self) -> Option<Method> {
        match self {
            Self::Presence(Call::Read, _) | Self::List | Self::User(_) | Self::Help => Some(Method::GET),
            Self::Presence(..) | Self::Location(..) | Self::ReadMany | Self::Batch => Some(Method::POST),
            Self::Entra(endpoint, _) => Some(endpoint.method()),
            Self::Control(_) | Self::ManagedIdentity(_) | Self::Sidecar | Self::UnknownSegment(_) | Self::Unknown => {
                None
            }
        }
    }
}

/// The segment, and its key if it has one: `users('1')` is `users` and `1`. Within a key, two quotes are one.
fn with_key(segment: &str) -> Vec<String> {
    let keyed = segment.split_once("('").and_then(|(name, rest)| Some((name, rest.strip_suffix("')")?)));
    match keyed {
        Some((name, key)) => vec![name.to_owned(), key.replace("''", "'")],
        None => vec![segment.to_owned()],
    }
}

/// The name of a segment in lower case, without `microsoft.graph.`.
fn without_namespace(segment: &str) -> String {
    let name = segment.to_ascii_lowercase();
    name.strip_prefix("microsoft.graph.").map(ToOwned::to_owned).unwrap_or(name)
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
            ("/v1.0/users/1", Route::User(Whose::User("1".to_owned()))),
            ("/v1.0/me", Route::User(Whose::Me)),
            ("/v1.0/users", unknown("users")),
            ("/v1.0/users/", unknown("")),
            ("/v1.0/users/1/presence/setpresence", user(Call::Set, "1")),
            ("/v1.0/USERS/Ab/Presence/SETPRESENCE", user(Call::Set, "Ab")),
            ("/v1.0/users/1/presence/microsoft.graph.setPresence", user(Call::Set, "1")),
            ("/v1.0/users('1')/presence", user(Call::Read, "1")),
            ("/v1.0/users(%27o''neill@contoso.com%27)/presence", user(Call::Read, "o'neill@contoso.com")),
            ("/v1.0/communications/presences('1')/setPresence", user(Call::Set, "1")),
            ("/v1.0/communications/presences", Route::List),
            ("/v1.0/me/presence/clearLocation", Route::Location(LocationChange::Clear, Whose::Me)),
            ("/v1.0/users('1", Route::UnknownSegment("users('1".to_owned())),
            ("/v1.0/users/1/presence/explode/now", unknown("explode")),
            ("/v1.0/users//presence", unknown("presence")),
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
            ("/metadata/identity/oauth2/token", Route::ManagedIdentity(IdentityEndpoint::Metadata)),
            ("/msi/token", Route::ManagedIdentity(IdentityEndpoint::AppService)),
            ("/AuthorizationHeaderUnauthenticated/graph", Route::Sidecar),
            ("/AuthorizationHeaderUnauthenticated", Route::Unknown),
            ("/v3.0/users/1/presence", Route::Unknown),
            ("//", Route::Unknown),
            ("*", Route::Help),
        ] {
            assert_eq!(Route::of(path), expected, "{path}");
        }
    }
}
