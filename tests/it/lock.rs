//! The lock signal, against a stand-in logind and screen savers on real private buses.

use std::time::Duration;

use presenced::policy::Reading;
use presenced::signals::Displays;
use presenced::warning::Code;

use crate::stage::bus::{Bus, NOWHERE};
use crate::stage::lock::{LOCKED, UNLOCKED, assert_unknown, follow_lock, follow_lock_on, says};
use crate::stage::login1::{Login1, Session};
use crate::stage::saver::{Cinnamon, Gnome, Kde, Mate, NewKde, Saver, Xfce};
use crate::stage::signal_bench::{ManualClock, soon};

const NOON: &str = "2026-11-23T12:00:00Z";

/// A browser that owns the name only to accept requests not to blank the screen.
struct Inhibitor {
    cookie: u32,
}

#[zbus::interface(name = "org.freedesktop.ScreenSaver")]
impl Inhibitor {
    fn inhibit(&mut self, application: &str, reason: &str) -> u32 {
        self.cookie += u32::from(!application.is_empty() && !reason.is_empty());
        self.cookie
    }
}

#[tokio::test]
async fn the_locked_hint_is_followed() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    // A missing session bus does not matter while logind reports the lock.
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    login1.set_locked("c1", true).await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1.set_locked("c1", false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
}

#[tokio::test]
async fn a_session_in_the_background_counts_as_locked() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session { active: false, ..Session::DESKTOP }).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1.set_active("c1", true).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
}

#[tokio::test]
async fn a_request_to_lock_proves_nothing() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_eq!(signal.next().await.reading, UNLOCKED);
    login1.request_lock("c1").await;
    // Signals of one peer come in order: had the request counted, it would be seen before the session's end.
    login1.set_auto(None);
    login1.remove("c1").await;
    assert_eq!(signal.next().await.reading, Reading::Unknown);
}

#[tokio::test]
async fn a_session_that_replaces_another_is_followed() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session { locked: true, ..Session::DESKTOP }).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_eq!(signal.next().await.reading, LOCKED);
    login1.set_auto(Some("c2"));
    login1.add("c2", Session::DESKTOP).await;
    assert_eq!(signal.next().await.reading, UNLOCKED);
    login1.remove("c1").await;
    login1.set_locked("c2", true).await;
    assert_eq!(signal.next().await.reading, LOCKED);
}

#[tokio::test]
async fn a_user_service_finds_the_session_on_display_or_in_the_list() {
    let bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_unknown(&signal.next().await, "no session of this user");
    login1.add("c7", Session { locked: true, ..Session::DESKTOP }).await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1.set_locked("c7", false).await;
    assert_eq!(signal.next().await.reading, UNLOCKED);
    // Of two that are equal, the one on display counts.
    login1.add("c8", Session { desktop: "sway", ..Session::DESKTOP }).await;
    login1.set_display("c8").await;
    assert_eq!(signal.next().await.warnings[0].code, Code::LockUnproved);
}

#[tokio::test]
async fn a_session_without_a_screen_does_not_count() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::ssh()).await;
    login1.add("c4", Session::console()).await;
    login1.add("c2", Session { class: "manager", ..Session::DESKTOP }).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    let observation = signal.next().await;
    assert_unknown(&observation, "no session of this user");
    assert!(observation.warnings[0].hint.contains("loginctl"));
    login1.add("c3", Session { locked: true, ..Session::DESKTOP }).await;
    assert_eq!(signal.next().await.reading, LOCKED);
}

#[tokio::test]
async fn an_ended_session_does_not_count_even_while_its_processes_run() {
    let bus = Bus::start();
    let systemd = bus.connect().await;
    systemd.request_name("org.freedesktop.systemd1").await.unwrap();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_eq!(signal.next().await.reading, UNLOCKED);
    login1.close("c1", &systemd).await;
    assert_unknown(&signal.next().await, "no session of this user");
    // The next one is found beside it.
    login1.add("c2", Session { locked: true, ..Session::DESKTOP }).await;
    assert_eq!(signal.next().await.reading, LOCKED);
}

#[tokio::test]
async fn a_restart_of_logind_is_survived() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_eq!(signal.next().await.reading, UNLOCKED);
    login1
        .restart(async |login1| {
            assert_unknown(&signal.next().await, "is not running");
            login1.set_locked_silently("c1", true).await;
        })
        .await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1.set_locked("c1", false).await;
    assert_eq!(signal.next().await.reading, UNLOCKED);
}

#[tokio::test]
async fn a_new_logind_takes_over_from_one_that_died() {
    let bus = Bus::start();
    let first = Login1::with(&bus, Session::DESKTOP).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_eq!(signal.next().await.reading, UNLOCKED);
    drop(first);
    assert_eq!(signal.next().await.reading, Reading::Unknown);
    let second = Login1::with(&bus, Session { locked: true, ..Session::DESKTOP }).await;
    signal.until(|observation| observation.reading == LOCKED).await;
    second.set_locked("c1", false).await;
    assert_eq!(signal.next().await.reading, UNLOCKED);
}

#[tokio::test]
async fn a_new_logind_that_forgot_the_lock_is_not_believed_at_once() {
    let bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let login1 = Login1::with(&bus, Session { locked: true, ..Session::DESKTOP }).await;
    let mut signal = follow_lock(&clock, &bus.address(), &bus.address());
    assert_eq!(signal.next().await.reading, LOCKED);
    login1
        .restart(async |login1| {
            assert_unknown(&signal.next().await, "is not running");
            login1.set_locked_silently("c1", false).await;
        })
        .await;
    // The last known state holds until the second reading. A signal about something else causes no reading.
    login1.storm(1).await;
    clock.pass(Duration::from_millis(500)).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
}

#[tokio::test]
async fn a_screen_saver_knows_what_a_new_logind_forgot() {
    let bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let login1 = Login1::with(&bus, Session { locked: true, ..Session::DESKTOP }).await;
    let gnome = Gnome::start(&bus, true).await;
    let mut signal = follow_lock(&clock, &bus.address(), &bus.address());
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1
        .restart(async |login1| {
            signal.until(|observation| *observation == says(LOCKED, "org.gnome.ScreenSaver")).await;
            login1.set_locked_silently("c1", false).await;
        })
        .await;
    // The screen saver also contradicts the second reading.
    clock.pass(Duration::from_millis(500)).await;
    Gnome::set(&gnome, false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    // From its next change on, the hint counts again.
    login1.set_locked("c1", true).await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    Gnome::set(&gnome, true).await;
    login1.set_locked("c1", false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
}

#[tokio::test]
async fn cosmic_locks_by_its_file() {
    let bus = Bus::start();
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("cosmic-greeter-c1.lock");
    let login1 = Login1::with(&bus, Session { desktop: "COSMIC", ..Session::DESKTOP }).await;
    std::fs::write(&lock, "").unwrap();
    let displays = Displays { runtime_dir: Some(folder.path().to_owned()), ..Displays::default() };
    let mut signal = follow_lock_on(displays, &ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_eq!(signal.next().await, says(LOCKED, "cosmic-greeter"));
    std::fs::remove_file(&lock).unwrap();
    assert_eq!(signal.next().await, says(UNLOCKED, "cosmic-greeter"));
    // The file of another session does not count.
    std::fs::write(folder.path().join("cosmic-greeter-c2.lock"), "").unwrap();
    std::fs::write(&lock, "").unwrap();
    assert_eq!(signal.next().await, says(LOCKED, "cosmic-greeter"));
    login1.set_auto(Some("c3"));
    login1.add("c3", Session { desktop: "GNOME", ..Session::DESKTOP }).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
}

#[tokio::test]
async fn a_bus_that_dies_is_reconnected() {
    let mut bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let mut signal = follow_lock(&clock, &bus.address(), NOWHERE);
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    bus.kill();
    drop(login1);
    assert_unknown(&signal.next().await, "system bus cannot be used");
    clock.pass(Duration::from_millis(100)).await;
    // Still dead: the next attempt comes after twice the time.
    clock.is_waited_for(Duration::from_millis(200)).await;
    bus.resume();
    let login1 = Login1::with(&bus, Session { locked: true, ..Session::DESKTOP }).await;
    clock.pass(Duration::from_millis(200)).await;
    signal.until(|observation| *observation == says(LOCKED, "logind")).await;
    login1.set_locked("c1", false).await;
    assert_eq!(signal.next().await.reading, UNLOCKED);
}

#[tokio::test]
async fn a_missing_bus_is_awaited_without_polling() {
    let mut bus = Bus::start();
    bus.vanish();
    let clock = ManualClock::at(NOON);
    let mut signal = follow_lock(&clock, &bus.address(), &bus.address());
    assert_unknown(&signal.next().await, "system bus cannot be used");
    soon("that nobody waits for any time", async {
        while clock.next_wakeup().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bus.resume();
    let _login1 = Login1::with(&bus, Session::DESKTOP).await;
    // A socket that was just made is left to settle, as a file is.
    clock.pass(Duration::from_millis(100)).await;
    signal.until(|observation| *observation == says(UNLOCKED, "logind")).await;
}

#[tokio::test]
async fn without_logind_a_screen_saver_that_answers_decides() {
    let bus = Bus::start();
    let gnome = Gnome::start(&bus, true).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), NOWHERE, &bus.address());
    assert_eq!(signal.next().await, says(LOCKED, "org.gnome.ScreenSaver"));
    Gnome::set(&gnome, false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "org.gnome.ScreenSaver"));
    gnome.release_name("org.gnome.ScreenSaver").await.unwrap();
    assert_unknown(&signal.next().await, "no screen saver answers");
    let kde = Kde::start(&bus, true).await;
    assert_eq!(signal.next().await, says(LOCKED, "org.freedesktop.ScreenSaver"));
    Kde::set(&kde, false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "org.freedesktop.ScreenSaver"));
}

/// A screen saver of one desktop is asked at its own name and path, and followed.
async fn is_followed<S: Saver>(name: &str) {
    let bus = Bus::start();
    let saver = S::start(&bus, true).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), NOWHERE, &bus.address());
    assert_eq!(signal.next().await, says(LOCKED, name));
    S::set(&saver, false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, name));
    S::set(&saver, true).await;
    assert_eq!(signal.next().await, says(LOCKED, name));
}

#[tokio::test]
async fn each_desktops_screen_saver_is_followed() {
    is_followed::<Gnome>("org.gnome.ScreenSaver").await;
    is_followed::<Cinnamon>("org.cinnamon.ScreenSaver").await;
    is_followed::<Mate>("org.mate.ScreenSaver").await;
    is_followed::<Xfce>("org.xfce.ScreenSaver").await;
    is_followed::<Kde>("org.freedesktop.ScreenSaver").await;
    is_followed::<NewKde>("org.freedesktop.ScreenSaver").await;
}

#[tokio::test]
async fn owning_a_screen_savers_name_proves_nothing() {
    let bus = Bus::start();
    let browser = bus.connect().await;
    browser.object_server().at("/org/freedesktop/ScreenSaver", Inhibitor { cookie: 0 }).await.unwrap();
    browser.request_name("org.freedesktop.ScreenSaver").await.unwrap();
    let mut signal = follow_lock(&ManualClock::at(NOON), NOWHERE, &bus.address());
    assert_unknown(&signal.next().await, "no screen saver answers");
}

#[tokio::test]
async fn gnomes_blank_screen_does_not_beat_the_locked_hint() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let _gnome = Gnome::start(&bus, true).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), &bus.address());
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    login1.set_locked("c1", true).await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
}

#[tokio::test]
async fn a_desktop_without_the_hint_locks_by_its_screen_saver() {
    let bus = Bus::start();
    let _login1 = Login1::with(&bus, Session::DESKTOP).await;
    let cinnamon = Cinnamon::start(&bus, true).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), &bus.address());
    assert_eq!(signal.next().await, says(LOCKED, "org.cinnamon.ScreenSaver"));
    Cinnamon::set(&cinnamon, false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
}

#[tokio::test]
async fn a_storm_of_sessions_does_not_stall_the_connection() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_eq!(signal.next().await.reading, UNLOCKED);
    login1.storm(500).await;
    login1.set_locked("c1", true).await;
    assert_eq!(signal.next().await.reading, LOCKED);
}

#[tokio::test]
async fn a_task_that_is_dropped_leaves_the_bus() {
    let bus = Bus::start();
    let _login1 = Login1::with(&bus, Session::DESKTOP).await;
    let observer = zbus::fdo::DBusProxy::new(&bus.connect().await).await.unwrap();
    let before = observer.list_names().await.unwrap();
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), &bus.address());
    signal.next().await;
    assert_eq!(observer.list_names().await.unwrap().len(), before.len() + 2);
    signal.stop().await;
    soon("the connections to end", async {
        while observer.list_names().await.unwrap().len() != before.len() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
