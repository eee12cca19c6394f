//! Configuration: the schema (plain values, part of the core) and how TOML becomes them.
//!
//! Every [`Config`] is valid: every path is expanded, every duration in range, every endpoint allowed. Otherwise there are
//! [`Problems`], all of them at once. [`Config::parse`] is pure; only [`load`] touches the disk.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;

use crate::pacer::Rate;
use crate::policy::Rule;
use crate::presence::Expiration;

mod calendar;
mod cloud;
mod environment;
mod load;
mod mask;
mod microphone;
mod name;
mod owners;
mod problems;
mod read;
mod same_session;
mod schema;
mod secret_file;
mod secret_vars;
mod users;
pub mod users_file;

pub use calendar::{Calendar, CalendarPlace, CalendarSource, SecretUrl, Subscription};
pub use cloud::{Cloud, Endpoints};
pub use environment::{Environment, Lookup, state_file};
pub(crate) use load::MAX_FILE_BYTES;
pub use load::{load, load_again};
pub use microphone::{Microphone, NoServer};
pub(crate) use name::{NAME_RULE, is_name};
pub use owners::{Owners, OwnersPath};
pub use problems::{Position, Problem, Problems};
pub use read::Loaded;
pub(crate) use read::{expand, size};
pub(crate) use same_session::shared_sessions;
pub use schema::schema;
pub(crate) use schema::{Meaning, Vocabulary};
pub(crate) use secret_file::shown_to_others;
pub use secret_vars::secret_vars;
pub(crate) use users::is_object_id;
pub use users::{UserEntry, Users};

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The accounts by name; at least one.
    pub accounts: BTreeMap<String, Account>,
    /// The settings for every session.
    pub session: Session,
    /// The signals.
    pub signals: Signals,
    /// The rules, in order; the default rules if the file has none.
    pub rules: Vec<Rule>,
    /// Who else may ask.
    pub status: Status,
    /// Where logs go.
    pub log: Log,
    /// What is kept of the past.
    pub history: History,
}

/// One account: who signs in, where, and whose presence is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The tenant: a domain name or a directory id.
    pub tenant: String,
    /// The application (client) id; also Graph's `sessionId`.
    pub client_id: String,
    /// The object id of the user whose presence is held; `None`: whoever signed in, or [`Account::users`].
    pub user: Option<String>,
    /// Whose presence is held, if it is not one user's.
    pub users: Option<Users>,
    /// How many requests Graph allows this application in this tenant.
    pub rate: Rate,
    /// The national cloud.
    pub cloud: Cloud,
    /// How to get tokens.
    pub auth: Auth,
    /// Where a person's sign-in is kept. `[tokens]` sets it for all accounts.
    pub tokens: TokenStore,
    /// The cloud's addresses, or the configured ones.
    pub endpoints: Endpoints,
}

/// How an account gets its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Delegated, by a code typed on any device (`presenced login`).
    DeviceCode,
    /// Delegated, in a browser on this machine (`presenced login`).
    Browser,
    /// Application permission, by a client secret.
    ClientSecret {
        /// Where the secret is.
        secret: SecretSource,
    },
    /// Application permission, by a certificate whose key signs an assertion.
    ClientCertificate {
        /// The PEM file with the certificate.
        certificate: PathBuf,
        /// The place of its private key; `None` for the same file.
        key: Option<SecretSource>,
    },
    /// Application permission, by an assertion that another identity provider issues and renews.
    Federated {
        /// Where the assertion is.
        assertion: SecretSource,
    },
    /// A command prints the token.
    TokenCommand {
        /// The program and its arguments; run without a shell.
        command: Vec<String>,
    },
}

impl Auth {
    /// The word for its method in the configuration.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::DeviceCode => "device-code",
            Self::Browser => "browser",
            Self::ClientSecret { .. } => "client-secret",
            Self::ClientCertificate { .. } => "client-certificate",
            Self::Federated { .. } => "federated",
            Self::TokenCommand { .. } => "token-command",
        }
    }

    /// Whether a person signs in, whose sign-in is then stored. Otherwise the account gets its own tokens.
    pub const fn is_interactive(&self) -> bool {
        match self {
            Self::DeviceCode | Self::Browser => true,
            Self::ClientSecret { .. }
            | Self::ClientCertificate { .. }
            | Self::Federated { .. }
            | Self::TokenCommand { .. } => false,
        }
    }

    /// Where the secret is, if it needs one.
    pub const fn secret(&self) -> Option<&SecretSource> {
        match self {
            Self::ClientSecret { secret } => Some(secret),
            Self::ClientCertificate { key, .. } => key.as_ref(),
            Self::Federated { assertion } => Some(assertion),
            Self::DeviceCode | Self::Browser | Self::TokenCommand { .. } => None,
        }
    }
}

/// Where a secret is found; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that only its owner can read.
    File(PathBuf),
    /// A systemd credential, in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// An environment variable.
    Env(String),
    /// A command that prints it; run without a shell.
    Command(Vec<String>),
    /// The keyring: the one secret there with these attributes.
    Keyring(BTreeMap<String, String>),
}

/// Where a person's sign-in is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenStore {
    /// In the keyring if there is one when a person signs in, otherwise in a file.
    #[default]
    Auto,
    /// In the keyring.
    Keyring,
    /// In a file that only its owner can read.
    File,
}

impl SecretSource {
    /// The file it is in, if it has its own path.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Credential(_) | Self::Env(_) | Self::Command(_) | Self::Keyring(_) => None,
        }
    }

    /// The environment variable it is in, if it is in one.
    pub fn var(&self) -> Option<&str> {
        match self {
            Self::Env(name) => Some(name),
            Self::File(_) | Self::Credential(_) | Self::Command(_) | Self::Keyring(_) => None,
        }
    }
}

/// The settings for every session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// How long Graph keeps the session without a keepalive.
    pub expiration: Expiration,
    /// What happens to it when presenced stops.
    pub on_exit: OnExit,
    /// Whether what others see is read back and shown.
    pub verify: bool,
}

/// What happens to the session in Graph when presenced stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExit {
    /// It is cleared.
    #[default]
    Clear,
    /// It stays until it expires.
    Keep,
}

/// The signals. `None`: off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Calendars.
    pub calendar: Option<Calendar>,
    /// The screen lock.
    pub lock: Option<Lock>,
    /// Call-state files.
    pub call: Option<Call>,
    /// Who records from the microphone.
    pub microphone: Option<Microphone>,
    /// Input.
    pub idle: Option<Idle>,
}

/// The lock signal (and sleep, which comes from the same service).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lock {}

/// The call signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The call-state file, or a folder of them.
    pub path: PathBuf,
    /// The same path, if each user or each account has one.
    pub owners: Option<OwnersPath>,
    /// A file that was not written for this long says nothing, and neither does a missing one; at least 5 seconds. `None`: a file
    /// counts as long as it exists, and a missing one means idle.
    pub stale_after: Option<Duration>,
}

/// The idle signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// After how long without input; 1 minute to 24 hours, from the configuration.
    pub after: Duration,
}

/// Who may ask, besides clients of the status socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The TCP address that serves metrics and health; `None`: none.
    pub listen: Option<SocketAddr>,
}

/// Where logs go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// What is logged, in `tracing`'s filter syntax (`info`, `presenced=debug`); `None`: `info`.
    pub level: Option<String>,
    /// The folder of the rolling log files; `None`: the journal or standard error.
    pub dir: Option<PathBuf>,
}

/// The history: what was claimed, and whether Graph held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Whether it is kept.
    pub enabled: bool,
    /// For how long.
    pub keep: SignedDuration,
    /// How many bytes its file may have. The oldest records make room for new ones.
    pub max_size: u64,
}

impl History {
    /// The shortest and the longest time to keep it.
    pub(crate) const KEEP_MIN: SignedDuration = SignedDuration::from_hours(1);
    pub(crate) const KEEP_MAX: SignedDuration = SignedDuration::from_hours(365 * 24);
    /// The smallest and the largest file.
    pub(crate) const MAX_SIZE_MIN: u64 = 100_000;
    pub(crate) const MAX_SIZE_MAX: u64 = 1_000_000_000;

    /// What is kept if there is an account with many users.
    pub(crate) const fn of_many() -> Self {
        Self { enabled: true, keep: SignedDuration::from_hours(48), max_size: 64_000_000 }
    }
}

impl Default for History {
    fn default() -> Self {
        Self { max_size: 1_000_000, ..Self::of_many() }
    }
}
