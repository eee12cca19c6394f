//! What Entra ID's token errors mean and what mends them.
//!
//! Decided on the `AADSTS` number (`error_codes`) first and on OAuth's `error` second (RFC 6749, 5.2; RFC 8628, 3.5), never
//! on `error_description`, which is for people and may name them.
//! Source: Microsoft identity platform, "Microsoft Entra authentication and authorization error codes".

use serde::Deserialize;

use crate::session::FailureKind;

/// The body of a token error.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_description: String,
    #[serde(default)]
    pub(super) error_codes: Vec<u32>,
    #[serde(default)]
    pub(super) trace_id: Option<String>,
}

/// What is to be done about an error.
pub(super) struct Verdict {
    pub(super) kind: FailureKind,
    /// The `AADSTS` number the verdict is built on, where it is.
    pub(super) number: Option<u32>,
    /// What is wrong, as the end of a sentence about the account.
    pub(super) wrong: &'static str,
    pub(super) mend: Mend,
}

/// What mends an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// `presenced login`.
    SignIn,
    /// A change, in these words.
    Change(&'static str),
    /// Time.
    Wait,
}

use Mend::{Change, SignIn};

const NUMBERS: &[(u32, &str, Mend)] = &[
    (
        7_000_215,
        "the client secret is wrong",
        Change("store the secret's Value, not its Secret ID, from the app registration's `Certificates & secrets`"),
    ),
    (
        7_000_222,
        "the client secret has expired",
        Change("create a new one in the app registration's `Certificates & secrets` and store its Value"),
    ),
    (
        7_000_218,
        "the app registration does not let programs without a secret sign in",
        Change("turn on `Allow public client flows` in the app registration's `Authentication`"),
    ),
    (7_000_112, "the application is disabled", Change("have an administrator enable it in `Enterprise applications`")),
    (
        700_016,
        "the tenant has no application with this client id",
        Change("check `client_id` and `tenant` in the account"),
    ),
    (90_002, "there is no such tenant", Change("check `tenant` and `cloud` in the account")),
    (900_023, "the tenant is neither a domain name nor a directory id", Change("check `tenant` in the account")),
    (500_011, "the tenant does not know this Microsoft Graph", Change("check `cloud` in the account")),
    (70_011, "the requested permission does not exist there", Change("check `cloud` in the account")),
    (65_001, "nobody has consented to the application's permission", SignIn),
    (50_105, "the user is not assigned to the application", Change("have an administrator assign the user to it")),
    (50_057, "the user's account is disabled", Change("ask an administrator")),
    (
        53_003,
        "a Conditional Access policy blocks this way of signing in",
        Change("ask an administrator to allow it, or use another `auth` method, such as `token-command`"),
    ),
    (50_199, "the sign-in was held up for a confirmation that a device code cannot give", SignIn),
    (50_076, "another factor is asked for", SignIn),
    (50_079, "another factor must be set up", SignIn),
    (50_173, "the sign-in was revoked, as a changed password does", SignIn),
    (700_082, "the sign-in was not used for too long", SignIn),
];

/// What `body`, answered with a 4xx that is neither 408 nor 429, means.
pub(super) fn verdict(body: &ErrorBody) -> Verdict {
    let known = NUMBERS.iter().find(|(number, ..)| body.error_codes.contains(number));
    if let Some(&(number, wrong, mend)) = known {
        let kind = if mend == SignIn { FailureKind::SignInNeeded } else { FailureKind::Refused };
        return Verdict { kind, number: Some(number), wrong, mend };
    }
    let (kind, wrong, mend) = match &*body.error {
        "invalid_grant" => (FailureKind::SignInNeeded, "the sign-in is over", SignIn),
        "interaction_required" | "login_required" | "consent_required" => {
            (FailureKind::SignInNeeded, "a person is asked for", SignIn)
        }
        "authorization_declined" | "access_denied" => (FailureKind::SignInNeeded, "the sign-in was declined", SignIn),
        "expired_token" | "code_expired" => (FailureKind::SignInNeeded, "the code was not used in time", SignIn),
        "bad_verification_code" => (FailureKind::SignInNeeded, "the code is not known any more", SignIn),
        "temporarily_unavailable" | "server_error" => (FailureKind::Passing, "it is busy", Mend::Wait),
        "invalid_client" => (
            FailureKind::Refused,
            "the client secret is not accepted",
            Change("check `client_id` and the client secret"),
        ),
        "unauthorized_client" => (
            FailureKind::Refused,
            "the application may not sign in this way",
            Change("check `client_id`, `tenant` and `auth` against the app registration"),
        ),
        _ => (
            FailureKind::Refused,
            "it refuses the request",
            Change("check the account's `tenant`, `client_id` and `auth`"),
        ),
    };
    Verdict { kind, number: None, wrong, mend }
}

/// Whether a policy keeps device codes out, at the sign-in or at a renewal, where a browser on this machine may come in.
pub(super) fn blocks_codes(body: &ErrorBody) -> bool {
    body.error_codes.iter().any(|number| {
        matches!(number, 50_005 | 50_097 | 50_199 | 53_000 | 53_001 | 53_003 | 530_031 | 530_033 | 530_035 | 530_036)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(error: &str, error_codes: &[u32]) -> (FailureKind, Option<u32>) {
        let body = ErrorBody { error: error.to_owned(), error_codes: error_codes.to_vec(), ..ErrorBody::default() };
        let verdict = verdict(&body);
        (verdict.kind, verdict.number)
    }

    #[test]
    fn the_number_says_more_than_oauths_word() {
        assert_eq!(judge("invalid_grant", &[]), (FailureKind::SignInNeeded, None));
        assert_eq!(judge("invalid_grant", &[1, 53_003]), (FailureKind::Refused, Some(53_003)));
        assert_eq!(judge("invalid_client", &[7_000_222]), (FailureKind::Refused, Some(7_000_222)));
        assert_eq!(judge("invalid_client", &[65_001]), (FailureKind::SignInNeeded, Some(65_001)));
    }

    #[test]
    fn without_a_known_number_oauths_word_decides() {
        assert_eq!(judge("interaction_required", &[42]).0, FailureKind::SignInNeeded);
        assert_eq!(judge("temporarily_unavailable", &[]).0, FailureKind::Passing);
        assert_eq!(judge("unauthorized_client", &[]).0, FailureKind::Refused);
        assert_eq!(judge("something_new", &[]).0, FailureKind::Refused);
    }
}
