//! Claims challenges: Graph asks for a token with more in it.

use presenced::status::report::{Health, Report, State};
use presenced::warning::Code;
use presenced_emulator::{Call, Fault, Matches, Then};

use crate::stage::faults::{on, once, respond};
use crate::stage::house::{House, personal};
use crate::stage::reports::{has, warned, work};

/// The claims of the token requests so far.
fn claims(house: &House) -> Vec<bool> {
    let requests = house.emulator.requests().into_iter().filter(|record| record.call == Call::Token);
    let renewals = requests.filter(|record| !record.body.contains("device_code"));
    renewals.map(|record| record.body.contains("nbf")).collect()
}

#[tokio::test]
async fn a_claims_challenge_is_met_by_the_next_token_without_a_word() {
    let call = "[signals.call]\npath = \"call-state\"\n";
    for signs_in in [true, false] {
        let mut house = House::new().await;
        let account = if signs_in { personal(&house) } else { house.account("work") };
        house.write("config.toml", account + call);
        assert!(!signs_in || house.ask(&["login"]).await.0 == 0);
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        house.inject(Fault::new(Matches::Graph, Then::ClaimsChallenge));
        house.write("call-state", "in-call");
        house.request("the challenge", |record| record.status == Some(401)).await;
        house.seen("Busy/InACall").await;
        assert_eq!(claims(&house), [false, true]);
        let report = daemon.report("held", |report| work(report).state == State::Holding).await;
        assert_eq!((report.health, work(&report).requests.failed), (Health::Ok, 1));
        house.write("call-state", "presenting");
        house.seen("DoNotDisturb/Presenting").await;
        assert_eq!(claims(&house).len(), 2, "one renewal was enough");
    }
}

#[tokio::test]
async fn a_claims_challenge_after_a_revocation_needs_a_sign_in() {
    let mut house = House::new().await;
    house.write("config.toml", personal(&house) + "[signals.call]\npath = \"call-state\"\n");
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.inject(once(on(Call::Token, Then::Revoke)));
    house.inject(Fault::new(Matches::Graph, Then::ClaimsChallenge));
    house.write("call-state", "in-call");
    let report = daemon.report("sign-in needed", |report| work(report).state == State::SignInNeeded).await;
    let trace = work(&report).last_error.as_ref().unwrap().text.clone();
    assert!(trace.contains("AADSTS50173"), "{trace}");
    let asked = house.emulator.requests().len();
    assert_eq!(house.ask(&["login"]).await.0, 0);
    house.seen("Busy/InACall").await;
    let statuses: Vec<_> =
        house.emulator.requests().split_off(asked).iter().filter_map(|record| record.status).collect();
    assert!(
        statuses.iter().filter(|status| **status == 401).count() == 1,
        "the emulator asks for its claims: {statuses:?}"
    );
    daemon.report("healed", |report| report.health == Health::Ok).await;
}

/// A challenge that asks for the same whatever token comes.
fn unmeetable() -> Then {
    let challenge = r#"Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ==""#;
    respond(401, &[("WWW-Authenticate", challenge)])
}

#[tokio::test]
async fn claims_that_no_renewal_satisfies_are_refused_with_a_hint() {
    let house = House::new().await;
    house.inject(on(Call::Set, unmeetable()));
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
    assert_eq!(work(&report).next.as_ref().map(|next| next.why.as_str()), Some("look-again"));
    assert_eq!(work(&report).requests.sent, 2, "with a token, and with one that was asked for with the claims");
    insta::assert_snapshot!("claims_that_an_application_cannot_bring", warned(&report));

    let command = r#"{ method = "token-command", command = ["echo", "opaque"] }"#;
    let secret = r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#;
    house.write("config.toml", house.configuration().replace(secret, command));
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    let by_command = |report: &Report| has(report, Code::Refused) && report.warnings[0].hint.contains("command");
    let report = daemon.report("the command", by_command).await;
    insta::assert_snapshot!("claims_that_a_command_cannot_bring", warned(&report));
}

#[tokio::test]
async fn a_sign_in_satisfies_claims_that_need_a_person() {
    let mut house = House::new().await;
    house.write("config.toml", personal(&house) + "[signals.call]\npath = \"call-state\"\n");
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.inject(Fault { times: Some(2), ..on(Call::Set, unmeetable()) });
    house.write("call-state", "in-call");
    let report = daemon.report("sign-in needed", |report| work(report).state == State::SignInNeeded).await;
    insta::assert_snapshot!("claims_that_a_person_must_bring", warned(&report));
    let asked = house.emulator.requests().len();
    assert_eq!(house.ask(&["login"]).await.0, 0);
    house.seen("Busy/InACall").await;
    let between = house.emulator.requests().split_off(asked);
    assert!(!between.iter().any(|record| record.status == Some(401)), "nothing is asked in vain: {between:?}");
}
