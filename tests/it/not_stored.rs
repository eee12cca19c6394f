//! A renewed sign-in that cannot be stored, with the real program: presenced works on, and says so until it is stored.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use presenced::daemon::clock::SystemClock;
use presenced::status::report::{Health, Report, State};
use presenced_emulator::{Call, Fault, Then};

use crate::stage::faults::{on, quick_sign_in};
use crate::stage::house::{CALL, House, guarded, personal};
use crate::stage::http_client::default_client;
use crate::stage::reports::work;

/// A person's sign-in, kept in a file.
fn configuration(house: &House) -> String {
    personal(house) + CALL + "[tokens]\nstore = \"file\"\n"
}

fn tokens(house: &House) -> PathBuf {
    house.path(".local/state/presenced/tokens")
}

/// Puts a folder where the lock was. Without the lock, nothing is stored.
fn block(house: &House) {
    let lock = tokens(house).join("work.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(lock).unwrap();
}

fn stored(house: &House) -> String {
    let stored = fs::read(tokens(house).join("work.json")).unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    stored["refresh_token"].as_str().unwrap().to_owned()
}

fn is_warned(report: &Report) -> bool {
    report.warnings.iter().any(|warning| warning.text.contains("is not stored"))
}

#[tokio::test]
async fn a_refresh_token_that_is_not_stored_is_a_warning_until_it_is() {
    let mut house = House::with(quick_sign_in()).await;
    house.write("config.toml", configuration(&house));
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let first = stored(&house);
    block(&house);
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let report = daemon.report("the warning", |report| is_warned(report) && work(report).state == State::Holding).await;
    assert_eq!((report.health, report.warnings.len()), (Health::Degraded, 1));
    let (_, json, _) = house.ask(&["status", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["warnings"][0]["code"], "token-not-stored");
    let (code, shown, _) = house.ask(&["status"]).await;
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        code == 1 && words.contains("! token-not-stored") && words.contains("/work.lock cannot be written: "),
        "{shown}"
    );
    let shown = format!("{shown}{json}{}", daemon.log());
    for token in house.emulator.issued_secrets() {
        assert!(!shown.contains(&token), "{shown}");
    }
    assert_eq!(stored(&house), first);

    // The next renewal stores it.
    fs::remove_dir(tokens(&house).join("work.lock")).unwrap();
    assert!(default_client().delete(format!("http://{}/_emulator/tokens", house.address)).send().await.is_ok());
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    daemon.report("no warning", |report| report.warnings.is_empty()).await;
    assert_ne!(stored(&house), first);
}

/// The renewal may take longer than the request that it was started with, and no other request may follow for hours.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "two programs agree when their fast clocks began")]
async fn a_renewal_in_the_background_is_reported_when_it_ends() {
    const SPEED: f64 = 240.0;
    let began = Timestamp::now();
    let lifetime = Duration::from_mins(10);
    let options = presenced_emulator::Options { token_lifetime: lifetime..=lifetime, ..quick_sign_in() };
    let mut house = House::on(SystemClock::fast_since(SPEED, began), options).await;
    house.write("config.toml", configuration(&house) + "[session]\nexpiration = \"4h\"\n");
    house.write("call-state", "in-call");
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let arguments = ["--speed", &SPEED.to_string(), "--since", &began.to_string()];
    let daemon = house.start_with(&arguments, |_| {}).await;
    let first = house.seen("Busy/InACall").await;
    block(&house);
    let slow = Fault { delay: Some(jiff::SignedDuration::from_mins(5)), ..on(Call::Token, Then::Answer) };
    house.inject(slow);
    // Less than half of the token's life is left.
    guarded("six minutes", async {
        while house.emulator.state().time < first.at + Duration::from_mins(6) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    house.write("call-state", "presenting");
    house.seen("DoNotDisturb/Presenting").await;
    let report = daemon.report("the warning", is_warned).await;
    assert_eq!(work(&report).requests.sent, 2, "no request reported it");
}
