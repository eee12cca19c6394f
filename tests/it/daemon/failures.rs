//! Requests that fail: which are made again, and what is reported about the others.

use std::collections::BTreeMap;

use presenced::status::report::{Health, Report, State};
use presenced::warning::Code;
use presenced_emulator::{Call, Refusal, Then};

use crate::stage::faults::{on, once, respond, unauthorized};
use crate::stage::house::{House, USER, personal};
use crate::stage::reports::{has, warned, work};

#[tokio::test]
async fn passing_faults_are_retried_without_a_warning() {
    let mut house = House::new().await;
    house.inject(once(on(Call::Set, respond(503, &[]))));
    house.inject(once(on(Call::Set, respond(500, &[]))));
    house.inject(once(on(Call::Set, Then::Reset)));
    house.inject(once(on(Call::Token, respond(503, &[]))));
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
    assert_eq!((work(&report).requests.sent, work(&report).requests.failed), (5, 4));
    assert_eq!((report.health, report.warnings.len()), (Health::Ok, 0));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let mut house = House::new().await;
    let body =
        serde_json::json!({"error": {"code": "InvalidAuthenticationToken", "message": "Lifetime validation failed."}});
    let then = Then::Respond { status: 401, headers: BTreeMap::new(), body: Some(body) };
    house.inject(once(on(Call::Set, then)));
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let tokens = house.emulator.requests().iter().filter(|record| record.call == Call::Token).count();
    assert_eq!(tokens, 2);
    daemon.report("holding", |report| work(report).state == State::Holding).await;
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let mut house = House::new().await;
    house.inject(once(on(Call::Set, respond(429, &[("retry-after", "2.128")]))));
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    let throttled = house.request("the 429", |record| record.status == Some(429)).await;
    let report = daemon.report("throttled", |report| work(report).state == State::Throttled).await;
    assert_eq!(work(&report).next.as_ref().map(|next| next.why.as_str()), Some("retry-after"));
    let set = house.seen("Available/Available").await;
    let waited = set.at.duration_since(throttled.at).as_secs_f64();
    assert!(waited >= 2.128, "only {waited} s");
}

#[tokio::test]
async fn a_missing_permission_says_what_to_grant() {
    let mut options = presenced_emulator::Options::default();
    options.apps[0].roles.clear();
    let mut house = House::with(options).await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.request("the 403", |record| record.status == Some(403)).await;
    let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
    assert_eq!((work(&report).state, report.health), (State::Refused, Health::Failing));
    let hint = &report.warnings[0].hint;
    assert!(hint.contains("the application lacks `Presence.ReadWrite.All`"), "{hint}");
    let (code, shown, _) = house.ask(&["status"]).await;
    assert_eq!(code, 1);
    assert!(shown.contains("Presence.ReadWrite"), "{shown}");
}

#[tokio::test]
async fn a_permission_the_token_has_is_not_asked_for() {
    let mut house = House::new().await;
    house.inject(on(Call::Set, respond(403, &[])));
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.request("the 403", |record| record.status == Some(403)).await;
    let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
    insta::assert_snapshot!("a_403_in_spite_of_the_permission", warned(&report));
    // An opaque token.
    let command = r#"{ method = "token-command", command = ["echo", "opaque"] }"#;
    let secret = r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#;
    house.write("config.toml", house.configuration().replace(secret, command));
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    let general = |report: &Report| has(report, Code::Refused) && report.warnings[0].hint.contains("grant delegated");
    let report = daemon.report("the general hint", general).await;
    insta::assert_snapshot!("a_403_to_a_token_that_cannot_be_read", warned(&report));
}

#[tokio::test]
async fn an_unknown_user_is_reported() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration().replace(USER, "00000000-0000-0000-0000-000000000001"));
    let daemon = house.start().await;
    house.request("the 404", |record| record.status == Some(404)).await;
    let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
    insta::assert_snapshot!("a_404_for_the_user", warned(&report));
}

#[tokio::test]
async fn a_passing_401_is_retried_for_every_code() {
    let call = "[signals.call]\npath = \"call-state\"\n";
    for signs_in in [true, false] {
        let mut house = House::new().await;
        let account = if signs_in { personal(&house) } else { house.account("work") };
        house.write("config.toml", account + call);
        assert!(!signs_in || house.ask(&["login"]).await.0 == 0);
        // It can hit the first request, too.
        house.inject(once(on(Call::Set, unauthorized("UnknownError"))));
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        for (code, state, pair) in [
            ("ServiceError", "in-call", "Busy/InACall"),
            ("UnknownError", "presenting", "DoNotDisturb/Presenting"),
            ("Unauthorized", "conference", "Busy/InAConferenceCall"),
        ] {
            house.inject(once(on(Call::Set, unauthorized(code))));
            house.write("call-state", state);
            let refused = house.request("the 401", |record| record.status == Some(401)).await;
            assert_eq!(refused.code.as_deref(), Some(code));
            house.seen(pair).await;
            let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
            assert_eq!((report.health, report.warnings.len()), (Health::Ok, 0));
        }
    }
}

#[tokio::test]
async fn another_users_presence_is_refused() {
    let other = "00000000-0000-0000-0000-000000000001";
    let mut options = presenced_emulator::Options::default();
    options.users.push(presenced_emulator::User {
        id: other.to_owned(),
        principal_name: "other@contoso.com".to_owned(),
        ..presenced_emulator::User::default()
    });
    let mut house = House::with(options).await;
    house.write("config.toml", personal(&house));
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let account = personal(&house).replace("auth      =", &format!("user      = \"{other}\"\nauth      ="));
    house.write("config.toml", account);
    let daemon = house.start().await;
    house.request("the 401", |record| record.status == Some(401)).await;
    let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
    assert_eq!(work(&report).requests.sent, 1);
    insta::assert_snapshot!("a_401_for_another_user", warned(&report));
}

/// The emulator answers as Graph does, and what a person reads tells these refusals apart.
#[tokio::test]
async fn a_cloud_without_presence_and_a_personal_account_are_recognized() {
    for (name, refusal) in [
        ("a_404_of_a_cloud_without_presence", Refusal::NoPresence),
        ("a_400_for_a_personal_account", Refusal::PersonalAccount),
    ] {
        let house = House::new().await;
        house.inject(on(Call::Set, Then::Refuse(refusal)));
        house.write("config.toml", house.configuration());
        let daemon = house.start().await;
        let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
        assert_eq!(work(&report).state, State::Refused);
        insta::assert_snapshot!(name, warned(&report));
    }
}

#[tokio::test]
async fn in_a_cloud_without_presence_every_refusal_says_so() {
    for fault in [Then::Refuse(Refusal::NoPresence), respond(404, &[]), respond(403, &[])] {
        let house = House::new().await;
        house.inject(on(Call::Set, fault));
        house.write("config.toml", house.account("work") + "cloud = \"china\"\n");
        let daemon = house.start().await;
        let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
        let hint = &report.warnings[0].hint;
        assert!(hint.contains("no presence in the cloud `china`"), "{hint}");
    }
}
