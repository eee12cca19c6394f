//! What presenced warns about: a closed set of codes, so that a status reader can rely on them, each with a text for
//! people and a hint that mends it.
//!
//! A warning is a fact about now, not an event: whoever raises it owns it, and it is gone when the cause is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A calendar source is missing or cannot be read.
    CalendarUnreadable,
    /// A calendar subscription cannot be fetched; its last copy counts.
    CalendarStale,
    /// Parts of a calendar file were skipped; the rest counts.
    CalendarSkipped,
    /// A time zone name of a calendar is not known; the system's zone stands in.
    CalendarZoneUnknown,
    /// A call-state file could not be understood.
    CallStateInvalid,
    /// A call-state file exists and cannot be read.
    CallStateUnreadable,
    /// The screen lock cannot be seen.
    LockUnavailable,
    /// The desktop tells nobody of its lock, and nothing else did so far.
    LockUnproved,
    /// Who records from the microphone cannot be seen.
    MicrophoneUnavailable,
    /// Input cannot be seen, so that it is not known whether anybody is there.
    IdleUnavailable,
    /// Going to sleep cannot be seen, or not be held up for the last write.
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
    /// What others see cannot be read back; the presence is kept all the same.
    VerifyRefused,
    /// The certificate that an account signs in with is over within 30 days, or since lately.
    CertificateExpires,
    /// Metrics and health are not told over TCP, since the address is not to be had.
    ListenFailed,
    /// The history cannot be written; the presence is kept all the same.
    HistoryUnwritable,
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

impl Code {
    /// How bad a warning of this code is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::CalendarUnreadable
            | Self::CalendarStale
            | Self::CalendarSkipped
            | Self::CalendarZoneUnknown
            | Self::CallStateInvalid
            | Self::CallStateUnreadable
            | Self::LockUnavailable
            | Self::LockUnproved
            | Self::MicrophoneUnavailable
            | Self::IdleUnavailable
            | Self::SleepUnavailable
            | Self::WatchFailed
            | Self::ConfigurationInvalid
            | Self::Throttled
            | Self::VerifyRefused
            | Self::CertificateExpires
            | Self::ListenFailed
            | Self::HistoryUnwritable => Severity::Warning,
            Self::ServiceUnavailable | Self::SignInNeeded | Self::Refused => Severity::Error,
        }
    }
}

/// One thing that is wrong now. `text` never holds a secret, an e-mail address or a meeting's title.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Warning {
    /// What it is about.
    pub code: Code,
    /// One sentence: what is wrong and where.
    pub text: String,
    /// The command or change that mends it.
    pub hint: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
