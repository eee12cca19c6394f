//! The `claims` parameter of a token request (`OpenID` Connect Core, 5.5): it declares that presenced handles claims challenges
//! (`cp1`), and passes on what a challenge asked for.
//!
//! It is declared where presenced can meet a challenge by asking for a token with its claims: with a refresh token, and as an
//! application. In return Entra issues tokens that live for a day and can be revoked at once. A token command cannot be given
//! the claims.
//!
//! Source: Microsoft identity platform, "Claims challenges, claims requests, and client capabilities".

use serde_json::{Map, Value, json};

/// The parameter, for a token that also has to meet `challenge`, a JSON object.
pub(super) fn parameter(challenge: Option<&str>) -> String {
    let asked = challenge.and_then(|challenge| serde_json::from_str(challenge).ok());
    let mut claims = asked.unwrap_or_else(|| Value::Object(Map::new()));
    merge(&mut claims, json!({"access_token": {"xms_cc": {"values": ["cp1"]}}}));
    claims.to_string()
}

/// Merges `more` into `claims`; where they conflict, `more` wins.
fn merge(claims: &mut Value, more: Value) {
    match (claims, more) {
        (Value::Object(claims), Value::Object(more)) => {
            for (name, value) in more {
                merge(claims.entry(name).or_insert(Value::Null), value);
            }
        }
        (claims, more) => *claims = more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_and_what_is_asked_for_are_one_object() {
        for (challenge, expected) in [
            (None, r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#),
            (Some("{}"), r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#),
            (
                Some(r#"{"access_token": {"nbf": {"essential": true, "value": "7"}}, "id_token": null}"#),
                r#"{"access_token":{"nbf":{"essential":true,"value":"7"},"xms_cc":{"values":["cp1"]}},"id_token":null}"#,
            ),
            (Some(r#"{"access_token": {"xms_cc": null}}"#), r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#),
            (Some(r#"{"access_token": "?"}"#), r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#),
        ] {
            assert_eq!(parameter(challenge), expected);
        }
    }
}
