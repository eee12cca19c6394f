//! Time that does not simply pass: suspends and clock changes, with the real daemon and an emulated Graph on one clock that
//! moves only when the test moves it.
//!
//! What is not tested here: that the kernel's timers see a real suspend and a real change of the clock. The one cannot be
//! made and the other must not be on a machine that runs tests; `daemon/clock.rs` asks the kernel for both.

use std::time::Duration;

use presenced::time::Clock as _;
use presenced_emulator::{Call, Cause};

use crate::stage::desk::Desk;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_suspend_of_a_minute_counts_towards_the_keepalive() {
    let mut desk = Desk::new().await;
    desk.suspend(MINUTE);
    desk.clock.pass(3 * MINUTE).await;
    desk.sets("Available/Available").await;
    assert_eq!(desk.causes(), [Cause::Start, Cause::Set], "it never faded");
}

#[tokio::test]
async fn after_a_suspend_of_six_minutes_available_is_set_at_once() {
    let mut desk = Desk::new().await;
    desk.suspend(6 * MINUTE);
    desk.sets("Available/Available").await;
    assert_eq!(desk.causes(), [Cause::Start, Cause::Set, Cause::Faded, Cause::Set]);
    desk.clock.pass(4 * MINUTE).await;
    desk.sets("Available/Available").await;
    assert_eq!(desk.causes().len(), 4, "from then on it is kept as ever");
}

#[tokio::test]
async fn after_a_suspend_into_a_meeting_the_meeting_is_set() {
    let mut desk = Desk::new().await;
    desk.suspend(90 * MINUTE);
    desk.sets("Busy/InAConferenceCall").await;
    desk.clock.pass(12 * MINUTE).await;
    desk.sets("Busy/InAConferenceCall").await;
}

#[tokio::test]
async fn after_a_suspend_of_ten_hours_the_token_and_the_session_are_new() {
    let mut desk = Desk::new().await;
    desk.suspend(Duration::from_hours(10));
    desk.sets("Available/Available").await;
    assert_eq!(desk.causes(), [Cause::Start, Cause::Set, Cause::Faded, Cause::Faded, Cause::Expired, Cause::Set]);
    let tokens = desk.emulator.requests().iter().filter(|record| record.call == Call::Token).count();
    assert_eq!(tokens, 2, "the one from before had expired");
}

#[tokio::test]
async fn a_clock_set_forward_by_an_hour_moves_the_calendar_and_no_keepalive() {
    let mut desk = Desk::new().await;
    desk.suspend(3 * MINUTE);
    desk.set_clock("2026-11-24T10:03:00Z");
    desk.sets("Busy/InAConferenceCall").await;
    desk.set_clock("2026-11-24T09:03:00Z");
    desk.sets("Available/Available").await;
    // Four minutes of the clock that nobody sets.
    desk.clock.pass(4 * MINUTE).await;
    desk.sets("Available/Available").await;
    assert_eq!(desk.causes(), [Cause::Start, Cause::Set, Cause::Set, Cause::Set], "it never faded");
}

#[tokio::test]
async fn a_clock_set_back_by_an_hour_neither_holds_up_nor_hastens_a_keepalive() {
    let mut desk = Desk::new().await;
    desk.set_clock("2026-11-24T08:00:00Z");
    desk.clock.pass(4 * MINUTE).await;
    desk.sets("Available/Available").await;
    assert_eq!(desk.clock.now().wall.to_string(), "2026-11-24T08:04:00Z");
    assert_eq!(desk.causes(), [Cause::Start, Cause::Set], "it never faded");
    let sets = desk.emulator.requests().iter().filter(|record| record.call == Call::Set).count();
    assert_eq!(sets, 2);
}
