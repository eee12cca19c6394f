//! How an emulator is set up: tenants, app registrations, users, sign-ins, limits. The defaults work without any setup.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::host::Host;
use ring::digest::{SHA256, digest};

/// What a program sends as `X-IDENTITY-HEADER` to get a token of the machine's managed identity: the value of its variable
/// `IDENTITY_HEADER`.
pub const IDENTITY_HEADER: &str = "emulator-identity-header";

/// The id of every tenant that is named by a domain rather than by its id.
pub(super) const TENANT_ID: &str = "84841066-274d-4ec0-a5c1-276be684bdd3";

/// How an emulator is set up. Start from [`Options::default`] and change fields.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tenants that exist.
    pub tenants: Tenants,
    /// The app registrations.
    pub apps: Vec<App>,
    /// The agent identities of Entra Agent ID.
    pub agents: Vec<Agent>,
    /// The users. All of them exist in every tenant. The first one signs in when no user is named.
    pub users: Vec<User>,
    /// How long access tokens live: picked at random from this range, in whole seconds. Default: 60 to 90 minutes, like Entra.
    pub token_lifetime: RangeInclusive<Duration>,
    /// How device code sign-ins behave.
    pub device: DeviceCodeOptions,
    /// Who approves a sign-in in a browser. Default: it approves itself.
    pub consent: Consent,
    /// How many requests to Graph are allowed.
    pub throttle: Throttle,
    /// Whether a session may have another id than its application's. Default: no, because all programs of one application share its
    /// session.
    pub any_session: bool,
    /// The names by which clients reach the emulator, besides `localhost` and IP addresses. They are in its certificate, and it
    /// answers requests to them. With any name it may listen on addresses that other machines reach. Everybody who reaches it can
    /// sign in and use the control endpoints.
    pub hosts: Vec<Host>,
    /// The seed of all randomness. The same seed and the same requests at the same times give the same answers.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tenants: Tenants::Any,
            apps: vec![App::default()],
            agents: Vec::new(),
            users: vec![User::default()],
            token_lifetime: Duration::from_hours(1)..=Duration::from_mins(90),
            device: DeviceCodeOptions::default(),
            consent: Consent::ByItself,
            throttle: Throttle::default(),
            any_session: false,
            hosts: Vec::new(),
            seed: 0,
        }
    }
}

/// Which tenants exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// Every name of ASCII letters, digits, `.`, `-` and `_`: a domain, a tenant id, `common`, …
    Any,
    /// Only these names. ASCII case does not matter.
    Only(Vec<String>),
}

/// An app registration. It can sign in users without a secret. To act without a user (client credentials) it needs its secret, a
/// certificate or a federated credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The application (client) id, a UUID in Entra.
    pub client_id: String,
    /// The client secret; `None` if it does not have one.
    pub secret: Option<String>,
    /// The certificates it may sign in with, each an X.509 certificate in DER with an RSA key. What cannot be read as one is ignored.
    pub certificates: Vec<Vec<u8>>,
    /// The redirect addresses of browser sign-ins. Of `http://localhost` with a path any port is accepted; others must be exact. If
    /// there are none, `http://localhost` is registered, as for a native application.
    pub redirect_uris: Vec<String>,
    /// The other identity providers whose assertions are accepted for it.
    pub federated: Vec<FederatedCredential>,
    /// The application permissions that an administrator consented to, such as `Presence.ReadWrite.All`.
    pub roles: Vec<String>,
    /// The delegated permissions that users consent to when it asks, such as `Presence.ReadWrite`.
    pub scopes: Vec<String>,
}

impl App {
    /// The [`client_id`](Self::client_id) of the default app registration.
    pub const DEFAULT_CLIENT_ID: &str = "22553876-f5ab-4529-bffb-cfe50aa89f87";

    /// The [`secret`](Self::secret) of the default app registration.
    pub const DEFAULT_SECRET: &str = "emulator-secret";
}

impl Default for App {
    /// An app registration with a secret, every permission that presence needs, and those to read who a user is.
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            client_id: Self::DEFAULT_CLIENT_ID.to_owned(),
            secret: Some(Self::DEFAULT_SECRET.to_owned()),
            certificates: Vec::new(),
            redirect_uris: Vec::new(),
            federated: Vec::new(),
            roles: owned(&["Presence.ReadWrite.All", "Presence.Read.All", "User.Read.All"]),
            scopes: owned(&["Presence.ReadWrite", "Presence.Read", "Presence.Read.All", "User.Read"]),
        }
    }
}

/// An agent identity of Entra Agent ID. It has no secret; its blueprint vouches for it, and it has its blueprint's permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The agent identity's application id. It is the `appid` of its tokens, and so its `sessionId`.
    pub identity: String,
    /// The application id of its blueprint, one of [`Options::apps`].
    pub blueprint: String,
    /// The object ids of its agent users. Microsoft allows one.
    pub users: Vec<String>,
}

/// A federated credential: an application may sign in with assertions (JWTs) of another identity provider. Issuer, subject and
/// audience must all match one credential, including case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederatedCredential {
    /// The assertion's `iss`.
    pub issuer: String,
    /// The assertion's `sub`.
    pub subject: String,
    /// The assertion's `aud`. In Entra this is `api://AzureADTokenExchange` by default.
    pub audience: String,
    /// The issuer's RSA key, as an `RSAPublicKey` or a `SubjectPublicKeyInfo` in DER. Entra downloads it from the issuer; the
    /// emulator makes no outgoing requests.
    pub public_key: Vec<u8>,
}

/// A user of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The object id, a UUID in Entra.
    pub id: String,
    /// The user principal name, in the form of an e-mail address.
    pub principal_name: String,
    /// Whether the user has a licence for Teams. Without one, setPresence is answered with 200 and has no effect.
    pub licensed: bool,
    /// Whether the user is a guest, whose presence is unknown.
    pub guest: bool,
}

impl User {
    /// The [`id`](Self::id) of the default user.
    pub const DEFAULT_ID: &str = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3";

    /// The [`principal_name`](Self::principal_name) of the default user.
    pub const DEFAULT_PRINCIPAL_NAME: &str = "me@contoso.onmicrosoft.com";

    /// Whether the presence service keeps sessions for the user.
    pub(super) fn is_provisioned(&self) -> bool {
        self.licensed && !self.guest
    }

    /// User `number` of a large directory. Number 1 is the default user; number 2 is `user2@contoso.onmicrosoft.com`. The object id
    /// depends only on the number, and has the form of a random UUID (version 4).
    ///
    /// ```
    /// # use presenced_emulator::{Options, User};
    /// let options = Options { users: (1..=12_000).map(User::numbered).collect(), ..Options::default() };
    /// assert_eq!(options.users[0], User::default());
    /// ```
    pub fn numbered(number: u32) -> Self {
        if number == 1 {
            return Self::default();
        }
        let hash = digest(&SHA256, format!("presenced-emulator user {number}").as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_ref()[..16]);
        Self {
            id: uuid::Builder::from_random_bytes(bytes).into_uuid().to_string(),
            principal_name: format!("user{number}@contoso.onmicrosoft.com"),
            ..Self::default()
        }
    }
}

impl Default for User {
    fn default() -> Self {
        Self {
            id: Self::DEFAULT_ID.to_owned(),
            principal_name: Self::DEFAULT_PRINCIPAL_NAME.to_owned(),
            licensed: true,
            guest: false,
        }
    }
}

/// How device code sign-ins behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceCodeOptions {
    /// Who approves a code.
    pub approval: Approval,
    /// How long a client must wait between two polls, in whole seconds. Polling faster is answered with `slow_down`.
    pub interval: Duration,
    /// How long a code is valid, in whole seconds.
    pub lifetime: Duration,
}

impl Default for DeviceCodeOptions {
    /// Entra's interval and lifetime, approved at the second poll.
    fn default() -> Self {
        Self { approval: Approval::AfterPolls(1), interval: Duration::from_secs(5), lifetime: Duration::from_mins(15) }
    }
}

/// Who approves a device code sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Approves itself after this number of `authorization_pending` answers. The control endpoint may approve or deny it earlier.
    AfterPolls(u32),
    /// Only the control endpoint `POST /_emulator/device/{user_code}/approve` approves it.
    ByHand,
}

/// Who approves a sign-in in a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Approves itself: the browser is redirected back at once.
    ByItself,
    /// A page with two buttons asks. The control endpoint `POST /_emulator/consent/{id}/approve` does what its button does.
    ByHand,
}

/// A limit on requests to Graph, for each application in each tenant. A request above it gets a 429 with `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// How many requests are allowed within any `window`; 0 refuses all.
    pub requests: usize,
    /// The window's length.
    pub window: Duration,
}

impl Default for Throttle {
    /// The presence service's documented limit: 1,500 requests in 30 seconds.
    fn default() -> Self {
        Self { requests: 1500, window: Duration::from_secs(30) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbered_users_are_distinct_and_always_the_same() {
        let users: Vec<User> = (1..=100_000).map(User::numbered).collect();
        assert_eq!(users[0], User::default());
        // Users files that somebody saved must stay right.
        assert_eq!(users[1].id, "80230f63-e69a-4c50-a96a-4bcb9df0962e");
        assert_eq!(users[99_999].id, "03618d8b-fafd-4cb4-9bee-e1768b37790c");
        assert_eq!(users[1].principal_name, "user2@contoso.onmicrosoft.com");
        assert_eq!(users.iter().map(|user| &user.id).collect::<BTreeSet<_>>().len(), users.len());
        for user in &users {
            let id = uuid::Uuid::try_parse(&user.id).unwrap();
            assert_eq!((id.get_version_num(), id.get_variant()), (4, uuid::Variant::RFC4122));
        }
    }
}
