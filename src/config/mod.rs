//! Configuration: the schema (plain values, part of the core) and how TOML becomes them.
//!
//! A [`Config`] that exists is right: every path is expanded, every duration in range, every endpoint allowed. What is not
//! becomes [`Problems`], all at once. [`Config::parse`] is pure; only [`load`] touches the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::policy::Rule;
use crate::presence::Expiration;

mod calendar;
mod environment;
mod load;
mod mask;
mod problems;
mod read;

pub use calendar::{Calendar, CalendarSource, SecretUrl, Subscription};
pub use environment::{Environment, Lookup};
pub use load::load;
pub(crate) use problems::Finding;
pub use problems::{Position, Problem, Problems};
pub use read::Loaded;

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The accounts by name; at least one.
    pub accounts: BTreeMap<String, Account>,
    /// What holds for every session.
    pub session: Session,
    /// The signals.
    pub signals: Signals,
    /// The rules, in their order; the default ones when the file has none.
    pub rules: Vec<Rule>,
    /// Where logs go.
    pub log: Log,
}

/// One account: who signs in, where, and whose presence is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The tenant: a domain name or a directory id.
    pub tenant: String,
    /// The application (client) id; also Graph's `sessionId`.
    pub client_id: String,
    /// The object id of the user whose presence is held; `None`: whoever signed in.
    pub user: Option<String>,
    /// The national cloud.
    pub cloud: Cloud,
    /// How to get tokens.
    pub auth: Auth,
    /// The cloud's addresses, or the configured ones.
    pub endpoints: Endpoints,
}

impl Account {
    /// Whether both are known to hold one and the same session in Graph: the application's, for one user, in one cloud.
    pub fn is_same_session(&self, other: &Self) -> bool {
        let same_user =
            self.user.as_ref().zip(other.user.as_ref()).is_some_and(|(one, two)| one.eq_ignore_ascii_case(two));
        same_user
            && self.endpoints.graph == other.endpoints.graph
            && self.client_id.eq_ignore_ascii_case(&other.client_id)
    }
}

/// A national cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    /// Worldwide, also GCC.
    #[default]
    Global,
    /// US Government L4.
    UsGov,
    /// US Government L5 (`DoD`).
    UsGovDod,
    /// China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Global, Self::UsGov, Self::UsGovDod, Self::China];

    /// The word for it in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::UsGov => "us-gov",
            Self::UsGovDod => "us-gov-dod",
            Self::China => "china",
        }
    }
}

/// The addresses of a cloud's services, without a trailing slash in the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Microsoft Graph with its version: `https://graph.microsoft.com/v1.0`.
    pub graph: Url,
    /// The sign-in service: `https://login.microsoftonline.com`.
    pub login: Url,
}

impl Endpoints {
    /// Whether both lead to this machine itself, as an emulator's do.
    pub fn are_loopback(&self) -> bool {
        [&self.graph, &self.login].into_iter().all(read::is_loopback)
    }

    /// The addresses of `cloud`. Source: Graph's page on national cloud deployments.
    #[expect(clippy::missing_panics_doc, reason = "the addresses are constants, and a test parses each")]
    pub fn of(cloud: Cloud) -> Self {
        let (graph, login) = match cloud {
            Cloud::Global => ("https://graph.microsoft.com/v1.0", "https://login.microsoftonline.com"),
            Cloud::UsGov => ("https://graph.microsoft.us/v1.0", "https://login.microsoftonline.us"),
            Cloud::UsGovDod => ("https://dod-graph.microsoft.us/v1.0", "https://login.microsoftonline.us"),
            Cloud::China => ("https://microsoftgraph.chinacloudapi.cn/v1.0", "https://login.chinacloudapi.cn"),
        };
        let url = |address: &str| Url::parse(address).expect("the addresses above are valid");
        Self { graph: url(graph), login: url(login) }
    }
}

/// How an account gets its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Delegated, by a code typed on any device (`presenced login`).
    DeviceCode,
    /// Application permission, by a client secret.
    ClientSecret {
        /// Where the secret is.
        secret: SecretSource,
    },
    /// A command prints the token.
    TokenCommand {
        /// The program and its arguments; run without a shell.
        command: Vec<String>,
    },
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
}

/// What holds for every session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// How long Graph keeps the session without a keepalive.
    pub expiration: Expiration,
    /// What becomes of it when presenced stops.
    pub on_exit: OnExit,
    /// Whether what others see is read back, to be shown.
    pub verify: bool,
}

/// What becomes of the session in Graph when presenced stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExit {
    /// It is cleared.
    #[default]
    Clear,
    /// It stays until it expires.
    Keep,
}

/// The signals; one that is `None` is off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Calendars.
    pub calendar: Option<Calendar>,
    /// The screen lock.
    pub lock: Option<Lock>,
    /// Call-state files.
    pub call: Option<Call>,
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
}

/// The idle signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// After how long without input; 1 minute to 24 hours, from the configuration.
    pub after: Duration,
}

/// Where logs go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// What is logged, in `tracing`'s filter syntax (`info`, `presenced=debug`); `None`: `info`.
    pub level: Option<String>,
    /// The folder of the rolling log files; `None`: the journal or standard error.
    pub dir: Option<PathBuf>,
}
