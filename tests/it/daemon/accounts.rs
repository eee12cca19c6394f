//! Reloads, and accounts that come, go, fail, or need a sign-in.

use std::os::unix::fs::PermissionsExt as _;

use presenced::status::report::State;
use presenced::warning::Code;
use presenced_emulator::Call;
use rustix::process::Signal;

use crate::stage::house::{CLIENT_ID, House, personal};
use crate::stage::reports::{has, work};

#[tokio::test]
async fn a_reload_refuses_a_wrong_configuration_and_keeps_the_old_one() {
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
async fn a_removed_account_is_cleared_and_a_new_one_is_held() {
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
async fn a_renamed_account_keeps_its_session() {
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
async fn a_failing_account_does_not_delay_the_others() {
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
async fn an_account_without_a_sign_in_reports_it_and_starts_after_one() {
    let mut house = House::new().await;
    house.write("config.toml", personal(&house));
    let daemon = house.start().await;
    let report = daemon.report("sign-in needed", |report| work(report).state == State::SignInNeeded).await;
    assert!(report.warnings[0].hint.contains("presenced login"), "{}", report.warnings[0].hint);
    assert_eq!(house.ask(&["status"]).await.0, 4);
    let (code, shown, error) = house.ask(&["login"]).await;
    assert_eq!(code, 0, "{shown}{error}");
    // The daemon continues by itself, without a restart.
    house.seen("Available/Available").await;
    let mode = |name: &str| house.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(".local/state/presenced/tokens"), 0o700);
    assert_eq!(mode(".local/state/presenced/tokens/work.json"), 0o600);
}
