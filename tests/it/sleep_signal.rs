//! The sleep signal, against a stand-in logind on a real private bus.

use std::sync::Arc;
use std::time::Duration;

use presenced::policy::{Reading, Sleep};
use presenced::signals::{Buses, Observation, SignsOfLife, Update, sleep};
use presenced::warning::Code;

use crate::stage::bus::Bus;
use crate::stage::house::guarded;
use crate::stage::login1::Login1;
use crate::stage::signal_bench::{ManualClock, Signal};

const NOON: &str = "2026-11-23T12:00:00Z";
const AWAKE: Reading<Sleep> = Reading::Known(Sleep::Awake);
const SUSPENDING: Reading<Sleep> = Reading::Known(Sleep::Suspending);
const TEN_SECONDS: Duration = Duration::from_secs(10);

fn follow_sleep(clock: &Arc<ManualClock>, system: &str) -> Signal<Sleep> {
    follow_sleep_with(SignsOfLife::default(), clock, system)
}

/// The same for a daemon that reports signs of life.
fn follow_sleep_with(signs: SignsOfLife, clock: &Arc<ManualClock>, system: &str) -> Signal<Sleep> {
    let buses = Buses { system: Some(system.to_owned()), session: None };
    let unwrap = |update| if let Update::Sleep(observation) = update { Some(observation) } else { None };
    Signal::start(clock, buses, unwrap, |context| sleep::run(signs, context))
}

fn assert_unknown(observation: &Observation<Sleep>, words: &str) {
    assert_eq!(observation.reading, Reading::Unknown, "{observation:?}");
    let [warning] = observation.warnings.as_slice() else { panic!("one warning in {observation:?}") };
    assert_eq!(warning.code, Code::SleepUnavailable);
    assert!(warning.text.contains(words), "{warning:?}");
    assert!(!warning.hint.is_empty());
}

/// A machine whose sleep was announced, and whose inhibitor is gone.
async fn asleep(login1: &Login1, signal: &mut Signal<Sleep>) {
    assert_eq!(signal.next().await.reading, AWAKE);
    drop(guarded("an inhibitor", login1.inhibitor()).await);
    login1.prepare_for_sleep(true).await;
    assert_eq!(signal.next().await.reading, SUSPENDING);
}

/// The machine counts as awake, and a new inhibitor delays its next sleep.
async fn is_awake_again(login1: &Login1, signal: &mut Signal<Sleep>) {
    assert_eq!(signal.next().await.reading, AWAKE);
    drop(guarded("a new inhibitor", login1.inhibitor()).await);
    let holds = signal.holds.len();
    login1.prepare_for_sleep(true).await;
    assert_eq!(signal.next().await.reading, SUSPENDING);
    login1.prepare_for_sleep(false).await;
    assert_eq!(signal.next().await.reading, AWAKE);
    assert_eq!(signal.holds.len(), holds + 1);
}

#[tokio::test]
async fn sleep_is_announced() {
    let bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    let mut signal = follow_sleep(&ManualClock::at(NOON), &bus.address());
    assert_eq!(signal.next().await.reading, AWAKE);
    login1.prepare_for_sleep(true).await;
    assert_eq!(signal.next().await.reading, SUSPENDING);
    login1.prepare_for_sleep(false).await;
    assert_eq!(signal.next().await.reading, AWAKE);
    assert_eq!(signal.holds.len(), 1);
    assert_eq!(signal.holds[0].within, Duration::from_secs(3));
}

#[tokio::test]
async fn sleep_is_delayed_only_as_long_as_logind_allows() {
    let bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    login1.set_delay_max(Duration::from_secs(2));
    let mut signal = follow_sleep(&ManualClock::at(NOON), &bus.address());
    assert_eq!(signal.next().await.reading, AWAKE);
    login1.prepare_for_sleep(true).await;
    login1.prepare_for_sleep(false).await;
    signal.next().await;
    assert_eq!(signal.next().await.reading, AWAKE);
    assert_eq!(signal.holds.len(), 1);
    assert!(signal.holds[0].within < Duration::from_secs(2), "{:?}", signal.holds[0].within);
    assert!(signal.holds[0].within > Duration::from_secs(1), "{:?}", signal.holds[0].within);
}

#[tokio::test]
async fn sleep_that_cannot_be_delayed_is_still_seen_and_reported() {
    let bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    login1.deny_inhibitors();
    let mut signal = follow_sleep(&ManualClock::at(NOON), &bus.address());
    let observation = signal.next().await;
    assert_eq!(observation.reading, AWAKE);
    assert_eq!(observation.warnings[0].code, Code::SleepUnavailable);
    assert!(observation.warnings[0].text.contains("no inhibitors today"), "{observation:?}");
    login1.prepare_for_sleep(true).await;
    assert_eq!(signal.next().await.reading, SUSPENDING);
    assert!(signal.holds.is_empty());
}

#[tokio::test]
async fn a_machine_already_going_to_sleep_is_seen() {
    let bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    login1.prepare_for_sleep(true).await;
    let mut signal = follow_sleep(&ManualClock::at(NOON), &bus.address());
    let observation = signal.next().await;
    assert_eq!((observation.reading, observation.source.as_str()), (SUSPENDING, "logind"));
}

#[tokio::test]
async fn sleep_is_unknown_without_logind_and_heals() {
    let mut bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let mut signal = follow_sleep(&clock, &bus.address());
    assert_unknown(&signal.next().await, "is not running");
    let login1 = Login1::start(&bus).await;
    assert_eq!(signal.next().await.reading, AWAKE);
    bus.kill();
    drop(login1);
    assert_unknown(&signal.next().await, "system bus cannot be used");
    clock.is_waited_for(Duration::from_millis(100)).await;
    bus.resume();
    let login1 = Login1::start(&bus).await;
    clock.pass(Duration::from_millis(100)).await;
    signal.until(|observation| observation.reading == AWAKE).await;
    login1.prepare_for_sleep(true).await;
    assert_eq!(signal.next().await.reading, SUSPENDING);
}

#[tokio::test]
async fn a_wake_up_that_nobody_announces_is_noticed_within_10_s() {
    let bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let login1 = Login1::start(&bus).await;
    let mut signal = follow_sleep(&clock, &bus.address());
    asleep(&login1, &mut signal).await;
    login1.wakes_up_silently();
    clock.pass(TEN_SECONDS).await;
    is_awake_again(&login1, &mut signal).await;
}

#[tokio::test]
async fn logind_is_asked_every_10_s_until_it_says_awake_and_not_after_that() {
    let bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let login1 = Login1::start(&bus).await;
    let mut signal = follow_sleep(&clock, &bus.address());
    asleep(&login1, &mut signal).await;
    let before = login1.asked_about_sleep();
    for asked in 0..6 {
        // That somebody waits for 10 s from now on means that the last question was answered.
        clock.is_waited_for(TEN_SECONDS).await;
        assert_eq!(login1.asked_about_sleep(), before + asked);
        clock.pass(TEN_SECONDS).await;
    }
    clock.is_waited_for(TEN_SECONDS).await;
    login1.wakes_up_silently();
    clock.pass(TEN_SECONDS).await;
    assert_eq!(signal.next().await.reading, AWAKE);
    guarded("a new inhibitor", login1.inhibitor()).await;
    guarded("that nobody waits for any time", async {
        while clock.next_wakeup().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Once more for the new inhibitor, and never again.
    assert_eq!(login1.asked_about_sleep(), before + 8);
}

#[tokio::test]
async fn a_clock_that_counted_a_suspend_asks_at_once() {
    let bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let login1 = Login1::start(&bus).await;
    let mut signal = follow_sleep(&clock, &bus.address());
    asleep(&login1, &mut signal).await;
    clock.is_waited_for(TEN_SECONDS).await;
    login1.wakes_up_silently();
    // Too short for the wait of 10 s to be over.
    clock.suspend(Duration::from_secs(3));
    is_awake_again(&login1, &mut signal).await;
}

#[tokio::test]
async fn a_sign_of_life_asks_at_once() {
    let bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let login1 = Login1::start(&bus).await;
    let signs = SignsOfLife::default();
    let mut signal = follow_sleep_with(signs.clone(), &clock, &bus.address());
    asleep(&login1, &mut signal).await;
    // It proves nothing: an unlock may also come just before the machine sleeps.
    let before = login1.asked_about_sleep();
    signs.report();
    guarded("a question", async {
        while login1.asked_about_sleep() == before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    login1.wakes_up_silently();
    signs.report();
    is_awake_again(&login1, &mut signal).await;
}

#[tokio::test]
async fn a_bus_or_a_logind_that_restarts_during_sleep_says_awake() {
    let mut bus = Bus::start();
    let clock = ManualClock::at(NOON);
    let login1 = Login1::start(&bus).await;
    let mut signal = follow_sleep(&clock, &bus.address());
    asleep(&login1, &mut signal).await;
    login1.restart(async |login1| login1.wakes_up_silently()).await;
    signal.until(|observation| observation.reading == AWAKE).await;
    drop(guarded("an inhibitor of the new logind", login1.inhibitor()).await);

    login1.prepare_for_sleep(true).await;
    assert_eq!(signal.next().await.reading, SUSPENDING);
    bus.kill();
    drop(login1);
    assert_unknown(&signal.next().await, "system bus cannot be used");
    clock.is_waited_for(Duration::from_millis(100)).await;
    bus.resume();
    let login1 = Login1::start(&bus).await;
    clock.pass(Duration::from_millis(100)).await;
    is_awake_again(&login1, &mut signal).await;
}
