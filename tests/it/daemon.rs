//! The real program against an emulated Graph, as a service manager and a person drive it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;

use presenced::emulator::{Call, Fault, Matches, Then};
use presenced::status::report::{Health, Report, State};
use presenced::warning::Code;
use rustix::process::Signal;

use crate::stage::bus::Bus;
use crate::stage::faults::{on, once, respond, unauthorized};
use crate::stage::house::{CLIENT_ID, Daemon, House, USER, exists, guarded, personal};
use crate::stage::login1::{Login1, Session};
use crate::stage::reports::{has, warned, work};

/// A daemon that watches the lock of an unlocked desktop, and holds Available.
async fn at_a_desk(house: &mut House) -> (Bus, Login1, Daemon) {
    let bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    login1.add("1", Session::DESKTOP).await;
    login1.set_auto(Some("1"));
    house.write("config.toml", house.configuration() + "[signals.lock]\n");
    let daemon = house
        .start_with(&[], |command| {
            command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        })
        .await;
    house.seen("Available/Available").await;
    (bus, login1, daemon)
}

#[tokio::test]
async fn a_call_is_held_and_stopping_clears() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    let set = house.seen("Available/Available").await;
    assert_eq!(set.path, format!("/v1.0/users/{USER}/presence/setPresence"));
    let body: serde_json::Value = serde_json::from_str(&set.body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "sessionId": CLIENT_ID, "availability": "Available", "activity": "Available", "expirationDuration": "PT15M"
        })
    );
    house.write("call-state", "in-call\n");
    house.seen("Busy/InACall").await;
    house.write("call-state", r#"{"state": "presenting", "app": "baresip"}"#);
    house.seen("DoNotDisturb/Presenting").await;
    let report = daemon.report("the reason", |report| work(report).rule.as_deref() == Some("presenting")).await;
    assert_eq!(work(&report).because, "call is presenting (baresip)");
    std::fs::remove_file(house.path("call-state")).unwrap();
    house.seen("Available/Available").await;

    assert!(daemon.stop().await.success());
    assert_eq!(house.visible(), "Offline/Offline");
    assert!(!exists(&house.path("presenced.sock")), "the socket is gone");
}

#[tokio::test]
async fn on_exit_keep_leaves_the_session() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration() + "[session]\non_exit = \"keep\"\n");
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    assert!(daemon.stop().await.success());
    assert_eq!(house.visible(), "Available/Available");
}

#[tokio::test]
async fn stopping_is_bounded_when_graph_does_not_answer() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.inject(on(Call::Clear, Then::Hang));
    let begun = tokio::time::Instant::now();
    assert!(daemon.stop().await.success());
    // The bound is the daemon's own, 3 s; anything near the request's time-out of 10 s would be wrong.
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_request_that_hangs_is_given_up_and_the_clear_after_it_is_noticed() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.inject(once(on(Call::Set, Then::Hang)));
    house.write("call-state", "in-call");
    daemon.report("the request in flight", |report| work(report).requests.sent == 2).await;
    assert!(daemon.stop().await.success());
    let log = std::fs::read_to_string(house.path("log")).unwrap();
    assert!(log.contains("left") && !log.contains("could not be cleared"), "{log}");
    assert_eq!(house.visible(), "Offline/Offline");
}

#[tokio::test]
async fn locked_is_away_and_unlocked_available_again() {
    let mut house = House::new().await;
    let (bus, login1, daemon) = at_a_desk(&mut house).await;
    login1.set_locked("1", true).await;
    house.seen("Away/Away").await;
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    house.write("call-state", "idle");
    house.seen("Away/Away").await;
    login1.set_locked("1", false).await;
    house.seen("Available/Available").await;
    let report = daemon.report("logind", |report| report.signals["lock"].value == "unlocked").await;
    assert_eq!(report.signals["lock"].source, "logind");
    // The bus dies: what is unknown supports no claim, and the session is cleared.
    drop(login1);
    drop(bus);
    house.request("a clear", |record| record.call == Call::Clear).await;
    let report = daemon.report("a warning", |report| has(report, Code::LockUnavailable)).await;
    assert_eq!((report.health, work(&report).desired.clone()), (Health::Degraded, None));
    assert_eq!(house.visible(), "Offline/Offline");
}

#[tokio::test]
async fn a_locker_says_what_the_desktop_does_not() {
    let mut house = House::new().await;
    let (_bus, login1, daemon) = at_a_desk(&mut house).await;
    login1.set_auto(Some("2"));
    login1.add("2", Session { desktop: "sway", ..Session::DESKTOP }).await;
    let report = daemon.report("a doubt", |report| has(report, Code::LockUnproved)).await;
    assert_eq!((report.health, &*report.signals["lock"].value), (Health::Degraded, "unlocked"));
    assert_eq!(house.ask(&["signal", "lock", "locked"]).await.0, 0);
    house.seen("Away/Away").await;
    let report = daemon.report("no doubt", |report| !has(report, Code::LockUnproved)).await;
    let lock = &report.signals["lock"];
    assert_eq!((&*lock.value, &*lock.source, report.health), ("locked", "presenced signal", Health::Ok));
    assert_eq!(report.signals["signal.lock"].source, me());
    assert_eq!(house.ask(&["signal", "lock", "unlocked"]).await.0, 0);
    house.seen("Available/Available").await;
    // It opens no screen that logind knows to be locked.
    login1.set_locked("2", true).await;
    house.seen("Away/Away").await;
    assert_eq!(house.ask(&["signal", "lock", "unlocked"]).await.0, 0);
    let report = daemon.report("logind", |report| report.signals["lock"].source == "logind").await;
    assert_eq!(report.signals["lock"].value, "locked");
    let (code, _, said) = house.ask(&["signal", "lock", "ajar"]).await;
    assert_eq!((code, said.contains("the signal `lock` is either locked or unlocked")), (1, true), "{said}");
}

/// This program's name, as the kernel has it.
fn me() -> String {
    std::fs::read_to_string("/proc/self/comm").expect("this process runs").trim().to_owned()
}

#[tokio::test]
async fn a_locker_speaks_for_the_whole_lock_where_that_is_off() {
    let mut house = House::new().await;
    house.write("config.toml", house.account("work") + "[signals.lock]\nenabled = false\n");
    let _daemon = house.start().await;
    house.seen("Available/Available").await;
    assert_eq!(house.ask(&["signal", "lock", "locked", "--ttl", "1h"]).await.0, 0);
    house.seen("Away/Away").await;
    assert_eq!(house.ask(&["signal", "lock", "--unset"]).await.0, 0);
    house.seen("Available/Available").await;
}

#[tokio::test]
async fn a_calendar_that_is_missing_is_unknown_and_heals() {
    let mut house = House::new().await;
    let rules = "
[signals.calendar]
sources = [{ path = \"work.ics\" }]
[[rules]]
name = \"meeting\"
when = { calendar = \"busy\" }
set = \"Busy/InAConferenceCall\"
[[rules]]
name = \"free\"
when = { calendar = \"free\" }
set = \"Available/Available\"
";
    house.write("config.toml", house.account("work") + rules);
    let daemon = house.start().await;
    let report = daemon.report("unknown", |report| has(report, Code::CalendarUnreadable)).await;
    assert_eq!((work(&report).desired.clone(), report.health), (None, Health::Degraded));
    house.write("work.ics", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
    house.seen("Available/Available").await;
    house.write(
        "work.ics",
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20200101T000000Z\r\nDURATION:P1D\r\nRRULE:FREQ=DAILY\r\n\
         END:VEVENT\r\nEND:VCALENDAR\r\n",
    );
    house.seen("Busy/InAConferenceCall").await;
    let report = daemon.report("healed", |report| report.health == Health::Ok).await;
    assert!(report.signals["calendar"].source.contains("1 event"), "{}", report.signals["calendar"].source);
    std::fs::remove_file(house.path("work.ics")).unwrap();
    daemon.report("unknown again", |report| has(report, Code::CalendarUnreadable)).await;
    assert_eq!(house.seen("Offline/Offline").await.call, Call::Clear);
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_on_reload_and_the_old_one_goes_on() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;

    house.write("config.toml", house.configuration() + "[session]\nexpiration = \"4m\"\n");
    daemon.signal(Signal::HUP);
    daemon
        .report("the warning", |report| has(report, Code::ConfigurationInvalid) && work(report).state == State::Holding)
        .await;
    let (code, _, error) = house.ask(&["reload"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("5 minutes"), "{error}");
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;

    house.write("config.toml", house.configuration() + "[session]\nexpiration = \"30m\"\n");
    let (code, _, error) = house.ask(&["reload"]).await;
    assert_eq!((code, error.as_str()), (0, ""));
    let set = house.seen("Busy/InACall").await;
    assert!(set.body.contains("PT30M"), "{}", set.body);
    daemon.report("healed", |report| report.warnings.is_empty()).await;
}

#[tokio::test]
async fn an_account_that_is_taken_away_is_cleared_and_one_that_is_added_is_held() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let other = house.account("other").replace(CLIENT_ID, "00000000-0000-0000-0000-000000000001");
    house.write("config.toml", other + "[signals.call]\npath = \"call-state\"\n");
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    house.request("a clear", |record| record.call == Call::Clear && record.status == Some(200)).await;
    let report = daemon.report("the new account", |report| report.accounts["other"].last_error.is_some()).await;
    assert_eq!(report.accounts["other"].state, State::Refused, "the emulator knows no such application");
    assert!(!report.accounts.contains_key("work"));
}

#[tokio::test]
async fn an_account_that_gets_another_name_keeps_its_session() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.write("config.toml", house.configuration().replace("[accounts.work]", "[accounts.renamed]"));
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("the new name", |report| report.accounts["renamed"].state == State::Holding).await;
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    assert!(house.emulator.requests().iter().all(|record| record.call != Call::Clear));
}

#[tokio::test]
async fn a_logind_that_restarts_does_not_make_the_presence_flicker() {
    let mut house = House::new().await;
    let (_bus, login1, daemon) = at_a_desk(&mut house).await;
    login1
        .restart(async |_| {
            let report = daemon.report("the loss", |report| has(report, Code::LockUnavailable)).await;
            assert_eq!(report.signals["lock"].value, "unlocked", "it still holds");
            assert_eq!(report.signals["lock"].health, Health::Degraded);
        })
        .await;
    daemon.report("healed", |report| report.health == Health::Ok).await;
    login1.set_locked("1", true).await;
    house.seen("Away/Away").await;
    assert!(house.emulator.requests().iter().all(|record| record.call != Call::Clear));
}

#[tokio::test]
async fn one_account_that_fails_holds_up_no_other() {
    let mut house = House::new().await;
    let dead = house.account("dead").replace(&house.address, "127.0.0.1:1");
    house.write("config.toml", house.configuration() + &dead);
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let report = daemon
        .report("both", |report| {
            report.accounts["dead"].state == State::Retrying && work(report).state == State::Holding
        })
        .await;
    assert!(report.accounts["dead"].last_error.is_some());
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
}

#[tokio::test]
async fn passing_faults_are_retried_and_are_no_warning() {
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
    let mut options = presenced::emulator::Options::default();
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
async fn a_permission_that_is_there_and_does_not_help_is_not_asked_for() {
    let mut house = House::new().await;
    house.inject(on(Call::Set, respond(403, &[])));
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.request("the 403", |record| record.status == Some(403)).await;
    let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
    insta::assert_snapshot!("a_403_in_spite_of_the_permission", warned(&report));
    // A token that nobody can read.
    let command = r#"{ method = "token-command", command = ["echo", "opaque"] }"#;
    let secret = r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#;
    house.write("config.toml", house.configuration().replace(secret, command));
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    let general = |report: &Report| has(report, Code::Refused) && report.warnings[0].hint.contains("grant delegated");
    let report = daemon.report("the general hint", general).await;
    insta::assert_snapshot!("a_403_to_a_token_that_cannot_be_read", warned(&report));
}

#[tokio::test]
async fn a_user_that_is_none_is_told() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration().replace(USER, "00000000-0000-0000-0000-000000000001"));
    let daemon = house.start().await;
    house.request("the 404", |record| record.status == Some(404)).await;
    let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
    insta::assert_snapshot!("a_404_for_the_user", warned(&report));
}

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
async fn claims_that_no_renewal_brings_need_who_can_bring_them() {
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
async fn claims_that_a_person_must_bring_are_brought_by_signing_in() {
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

#[tokio::test]
async fn a_401_that_comes_and_goes_is_retried_whatever_its_code() {
    let call = "[signals.call]\npath = \"call-state\"\n";
    for signs_in in [true, false] {
        let mut house = House::new().await;
        let account = if signs_in { personal(&house) } else { house.account("work") };
        house.write("config.toml", account + call);
        assert!(!signs_in || house.ask(&["login"]).await.0 == 0);
        // The first request may meet it as well as any other.
        house.inject(once(on(Call::Set, unauthorized("UnknownError"))));
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        for (code, state, pair) in
            [("ServiceError", "in-call", "Busy/InACall"), ("UnknownError", "presenting", "DoNotDisturb/Presenting")]
        {
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
    let mut options = presenced::emulator::Options::default();
    options
        .users
        .push(presenced::emulator::User { id: other.to_owned(), principal_name: "other@contoso.com".to_owned() });
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

#[tokio::test]
async fn an_account_without_a_sign_in_says_so_and_goes_on_after_it() {
    let mut house = House::new().await;
    house.write("config.toml", personal(&house));
    let daemon = house.start().await;
    let report = daemon.report("sign-in needed", |report| work(report).state == State::SignInNeeded).await;
    assert!(report.warnings[0].hint.contains("presenced login"), "{}", report.warnings[0].hint);
    assert_eq!(house.ask(&["status"]).await.0, 4);
    let (code, shown, error) = house.ask(&["login"]).await;
    assert_eq!(code, 0, "{shown}{error}");
    // The daemon goes on by itself, without a restart.
    house.seen("Available/Available").await;
    let mode = |name: &str| house.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(".local/state/presenced/tokens"), 0o700);
    assert_eq!(mode(".local/state/presenced/tokens/work.json"), 0o600);
}

#[tokio::test]
async fn a_fast_clock_is_for_emulators() {
    let house = House::new().await;
    let elsewhere = house
        .configuration()
        .lines()
        .filter(|line| !line.starts_with("endpoints"))
        .fold(String::new(), |text, line| text + line + "\n");
    house.write("config.toml", elsewhere);
    let (code, _, error) = house.ask(&["run", "--speed", "60"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("`--speed` is for an emulator, and account `work` is not on one"), "{error}");
    assert_eq!(house.ask(&["run", "--since", "2026-11-24T08:00:00Z"]).await.0, 2, "since when is there no fast clock");
}

#[tokio::test]
async fn a_second_daemon_is_refused() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let (code, _, error) = house.ask(&["run"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("already runs") && error.contains(&daemon.pid().to_string()), "{error}");
    daemon.report("the first goes on", |report| work(report).state == State::Holding).await;
}

#[tokio::test]
async fn it_does_not_start_with_a_wrong_or_a_missing_configuration() {
    let house = House::new().await;
    let (code, _, error) = house.ask(&["run"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("config.toml") && error.contains("hint:") || error.contains("help"), "{error}");
    house.write("config.toml", [0xff, 0xfe, 0, 1, 2]);
    assert_eq!(house.ask(&["run"]).await.0, 2);
}

#[tokio::test]
async fn overrides_and_named_signals_go_through_the_commands() {
    let mut house = House::new().await;
    let rule = "
[[rules]]
name = \"focus\"
when = { signal = { focus = \"on\" } }
set = \"DoNotDisturb/Presenting\"
[[rules]]
name = \"rest\"
set = \"Available/Available\"
";
    house.write("config.toml", house.account("work") + rule);
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    assert_eq!(house.ask(&["set", "Busy/InACall", "--for", "30m"]).await.0, 0);
    house.seen("Busy/InACall").await;
    let report = daemon.report("the override", |report| report.manual.is_some()).await;
    let manual = report.manual.unwrap();
    assert_eq!(manual.presence, "Busy/InACall");
    assert!(manual.until.is_some());
    assert_eq!(house.ask(&["unset"]).await.0, 0);
    house.seen("Available/Available").await;
    assert_eq!(house.ask(&["signal", "focus", "on", "--ttl", "2s"]).await.0, 0);
    house.seen("DoNotDisturb/Presenting").await;
    let report = daemon.report("the signal", |report| report.signals.contains_key("signal.focus")).await;
    assert_eq!(report.signals["signal.focus"].value, "on");
    // Its time runs out by itself.
    house.seen("Available/Available").await;
    daemon.report("unknown", |report| report.signals["signal.focus"].value == "unknown").await;
}

#[tokio::test]
async fn garbage_in_the_call_state_is_unknown_with_a_warning() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.write("call-state", vec![b'x'; 50_000_000]);
    daemon
        .report("the warning", |report| has(report, Code::CallStateInvalid) && work(report).state == State::Holding)
        .await;
    house.write("call-state", [0, 159, 146, 150]);
    daemon.report("still", |report| has(report, Code::CallStateInvalid)).await;
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    daemon.report("healed", |report| report.health == Health::Ok).await;
}

#[tokio::test]
async fn the_service_manager_is_told() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let manager = UnixDatagram::bind(house.path("notify")).unwrap();
    manager.set_nonblocking(true).unwrap();
    let manager = tokio::net::UnixDatagram::from_std(manager).unwrap();
    let told = async |what: &str| {
        guarded(what, async {
            let mut buffer = [0; 4096];
            loop {
                let length = manager.recv(&mut buffer).await.unwrap();
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if message.contains(what) {
                    return message;
                }
            }
        })
        .await
    };
    let notify = house.path("notify");
    let daemon = house
        .start_with(&[], |command| {
            command.env("NOTIFY_SOCKET", notify).env("WATCHDOG_USEC", "400000");
        })
        .await;
    told("READY=1").await;
    house.seen("Available/Available").await;
    told("STATUS=work: Available/Available").await;
    told("WATCHDOG=1").await;
    told("WATCHDOG=1").await;
    daemon.signal(Signal::HUP);
    told("RELOADING=1").await;
    told("READY=1").await;
    daemon.signal(Signal::TERM);
    told("STOPPING=1").await;
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn logs_go_to_rolling_files_and_hold_no_secret() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration() + "[log]\nlevel = \"debug\"\n");
    let logs = house.path("logs");
    let daemon = house.start_with(&["--log-dir", logs.to_str().unwrap()], |_| {}).await;
    house.seen("Available/Available").await;
    assert!(daemon.stop().await.success());
    let files: Vec<_> = std::fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let log = std::fs::read_to_string(&files[0]).unwrap();
    assert!(log.contains("decided") && log.contains("client_request_id"), "{log}");
    assert!(!log.contains("emulator-secret") && !log.contains("eyJ"), "{log}");
}
