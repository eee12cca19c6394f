//! Reloads, and accounts that come, go, fail, or need a sign-in.

use std::os::unix::fs::PermissionsExt as _;

use presenced::emulator::Call;
use presenced::status::report::State;
use presenced::warning::Code;
use rustix::process::Signal;

use crate::stage::house::{CLIENT_ID, House, personal};
use crate::stage::reports::{has, work};

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
