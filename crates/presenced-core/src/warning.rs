//! What presenced warns about: a closed set of codes, so that programs that read the status can rely on them. Each warning has
//! a text for people, and a hint that says how to fix it.
//!
//! A warning describes the present, not an event: whoever raises it owns it, and it disappears when its cause does.
//!
//! A new warning takes a variant of [`Code`] and a line in `Code::properties`; a test asks for its row in
//! `docs/troubleshooting.md`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::FailureKind;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A calendar source is missing or cannot be read.
    CalendarUnreadable,
    /// A calendar file is not whole: it does not count as it is now.
    CalendarIncomplete,
    /// A calendar subscription cannot be fetched; its last copy counts.
    CalendarStale,
    /// Parts of a calendar file were skipped; the rest counts.
    CalendarSkipped,
    /// A calendar names an unknown time zone; the system's zone is used instead.
    CalendarZoneUnknown,
    /// A call-state file could not be understood.
    CallStateInvalid,
    /// A call-state file exists but cannot be read.
    CallStateUnreadable,
    /// No program has written the call state for longer than the configuration allows.
    CallStateStale,
    /// A call has lasted for very long although nobody is at the machine.
    LongCall,
    /// The screen lock cannot be seen.
    LockUnavailable,
    /// The desktop does not report its lock, and nothing else has reported it so far.
    LockUnproved,
    /// It is not visible who records from the microphone.
    MicrophoneUnavailable,
    /// Input cannot be seen, so it is unknown whether anybody is there.
    IdleUnavailable,
    /// Suspend cannot be seen, or cannot be delayed for the last write.
    SleepUnavailable,
    /// A folder cannot be watched for changes.
    WatchFailed,
    /// The configuration on disk is wrong; the last good one is in force.
    ConfigurationInvalid,
    /// Graph or the sign-in service cannot be reached or fails.
    ServiceUnavailable,
    /// The service asked for fewer requests.
    Throttled,
    /// An account must sign in.
    SignInNeeded,
    /// Graph refuses this account's requests until something is changed.
    Refused,
    /// What others see cannot be read back; the presence is still kept.
    VerifyRefused,
    /// Another program cleared or replaced the session; it was set again.
    SessionLost,
    /// Graph accepts the presence, but others do not see it.
    NotInEffect,
    /// The certificate that an account signs in with expires within 30 days, or has expired.
    CertificateExpires,
    /// The newest refresh token of a sign-in cannot be stored; the presence is still kept.
    TokenNotStored,
    /// Metrics and health are not available over TCP, because the address is not.
    ListenFailed,
    /// The history cannot be written; the presence is still kept.
    HistoryUnwritable,
    /// The users file of an account cannot be read; its users stay as they were.
    UsersUnreadable,
    /// Lines of a users file count for nothing.
    UsersInvalid,
    /// A users file has lost too many users at once; it is not applied.
    UsersShrunk,
    /// Graph refuses requests for some users of an account.
    UsersRefused,
}

impl From<FailureKind> for Code {
    /// The warning about requests that fail like this.
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::SignInNeeded => Self::SignInNeeded,
            FailureKind::Refused => Self::Refused,
            FailureKind::Throttled => Self::Throttled,
            FailureKind::Passing | FailureKind::TokenRefused => Self::ServiceUnavailable,
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The presence may be less exact than it could be.
    Warning,
    /// The presence is not being kept.
    Error,
}

/// Which part of presenced a warning is about. `presenced doctor` has its own checks for every part except [`Area::Daemon`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Area {
    /// A signal, and what it is read from.
    Signals,
    /// Whether an account can sign in and reach Graph.
    Service,
    /// Everything that only the running daemon knows.
    Daemon,
}

/// What is the same for all warnings of one code.
#[derive(Clone, Copy)]
struct Properties {
    severity: Severity,
    area: Area,
    visible_after: Duration,
}

/// How long trouble that may pass lasts before it is worth a warning.
const PASSING: Duration = Duration::from_secs(30);

impl Code {
    const fn properties(self) -> Properties {
        use Area::{Daemon, Service, Signals};
        use Severity::{Error, Warning};
        let (severity, area, visible_after) = match self {
            Self::CalendarUnreadable
            | Self::CalendarIncomplete
            | Self::CalendarStale
            | Self::CalendarSkipped
            | Self::CalendarZoneUnknown
            | Self::CallStateInvalid
            | Self::CallStateUnreadable
            | Self::CallStateStale
            | Self::LockUnavailable
            | Self::LockUnproved
            | Self::MicrophoneUnavailable
            | Self::IdleUnavailable
            | Self::SleepUnavailable => (Warning, Signals, Duration::ZERO),
            Self::ServiceUnavailable => (Error, Service, PASSING),
            Self::Throttled => (Warning, Service, PASSING),
            Self::SignInNeeded | Self::Refused => (Error, Service, Duration::ZERO),
            Self::UsersUnreadable | Self::UsersInvalid | Self::UsersShrunk | Self::UsersRefused => {
                (Warning, Daemon, Duration::ZERO)
            }
            Self::NotInEffect => (Error, Daemon, Duration::ZERO),
            Self::LongCall
            | Self::WatchFailed
            | Self::ConfigurationInvalid
            | Self::VerifyRefused
            | Self::SessionLost
            | Self::CertificateExpires
            | Self::TokenNotStored
            | Self::ListenFailed
            | Self::HistoryUnwritable => (Warning, Daemon, Duration::ZERO),
        };
        Properties { severity, area, visible_after }
    }

    /// How bad a warning of this code is.
    pub const fn severity(self) -> Severity {
        self.properties().severity
    }

    /// Which part of presenced it is about.
    pub const fn area(self) -> Area {
        self.properties().area
    }

    /// How long the trouble must last before the warning is shown: one failed request that is retried is not worth a warning.
    pub const fn visible_after(self) -> Duration {
        self.properties().visible_after
    }
}

/// One thing that is wrong now. `text` never holds a secret, an e-mail address or a meeting's title.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Warning {
    /// What it is about.
    pub code: Code,
    /// One sentence: what is wrong and where.
    pub text: String,
    /// The command or change that fixes it.
    pub hint: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
