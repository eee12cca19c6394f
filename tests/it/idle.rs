//! The idle signal on the buses: a stand-in for GNOME's idle monitor, which is there as Mutter registers it, and logind's
//! hint; and which source counts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::time::Duration;

use presenced::config;
use presenced::policy::{Idle, Reading};
use presenced::signals::{Buses, Displays, Observation, Update, idle};
use presenced::time::Clock;
use presenced::warning::Code;
use zbus::message::Header;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::object_server::{InterfaceRef, SignalEmitter};
use zbus::{Connection, fdo, interface};

use crate::bus::Bus;
use crate::login1::{Login1, Session};
use crate::signal_bench::{ManualClock, Signal};

const NOON: &str = "2026-11-23T12:00:00Z";
pub(crate) const ACTIVE: Reading<Idle> = Reading::Known(Idle::Active);
pub(crate) const IDLE: Reading<Idle> = Reading::Known(Idle::Idle);
pub(crate) const NOWHERE: &str = "unix:path=/nonexistent/bus";
const AFTER: Duration = Duration::from_mins(10);
const MUTTER: &str = "org.gnome.Mutter.IdleMonitor";
const CORE: &str = "/org/gnome/Mutter/IdleMonitor/Core";

/// Mutter's core idle monitor.
#[derive(Default)]
pub(crate) struct Monitor {
    idle_time: u64,
    last_watch: u32,
    /// The number, the interval (0: until the next input) and the owner of each watch.
    watches: Vec<(u32, u64, OwnedUniqueName)>,
}

#[expect(clippy::needless_pass_by_value, reason = "zbus hands headers over")]
#[interface(name = "org.gnome.Mutter.IdleMonitor")]
impl Monitor {
    fn get_idletime(&self) -> u64 {
        self.idle_time
    }
    fn add_idle_watch(&mut self, interval: u64, #[zbus(header)] header: Header<'_>) -> fdo::Result<u32> {
        if interval == 0 {
            return Err(fdo::Error::InvalidArgs("an interval of nothing".to_owned()));
        }
        Ok(self.add(interval, &header))
    }
    fn add_user_active_watch(&mut self, #[zbus(header)] header: Header<'_>) -> u32 {
        self.add(0, &header)
    }
    fn remove_watch(&mut self, id: u32) {
        self.watches.retain(|watch| watch.0 != id);
    }
    #[zbus(signal)]
    async fn watch_fired(emitter: &SignalEmitter<'_>, id: u32) -> zbus::Result<()>;
}

impl Monitor {
    fn add(&mut self, interval: u64, header: &Header<'_>) -> u32 {
        self.last_watch += 1;
        self.watches.push((self.last_watch, interval, header.sender().unwrap().to_owned().into()));
        self.last_watch
    }
}

/// GNOME's shell, as far as it is an idle monitor.
pub(crate) struct Shell(Connection);

impl Shell {
    pub(crate) async fn start(bus: &Bus, idle_time: Duration) -> Self {
        let connection = bus.connect().await;
        let idle_time = idle_time.as_millis().try_into().unwrap();
        connection.object_server().at(CORE, Monitor { idle_time, ..Monitor::default() }).await.unwrap();
        connection.request_name(MUTTER).await.unwrap();
        Self(connection)
    }

    /// There was no input for so long.
    pub(crate) async fn sits_idle(&self, idle_time: Duration) {
        let monitor = self.monitor().await;
        let mut state = monitor.get_mut().await;
        let before = std::mem::replace(&mut state.idle_time, idle_time.as_millis().try_into().unwrap());
        let due = |watch: &&(u32, u64, _)| watch.1 > before && watch.1 <= state.idle_time;
        let fired: Vec<_> = state.watches.iter().filter(due).cloned().collect();
        drop(state);
        self.fire(&monitor, fired).await;
    }

    /// Somebody presses a key.
    pub(crate) async fn has_input(&self) {
        let monitor = self.monitor().await;
        let mut state = monitor.get_mut().await;
        state.idle_time = 0;
        let (fired, kept) = std::mem::take(&mut state.watches).into_iter().partition(|watch| watch.1 == 0);
        state.watches = kept;
        drop(state);
        self.fire(&monitor, fired).await;
    }

    /// Mutter tells only whose watch it is.
    async fn fire(&self, monitor: &InterfaceRef<Monitor>, watches: Vec<(u32, u64, OwnedUniqueName)>) {
        for (id, _, owner) in watches {
            let emitter = monitor.signal_emitter().clone().set_destination(BusName::from(owner.into_inner()));
            Monitor::watch_fired(&emitter, id).await.unwrap();
        }
    }

    async fn monitor(&self) -> InterfaceRef<Monitor> {
        self.0.object_server().interface(CORE).await.unwrap()
    }

    pub(crate) async fn ends(self) {
        self.0.close().await.unwrap();
    }
}

/// Follows input by these buses and displays.
pub(crate) fn follow<C: Clock + 'static>(
    clock: &Arc<C>,
    (system, session): (&str, &str),
    displays: Displays,
    after: Duration,
) -> Signal<Idle> {
    let buses = Buses { system: Some(system.to_owned()), session: Some(session.to_owned()) };
    let unwrap = |update| if let Update::Idle(observation) = update { Some(observation) } else { None };
    Signal::start(clock, buses, unwrap, |context| idle::run(config::Idle { after }, displays, context))
}

fn on_buses(system: &str, session: &str) -> Signal<Idle> {
    follow(&ManualClock::at(NOON), (system, session), Displays::default(), AFTER)
}

fn says(reading: Reading<Idle>, source: &str) -> Observation<Idle> {
    Observation { reading, source: source.to_owned(), warnings: Vec::new() }
}

pub(crate) fn assert_unknown(observation: &Observation<Idle>, words: &[&str]) {
    assert_eq!(observation.reading, Reading::Unknown, "{observation:?}");
    let [warning] = observation.warnings.as_slice() else { panic!("one warning in {observation:?}") };
    assert_eq!(warning.code, Code::IdleUnavailable);
    for words in words {
        assert!(warning.text.contains(words), "{words}: {warning:?}");
    }
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
    assert!(shell.monitor().await.get().await.watches.len() <= 2);
}

#[tokio::test]
async fn who_is_away_already_is_seen_at_once() {
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
async fn a_name_without_an_idle_monitor_behind_it_is_none() {
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
async fn where_nothing_can_tell_a_person_is_told_what_can() {
    let mut signal = on_buses(NOWHERE, NOWHERE);
    let observation = signal.next().await;
    assert_unknown(&observation, &["On this desktop presenced cannot see whether the user is idle"]);
    let displays = cfg!(any(feature = "wayland", feature = "x11"));
    let first = if displays { "import-environment" } else { "built with the features `wayland` and `x11`" };
    for words in [first, "swayidle", "presenced signal"] {
        assert!(observation.warnings[0].hint.contains(words), "{observation:?}");
    }
}
