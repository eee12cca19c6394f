//! What the daemon makes of its signals, and of overrides.

use presenced::status::report::{Health, State};
use presenced::warning::Code;
use presenced_emulator::Call;

use super::at_a_desk;
use crate::stage::house::House;
use crate::stage::login1::Session;
use crate::stage::reports::{has, work};

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
    // The bus dies. The lock is unknown then, so it supports no claim and the session is cleared.
    drop(login1);
    drop(bus);
    house.request("a clear", |record| record.call == Call::Clear).await;
    let report = daemon.report("a warning", |report| has(report, Code::LockUnavailable)).await;
    assert_eq!((report.health, work(&report).desired.clone()), (Health::Degraded, None));
    assert_eq!(house.visible(), "Offline/Offline");
}

#[tokio::test]
async fn a_locker_can_report_the_lock() {
    let mut house = House::new().await;
    let (_bus, login1, daemon) = at_a_desk(&mut house).await;
    login1.set_auto(Some("2"));
    login1.add("2", Session { desktop: "sway", ..Session::DESKTOP }).await;
    login1.remove("1").await;
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
    // It cannot unlock a screen that logind reports as locked.
    login1.set_locked("2", true).await;
    house.seen("Away/Away").await;
    assert_eq!(house.ask(&["signal", "lock", "unlocked"]).await.0, 0);
    let report = daemon.report("logind", |report| report.signals["lock"].source == "logind").await;
    assert_eq!(report.signals["lock"].value, "locked");
    let (code, _, said) = house.ask(&["signal", "lock", "ajar"]).await;
    assert_eq!((code, said.contains("the signal `lock` is either locked or unlocked")), (1, true), "{said}");
}

/// This program's name, as the kernel knows it.
fn me() -> String {
    std::fs::read_to_string("/proc/self/comm").expect("this process runs").trim().to_owned()
}

#[tokio::test]
async fn a_locker_is_the_lock_where_the_signal_is_off() {
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
async fn a_missing_calendar_is_unknown_until_it_exists() {
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
    let status = house.ask(&["status"]).await.1;
    let status = status.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, why) = status.split_once("Available is not claimed: the calendar has been unknown since ").expect(&status);
    assert!(why.contains("work.ics"), "{status}");
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
async fn a_restart_of_logind_does_not_make_the_presence_flicker() {
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
    // It expires by itself.
    house.seen("Available/Available").await;
    daemon.report("unknown", |report| report.signals["signal.focus"].value == "unknown").await;
}

#[tokio::test]
async fn an_invalid_call_state_is_unknown_with_a_warning() {
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
