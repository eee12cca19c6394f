//! Tests of the session with scripted events, in virtual time.

use std::time::Duration;

use super::*;
use crate::failure::Applied;
use crate::presence::{Expiration, Presence};

fn at(seconds: u64) -> Instant {
    Instant::from_origin(Duration::from_secs(seconds))
}

fn target(presence: Presence) -> Target {
    Target { presence, expiration: Expiration::default() }
}

fn set(presence: Presence) -> Action {
    Action::Set(target(presence))
}

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "it failed")
}

fn unanswered() -> Failure {
    Failure { applied: Applied::Perhaps, ..failure(FailureKind::Passing) }
}

/// Takes the request that is due at `now`, and reports `outcome` for it.
fn answer(session: &mut Session, now: Instant, outcome: Result<(), &Failure>) -> Request {
    let request = session.poll_request(now).expect("a request is due");
    session.handle_outcome(request.id, outcome, now);
    request
}

fn holding(presence: Presence, since: Instant) -> Session {
    let mut session = Session::new(7);
    session.handle_wish(Some(target(presence)), since);
    answer(&mut session, since, Ok(()));
    session
}

#[test]
fn nothing_is_sent_before_anything_is_decided() {
    let mut session = Session::new(1);
    assert_eq!(session.poll_request(at(0)), None);
    assert_eq!(session.poll_wakeup(at(0)), None);
    assert_eq!(session.state(at(0)), State::Starting);
}

#[test]
fn available_is_set_again_every_four_minutes() {
    let mut session = holding(Presence::Available, at(0));
    for keepalive in 1..=100 {
        let due = at(keepalive * 240);
        assert_eq!(session.poll_request(due - Duration::from_secs(1)), None);
        assert_eq!(session.poll_wakeup(due - Duration::from_secs(1)), Some((due, Why::Keepalive)));
        assert_eq!(answer(&mut session, due, Ok(())).action, set(Presence::Available));
        assert_eq!(session.state(due), State::Holding);
    }
}

#[test]
fn a_call_with_fifteen_minutes_is_set_again_every_twelve() {
    let session = holding(Presence::InACall, at(0));
    assert_eq!(session.poll_wakeup(at(0)), Some((at(720), Why::Keepalive)));
}

#[test]
fn a_deadline_counts_from_the_sending() {
    let mut session = Session::new(1);
    session.handle_wish(Some(target(Presence::Available)), at(0));
    let request = session.poll_request(at(0)).expect("due");
    session.handle_outcome(request.id, Ok(()), at(9));
    assert_eq!(session.asserted(at(9)), Some((target(Presence::Available), at(0))));
    assert_eq!(session.poll_wakeup(at(9)), Some((at(240), Why::Keepalive)));
}

#[test]
fn a_change_is_sent_at_once_and_then_only_the_newest_wish() {
    let mut session = holding(Presence::Available, at(0));
    session.handle_wish(Some(target(Presence::InACall)), at(10));
    let request = session.poll_request(at(10)).expect("at once");
    session.handle_wish(Some(target(Presence::Presenting)), at(11));
    session.handle_wish(Some(target(Presence::Away)), at(12));
    assert_eq!(session.poll_request(at(12)), None, "one in flight");
    session.handle_outcome(request.id, Ok(()), at(13));
    assert_eq!(answer(&mut session, at(13), Ok(())).action, set(Presence::Away));
}

#[test]
fn a_wish_that_is_taken_back_before_it_is_sent_sends_nothing() {
    let mut session = holding(Presence::Available, at(0));
    session.handle_wish(Some(target(Presence::InACall)), at(10));
    session.handle_wish(Some(target(Presence::Available)), at(10));
    assert_eq!(session.poll_request(at(10)), None);
}

#[test]
fn changes_of_a_flapping_signal_are_coalesced() {
    let mut session = holding(Presence::Available, at(0));
    let mut sent = 0;
    for second in 1..=60 {
        let wish = if second % 2 == 1 { Presence::Away } else { Presence::Available };
        session.handle_wish(Some(target(wish)), at(second));
        if let Some(request) = session.poll_request(at(second)) {
            session.handle_outcome(request.id, Ok(()), at(second));
            sent += 1;
        }
    }
    assert!(sent < 20, "{sent} requests for 60 changes");
    let (wakeup, _) = session.poll_wakeup(at(60)).expect("the last wish is pending or held");
    assert!(wakeup <= at(65) || session.asserted(at(60)).map(|held| held.0) == Some(target(Presence::Available)));
}

#[test]
fn a_signal_that_never_stops_flapping_is_sent_once_per_window() {
    let mut session = holding(Presence::Available, at(0));
    let mut sent = Vec::new();
    for (change, wish) in (1..=6000).zip([Presence::Away, Presence::InACall, Presence::Presenting].into_iter().cycle())
    {
        let now = at(0) + Duration::from_millis(change * 10);
        session.handle_wish(Some(target(wish)), now);
        if let Some(request) = session.poll_request(now) {
            session.handle_outcome(request.id, Ok(()), now);
            sent.push(now);
        }
    }
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1].saturating_since(pair[0])).collect();
    assert!(gaps.iter().skip(5).all(|gap| (5000..5100).contains(&gap.as_millis())), "{gaps:?}");
    assert!(sent.len() > 14, "{} requests in a minute", sent.len());
}

#[test]
fn deciding_nothing_clears_once() {
    let mut session = holding(Presence::Available, at(0));
    session.handle_wish(None, at(10));
    assert_eq!(answer(&mut session, at(10), Ok(())).action, Action::Clear);
    assert_eq!(session.state(at(10)), State::Released);
    assert_eq!(session.poll_request(at(100_000)), None);
    assert_eq!(session.poll_wakeup(at(10)), None);
}

#[test]
fn a_session_from_an_earlier_process_is_cleared_if_nothing_is_decided() {
    let mut session = Session::new(1);
    session.handle_wish(None, at(0));
    assert_eq!(answer(&mut session, at(0), Ok(())).action, Action::Clear);
}

#[test]
fn an_unanswered_request_leaves_the_session_uncertain() {
    let mut session = holding(Presence::Available, at(0));
    session.handle_wish(Some(target(Presence::Away)), at(10));
    answer(&mut session, at(10), Err(&unanswered()));
    session.handle_wish(Some(target(Presence::Available)), at(11));
    assert_eq!(
        answer(&mut session, at(11), Ok(())).action,
        set(Presence::Available),
        "sent although it was confirmed last"
    );
}

#[test]
fn a_request_that_an_abandoned_one_may_overtake_is_repeated() {
    let given_up = Failure { applied: Applied::PerhapsLater, ..failure(FailureKind::Passing) };
    for (wish, action) in [(Some(target(Presence::Away)), set(Presence::Away)), (None, Action::Clear)] {
        let mut session = holding(Presence::Available, at(0));
        session.handle_wish(Some(target(Presence::InACall)), at(10));
        let request = session.poll_request(at(10)).expect("due");
        session.handle_outcome(request.id, Err(&given_up), at(11));
        session.handle_nudge();
        session.handle_wish(wish, at(12));
        assert_eq!(answer(&mut session, at(12), Ok(())).action, action);
        assert_eq!(session.poll_request(at(20)), None);
        assert_eq!(session.poll_wakeup(at(12)), Some((at(21), Why::Retry)));
        assert_eq!(answer(&mut session, at(21), Ok(())).action, action);
        let keepalive = wish.map(|_| (at(21 + 720), Why::Keepalive));
        assert_eq!(session.poll_wakeup(at(21)), keepalive, "nothing can overtake that one");
    }
}

#[test]
fn leaving_does_not_wait_for_abandoned_requests() {
    let given_up = Failure { applied: Applied::PerhapsLater, ..failure(FailureKind::Passing) };
    let mut session = holding(Presence::Available, at(0));
    let request = session.poll_request(at(240)).expect("the keepalive");
    session.handle_leave(true);
    session.handle_outcome(request.id, Err(&given_up), at(241));
    session.handle_nudge();
    assert_eq!(answer(&mut session, at(241), Ok(())).action, Action::Clear);
    assert!(session.has_left());
}

#[test]
fn a_request_that_had_no_effect_leaves_no_doubt() {
    let mut session = holding(Presence::Available, at(0));
    session.handle_wish(Some(target(Presence::Away)), at(10));
    answer(&mut session, at(10), Err(&failure(FailureKind::Passing)));
    session.handle_wish(Some(target(Presence::Available)), at(11));
    assert_eq!(session.poll_request(at(11)), None);
}

#[test]
fn leaving_clears_a_session_that_is_held_or_may_be() {
    let mut held = holding(Presence::Available, at(0));
    held.handle_leave(true);
    assert!(!held.has_left());
    assert_eq!(answer(&mut held, at(1), Ok(())).action, Action::Clear);
    assert!(held.has_left());

    let mut released = Session::new(1);
    released.handle_wish(None, at(0));
    answer(&mut released, at(0), Ok(()));
    released.handle_leave(true);
    assert!(released.has_left(), "nothing to clear");

    let mut keep = holding(Presence::Available, at(0));
    keep.handle_leave(false);
    assert!(keep.has_left());
    assert_eq!(keep.poll_request(at(1)), None);
}

#[test]
fn leaving_waits_for_the_request_in_flight_and_ends_the_backoff() {
    let mut session = holding(Presence::Available, at(0));
    session.handle_wish(Some(target(Presence::Away)), at(10));
    let request = session.poll_request(at(10)).expect("due");
    session.handle_leave(true);
    assert_eq!(session.poll_request(at(10)), None);
    session.handle_outcome(request.id, Err(&unanswered()), at(11));
    let (retry, _) = session.poll_wakeup(at(11)).expect("the clear is due");
    assert!(retry <= at(12), "the first backoff is at most a second");
    assert_eq!(answer(&mut session, retry, Ok(())).action, Action::Clear);
    assert!(session.has_left());
}

#[test]
fn a_changed_wish_and_a_nudge_end_a_backoff_but_not_a_retry_after() {
    let mut session = holding(Presence::Available, at(0));
    let throttled = Failure { retry_after: Some(Duration::from_secs(100)), ..failure(FailureKind::Throttled) };
    session.handle_wish(Some(target(Presence::Away)), at(10));
    answer(&mut session, at(10), Err(&throttled));
    session.handle_wish(Some(target(Presence::InACall)), at(20));
    session.handle_nudge();
    assert_eq!(session.state(at(20)), State::Throttled);
    assert_eq!(session.poll_request(at(109)), None);
    assert_eq!(session.poll_wakeup(at(20)), Some((at(110), Why::RetryAfter)));
    assert_eq!(answer(&mut session, at(110), Ok(())).action, set(Presence::InACall));

    let mut now = at(200);
    session.handle_wish(Some(target(Presence::Away)), now);
    for _ in 0..12 {
        answer(&mut session, now, Err(&failure(FailureKind::Passing)));
        now = session.poll_wakeup(now).expect("a retry").0;
    }
    answer(&mut session, now, Err(&failure(FailureKind::Passing)));
    assert_eq!(session.poll_request(now), None, "backing off");
    session.handle_nudge();
    assert_eq!(answer(&mut session, now, Ok(())).action, set(Presence::Away));
}

#[test]
fn a_refused_token_is_renewed_once_before_backing_off() {
    let mut session = Session::new(3);
    session.handle_wish(Some(target(Presence::Available)), at(0));
    assert!(!answer(&mut session, at(0), Err(&failure(FailureKind::TokenRefused))).fresh_token);
    assert!(
        answer(&mut session, at(0), Err(&failure(FailureKind::TokenRefused))).fresh_token,
        "at once, with a new token"
    );
    let (_, why) = session.poll_wakeup(at(0)).expect("it keeps trying");
    assert_eq!(why, Why::Retry);
    assert_eq!(session.state(at(0)), State::Retrying);
}

#[test]
fn nothing_is_sent_until_the_user_signs_in() {
    let mut session = holding(Presence::Available, at(0));
    answer(&mut session, at(240), Err(&failure(FailureKind::SignInNeeded)));
    assert_eq!(session.state(at(240)), State::SignInNeeded);
    session.handle_wish(Some(target(Presence::Away)), at(250));
    session.handle_nudge();
    assert_eq!(session.poll_request(at(1_000_000)), None);
    assert_eq!(session.poll_wakeup(at(250)), None);
    session.handle_setup_changed();
    let request = answer(&mut session, at(300), Ok(()));
    assert!(request.fresh_token);
    assert_eq!(request.action, set(Presence::Away));
    assert_eq!(session.state(at(300)), State::Holding);
}

#[test]
fn a_refusal_of_a_request_from_before_the_sign_in_does_not_count() {
    for kind in [FailureKind::SignInNeeded, FailureKind::Refused] {
        let mut session = Session::new(1);
        session.handle_wish(Some(target(Presence::Available)), at(0));
        let request = session.poll_request(at(0)).expect("a request is due");
        session.handle_setup_changed();
        session.handle_outcome(request.id, Err(&failure(kind)), at(1));
        let again = answer(&mut session, at(1), Err(&failure(kind)));
        assert!(again.fresh_token);
        assert_eq!(session.poll_request(at(2)), None, "that one was sent after the sign-in");
    }
}

#[test]
fn a_refused_session_tries_again_every_fifteen_minutes() {
    let mut session = Session::new(1);
    session.handle_wish(Some(target(Presence::Available)), at(0));
    for look in 0..5 {
        let request = answer(&mut session, at(look * 900), Err(&failure(FailureKind::Refused)));
        assert_eq!(request.fresh_token, look > 0, "only a new token has a permission that was granted later");
        session.handle_nudge();
        assert_eq!(session.poll_request(at(look * 900 + 899)), None);
        assert_eq!(session.poll_wakeup(at(look * 900)), Some((at(look * 900 + 900), Why::LookAgain)));
    }
    answer(&mut session, at(5 * 900), Ok(()));
    assert_eq!(session.state(at(5 * 900)), State::Holding);
}

#[test]
fn an_outcome_without_a_request_in_flight_is_ignored() {
    let mut session = holding(Presence::Available, at(0));
    session.handle_wish(Some(target(Presence::Away)), at(10));
    let request = session.poll_request(at(10)).expect("due");
    session.handle_outcome(request.id, Ok(()), at(10));
    session.handle_outcome(request.id, Err(&failure(FailureKind::Refused)), at(10));
    assert_eq!(session.state(at(10)), State::Holding);
}

#[test]
fn an_expired_presence_is_no_longer_asserted() {
    let mut session = holding(Presence::InACall, at(0));
    let request = session.poll_request(at(720)).expect("the keepalive");
    session.handle_outcome(request.id, Err(&unanswered()), at(730));
    assert!(session.asserted(at(899)).is_some());
    assert_eq!(session.asserted(at(900)), None);
    assert_eq!(session.state(at(900)), State::Retrying);
}

#[test]
fn a_session_rests_if_nothing_is_due_soon() {
    let soon = at(3);
    let mut session = holding(Presence::Available, at(0));
    assert!(session.rests_until(soon, at(0)), "the keepalive is due later");
    session.handle_wish(Some(target(Presence::Away)), at(1));
    assert!(!session.rests_until(soon, at(1)), "a change is due");
    let request = session.poll_request(at(1)).expect("a request is due");
    assert!(!session.rests_until(soon, at(1)), "a request is in flight");
    session.handle_outcome(request.id, Err(&failure(FailureKind::Passing)), at(1));
    assert!(!session.rests_until(soon, at(1)), "it is tried again within a second");
    session.handle_suspend();
    assert_eq!(session.poll_wakeup(at(1)), Some((at(1), Why::Coalesce)), "no backoff before sleep");
    let throttled = Failure { retry_after: Some(Duration::from_mins(5)), ..failure(FailureKind::Throttled) };
    answer(&mut session, at(2), Err(&throttled));
    assert!(session.rests_until(soon, at(2)), "the service asked to wait for longer");
}

#[test]
fn before_sleep_only_a_retry_after_delays_a_request() {
    let mut session = holding(Presence::Available, at(0));
    for (second, presence) in (1..).zip([Presence::Away, Presence::InACall].into_iter().cycle().take(4)) {
        session.handle_wish(Some(target(presence)), at(second));
        answer(&mut session, at(second), Ok(()));
    }
    session.handle_wish(Some(target(Presence::Away)), at(6));
    assert_eq!(session.poll_request(at(6)), None, "changes are being coalesced");
    session.handle_suspend();
    answer(&mut session, at(6), Err(&failure(FailureKind::Passing)));
    session.handle_suspend();
    let throttled = Failure { retry_after: Some(Duration::from_secs(2)), ..failure(FailureKind::Throttled) };
    answer(&mut session, at(6), Err(&throttled));
    session.handle_suspend();
    assert_eq!(session.poll_request(at(7)), None);
    answer(&mut session, at(8), Ok(()));
}
