//! Tests of the preferred presence together with the session, in virtual time. Scripted tests are here; `model` checks what
//! others see.

use std::time::Duration;

use super::*;
use crate::failure::Applied;
use crate::presence::{Expiration, Presence};

mod model;

fn at(seconds: u64) -> Instant {
    Instant::from_origin(Duration::from_secs(seconds))
}

fn target(presence: Presence) -> Target {
    Target { presence, expiration: Expiration::default() }
}

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "it failed")
}

fn unanswered() -> Failure {
    Failure { applied: Applied::Perhaps, ..failure(FailureKind::Passing) }
}

/// Takes the request that is due at `now`, and reports `outcome` for it.
fn answer(session: &mut Session, now: Instant, outcome: Result<(), &Failure>) -> Action {
    let request = session.poll_request(now).expect("a request is due");
    assert_eq!(session.poll_request(now), None, "one in flight");
    session.handle_outcome(request.id, outcome, now);
    request.action
}

/// Sends all requests that are due at `now`.
fn drain(session: &mut Session, now: Instant) -> Vec<Action> {
    let mut sent = Vec::new();
    while let Some(request) = session.poll_request(now) {
        session.handle_outcome(request.id, Ok(()), now);
        sent.push(request.action);
        assert!(sent.len() < 10, "it settles: {sent:?}");
    }
    sent
}

/// A session that has preferred Away since `since`.
fn preferring(since: Instant) -> Session {
    let mut session = Session::new(7);
    session.handle_wish_to_prefer(target(Presence::Away), since);
    drain(&mut session, since);
    session
}

fn set(presence: Presence) -> Action {
    Action::Set(target(presence))
}

fn prefer(presence: Presence) -> Action {
    Action::Prefer(target(presence))
}

#[test]
fn a_missing_session_is_set_before_the_preferred_presence() {
    let mut session = Session::new(1);
    session.handle_wish_to_prefer(target(Presence::Away), at(0));
    assert_eq!(drain(&mut session, at(0)), [set(Presence::Away), prefer(Presence::Away)]);
    assert_eq!(session.asserted(at(1)), Some((target(Presence::Away), at(0))));
    assert_eq!(session.preferred(at(1)), Some((target(Presence::Away), at(0))));
    assert_eq!(session.state(at(1)), State::Holding);
}

#[test]
fn the_preferred_presence_is_set_first_and_cleared_last() {
    let mut session = Session::new(1);
    session.handle_wish(Some(target(Presence::InACall)), at(0));
    assert_eq!(drain(&mut session, at(0)), [set(Presence::InACall)]);
    session.handle_wish_to_prefer(target(Presence::Away), at(10));
    assert_eq!(drain(&mut session, at(10)), [prefer(Presence::Away), set(Presence::Away)]);
    session.handle_wish_to_prefer(target(Presence::Presenting), at(20));
    assert_eq!(drain(&mut session, at(20)), [prefer(Presence::Presenting), set(Presence::Presenting)]);
    session.handle_wish(Some(target(Presence::Available)), at(30));
    assert_eq!(drain(&mut session, at(30)), [set(Presence::Available), Action::ClearPreferred]);
    assert_eq!(session.preferred(at(31)), None);
}

#[test]
fn preferring_the_same_presence_leaves_the_session_alone() {
    let mut session = Session::new(1);
    session.handle_wish(Some(target(Presence::Away)), at(0));
    drain(&mut session, at(0));
    session.handle_wish_to_prefer(target(Presence::Away), at(10));
    assert_eq!(drain(&mut session, at(10)), [prefer(Presence::Away)]);
    session.handle_wish(Some(target(Presence::Away)), at(20));
    assert_eq!(drain(&mut session, at(20)), [Action::ClearPreferred]);
}

#[test]
fn the_preferred_presence_is_cleared_first_if_nothing_will_be_held() {
    let mut session = preferring(at(0));
    session.handle_wish(None, at(10));
    assert_eq!(drain(&mut session, at(10)), [Action::ClearPreferred, Action::Clear]);
    assert_eq!(session.state(at(10)), State::Released);
    assert_eq!(session.poll_wakeup(at(10)), None);
}

#[test]
fn a_preferred_presence_from_elsewhere_is_never_cleared() {
    let mut session = Session::new(1);
    session.handle_wish(Some(target(Presence::Available)), at(0));
    assert_eq!(drain(&mut session, at(0)), [set(Presence::Available)]);
    session.handle_wish(None, at(10));
    assert_eq!(drain(&mut session, at(10)), [Action::Clear]);
    session.handle_wish(Some(target(Presence::Away)), at(20));
    drain(&mut session, at(20));
    session.handle_leave(true);
    assert_eq!(drain(&mut session, at(30)), [Action::Clear]);
    assert!(session.has_left());
}

#[test]
fn a_preferred_presence_that_expired_during_sleep_is_not_cleared() {
    let mut session = preferring(at(0));
    // The machine slept for hours, and the user chose a status on a phone.
    session.handle_wish(Some(target(Presence::Available)), at(30_000));
    assert_eq!(drain(&mut session, at(30_000)), [set(Presence::Available)]);

    for (waited, cleared) in [(899, true), (900, false)] {
        let mut session = Session::new(1);
        session.handle_wish_to_prefer(target(Presence::Away), at(0));
        answer(&mut session, at(0), Ok(()));
        assert_eq!(answer(&mut session, at(0), Err(&unanswered())), prefer(Presence::Away));
        session.handle_wish(Some(target(Presence::Away)), at(waited));
        let sent = drain(&mut session, at(waited));
        assert_eq!(sent.contains(&Action::ClearPreferred), cleared, "after {waited} s: {sent:?}");
    }
}

#[test]
fn a_preferred_presence_is_cleared_only_if_it_may_have_been_set() {
    for (outcome, cleared) in [(unanswered(), true), (failure(FailureKind::Passing), false)] {
        let mut session = Session::new(1);
        session.handle_wish_to_prefer(target(Presence::Away), at(0));
        answer(&mut session, at(0), Ok(()));
        assert_eq!(answer(&mut session, at(0), Err(&outcome)), prefer(Presence::Away));
        session.handle_wish(Some(target(Presence::Available)), at(5));
        let sent = drain(&mut session, at(5));
        assert_eq!(sent.contains(&Action::ClearPreferred), cleared, "{sent:?}");
        assert_eq!(session.state(at(5)), State::Holding);
    }
}

#[test]
fn an_uncertain_session_does_not_affect_the_preferred_presence() {
    let mut session = preferring(at(0));
    // The session's keepalive got lost; the preferred presence did not.
    assert_eq!(answer(&mut session, at(720), Ok(())), prefer(Presence::Away));
    assert_eq!(answer(&mut session, at(720), Err(&unanswered())), set(Presence::Away));
    let retry = session.poll_wakeup(at(720)).expect("a retry").0;
    assert_eq!(drain(&mut session, retry), [set(Presence::Away)]);
}

#[test]
fn both_are_refreshed_in_the_same_wakeups() {
    let mut session = Session::new(1);
    session.handle_wish(Some(target(Presence::Available)), at(0));
    drain(&mut session, at(0));
    session.handle_wish_to_prefer(target(Presence::Available), at(30));
    drain(&mut session, at(30));
    let (mut wakeups, mut preferred) = (Vec::new(), Vec::new());
    let mut now = at(30);
    while now < at(3600) {
        let (next, why) = session.poll_wakeup(now).expect("it keeps them");
        assert_eq!(why, Why::Keepalive);
        now = next;
        wakeups.push(now);
        // Each answer takes a while, and one takes long.
        while let Some(request) = session.poll_request(now) {
            now = now + Duration::from_secs(if wakeups.len() == 4 { 20 } else { 1 });
            session.handle_outcome(request.id, Ok(()), now);
            preferred.extend(request.action.is_about_preferred().then_some(now));
        }
        assert!(session.asserted(now).is_some() && session.preferred(now).is_some());
    }
    assert_eq!(wakeups.len(), 15, "as many as for the session alone: {wakeups:?}");
    assert!((5..=6).contains(&preferred.len()), "not in each wakeup: {preferred:?}");
}

#[test]
fn it_never_lapses_while_requests_succeed() {
    for minutes in [5, 7, 15, 60, 240] {
        for presence in Presence::ALL {
            let expiration = Expiration::try_from(Duration::from_mins(minutes)).expect("in range");
            let mut session = Session::new(minutes);
            session.handle_wish_to_prefer(Target { presence, expiration }, at(0));
            let mut now = at(0);
            for _ in 0..200 {
                drain(&mut session, now);
                now = session.poll_wakeup(now).expect("it keeps them").0;
                assert!(session.preferred(now).is_some(), "{presence} for {minutes} minutes lapsed at {now:?}");
            }
        }
    }
}

#[test]
fn leaving_clears_both_keeps_both_or_hands_over_the_session() {
    let mut cleared = preferring(at(0));
    cleared.handle_leave(true);
    assert!(!cleared.has_left());
    assert_eq!(drain(&mut cleared, at(1)), [Action::ClearPreferred, Action::Clear]);
    assert!(cleared.has_left());

    let mut kept = preferring(at(0));
    kept.handle_leave(false);
    assert!(kept.has_left());
    assert_eq!(drain(&mut kept, at(1)), []);

    let mut handed_over = preferring(at(0));
    handed_over.handle_hand_over();
    assert_eq!(drain(&mut handed_over, at(1)), [Action::ClearPreferred]);
    assert!(handed_over.has_left());
}

#[test]
fn a_failing_preferred_presence_does_not_delay_the_session() {
    let mut session = Session::new(1);
    session.handle_wish(Some(target(Presence::InACall)), at(0));
    drain(&mut session, at(0));
    session.handle_wish_to_prefer(target(Presence::Away), at(10));
    assert_eq!(answer(&mut session, at(10), Err(&failure(FailureKind::Passing))), prefer(Presence::Away));
    assert_eq!(session.state(at(10)), State::Retrying);
    let retry = session.poll_wakeup(at(10)).expect("a retry").0;
    assert_eq!(answer(&mut session, retry, Ok(())), set(Presence::Away));
    assert_eq!(answer(&mut session, retry, Ok(())), prefer(Presence::Away));

    session.handle_leave(true);
    assert_eq!(answer(&mut session, at(30), Err(&unanswered())), Action::ClearPreferred);
    session.handle_nudge();
    assert_eq!(answer(&mut session, at(31), Ok(())), Action::Clear);
    assert!(!session.has_left());
    assert_eq!(answer(&mut session, at(31), Ok(())), Action::ClearPreferred);
    assert!(session.has_left());
}

#[test]
fn a_refused_preferred_presence_is_tried_again_while_the_session_is_kept() {
    let mut session = Session::new(1);
    session.handle_wish_to_prefer(target(Presence::Available), at(0));
    answer(&mut session, at(0), Ok(()));
    assert_eq!(answer(&mut session, at(0), Err(&failure(FailureKind::Refused))), prefer(Presence::Available));
    for keepalive in [240, 480, 720] {
        assert_eq!(session.state(at(keepalive)), State::Refused);
        assert_eq!(drain(&mut session, at(keepalive)), [set(Presence::Available)]);
    }
    assert_eq!(session.poll_wakeup(at(720)), Some((at(900), Why::LookAgain)));
    assert_eq!(drain(&mut session, at(900)), [prefer(Presence::Available)]);
    assert_eq!(session.state(at(900)), State::Holding);
}

#[test]
fn a_refused_session_also_stops_the_preferred_presence() {
    let mut session = preferring(at(0));
    assert_eq!(answer(&mut session, at(720), Ok(())), prefer(Presence::Away));
    assert_eq!(answer(&mut session, at(720), Err(&failure(FailureKind::Refused))), set(Presence::Away));
    session.handle_wish(Some(target(Presence::Available)), at(730));
    assert_eq!(drain(&mut session, at(1619)), []);
    session.handle_leave(true);
    assert!(session.has_left(), "nothing can be done");
}

#[test]
fn a_retry_after_and_a_missing_sign_in_stop_both() {
    let mut session = preferring(at(0));
    let throttled = Failure { retry_after: Some(Duration::from_secs(50)), ..failure(FailureKind::Throttled) };
    assert_eq!(answer(&mut session, at(720), Err(&throttled)), prefer(Presence::Away));
    assert_eq!(session.state(at(720)), State::Throttled);
    assert_eq!(drain(&mut session, at(769)), []);
    assert_eq!(session.poll_wakeup(at(720)), Some((at(770), Why::RetryAfter)));
    assert_eq!(drain(&mut session, at(770)), [set(Presence::Away), prefer(Presence::Away)]);

    answer(&mut session, at(1490), Err(&failure(FailureKind::SignInNeeded)));
    assert_eq!(drain(&mut session, at(1_000_000)), []);
    assert_eq!(session.state(at(1491)), State::SignInNeeded);
    session.handle_setup_changed();
    assert_eq!(drain(&mut session, at(1_000_000)).len(), 2);
}

#[test]
fn a_change_of_both_is_coalesced_as_one() {
    let mut session = preferring(at(0));
    for change in 1..5 {
        let now = at(change);
        if change % 2 == 1 {
            session.handle_wish(Some(target(Presence::Available)), now);
        } else {
            session.handle_wish_to_prefer(target(Presence::Away), now);
        }
        assert_eq!(drain(&mut session, now).len(), 2, "change {change}");
    }
    session.handle_wish(Some(target(Presence::Available)), at(5));
    assert_eq!(session.poll_wakeup(at(5)), Some((at(10), Why::Coalesce)));
    assert_eq!(drain(&mut session, at(10)).len(), 2, "the window is over for both");
}
