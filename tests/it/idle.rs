//! The idle signal on the buses: a stand-in for GNOME's idle monitor, which is there as Mutter registers it, and logind's
//! hint; and which source counts.

use std::time::Duration;

use presenced::policy::{Idle, Reading};
use presenced::signals::{Displays, Observation};

use crate::stage::bus::{Bus, NOWHERE};
use crate::stage::idle::{ACTIVE, IDLE, assert_unknown, follow};
use crate::stage::login1::{Login1, Session};
use crate::stage::mutter::{MUTTER, Monitor, Shell};
use crate::stage::signal_bench::{ManualClock, Signal};

const NOON: &str = "2026-11-23T12:00:00Z";
const AFTER: Duration = Duration::from_mins(10);

fn on_buses(system: &str, session: &str) -> Signal<Idle> {
    follow(&ManualClock::at(NOON), (system, session), Displays::default(), AFTER)
}

fn says(reading: Reading<Idle>, source: &str) -> Observation<Idle> {
    Observation { reading, source: source.to_owned(), warnings: Vec::new(), watched: None }
}

#[tokio::test]
async fn gnomes_idle_monitor_is_followed() {
    let bus = Bus::start();
    let shell = Shell::start(&bus, Duration::ZERO).await;
    let mut signal = on_buses(NOWHERE, &bus.address());
    assert_eq!(signal.next().await, says(ACTIVE, MUTTER));
    for _ in 0..3 {
        shell.sits_idle(AFTER).await;
        assert_eq!(signal.next().await, says(IDLE, MUTTER));
        shell.has_input().await;
        assert_eq!(signal.next().await, says(ACTIVE, MUTTER));
    }
    // No watch is left behind each time.
    assert!(shell.watches().await <= 2);
}

#[tokio::test]
async fn a_user_who_is_already_away_is_seen_at_once() {
    let bus = Bus::start();
    let shell = Shell::start(&bus, AFTER * 2).await;
    let mut signal = on_buses(NOWHERE, &bus.address());
    assert_eq!(signal.next().await.reading, IDLE);
    shell.has_input().await;
    assert_eq!(signal.next().await.reading, ACTIVE);
}

#[tokio::test]
async fn a_restart_of_the_shell_is_survived() {
    let bus = Bus::start();
    let shell = Shell::start(&bus, Duration::ZERO).await;
    let mut signal = on_buses(NOWHERE, &bus.address());
    assert_eq!(signal.next().await.reading, ACTIVE);
    shell.ends().await;
    assert_unknown(&signal.next().await, &["GNOME's idle monitor is not on the session bus"]);
    let shell = Shell::start(&bus, AFTER).await;
    assert_eq!(signal.next().await.reading, IDLE);
    shell.has_input().await;
    assert_eq!(signal.next().await.reading, ACTIVE);
}

#[tokio::test]
async fn a_session_bus_that_dies_is_reconnected() {
    let mut bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let shell = Shell::start(&bus, Duration::ZERO).await;
    let mut signal = follow(&clock, (NOWHERE, &bus.address()), Displays::default(), AFTER);
    assert_eq!(signal.next().await.reading, ACTIVE);
    bus.kill();
    drop(shell);
    assert_unknown(&signal.next().await, &["the session bus cannot be used", "the system bus cannot be used"]);
    clock.is_waited_for(Duration::from_millis(100)).await;
    bus.resume();
    let _shell = Shell::start(&bus, AFTER).await;
    clock.pass(Duration::from_millis(100)).await;
    signal.until(|observation| observation.reading == IDLE).await;
}

#[tokio::test]
async fn a_name_without_an_idle_monitor_does_not_count() {
    let bus = Bus::start();
    let other = bus.connect().await;
    // It answers, but only elsewhere.
    other.object_server().at("/elsewhere", Monitor::default()).await.unwrap();
    other.request_name(MUTTER).await.unwrap();
    let mut signal = on_buses(NOWHERE, &bus.address());
    assert_unknown(&signal.next().await, &["does not answer as expected"]);
    other.close().await.unwrap();
    let _shell = Shell::start(&bus, Duration::ZERO).await;
    signal.until(|observation| observation.reading == ACTIVE).await;
}

#[tokio::test]
async fn logind_counts_from_when_the_desktop_said_so() {
    let no_display = [
        if cfg!(feature = "wayland") { "no Wayland compositor" } else { "built without Wayland" },
        if cfg!(feature = "x11") { "no X server" } else { "built without X11" },
    ];
    let bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let mut signal = follow(&clock, (&bus.address(), NOWHERE), Displays::default(), AFTER);
    assert_unknown(&signal.next().await, &["never told logind", no_display[0], no_display[1]]);
    login1.set_idle("c1", true, "2026-11-23T11:55:00Z").await;
    assert_eq!(signal.next().await, says(ACTIVE, "logind IdleHint"));
    clock.pass(Duration::from_mins(5)).await;
    assert_eq!(signal.next().await, says(IDLE, "logind IdleHint"));
    login1.set_idle("c1", false, "2026-11-23T12:06:00Z").await;
    assert_eq!(signal.next().await.reading, ACTIVE);
}

#[tokio::test]
async fn a_restart_of_logind_is_survived_by_its_hint() {
    let bus = Bus::start();
    let since = Session { idle: (true, 1), ..Session::DESKTOP };
    let login1 = Login1::with(&bus, since).await;
    let mut signal = on_buses(&bus.address(), NOWHERE);
    assert_eq!(signal.next().await.reading, IDLE);
    login1.restart(async |_| assert_unknown(&signal.next().await, &["is not running"])).await;
    assert_eq!(signal.next().await.reading, IDLE);
}

#[tokio::test]
async fn gnome_is_asked_before_logind() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session { idle: (true, 1), ..Session::DESKTOP }).await;
    let shell = Shell::start(&bus, Duration::ZERO).await;
    let mut signal = on_buses(&bus.address(), &bus.address());
    assert_eq!(signal.next().await, says(ACTIVE, MUTTER));
    shell.ends().await;
    assert_eq!(signal.next().await, says(IDLE, "logind IdleHint"));
    let _shell = Shell::start(&bus, Duration::ZERO).await;
    assert_eq!(signal.next().await, says(ACTIVE, MUTTER));
    // Nobody listens to logind any more.
    login1.set_idle("c1", false, NOON).await;
    login1.set_idle("c1", true, NOON).await;
    signal.stop().await;
}

#[tokio::test]
async fn without_a_source_the_possible_sources_are_named() {
    let mut signal = on_buses(NOWHERE, NOWHERE);
    let observation = signal.next().await;
    assert_unknown(&observation, &["On this desktop presenced cannot see whether the user is idle"]);
    let displays = cfg!(any(feature = "wayland", feature = "x11"));
    let first =
        if displays { "import-environment" } else { "use a build of presenced with the features `wayland` and `x11`" };
    for words in [first, "swayidle", "presenced signal"] {
        assert!(observation.warnings[0].hint.contains(words), "{observation:?}");
    }
}
