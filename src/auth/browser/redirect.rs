//! What a request to the redirect's address means (RFC 6749, 4.1.2): the answer of this attempt, or something else that a
//! browser, or anyone on this machine, may request.

use hyper::{Method, Uri};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use crate::auth::token_error::ErrorBody;

/// What the sign-in service sent with the browser: a code, or the reason why there is none.
pub(super) type Outcome = Result<SecretString, ErrorBody>;

/// What a request is.
pub(super) enum Visit {
    /// The end of the attempt.
    Redirect(Outcome),
    /// A redirect to this address that does not belong to this attempt.
    Stray,
    /// For something that does not exist, like `/favicon.ico`.
    Elsewhere,
    /// Not a `GET`. A `HEAD` is not a person who comes back, and must not use up the code.
    NoGet,
}

impl Visit {
    /// What a request for `uri` is, in the attempt with this `state`.
    pub(super) fn of(method: &Method, uri: &Uri, state: &SecretString) -> Self {
        if uri.path() != "/" {
            return Self::Elsewhere;
        }
        if method != Method::GET {
            return Self::NoGet;
        }
        let query = uri.query().unwrap_or_default();
        // None may occur twice (RFC 6749, 3.1): two programs could each read a different one.
        let one = |name: &str| {
            let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
            values.next().filter(|_| values.next().is_none()).map(|(_, value)| value.into_owned())
        };
        let is_ours = one("state").is_some_and(|given| given.as_bytes().ct_eq(state.expose_secret().as_bytes()).into());
        if !is_ours {
            return Self::Stray;
        }
        match (one("code").filter(|code| !code.is_empty()), one("error").filter(|error| !error.is_empty())) {
            (Some(code), None) => Self::Redirect(Ok(code.into())),
            (None, Some(error)) => {
                let description = one("error_description").unwrap_or_default();
                Self::Redirect(Err(ErrorBody { error, error_codes: number(&description), ..ErrorBody::default() }))
            }
            (Some(_), Some(_)) | (None, None) => Self::Stray,
        }
    }
}

/// The `AADSTS` number at the start of a description: a redirect has no other place for it. It only selects one of presenced's
/// own sentences; the rest of the description is ignored.
fn number(description: &str) -> Vec<u32> {
    let digits = description.strip_prefix("AADSTS").unwrap_or_default();
    let digits = digits.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request is, in a word.
    fn visit(method: &Method, uri: &str) -> String {
        match Visit::of(method, &uri.parse().unwrap(), &"our-state".into()) {
            Visit::Redirect(Ok(code)) => format!("code {}", code.expose_secret()),
            Visit::Redirect(Err(body)) => format!("error {} {:?}", body.error, body.error_codes),
            Visit::Stray => "stray".to_owned(),
            Visit::Elsewhere => "elsewhere".to_owned(),
            Visit::NoGet => "no GET".to_owned(),
        }
    }

    #[test]
    fn only_the_answer_of_this_attempt_ends_it() {
        for (uri, expected) in [
            ("/?code=c&state=our-state", "code c"),
            ("/?state=our-state&session_state=x&code=1.A%2Bb%20c+d%26state%3D", "code 1.A+b c d&state="),
            ("http://localhost:1234/?code=c&state=our-state", "code c"),
            ("/?error=access_denied&state=our-state", "error access_denied []"),
            (
                "/?error=access_denied&error_subcode=cancel&state=our-state&error_description=AADSTS65004%3a+User+declined",
                "error access_denied [65004]",
            ),
            ("/?error=x&error_description=see+AADSTS65004&state=our-state", "error x []"),
            ("/?error=x&error_description=AADSTS99999999999999:&state=our-state", "error x []"),
            ("/?error=x&error_description=AADSTS&state=our-state", "error x []"),
            ("/", "stray"),
            ("/?code=c", "stray"),
            ("/?code=c&state=", "stray"),
            ("/?code=c&state=another", "stray"),
            ("/?code=c&state=our-stat", "stray"),
            ("/?code=c&state=our-state&state=our-state", "stray"),
            ("/?code=c&code=d&state=our-state", "stray"),
            ("/?code=c&error=access_denied&state=our-state", "stray"),
            ("/?code=&state=our-state", "stray"),
            ("/?error=&state=our-state", "stray"),
            ("/?state=our-state", "stray"),
            ("/?code=c&state=%ff%fe", "stray"),
            ("/favicon.ico", "elsewhere"),
            ("/favicon.ico?code=c&state=our-state", "elsewhere"),
            ("//?code=c&state=our-state", "elsewhere"),
        ] {
            assert_eq!(visit(&Method::GET, uri), expected, "{uri}");
        }
        for method in [Method::HEAD, Method::POST, Method::OPTIONS, Method::PUT] {
            assert_eq!(visit(&method, "/?code=c&state=our-state"), "no GET", "{method}");
        }
    }
}
