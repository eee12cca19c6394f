//! The history, as the daemon writes it (in virtual time and as a process) and as `presenced history` shows it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use presenced::history::{Event, Held, Read, Whose};
use presenced::session::State;
use presenced::warning::Code;
use presenced_emulator::{Call, Fault, Matches, Options, Then};
use rustix::process::Signal;
use serde_json::Value;

use crate::stage::bus::Bus;
use crate::stage::house::{House, exists, guarded};
use crate::stage::lapse::Lapse;
use crate::stage::login1::{Login1, Session};

const EVENTS: &str = "BEGIN:VCALENDAR\nEND:VCALENDAR\n";
const ALWAYS: &str = "[[rules]]\nname = \"always\"\nset = \"Available/Available\"\n";

fn at(time: &str) -> Timestamp {
    format!("2026-11-24T{time}Z").parse().unwrap()
}

fn read(path: &Path) -> Read {
    presenced::history::read(path, Whose::All).unwrap()
}

/// The records of the only account: the time, the state, and whether it was confirmed.
fn held(path: &Path) -> Vec<(Timestamp, Held)> {
    let records = read(path).records.into_iter();
    let held = |event| if let Event::Held(held) = event { Some(held) } else { None };
    records.filter_map(|record| held(record.event).map(|held| (record.at, held))).collect()
}

#[tokio::test]
async fn a_faded_presence_is_unconfirmed_from_that_moment() {
    let mut lapse = Lapse::start("2026-11-24T09:00:00Z", Options::default(), Vec::new(), EVENTS, ALWAYS).await;
    lapse.until(at("09:03:00")).await;
    // The keepalive at 09:04 and all later ones fail, and Graph may have carried them out. The presence fades after 5 minutes.
    let fails = Fault::new(Matches::Only(Call::Set), Then::Reset);
    lapse.emulator.inject(Fault { lasts: Some(SignedDuration::from_mins(7)), ..fails }).unwrap();
    lapse.until(at("09:20:00")).await;
    lapse.kill_daemon().await;

    let held = held(&lapse.history());
    let confirmed: Vec<_> = held.iter().map(|(at, held)| (*at, held.confirmed)).collect();
    let changes: Vec<_> =
        confirmed.iter().enumerate().filter(|(i, (_, now))| *i == 0 || confirmed[i - 1].1 != *now).collect();
    let [first, kept, faded, again] = changes[..] else { panic!("{held:#?}") };
    assert_eq!((*first.1, kept.1.1), ((at("09:00:00"), false), true));
    assert_eq!(*faded.1, (at("09:05:00"), false));
    assert!(again.1.0 >= at("09:10:00") && again.1.1, "{held:#?}");
    // One failed keepalive is recorded, but does not make the presence wrong.
    assert!(held.iter().any(|(_, held)| held.state == State::Retrying && held.confirmed), "{held:#?}");
    assert_eq!(held.last().unwrap().1.rule.as_deref(), Some("always"));
}

#[tokio::test]
async fn a_quiet_day_needs_few_lines() {
    let mut lapse = Lapse::start("2026-11-24T09:00:00Z", Options::default(), Vec::new(), EVENTS, ALWAYS).await;
    let before = std::fs::metadata(lapse.history()).unwrap().len();
    lapse.until(at("17:00:00")).await;
    assert!(lapse.report().accounts["work"].requests.sent > 100, "it was kept all day");
    assert_eq!(std::fs::metadata(lapse.history()).unwrap().len(), before, "without a change there is no line");
    lapse.kill_daemon().await;
    lapse.start_daemon().await;
    let events: Vec<_> = read(&lapse.history()).records.into_iter().map(|record| record.event).collect();
    assert!(events.contains(&Event::Lost), "{events:#?}");
}

/// The history file of a house's daemon.
fn file(house: &House) -> PathBuf {
    presenced::history::path(&house.path(".local/state/presenced"), &house.path("presenced.sock")).unwrap()
}

async fn json(house: &House, args: &[&str]) -> Value {
    let (code, out, err) = house.ask(&[&["history", "--json"], args].concat()).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    serde_json::from_str(&out).unwrap()
}

/// The presence of each span of the account `work`, or its kind if nothing was held.
fn spans(history: &Value) -> Vec<&str> {
    let spans = history["accounts"]["work"]["spans"].as_array().unwrap();
    spans.iter().map(|span| span["presence"].as_str().or(span["kind"].as_str()).unwrap()).collect()
}

#[tokio::test]
async fn the_history_of_a_daemon_can_be_read_without_one() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let (code, out, err) = house.ask(&["history"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: there is no history yet at ") && err.contains("\nhint: "), "{err}");

    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.write("call-state", r#"{"state": "in-call", "app": "Zoom: salaries with bob@contoso.com"}"#);
    house.seen("Busy/InACall").await;
    daemon
        .report("confirmed", |report| {
            report.accounts["work"].asserted.as_ref().is_some_and(|held| held.availability == "Busy")
        })
        .await;
    let history = json(&house, &[]).await;
    assert_eq!(spans(&history), ["Available/Available", "Busy/InACall"]);
    assert_eq!(history["accounts"]["work"]["spans"][1]["because"], "call is in-call");
    let text = std::fs::read_to_string(file(&house)).unwrap();
    assert!(!text.contains("salaries") && !text.contains("bob@"), "{text}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file(&house)), mode(file(&house).parent().unwrap())), (0o600, 0o700));

    let mut daemon = daemon;
    daemon.signal(Signal::KILL);
    daemon.gone().await;
    house.write("call-state", "idle");
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    assert!(daemon.stop().await.success());
    let records = read(&file(&house)).records;
    let lost = records.iter().position(|record| record.event == Event::Lost).unwrap();
    assert!(matches!(records[lost + 1].event, Event::Started { .. }), "{records:#?}");
    assert_eq!(records.last().unwrap().event, Event::Stopped);

    let (code, out, err) = house.ask(&["history"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("work, ") && out.contains("unconfirmed for ") && !out.contains('\u{1b}'), "{out}");
    let (code, _, err) = house.ask(&["history", "--account", "home"]).await;
    assert_eq!((code, err.as_str()), (1, "error: the history has no account `home`\nhint: it has `work`\n"));
    assert_eq!(house.ask(&["history", "--since", "2999-01-01"]).await.0, 2);
    assert_eq!(house.ask(&["history", "--since", "yesterday"]).await.0, 2);
}

#[tokio::test]
async fn sleep_is_recorded() {
    let mut house = House::new().await;
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    house.write("config.toml", house.configuration() + "[signals.lock]\n");
    let daemon = house
        .start_with(&[], |command| {
            command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        })
        .await;
    house.seen("Available/Available").await;
    login1.prepare_for_sleep(true).await;
    house.seen("Away/Away").await;
    guarded("the record of sleep", async {
        while !read(&file(&house)).records.iter().any(|record| record.event == Event::Asleep) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    login1.prepare_for_sleep(false).await;
    house.seen("Available/Available").await;
    assert!(daemon.stop().await.success());
    let history = json(&house, &[]).await;
    let spans = spans(&history);
    let asleep = spans.iter().position(|span| *span == "asleep").unwrap_or_else(|| panic!("{spans:?}"));
    assert!(spans[asleep + 1..].contains(&"Available/Available"), "{spans:?}");
}

#[tokio::test]
async fn an_unwritable_history_is_a_warning_until_it_can_be_written() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let state = house.path(".local/state/presenced");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("history"), "no folder").unwrap();
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let report = daemon.report("a warning", |report| !report.warnings.is_empty()).await;
    assert_eq!(report.warnings[0].code, Code::HistoryUnwritable);
    assert!(report.warnings[0].text.contains("the presence is still kept"), "{:?}", report.warnings);
    std::fs::remove_file(state.join("history")).unwrap();
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    daemon.report("no warning", |report| report.warnings.is_empty()).await;
    assert_eq!(spans(&json(&house, &[]).await).last(), Some(&"Busy/InACall"));
}

#[tokio::test]
async fn no_history_is_kept_when_it_is_off() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration() + "[history]\nenabled = false\n");
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    assert!(!exists(&file(&house)));
    // It is turned on again while the daemon runs, and off again.
    house.write("config.toml", house.configuration());
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    house.write("config.toml", house.configuration() + "[history]\nenabled = false\n");
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    house.write("call-state", "idle");
    house.seen("Available/Available").await;
    let records = read(&file(&house)).records;
    assert!(matches!(records.first().unwrap().event, Event::Started { .. }));
    assert_eq!(records.last().unwrap().event, Event::Stopped, "{records:#?}");
    assert!(daemon.stop().await.success());
}
