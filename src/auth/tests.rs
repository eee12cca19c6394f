//! Renewals in virtual time: how long a token is used, and how often the next one is requested. The tokens come from a
//! real command, which needs no server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::*;
use crate::config::{Cloud, Endpoints};

#[test]
fn a_token_is_renewed_early_but_used_however_short_its_life() {
    let ahead = |minutes| {
        let grant = Grant { bearer: "t".into(), who: SignedIn::default(), lifetime: Duration::from_mins(minutes) };
        let instant = Instant::from_origin(Duration::from_hours(1));
        let now = Now { instant, wall: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
        let (held, status) = grant.held_from(&now, 1, false);
        assert_eq!(status.expires_at.as_second(), i64::try_from(minutes * 60).unwrap());
        held.token.expires_at.saturating_since(held.renew_at)
    };
    assert_eq!(ahead(75), Duration::from_secs(450));
    assert_eq!(ahead(28 * 60), Duration::from_mins(168));
    assert_eq!(ahead(30), Duration::from_mins(5));
    assert_eq!(ahead(4), Duration::from_mins(2));
    assert_eq!(ahead(0), Duration::ZERO);
}

/// A token command that runs a script and counts its runs.
struct Issuer {
    folder: TempDir,
    authenticator: Authenticator,
}

impl Issuer {
    /// `$n` in the script is the number of the run, from 1.
    fn new(script: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let program = folder.path().join("issue");
        let count = folder.path().join("count");
        let text = format!("#!/bin/sh\necho >> {0}\nn=$(wc -l < {0})\n{script}\n", count.display());
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let config = config::Account {
            tenant: "contoso.onmicrosoft.com".to_owned(),
            client_id: "22553876-f5ab-4529-bffb-cfe50aa89f87".to_owned(),
            user: None,
            users: None,
            rate: crate::pacer::Rate::default(),
            cloud: Cloud::Global,
            auth: Auth::TokenCommand { command: vec!["/bin/sh".to_owned(), program.display().to_string()] },
            tokens: config::TokenStore::default(),
            endpoints: Endpoints { graph: Cloud::Global.graph().unwrap(), login: Cloud::Global.login() },
        };
        let environment = Environment::bare(PathBuf::new());
        Self { authenticator: Authenticator::new("work", &config, &environment), folder }
    }

    fn runs(&self) -> usize {
        std::fs::read(self.folder.path().join("count")).unwrap_or_default().len()
    }

    /// Uses a token at `now`, and waits until a renewal that this starts has ended.
    async fn token(&self, now: &Now) -> Result<String, FailureKind> {
        let token = self.authenticator.token(now, false).await;
        drop(self.authenticator.shared.tokens.turn.lock().await);
        token.map(|token| token.bearer.expose_secret().to_owned()).map_err(|failure| failure.kind)
    }
}

/// This many seconds after the start, by a correct wall clock.
fn at(seconds: u64) -> Now {
    at_with_skew(seconds, 0)
}

/// The same, by a wall clock that is `skew` seconds ahead.
fn at_with_skew(seconds: u64, skew: i64) -> Now {
    let passed = Duration::from_secs(seconds);
    let wall = Timestamp::UNIX_EPOCH + passed;
    Now { instant: Instant::from_origin(passed), wall: wall + SignedDuration::from_secs(skew), zone: TimeZone::UTC }
}

#[tokio::test]
async fn twenty_requests_at_an_expired_token_make_one_renewal() {
    for lifetime in [3600, 0] {
        let issuer = Issuer::new(&format!(r#"echo "{{\"access_token\": \"t$n\", \"expires_in\": {lifetime}}}""#));
        for (seconds, expected) in [(0, "t1"), (3600, "t2")] {
            let now = at(seconds);
            let tokens = futures_util::future::join_all((0..20).map(|_| issuer.token(&now))).await;
            assert!(tokens.iter().all(|token| token.as_deref() == Ok(expected)), "{tokens:?}");
        }
        assert_eq!(issuer.runs(), 2, "living for {lifetime} s");
    }
}

#[tokio::test]
async fn whoever_waited_for_the_end_of_a_renewal_sees_none() {
    let issuer = Issuer::new(r#"echo '{"access_token": "t1", "expires_in": 3600}'"#);
    let (authenticator, now) = (&issuer.authenticator, at(0));
    let wait = |_| async {
        assert!(authenticator.is_renewing());
        authenticator.renewal_ended().await;
        authenticator.is_renewing()
    };
    let waiting = futures_util::future::join_all((0..3).map(wait));
    let (token, is_renewing) = tokio::join!(authenticator.token(&now, false), waiting);
    // Each account waits, so if the others' waits counted as renewals, many accounts would wait for each other for ever.
    assert_eq!((token.is_ok(), is_renewing), (true, vec![false; 3]));
}

#[tokio::test]
async fn a_token_of_a_minute_is_renewed_in_time_and_without_a_storm() {
    let issuer = Issuer::new(r#"echo "{\"access_token\": \"t$n\", \"expires_in\": 60}""#);
    // Every two seconds for an hour.
    for seconds in (0..3600).step_by(2) {
        issuer.token(&at(seconds)).await.unwrap();
    }
    assert_eq!(issuer.runs(), 120, "each at half of the life of the one before");
}

#[tokio::test]
async fn a_renewal_that_fails_for_an_hour_is_tried_each_minute_and_reported_once_the_token_has_expired() {
    let issuer = Issuer::new(
        r#"[ $n -gt 1 ] && { echo "no network" >&2; exit 1; }
           echo '{"access_token": "t1", "expires_in": 36000}'"#,
    );
    // The last of ten hours is for renewing.
    for minute in 0..600 {
        assert_eq!(issuer.token(&at(minute * 60)).await.as_deref(), Ok("t1"), "minute {minute}");
    }
    assert_eq!(issuer.runs(), 1 + 60);
    assert_eq!(issuer.token(&at(36_000)).await, Err(FailureKind::Passing));
}

#[tokio::test]
async fn a_renewal_that_is_refused_is_tried_each_quarter_of_an_hour() {
    let issuer = Issuer::new(r#"[ $n -gt 1 ] || echo '{"access_token": "t1", "expires_in": 36000}'"#);
    for minute in 0..600 {
        assert_eq!(issuer.token(&at(minute * 60)).await.as_deref(), Ok("t1"), "minute {minute}");
    }
    assert_eq!(issuer.runs(), 1 + 4);
    assert_eq!(issuer.token(&at(36_000)).await, Err(FailureKind::Refused));
}

/// A command gives an absolute time for the end of its token: with a wrong wall clock the token seems to live longer or shorter.
#[tokio::test]
async fn a_wrong_wall_clock_causes_no_storm() {
    for (skew, runs) in [(0, 1), (300, 1), (-300, 1), (4000, 14), (-86_400, 1)] {
        let issuer = Issuer::new(r#"echo "{\"access_token\": \"t$n\", \"expires_on\": 4500}""#);
        // A keepalive every 4 minutes, for an hour: at worst each asks once.
        for minute in (0..60).step_by(4) {
            let token = issuer.token(&at_with_skew(minute * 60, skew)).await;
            assert!(token.is_ok(), "the token is good, whatever the clock says");
        }
        assert_eq!(issuer.runs(), runs, "ahead by {skew} s");
    }
}

#[tokio::test]
async fn a_relative_lifetime_does_not_depend_on_the_wall_clock() {
    let issuer = Issuer::new(r#"echo "{\"access_token\": \"t$n\", \"expires_in\": 4500}""#);
    for (seconds, skew, expected) in [
        (0, 0, "t1"),
        (600, 300, "t1"),
        (1200, -300, "t1"),
        (1800, 86_400, "t1"),
        (4040, -86_400, "t1"),
        (4100, 0, "t1"),
        (4101, 0, "t2"),
    ] {
        assert_eq!(issuer.token(&at_with_skew(seconds, skew)).await.as_deref(), Ok(expected), "{seconds} {skew}");
    }
}
