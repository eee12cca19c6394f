//! Tokens for the application itself, with an assertion from another identity provider: a Kubernetes cluster, GitHub.
//!
//! Source: Microsoft Entra Workload ID, "Workload identity federation".

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use crate::config::{self, Environment, SecretSource};
use crate::failure::{Failure, FailureKind};
use crate::time::Now;

use super::secret::{self, Readers};
use super::token_service::{TokenService, Who};
use super::{Grant, client_credentials, jwt};

const WHAT: &str = "the federated assertion";

/// How long an expired assertion is still sent: this machine's clock may be ahead, and the sign-in service knows better.
const SKEW: Duration = Duration::from_mins(5);

/// A new token. The assertion is read each time: its issuer renews it within the hour.
pub(super) async fn ask(
    config: &config::Account,
    source: &SecretSource,
    challenge: Option<&str>,
    environment: &Environment,
    now: &Now,
) -> Result<Grant, Failure> {
    let assertion = secret::read(source, Readers::Anyone, WHAT, environment).await.map_err(|failure| {
        let is_bare = source.file().is_some() && failure.hint.is_none();
        if is_bare { failure.with_hint(renewed_by(source)) } else { failure }
    })?;
    check(assertion.expose_secret(), source, now)?;
    let service = TokenService::new(config, Who::Application)?;
    let proof = [client_credentials::JWT_BEARER, ("client_assertion", assertion.expose_secret())];
    client_credentials::ask(&service, config, &proof, challenge).await
}

/// Refuses what the sign-in service would refuse, with a better message.
fn check(assertion: &str, source: &SecretSource, now: &Now) -> Result<(), Failure> {
    let is_bare = assertion.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let claims = jwt::read(assertion).filter(|_| is_bare && assertion.split('.').count() == 3).ok_or_else(|| {
        Failure::new(FailureKind::Refused, format!("{WHAT} is not a JSON Web Token"))
            .with_hint("a token has three parts separated by dots, begins with eyJ, and is the only text there")
    })?;
    let end = claims.exp.and_then(|exp| Timestamp::from_second(exp).ok());
    match end {
        Some(end) if end.checked_add(SKEW).is_ok_and(|end| end <= now.wall) => {
            // A newer one fixes this, and it may come at any time.
            Err(Failure::new(FailureKind::Passing, format!("{WHAT} expired at {end}")).with_hint(renewed_by(source)))
        }
        Some(_) | None => Ok(()),
    }
}

/// Who should have renewed it.
fn renewed_by(source: &SecretSource) -> &'static str {
    match source {
        SecretSource::File(_) => {
            "whoever writes the file must renew it; in Kubernetes the kubelet does, for a pod with the label \
             azure.workload.identity/use: \"true\" and its service account: kubectl describe pod"
        }
        SecretSource::Command(_) => "let the command fetch a new one each time",
        SecretSource::Credential(_) | SecretSource::Env(_) | SecretSource::Keyring(_) => {
            "nobody can renew it there while presenced runs: use { file = … } or { command = … }"
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::time::Instant;

    fn judge(assertion: &str) -> Result<(), (FailureKind, String, String)> {
        let wall: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let now = Now { instant: Instant::default(), wall, zone: TimeZone::UTC };
        check(assertion, &SecretSource::File("/token".into()), &now)
            .map_err(|failure| (failure.kind, failure.text, failure.hint.unwrap_or_default()))
    }

    fn expires_at(time: &str) -> String {
        let exp = time.parse::<Timestamp>().unwrap().as_second();
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(format!(r#"{{"exp": {exp}}}"#)))
    }

    #[test]
    fn only_a_token_is_sent_that_may_still_be_good() {
        for good in [&expires_at("2026-11-24T09:00:00Z"), &expires_at("2026-11-24T07:55:01Z"), "e30.e30.sig"] {
            assert_eq!(judge(good), Ok(()), "{good}");
        }
        for none in ["", "opaque", "e30.e30", "e30.!.sig", "e30.e30.sig.x", "..", "{\"token\": 1}"] {
            let (kind, text, _) = judge(none).unwrap_err();
            assert_eq!(
                (kind, &*text),
                (FailureKind::Refused, "the federated assertion is not a JSON Web Token"),
                "{none}"
            );
        }
        let (kind, text, hint) = judge(&expires_at("2026-11-24T07:55:00Z")).unwrap_err();
        assert_eq!((kind, &*text), (FailureKind::Passing, "the federated assertion expired at 2026-11-24T07:55:00Z"));
        assert!(hint.contains("kubelet"), "{hint}");
    }
}
