//! The warning about an account's certificate that will expire. It depends only on time, so it has a wakeup.

use jiff::Timestamp;

use crate::auth::Expiry;
use crate::warning::{Code, Warning};

/// The warning about the certificate of `account` at `now`.
pub(super) fn warning(account: &str, expiry: &Expiry, now: Timestamp) -> Option<Warning> {
    if now < expiry.notice_at() {
        return None;
    }
    let expires = if now < expiry.at { "expires" } else { "expired" };
    let (file, date) = (expiry.file.display(), expiry.at.strftime("%F"));
    Some(Warning {
        code: Code::CertificateExpires,
        text: format!("account `{account}`: the certificate in {file} {expires} on {date}"),
        hint: Expiry::RENEW.to_owned(),
    })
}

/// When that warning changes by itself.
pub(super) fn next_change(expiry: &Expiry, now: Timestamp) -> Option<Timestamp> {
    [expiry.notice_at(), expiry.at].into_iter().find(|at| *at > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warns_from_30_days_before_and_each_change_has_a_wakeup() {
        let expiry = Expiry { file: "/bot.pem".into(), at: "2026-12-24T09:00:00Z".parse().unwrap() };
        for (now, said, next) in [
            ("2026-01-01T00:00:00Z", None, Some("2026-11-24T09:00:00Z")),
            ("2026-11-24T08:59:59Z", None, Some("2026-11-24T09:00:00Z")),
            ("2026-11-24T09:00:00Z", Some("expires on 2026-12-24"), Some("2026-12-24T09:00:00Z")),
            ("2026-12-24T08:59:59Z", Some("expires on 2026-12-24"), Some("2026-12-24T09:00:00Z")),
            ("2026-12-24T09:00:00Z", Some("expired on 2026-12-24"), None),
            ("2027-12-24T09:00:00Z", Some("expired on 2026-12-24"), None),
        ] {
            let at = now.parse().unwrap();
            let text = said.map(|said| format!("account `bot`: the certificate in /bot.pem {said}"));
            assert_eq!(warning("bot", &expiry, at).map(|warning| warning.text), text, "{now}");
            assert_eq!(next_change(&expiry, at), next.map(|next| next.parse().unwrap()), "{now}");
        }
    }

    #[test]
    fn a_certificate_without_an_end_never_expires() {
        let expiry = Expiry { file: "/bot.pem".into(), at: Timestamp::MAX };
        assert_eq!(warning("bot", &expiry, "2026-11-24T09:00:00Z".parse().unwrap()), None);
    }
}
