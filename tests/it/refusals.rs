//! What Graph turns down and throttles, with the real daemon: what is asked for again, what is said about it, and since when.
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use presenced::status::report::{Health, State};
use presenced::warning::Code;
use presenced_emulator::{Call, Fault, Matches, Refusal, Then};

use crate::stage::desk::Desk;
use crate::stage::faults::{on, once, quick_sign_in, respond, unauthorized};
use crate::stage::house::{CALL, House, USER, personal};
use crate::stage::reports::{has, warned, work};

const SECRET: &str = r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#;

/// A claims challenge for a token that was not issued before `second`.
fn challenge(second: u32) -> Then {
    let claims = STANDARD.encode(format!(r#"{{"access_token":{{"nbf":{{"essential":true,"value":"{second}"}}}}}}"#));
    let header = format!(r#"Bearer realm="", error="insufficient_claims", claims="{claims}""#);
    respond(401, &[("WWW-Authenticate", &header)])
}

/// How many requests of this kind were made.
fn count(house: &House, call: Call) -> usize {
    house.emulator.requests().iter().filter(|record| record.call == call).count()
}

/// Graph may ask for other claims each time: for a token of after now, or for one of where the request came from.
#[tokio::test]
async fn a_challenge_with_new_claims_each_time_does_not_loop() {
    for signs_in in [true, false] {
        let mut house = House::with(quick_sign_in()).await;
        house.write("config.toml", if signs_in { personal(&house) } else { house.account("work") } + CALL);
        assert!(!signs_in || house.ask(&["login"]).await.0 == 0);
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        let (sets, tokens) = (count(&house, Call::Set), count(&house, Call::Token));
        for second in 1..30 {
            house.inject(once(on(Call::Set, challenge(second))));
        }
        house.write("call-state", "in-call");
        let (state, code) =
            if signs_in { (State::SignInNeeded, Code::SignInNeeded) } else { (State::Refused, Code::Refused) };
        let report = daemon.report("the end of it", |report| work(report).state == state).await;
        assert!(has(&report, code), "{report:?}");
        assert_eq!((count(&house, Call::Set) - sets, count(&house, Call::Token) - tokens), (2, 1));
    }
}

#[tokio::test]
async fn a_token_that_met_a_challenge_and_was_accepted_may_be_challenged_again() {
    let mut house = House::with(quick_sign_in()).await;
    house.write("config.toml", personal(&house) + CALL);
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    for (state, pair) in [("in-call", "Busy/InACall"), ("presenting", "DoNotDisturb/Presenting")] {
        house.inject(once(on(Call::Set, challenge(7))));
        house.write("call-state", state);
        house.request("the challenge", |record| record.status == Some(401)).await;
        house.seen(pair).await;
    }
    let report = daemon.report("held", |report| work(report).state == State::Holding).await;
    assert_eq!((report.health, report.warnings.len()), (Health::Ok, 0));
}

#[tokio::test]
async fn claims_are_in_no_log() {
    let mut house = House::with(quick_sign_in()).await;
    house.write("config.toml", personal(&house) + CALL + "[log]\nlevel = \"trace\"\n");
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.inject(once(on(Call::Set, challenge(1_604_106_651))));
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    house.inject(on(Call::Set, challenge(1_604_106_652)));
    house.write("call-state", "presenting");
    let report = daemon.report("sign-in needed", |report| work(report).state == State::SignInNeeded).await;
    let shown = format!("{report:?}{}", daemon.log());
    assert!(shown.contains("401") && shown.contains("TRACE"), "{shown}");
    for secret in ["nbf", "16041066", "insufficient_claims", &STANDARD.encode(r#"{"access_token":"#)[..16]] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_twice_costs_one_renewal_and_then_a_wait() {
    let mut house = House::with(quick_sign_in()).await;
    house.inject(Fault { times: Some(2), ..on(Call::Set, unauthorized("InvalidAuthenticationToken")) });
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    assert_eq!((count(&house, Call::Set), count(&house, Call::Token)), (3, 2));
    let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
    assert_eq!((work(&report).requests.failed, report.warnings.len()), (2, 0));
}

#[tokio::test]
async fn retry_after_is_obeyed_as_a_date_and_done_without() {
    let mut house = House::with(quick_sign_in()).await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    let set = house.seen("Available/Available").await;

    let until = set.at.round(jiff::Unit::Second).unwrap() + Duration::from_secs(4);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&until).unwrap();
    house.inject(once(on(Call::Set, respond(429, &[("Retry-After", &date)]))));
    house.write("call-state", "in-call");
    let report = daemon.report("throttled", |report| work(report).state == State::Throttled).await;
    assert_eq!(work(&report).next.as_ref().map(|next| next.why.as_str()), Some("retry-after"));
    let set = house.seen("Busy/InACall").await;
    assert!(set.at >= until, "{} is before {until}", set.at);

    house.inject(once(on(Call::Set, respond(429, &[]))));
    house.write("call-state", "presenting");
    house.seen("DoNotDisturb/Presenting").await;
    let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
    assert_eq!((work(&report).requests.throttled, report.warnings.len()), (2, 0));
}

#[tokio::test]
async fn a_401_that_comes_and_goes_is_retried_also_for_a_token_that_does_not_say_whose_it_is() {
    let mut house = House::with(quick_sign_in()).await;
    let opaque = r#"{ method = "token-command", command = ["echo", "opaque"] }"#;
    house.write("config.toml", house.configuration().replace(SECRET, opaque));
    for then in [respond(200, &[]), unauthorized("UnknownError"), respond(200, &[])] {
        house.inject(once(on(Call::Set, then)));
    }
    let daemon = house.start().await;
    house.request("the first", |record| record.status == Some(200)).await;
    house.write("call-state", "in-call");
    house.request("the 401", |record| record.status == Some(401)).await;
    house.request("the retry", |record| record.status == Some(200)).await;
    let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
    assert_eq!((work(&report).requests.failed, report.warnings.len()), (1, 0));
}

/// A command that prints a token with these claims.
fn command(claims: &str) -> String {
    let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
    format!(r#"{{ method = "token-command", command = ["echo", "{token}"] }}"#)
}

#[tokio::test]
async fn a_403_without_a_word_names_what_the_token_lacks() {
    let user = r#"{"exp": 9999999999, "oid": "o", "scp": "User.Read openid"}"#;
    let bot = r#"{"exp": 9999999999, "oid": "o", "roles": ["Presence.Read.All"]}"#;
    for (name, auth) in [
        ("a_403_to_a_sign_in_with_a_code", r#"{ method = "device-code" }"#.to_owned()),
        ("a_403_to_a_sign_in_of_a_command", command(user)),
        ("a_403_to_an_application_of_a_command", command(bot)),
    ] {
        let house = House::with(quick_sign_in()).await;
        house.inject(on(Call::Set, respond(403, &[])));
        house.write("config.toml", house.configuration().replace(SECRET, &auth));
        if auth.contains("device-code") {
            assert_eq!(house.ask(&["login"]).await.0, 0);
        }
        let daemon = house.start().await;
        let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
        insta::assert_snapshot!(name, warned(&report));
        let shown = format!("{report:?}{}", daemon.log());
        assert!(!shown.contains(&URL_SAFE_NO_PAD.encode(r#"{"exp"#)[..6]), "{shown}");
    }
}

/// Graph also answers so when the service fails for a moment. What the token says tells the two apart.
#[tokio::test]
async fn a_401_without_a_word_names_what_the_token_lacks() {
    let user = format!(r#"{{"exp": 9999999999, "oid": "{USER}", "scp": "Presence.Read User.Read"}}"#);
    let bot = r#"{"exp": 9999999999, "oid": "o", "roles": ["Presence.Read.All"]}"#;
    for (name, claims) in [("a_401_to_a_sign_in_of_a_command", &*user), ("a_401_to_an_application_of_a_command", bot)] {
        let house = House::with(quick_sign_in()).await;
        house.inject(on(Call::Set, Then::Refuse(Refusal::Unauthorized)));
        house.write("config.toml", house.configuration().replace(SECRET, &command(claims)));
        let daemon = house.start().await;
        let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
        assert_eq!((work(&report).state, count(&house, Call::Set)), (State::Refused, 1));
        insta::assert_snapshot!(name, warned(&report));
    }
}

#[tokio::test]
async fn a_failure_of_the_service_is_no_refusal_whatever_the_token_lacks() {
    let mut options = quick_sign_in();
    options.apps[0].roles.clear();
    let mut house = House::with(options).await;
    house.inject(once(on(Call::Set, unauthorized("ServiceError"))));
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.request("the 401", |record| record.status == Some(401)).await;
    house.request("the retry", |record| record.status == Some(403)).await;
    let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
    assert!(report.warnings[0].hint.contains("the application lacks `Presence.ReadWrite.All`"), "{report:?}");
}

/// One warning after 30 seconds of failures, dated from the first, whatever each attempt reports; and no warning once they end.
#[tokio::test]
async fn a_lasting_failure_is_reported_with_one_start_until_it_heals() {
    let mut desk = Desk::new().await;
    for then in [respond(503, &[]), unauthorized("UnknownError"), Then::Reset].iter().cycle().take(60) {
        desk.emulator.inject(once(Fault::new(Matches::Only(Call::Set), then.clone()))).unwrap();
    }
    desk.clock.pass(Duration::from_mins(4)).await;
    let failed = desk.report("the first failure", |report| work(report).requests.failed > 0).await;
    let began = work(&failed).last_error.as_ref().unwrap().at;
    assert_eq!((failed.health, failed.warnings.len()), (Health::Ok, 0));
    let mut texts = std::collections::BTreeSet::new();
    while texts.len() < 3 {
        let attempts = desk.report("anything", |_| true).await.accounts["work"].requests.failed;
        desk.clock.advance(Duration::from_secs(40));
        let report = desk.report("the next failure", |report| work(report).requests.failed > attempts).await;
        let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
        assert_eq!((warning.code, warning.since), (Code::ServiceUnavailable, began));
        assert!(!warning.hint.contains("`user`"), "no one is another user here: {}", warning.hint);
        texts.insert(warning.text.clone());
    }
    desk.emulator.clear_faults();
    desk.clock.advance(Duration::from_mins(6));
    desk.report("healed", |report| report.warnings.is_empty() && work(report).state == State::Holding).await;
}
