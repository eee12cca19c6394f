//! The warnings of presenced. The set of codes is closed, so that programs which read the status can rely on it. Each warning
//! also has a text for people and a hint on how to fix the cause.
//!
//! A warning describes the present state; it is not an event. The module that raises it owns it and removes it when the cause
//! is gone.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A calendar source is missing or cannot be read.
    CalendarUnreadable,
    /// A calendar subscription cannot be fetched; its last copy is used.
    CalendarStale,
    /// Parts of a calendar file were skipped; the rest is used.
    CalendarSkipped,
    /// A calendar uses an unknown time zone name; the system's zone is used instead.
    CalendarZoneUnknown,
    /// A call-state file is invalid.
    CallStateInvalid,
    /// A call-state file exists but cannot be read.
    CallStateUnreadable,
    /// The state of the screen lock cannot be read.
    LockUnavailable,
    /// The desktop does not report its screen lock, and no other source has reported it so far.
    LockUnproved,
    /// The programs that record from the microphone cannot be read.
    MicrophoneUnavailable,
    /// User input cannot be observed, so it is unknown whether the user is there.
    IdleUnavailable,
    /// Sleep is not announced, or cannot be delayed until the last write.
    SleepUnavailable,
    /// A folder cannot be watched for changes.
    WatchFailed,
    /// The configuration on disk is invalid; the last valid one stays in use.
    ConfigurationInvalid,
    /// Graph or the sign-in service is unreachable or failing.
    ServiceUnavailable,
    /// The service asked for fewer requests.
    Throttled,
    /// An account must sign in.
    SignInNeeded,
    /// Graph refuses this account's requests until the user changes something.
    Refused,
    /// The presence that others see cannot be read back. The presence is still kept.
    VerifyRefused,
    /// The certificate that an account signs in with expires within 30 days, or has expired.
    CertificateExpires,
    /// Metrics and health are not served over TCP, because the address is not available.
    ListenFailed,
    /// The history cannot be written. The presence is still kept.
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
    /// The severity of a warning with this code.
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

/// One thing that is wrong now. `text` never contains a secret, an e-mail address or a meeting title.
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
