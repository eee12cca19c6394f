//! `WWW-Authenticate` as Graph sends it with a 401 (RFC 9110, 11.6.1): whether it asks for another token, and for what claims.
//!
//! Source: Microsoft identity platform, "Claims challenges, claims requests, and client capabilities".

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde_json::{Map, Value};

/// Longer claims are ignored: they come from the network and are passed on to the sign-in service. Real ones have about 100
/// bytes.
const MAX_CLAIMS_BYTES: usize = 4096;

/// What Graph asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Nothing.
    Absent,
    /// Another token.
    Token,
    /// A token with these claims, as JSON; `None`: they cannot be read.
    Claims(Option<String>),
}

impl Challenge {
    /// What the headers of an answer ask for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(WWW_AUTHENTICATE);
        let asks_for_claims = values.iter().filter_map(|value| value.to_str().ok()).find(|value| {
            parameter(value, "error").is_some_and(|error| error.eq_ignore_ascii_case("insufficient_claims"))
        });
        match (asks_for_claims, values.iter().next()) {
            (Some(value), _) => Self::Claims(parameter(value, "claims").and_then(decode)),
            (None, Some(_)) => Self::Token,
            (None, None) => Self::Absent,
        }
    }
}

/// The value of the first parameter `name` in a list of challenges, without its quotes.
fn parameter<'a>(challenges: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = challenges;
    loop {
        let (before, after) = rest.split_once('=')?;
        let found = before.trim_end().rsplit([' ', '\t', ',']).next().unwrap_or_default();
        let after = after.trim_start();
        let (value, behind) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find([' ', '\t', ',']).unwrap_or(after.len())),
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = behind;
    }
}

/// The JSON object behind `claims`, which is base64 in either alphabet.
fn decode(claims: &str) -> Option<String> {
    if claims.len() > MAX_CLAIMS_BYTES {
        return None;
    }
    let claims = claims.trim_end_matches('=').replace('+', "-").replace('/', "_");
    let json = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    serde_json::from_str::<Map<String, Value>>(&json).is_ok().then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Challenge {
        Challenge::of(&values.iter().map(|value| (WWW_AUTHENTICATE, value.parse().unwrap())).collect())
    }

    fn claims(json: &str) -> Challenge {
        Challenge::Claims(Some(json.to_owned()))
    }

    #[test]
    fn claims_are_found_in_any_position() {
        assert_eq!(of(&[]), Challenge::Absent);
        assert_eq!(of(&["Bearer"]), Challenge::Token);
        assert_eq!(of(&[r#"Bearer realm="", error="invalid_token", claims="e30=""#]), Challenge::Token);
        // This is how Graph sends it.
        let graph = r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwgInZhbHVlIjoiMTYwNDEwNjY1MSJ9fX0=""#;
        let json = r#"{"access_token":{"nbf":{"essential":true, "value":"1604106651"}}}"#;
        assert_eq!(of(&[graph]), claims(json));
        assert_eq!(of(&["Basic realm=x", graph]), claims(json));
        assert_eq!(of(&[&format!("Basic realm=\"a, error=b\", {graph}")]), claims(json));
        assert_eq!(of(&["Bearer CLAIMS = e30 ,Error=Insufficient_Claims"]), claims("{}"));
        assert_eq!(
            of(&[r#"Bearer error="insufficient_claims", claims="eyI/Pz8iOiI+Pj4ifQ==""#]),
            claims(r#"{"???":">>>"}"#)
        );
    }

    #[test]
    fn unreadable_claims_are_left_out() {
        for value in ["", "claims=", "claims=\"e30", "claims=W10=", "claims=!!", "claims=_w==", "claims"] {
            assert_eq!(
                of(&[&format!("Bearer error=insufficient_claims, {value}")]),
                Challenge::Claims(None),
                "{value}"
            );
        }
    }

    #[test]
    fn claims_are_bounded() {
        let long = |length: usize| URL_SAFE_NO_PAD.encode(format!(r#"{{"a":"{}"}}"#, "x".repeat(length)));
        let read = |claims: &str| of(&[&format!("Bearer error=insufficient_claims, claims={claims}")]);
        let (longest, longer) = (long(4096 / 4 * 3 - 8), long(4096 / 4 * 3 - 7));
        assert_eq!((longest.len(), longer.len()), (4096, 4098));
        assert!(matches!(read(&longest), Challenge::Claims(Some(_))));
        assert_eq!(read(&longer), Challenge::Claims(None));
        let deep = URL_SAFE_NO_PAD.encode(r#"{"a":"#.repeat(600));
        assert_eq!(read(&deep), Challenge::Claims(None));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_asked_is_read_or_passed_over(value in "[ -~]{0,60}") {
            let _ = of(&[&value]);
            let _ = of(&[&format!("Bearer error=\"insufficient_claims\", claims={value}")]);
        }
    }
}
