//! What the emulator knows from the start: tenants, applications, users, limits. The default needs nothing to be set up.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The tenant id of every tenant that is named by a domain.
pub(super) const TENANT_ID: &str = "84841066-274d-4ec0-a5c1-276be684bdd3";

/// How an emulator is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tenants that exist.
    pub tenants: Tenants,
    /// The app registrations.
    pub apps: Vec<App>,
    /// The users of every tenant; the first is who signs in when nobody says who.
    pub users: Vec<User>,
    /// How long access tokens live: picked at random from this range, in whole seconds.
    pub token_lifetime: RangeInclusive<Duration>,
    /// How a sign-in by device code is answered.
    pub device: Device,
    /// Who approves a sign-in in a browser.
    pub consent: Consent,
    /// How many requests are allowed.
    pub throttle: Throttle,
    /// Where all randomness comes from: the same seed and the same requests give the same answers.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tenants: Tenants::Any,
            apps: vec![App::default()],
            users: vec![User::default()],
            token_lifetime: Duration::from_hours(1)..=Duration::from_mins(90),
            device: Device::default(),
            consent: Consent::ByItself,
            throttle: Throttle::default(),
            seed: 0,
        }
    }
}

/// Which tenants exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// Every domain name and directory id.
    Any,
    /// Only these names, compared ignoring ASCII case.
    Only(Vec<String>),
}

/// An app registration. It may sign in users without a secret, and act by itself with it, a certificate or an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The application (client) id.
    pub client_id: String,
    /// The client secret; `None`: it has none.
    pub secret: Option<String>,
    /// The certificates it may sign in with, in DER.
    pub certificates: Vec<Vec<u8>>,
    /// Whose assertions may stand for it.
    pub federated: Vec<Federated>,
    /// The application permissions an administrator consented to.
    pub roles: Vec<String>,
    /// The delegated permissions that users consent to when it asks.
    pub scopes: Vec<String>,
}

impl Default for App {
    /// An application with every permission that presence needs.
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            client_id: "22553876-f5ab-4529-bffb-cfe50aa89f87".to_owned(),
            secret: Some("emulator-secret".to_owned()),
            certificates: Vec::new(),
            federated: Vec::new(),
            roles: owned(&["Presence.ReadWrite.All", "Presence.Read.All"]),
            scopes: owned(&["Presence.ReadWrite", "Presence.Read", "Presence.Read.All"]),
        }
    }
}

/// A federated credential: assertions of another identity provider that stand for an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Federated {
    /// Their `iss`.
    pub issuer: String,
    /// Their `sub`.
    pub subject: String,
    /// Their `aud`: in Entra, `api://AzureADTokenExchange` unless it was changed.
    pub audience: String,
    /// The RSA key they are signed with, as an `RSAPublicKey` or a `SubjectPublicKeyInfo` in DER. Entra fetches it from the
    /// issuer's address, where there may be nothing here.
    pub public_key: Vec<u8>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The object id.
    pub id: String,
    /// The user principal name.
    pub principal_name: String,
}

impl Default for User {
    fn default() -> Self {
        Self {
            id: "fa8bf3dc-eca7-46b7-bad1-db199b62afc3".to_owned(),
            principal_name: "me@contoso.onmicrosoft.com".to_owned(),
        }
    }
}

/// How a sign-in by device code goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Who approves it.
    pub approval: Approval,
    /// How long a client must wait between two polls; whole seconds.
    pub interval: Duration,
    /// How long a code can be used; whole seconds.
    pub lifetime: Duration,
}

impl Default for Device {
    /// Entra's interval and lifetime, approved at the second poll.
    fn default() -> Self {
        Self { approval: Approval::AfterPolls(1), interval: Duration::from_secs(5), lifetime: Duration::from_mins(15) }
    }
}

/// Who approves a sign-in by device code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// It approves itself after so many answers that it is pending. The control endpoint may be quicker.
    AfterPolls(u32),
    /// Only the control endpoint.
    ByHand,
}

/// Who approves a sign-in in a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It approves itself, and the browser is sent back at once.
    ByItself,
    /// A page asks, or the control endpoint is told.
    ByHand,
}

/// A limit on requests, for each application in each tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// How many requests are allowed within any `window`.
    pub requests: usize,
    /// The window's length.
    pub window: Duration,
}

impl Default for Throttle {
    /// The documented limit of the presence service.
    fn default() -> Self {
        Self { requests: 1500, window: Duration::from_secs(30) }
    }
}
