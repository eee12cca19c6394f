//! The board over time: what still counts after a source is lost, and what becomes suspect.

use jiff::tz::TimeZone;

use super::*;
use crate::config::Microphone;
use crate::policy::{Call, CallState};
use crate::signals::Observation;
use crate::warning::Code;

fn at(second: u64) -> Now {
    let after = Duration::from_secs(second);
    Now { instant: Instant::from_origin(after), wall: Timestamp::UNIX_EPOCH + after, zone: TimeZone::UTC }
}

fn seen<T>(reading: Reading<T>) -> Observation<T> {
    Observation { reading, source: "/run/calls".to_owned(), warnings: Vec::new(), watched: None }
}

fn call(state: CallState) -> Observation<Call> {
    seen(Reading::Known(Call { state, app: Some("baresip".to_owned()) }))
}

fn board() -> Board {
    let mut board = Board::default();
    let microphone = Microphone {
        socket: "/run/pulse".into(),
        cookies: Vec::new(),
        allow: Vec::new(),
        deny: Vec::new(),
        settle: Microphone::SETTLE,
    };
    board.configure(&config::Signals {
        lock: Some(config::Lock {}),
        call: Some(config::Call { path: "/run/calls".into(), owners: None, stale_after: None }),
        microphone: Some(microphone),
        ..config::Signals::default()
    });
    board
}

#[test]
fn a_microphone_keeps_its_value_while_the_sound_server_restarts() {
    for state in [CallState::InCall, CallState::Idle] {
        let mut board = board();
        board.hear(Update::Call(call(CallState::Idle)), &at(1));
        board.hear(Update::Microphone(call(state)), &at(1));
        board.hear(Update::Microphone(seen(Reading::Unknown)), &at(10));
        let known = |second| board.snapshot(&at(second)).call.known().map(|call| call.state);
        assert_eq!((known(69), known(70)), (Some(state), None));
        assert_eq!(board.next_end(&board.snapshot(&at(10)), &at(10)), Some(at(70).instant));
    }
}

#[test]
fn a_call_of_twelve_hours_behind_a_locked_screen_is_suspect() {
    let mut board = board();
    let hours = |hours: u64| at(hours * 60 * 60);
    board.hear(Update::Microphone(call(CallState::Idle)), &at(0));
    board.hear(Update::Call(call(CallState::InCall)), &at(0));
    board.hear(Update::Lock(seen(Reading::Known(Lock::Unlocked))), &at(0));
    let warnings = |board: &mut Board, now: &Now| {
        let snapshot = board.snapshot(now);
        board.report(&snapshot, now);
        let end = board.next_end(&snapshot, now);
        (board.warnings(&snapshot, now).map(|warning| (warning.code, warning.text)).collect::<Vec<_>>(), end)
    };
    assert_eq!(warnings(&mut board, &at(0)), (vec![], None), "nothing to wake up for while somebody is there");
    board.hear(Update::Lock(seen(Reading::Known(Lock::Locked))), &hours(1));
    assert_eq!(warnings(&mut board, &hours(1)), (vec![], Some(hours(12).instant)));
    let text = "A call has lasted for more than 12 hours, and the screen is locked: baresip reports it.";
    assert_eq!(warnings(&mut board, &hours(12)), (vec![(Code::LongCall, text.to_owned())], None));
    board.hear(Update::Call(call(CallState::Idle)), &hours(13));
    assert_eq!(warnings(&mut board, &hours(13)), (vec![], None));
}
