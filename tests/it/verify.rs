//! `verify = true`: the real program reads back what others see, and works as before when it may not.

use std::collections::BTreeMap;
use std::time::Duration;

use presenced::status::report::{Account, Health, Report, State};
use presenced::warning::Code;
use presenced_emulator::{App, Call, DeviceCodeOptions, Fault, Matches, Options, Refusal, Then};

use crate::stage::faults::{on, quick_sign_in};
use crate::stage::house::{CALL, House, USER, personal};
use crate::stage::reports::has;

const VERIFY: &str = "[session]\nverify = true\n";

fn work(report: &Report) -> &Account {
    &report.accounts["work"]
}

fn sees(report: &Report, availability: &str) -> bool {
    work(report).seen.as_ref().is_some_and(|seen| seen.availability == availability)
}

fn reads(house: &House) -> usize {
    house.emulator.requests().iter().filter(|record| record.call == Call::Read).count()
}

#[tokio::test]
async fn status_says_that_another_session_wins() {
    let house = House::new().await;
    house.teams_says("Busy", "InAMeeting").await;
    house.write("config.toml", house.configuration() + VERIFY);
    let daemon = house.start().await;
    let report = daemon.report("what others see", |report| sees(report, "Busy")).await;
    assert_eq!(
        (work(&report).state, work(&report).seen.as_ref().unwrap().activity.as_str()),
        (State::Holding, "InAMeeting")
    );
    let (code, shown, _) = house.ask(&["status"]).await;
    assert_eq!(code, 0);
    assert!(shown.contains("others see  Busy/InAMeeting (another session or a preferred presence wins)"), "{shown}");
    let (_, json, _) = house.ask(&["status", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["accounts"]["work"]["seen"]["availability"], "Busy");

    // A change puts what was seen in the past, and is not read back within the same minute.
    house.write("call-state", "presenting");
    let report = daemon.report("the change", |report| work(report).seen.is_none()).await;
    assert_eq!((reads(&house), work(&report).state), (1, State::Holding));
}

/// Lets each read end with this presence.
fn everyone_sees(availability: &str, activity: &str) -> Fault {
    let body = serde_json::json!({"id": USER, "availability": availability, "activity": activity});
    let then = Then::Respond { status: 200, headers: BTreeMap::new(), body: Some(body) };
    Fault::new(Matches::Only(Call::Read), then)
}

#[tokio::test]
async fn a_session_that_another_program_clears_is_set_again() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration() + VERIFY);
    let daemon = house.start_fast(60).await;
    daemon.report("what others see", |report| sees(report, "Available")).await;
    house.clear_session().await;
    assert_eq!(house.visible(), "Offline/Offline");
    let report = daemon.report("the warning", |report| has(report, Code::SessionLost)).await;
    house.seen("Available/Available").await;
    let warning = report.warnings.iter().find(|warning| warning.code == Code::SessionLost).unwrap();
    assert!(warning.text.contains("Offline/Offline") && warning.hint.contains("client_id"), "{warning:?}");
    assert_eq!(report.health, Health::Degraded);
    // The warning ends by itself.
    daemon.report("no warning", |report| report.warnings.is_empty()).await;
}

#[tokio::test]
async fn a_user_without_a_licence_is_warned_about() {
    for (availability, text) in [("Offline", "Offline/Offline"), ("PresenceUnknown", "PresenceUnknown")] {
        let house = House::new().await;
        house.inject(everyone_sees(availability, availability));
        house.write("config.toml", house.configuration() + VERIFY);
        let daemon = house.start_fast(60).await;
        let report = daemon.report("the warning", |report| has(report, Code::NotInEffect)).await;
        let warning = report.warnings.iter().find(|warning| warning.code == Code::NotInEffect).unwrap();
        assert!(warning.text.contains(text) && warning.hint.contains("licence"), "{warning:?}");
        assert_eq!((report.health, work(&report).state), (Health::Failing, State::Holding));
    }
}

#[tokio::test]
async fn nothing_is_read_unless_it_is_asked_for() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
    assert_eq!((reads(&house), work(&report).seen.clone()), (0, None));
    // A reload turns it on, and then it is read at once.
    house.write("config.toml", house.configuration() + VERIFY);
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("what others see", |report| sees(report, "Available")).await;
}

#[tokio::test]
async fn an_application_that_may_write_may_also_read() {
    let app = App { roles: vec!["Presence.ReadWrite.All".to_owned()], ..App::default() };
    let house = House::with(Options { apps: vec![app], ..Options::default() }).await;
    house.write("config.toml", house.configuration() + VERIFY);
    let daemon = house.start().await;
    let report = daemon.report("what others see", |report| sees(report, "Available")).await;
    assert_eq!((report.health, report.warnings.len()), (Health::Ok, 0));
}

#[tokio::test]
async fn a_missing_permission_is_said_and_costs_nothing_but_the_reading() {
    let mut house = House::with(quick_sign_in()).await;
    house.write("config.toml", personal(&house) + CALL);
    assert_eq!(house.ask(&["login"]).await.0, 0);
    house.write("config.toml", personal(&house) + CALL + VERIFY);
    let daemon = house.start().await;
    let refused = |report: &Report| report.warnings.iter().any(|warning| warning.code == Code::VerifyRefused);
    let report = daemon.report("the warning", refused).await;
    let [warning] = report.warnings.as_slice() else { panic!("one warning in {report:?}") };
    assert!(warning.text.contains("GET presence with 403"), "{}", warning.text);
    assert!(warning.hint.contains("the sign-in lacks `Presence.Read`"), "{}", warning.hint);
    assert_eq!((report.health, work(&report).state), (Health::Degraded, State::Holding));
    assert_eq!(work(&report).last_error, None, "it is not an error of the session");
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    assert_eq!(reads(&house), 1, "it asks no more");
    // A reload looks again, a minute after the last time.
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("no warning", |report| report.warnings.is_empty()).await;
}

/// Reading one's own presence without the permission may also be answered so.
#[tokio::test]
async fn a_401_to_reading_names_the_permission_that_the_sign_in_lacks() {
    let house = House::with(quick_sign_in()).await;
    house.inject(on(Call::Read, Then::Refuse(Refusal::Unauthorized)));
    house.write("config.toml", personal(&house));
    assert_eq!(house.ask(&["login"]).await.0, 0);
    house.write("config.toml", personal(&house) + VERIFY);
    let daemon = house.start().await;
    let report = daemon.report("the warning", |report| has(report, Code::VerifyRefused)).await;
    assert!(report.warnings[0].text.ends_with("GET presence with 401 Unauthorized"), "{report:?}");
    assert!(report.warnings[0].hint.contains("the sign-in lacks `Presence.Read`"), "{report:?}");
    assert_eq!((work(&report).state, reads(&house)), (State::Holding, 1));
}

async fn writes_go_on_while_each_read_ends_so(then: Then) {
    let mut house = House::new().await;
    let hangs = then == Then::Hang;
    house.inject(Fault::new(Matches::Only(Call::Read), then));
    house.write("config.toml", house.configuration() + VERIFY);
    let daemon = house.start().await;
    let read = |report: &Report| work(report).requests.sent == 2 && (hangs || work(report).requests.failed == 1);
    daemon.report("the read", read).await;
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
    assert_eq!((report.health, work(&report).last_error.clone()), (Health::Ok, None));
    assert!(daemon.stop().await.success());
    assert_eq!(house.visible(), "Offline/Offline");
}

#[tokio::test]
async fn a_read_that_hangs_holds_up_no_write() {
    writes_go_on_while_each_read_ends_so(Then::Hang).await;
}

#[tokio::test]
async fn a_read_that_fails_holds_up_no_write() {
    writes_go_on_while_each_read_ends_so(Then::Respond { status: 503, headers: BTreeMap::new(), body: None }).await;
}

#[tokio::test]
async fn a_read_that_is_throttled_throttles_no_write() {
    let headers = [("retry-after".to_owned(), "600".to_owned())].into();
    writes_go_on_while_each_read_ends_so(Then::Respond { status: 429, headers, body: None }).await;
}

#[tokio::test]
async fn an_old_sign_in_still_works_and_a_new_one_may_read() {
    let device = DeviceCodeOptions { interval: Duration::from_secs(1), ..DeviceCodeOptions::default() };
    let mut house = House::with(Options { device, ..Options::default() }).await;
    let account = house
        .configuration()
        .replace(r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#, r#"{ method = "device-code" }"#)
        .replace(&format!("user      = \"{USER}\"\n"), "");
    house.write("config.toml", &account);
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.write("config.toml", account + VERIFY);
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    let refused = |report: &Report| report.warnings.iter().any(|warning| warning.code == Code::VerifyRefused);
    let report = daemon.report("the warning", refused).await;
    assert_eq!(work(&report).state, State::Holding);
    assert!(report.warnings[0].hint.contains("presenced login"), "{}", report.warnings[0].hint);
    assert_eq!(house.ask(&["login"]).await.0, 0);
    daemon.report("no warning", |report| report.warnings.is_empty()).await;
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
}
