//! What Entra ID's token errors mean and how to fix them.
//!
//! The `AADSTS` number (`error_codes`) decides first, then OAuth's `error` (RFC 6749, 5.2; RFC 8628, 3.5), never
//! `error_description`, which is for people and may name them.
//! Leaves to others: what each number means (`aadsts`), and the words for the person who signs in (`token_service`).

use serde::Deserialize;

use super::aadsts::{self, ROWS};
use super::remedy::Remedy::{self, Change, SignIn, Wait};

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

/// What an error means, and what to do about it.
pub(super) struct Verdict {
    /// What is wrong, as the end of a sentence about the account.
    pub(super) wrong: &'static str,
    pub(super) remedy: Remedy,
}

impl ErrorBody {
    /// The `AADSTS` number to show: the first that the table explains, otherwise the first.
    pub(super) fn number(&self) -> Option<u32> {
        let explained = self.error_codes.iter().find(|number| aadsts::meaning(**number).is_some());
        explained.or(self.error_codes.first()).copied()
    }
}

/// What the number in `body` means, if it is known.
pub(super) fn known(body: &ErrorBody) -> Option<Verdict> {
    let number = body.number()?;
    let (_, wrong, remedy) = ROWS.iter().find(|(numbers, ..)| numbers.contains(&number))?;
    Some(Verdict { wrong, remedy: *remedy })
}

/// What `body` means, in an answer with a 4xx other than 408 and 429.
pub(super) fn verdict(body: &ErrorBody) -> Verdict {
    known(body).unwrap_or_else(|| {
        let (wrong, remedy) = by_word(&body.error);
        Verdict { wrong, remedy }
    })
}

fn by_word(error: &str) -> (&'static str, Remedy) {
    match error {
        "invalid_grant" => ("the sign-in has ended", SignIn),
        "interaction_required" | "login_required" | "consent_required" => ("a person has to sign in", SignIn),
        "authorization_declined" | "access_denied" => ("the sign-in was declined", SignIn),
        "expired_token" | "code_expired" => ("the code was not used in time", SignIn),
        "bad_verification_code" => ("the code is no longer known", SignIn),
        "temporarily_unavailable" | "server_error" => ("it is busy", Wait),
        "invalid_client" => (
            "the application's proof of identity is not accepted",
            Change("check `client_id`, and the secret, certificate or assertion that `auth` names"),
        ),
        "unauthorized_client" => (
            "the application may not sign in this way",
            Change("check `client_id`, `tenant` and `auth` against the app registration"),
        ),
        _ => ("it refuses the request", Change("check the account's `tenant`, `client_id` and `auth`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;

    fn judge(error: &str, error_codes: &[u32]) -> (FailureKind, Option<u32>) {
        let body = ErrorBody { error: error.to_owned(), error_codes: error_codes.to_vec(), ..ErrorBody::default() };
        (verdict(&body).remedy.kind(), body.number())
    }

    #[test]
    fn the_number_says_more_than_oauths_word() {
        assert_eq!(judge("invalid_grant", &[]), (FailureKind::SignInNeeded, None));
        assert_eq!(judge("invalid_grant", &[1, 2]), (FailureKind::SignInNeeded, Some(1)));
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
