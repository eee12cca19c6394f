//! Tokens that a command prints: a bare token, or the JSON of `az account get-access-token` and `azd auth token`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Environment;
use crate::failure::{Failure, FailureKind};
use crate::time::Now;

use super::token_service::{UNKNOWN_LIFETIME, is_token};
use super::{Grant, SignedIn, command, jwt};

const WHAT: &str = "the token command";

/// A command's JSON. The fields with the token's end are tried in this order.
#[derive(Deserialize)]
struct Printed {
    #[serde(alias = "accessToken", alias = "token")]
    access_token: SecretString,
    /// Seconds since 1970, or RFC 3339.
    expires_on: Option<Value>,
    /// Seconds from now.
    expires_in: Option<Value>,
    /// RFC 3339, or (`az`) local time.
    #[serde(rename = "expiresOn")]
    expires_on_local: Option<Value>,
    /// RFC 3339, or seconds since 1970.
    expiration: Option<Value>,
}

/// Runs `command` for a new token.
pub(super) async fn ask(command: &[String], environment: &Environment, now: &Now) -> Result<Grant, Failure> {
    let printed = command::output(command, WHAT, environment).await?;
    read(printed.expose_secret(), now).ok_or_else(|| {
        Failure::new(FailureKind::Refused, format!("{WHAT} prints neither a token nor JSON with `accessToken`"))
            .with_hint("it must print only the token, or JSON as `az account get-access-token` does")
    })
}

fn read(printed: &str, now: &Now) -> Option<Grant> {
    let (bearer, said) = match printed.as_bytes().first()? {
        b'{' => {
            let printed: Printed = serde_json::from_str(printed).ok()?;
            let lifetime = printed.lifetime(now);
            (printed.access_token, lifetime)
        }
        b'"' => (serde_json::from_str(printed).ok()?, None),
        _ => (SecretString::from(printed), None),
    };
    let token = bearer.expose_secret();
    if !is_token(token) {
        return None;
    }
    let claims = jwt::claims(token);
    let lifetime =
        said.or_else(|| Some(until(Timestamp::from_second(claims.exp?).ok()?, now))).unwrap_or(UNKNOWN_LIFETIME);
    // Without delegated permissions, the object id is the application's own.
    let user = claims.oid.filter(|_| claims.scp.is_some());
    let username = claims.preferred_username.filter(|_| user.is_some());
    Some(Grant { bearer, who: SignedIn { user, tenant: claims.tid, username }, lifetime })
}

impl Printed {
    fn lifetime(&self, now: &Now) -> Option<Duration> {
        let end = |value: &Option<Value>| Some(until(end(value.as_ref()?, now)?, now));
        end(&self.expires_on)
            .or_else(|| Some(Duration::from_secs(u64::try_from(seconds(self.expires_in.as_ref()?)?).unwrap_or(0))))
            .or_else(|| end(&self.expires_on_local))
            .or_else(|| end(&self.expiration))
    }
}

/// An expired token is used anyway: the local clock may be wrong, and Graph knows better.
fn until(end: Timestamp, now: &Now) -> Duration {
    Duration::try_from(end.duration_since(now.wall)).unwrap_or_default()
}

fn end(value: &Value, now: &Now) -> Option<Timestamp> {
    if let Some(seconds) = seconds(value) {
        return Timestamp::from_second(seconds).ok();
    }
    let text = value.as_str()?;
    text.parse().ok().or_else(|| now.zone.to_timestamp(text.parse::<DateTime>().ok()?).ok())
}

/// Whole seconds, as a number or a text.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jiff::tz::{Offset, TimeZone};

    use crate::time::Instant;

    use super::*;

    /// 08:00 UTC, 09:00 local.
    fn now() -> Now {
        Now {
            instant: Instant::default(),
            wall: "2026-11-24T08:00:00Z".parse().unwrap(),
            zone: TimeZone::fixed(Offset::constant(1)),
        }
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    fn lifetime(printed: &str) -> Duration {
        read(printed, &now()).unwrap().lifetime
    }

    #[test]
    fn a_bare_token_contains_its_end() {
        let wall = now().wall.as_second();
        assert_eq!(lifetime(&jwt(&format!(r#"{{"exp": {}}}"#, wall + 4000))), Duration::from_secs(4000));
        assert_eq!(lifetime(&jwt(&format!(r#"{{"exp": {}}}"#, wall - 4000))), Duration::ZERO);
        assert_eq!(lifetime(&jwt(r#"{"exp": 9223372036854775807}"#)), UNKNOWN_LIFETIME);
        assert_eq!(lifetime("opaque"), UNKNOWN_LIFETIME);
        assert_eq!(lifetime(r#""opaque""#), UNKNOWN_LIFETIME);
    }

    #[test]
    fn json_has_the_end_in_any_of_its_fields() {
        let wall = now().wall.as_second();
        for field in [
            format!(r#""expires_on": {}"#, wall + 3600),
            format!(r#""expires_on": "{}""#, wall + 3600),
            r#""expires_in": 3600"#.to_owned(),
            r#""expires_in": "3600""#.to_owned(),
            r#""expiresOn": "2026-11-24 10:00:00.000000""#.to_owned(),
            r#""expiresOn": "2026-11-24T09:00:00Z""#.to_owned(),
            r#""expiration": "2026-11-24T11:00:00+02:00""#.to_owned(),
            // az: the local time is the same moment and is not needed.
            format!(r#""expiresOn": "2026-11-24 23:00:00.000000", "expires_on": {}, "tenant": "t""#, wall + 3600),
        ] {
            for name in ["accessToken", "access_token", "token"] {
                let printed = format!(r#"{{"{name}": "opaque", {field}}}"#);
                assert_eq!(lifetime(&printed), Duration::from_hours(1), "{printed}");
            }
        }
        assert_eq!(lifetime(r#"{"accessToken": "opaque", "expiresOn": "soon", "expires_in": null}"#), UNKNOWN_LIFETIME);
        assert_eq!(lifetime(r#"{"accessToken": "opaque", "expires_in": -7}"#), Duration::ZERO);
    }

    #[test]
    fn the_user_is_known_from_a_delegated_token_only() {
        let user = |claims: &str| read(&jwt(claims), &now()).unwrap().who.user;
        assert_eq!(user(r#"{"oid": "o", "scp": "Presence.ReadWrite"}"#).as_deref(), Some("o"));
        assert_eq!(user(r#"{"oid": "o", "roles": ["Presence.ReadWrite.All"]}"#), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_command_prints_only_a_token_is_taken_from_it(
            printed in ".{0,40}",
            field in "expires_on|expires_in|expiresOn|expiration",
            value in "-?[1-9][0-9]{0,24}|\"[ -!#-\\[\\]-~]{0,30}\"|null|\\[\\]",
        ) {
            if let Some(grant) = read(&printed, &now()) {
                proptest::prop_assert!(grant.bearer.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()));
            }
            let json = format!(r#"{{"accessToken": "t", "{field}": {value}}}"#);
            proptest::prop_assert!(read(&json, &now()).is_some(), "{json}");
        }
    }

    #[test]
    fn other_output_is_refused() {
        for printed in
            ["", "Please sign in", "a\nb", "{", "{}", r#"{"accessToken": ""}"#, r#"{"accessToken": 1}"#, "tökén"]
        {
            assert!(read(printed, &now()).is_none(), "{printed}");
        }
    }
}
