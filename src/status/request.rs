//! What clients may ask for: the bodies of requests, and the rules for their fields. Both ends of the socket use it, so that the
//! server accepts every request that the client accepts.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::policy::Claim;
use crate::presence::Presence;

/// The body of `PUT /v1/override`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OverrideBody {
    /// `Availability/Activity`, or `nothing`.
    pub(super) presence: String,
    /// For how long; if omitted, until it is unset.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<String>,
}

/// The body of `PUT /v1/signals/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalBody {
    /// The signal's value.
    pub(super) value: String,
    /// After how long it becomes unknown; if omitted, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<String>,
}

/// A field that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {hint}")]
pub struct Invalid {
    /// The error's code on the socket.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What is valid.
    pub hint: String,
}

/// Reads a claim: one of the five pairs, or `nothing`; ignores ASCII case.
pub(super) fn parse_claim(text: &str) -> Result<Claim, Invalid> {
    if text.trim().eq_ignore_ascii_case("nothing") {
        return Ok(Claim::Nothing);
    }
    text.parse().map(Claim::Hold).map_err(|error: crate::presence::UnknownPresence| {
        let pairs = Presence::ALL.map(|presence| presence.to_string()).join(", ");
        Invalid { code: "bad-presence", message: error.to_string(), hint: format!("use {pairs} or nothing") }
    })
}

/// The longest time for an override or a signal: nobody means more than a year.
const MAX_TTL: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Reads how long something should last: `30m`, `1h 30m`, `PT15M`; 1 second to 366 days.
pub fn parse_ttl(text: &str) -> Result<Duration, Invalid> {
    let invalid = |message: String| Invalid {
        code: "bad-duration",
        message,
        hint: "write it like 30m, 1h30m or PT15M, from 1s to 8784h".to_owned(),
    };
    let ttl: SignedDuration = text.trim().parse().map_err(|_| invalid(format!("`{text}` is not a duration")))?;
    if !(SignedDuration::from_secs(1)..=MAX_TTL).contains(&ttl) {
        return Err(invalid(format!("`{text}` is out of range")));
    }
    Ok(ttl.unsigned_abs())
}

/// Writes a time to live as [`parse_ttl`] reads it: in whole seconds, at least one.
pub(super) fn write_ttl(ttl: Duration) -> String {
    format!("PT{}S", ttl.as_secs().max(1))
}

/// The name of a signal set through the socket: 1 to 64 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalName(String);

impl SignalName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SignalName> for String {
    fn from(name: SignalName) -> Self {
        name.0
    }
}

impl FromStr for SignalName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid {
            code: "bad-signal-name",
            message: "that is not a valid signal name".to_owned(),
            hint: "use 1 to 64 letters, digits, `-` and `_`, without accents".to_owned(),
        })
    }
}

/// The value of a signal set through the socket: 1 to 256 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalValue(String);

impl SignalValue {
    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SignalValue> for String {
    fn from(value: SignalValue) -> Self {
        value.0
    }
}

impl FromStr for SignalValue {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if (1..=256).contains(&text.chars().count()) && !text.contains(char::is_control) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid {
            code: "bad-signal-value",
            message: "that is not a valid signal value".to_owned(),
            hint: "use 1 to 256 characters without control characters".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_claim_is_one_of_the_pairs_or_nothing() {
        assert_eq!(parse_claim("busy/inacall"), Ok(Claim::Hold(Presence::InACall)));
        assert_eq!(parse_claim("Nothing"), Ok(Claim::Nothing));
        let refused = parse_claim("Busy").expect_err("half a pair");
        assert!(refused.hint.contains("DoNotDisturb/Presenting"), "{refused}");
    }

    #[test]
    fn times_to_live_are_read_in_both_forms_and_bounded() {
        assert_eq!(parse_ttl("30m"), Ok(Duration::from_mins(30)));
        assert_eq!(parse_ttl(" 1h 30m "), Ok(Duration::from_mins(90)));
        assert_eq!(parse_ttl("PT1H30M"), Ok(Duration::from_mins(90)));
        assert_eq!(parse_ttl("8784h"), Ok(Duration::from_hours(8784)));
        for bad in ["", "30", "soon", "0s", "-5m", "5m ago", "999ms", "8785h", "PT", "99999999999999999999h"] {
            assert_eq!(parse_ttl(bad).map_err(|invalid| invalid.code), Err("bad-duration"), "{bad}");
        }
    }

    #[test]
    fn names_and_values_have_limits() {
        let name = |text: &str| text.parse::<SignalName>().is_ok();
        assert!(name("on-air_2") && name(&"a".repeat(64)));
        for bad in ["", "a b", "a/b", "é", "a.b", "a%20", &"a".repeat(65)] {
            assert!(!name(bad), "{bad}");
        }
        let value = |text: &str| text.parse::<SignalValue>().is_ok();
        assert!(value("on air") && value(&"ü".repeat(256)));
        for bad in ["", "a\nb", "\u{1b}[2J", "\u{85}", &"ü".repeat(257)] {
            assert!(!value(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_written_time_to_live_reads_back(seconds in 1_u64..=8784 * 3600) {
            let ttl = Duration::from_secs(seconds);
            prop_assert_eq!(parse_ttl(&write_ttl(ttl)), Ok(ttl));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = parse_ttl(&text);
            let _ = parse_claim(&text);
        }
    }
}
