//! What happens after a failure: pauses for everybody, and what becomes of the user.

use super::tests::{Desk, SILENCE, seconds, turn, works};
use super::*;
use crate::failure::{Extent, Failure, FailureKind};
use crate::presence::Presence;

#[test]
fn each_failure_is_one_answer() {
    use Extent::{Request, Service};
    use FailureKind::{Passing, Refused, SignInNeeded, Throttled, TokenRefused};
    let wait = Some(seconds(7));
    for (kind, extent, retry_after, expected) in [
        (Throttled, Service, wait, Answer::Throttled { retry_after: wait }),
        (Throttled, Request, None, Answer::Throttled { retry_after: None }),
        (Passing, Service, wait, Answer::Unavailable { retry_after: wait }),
        (Passing, Service, None, Answer::Unavailable { retry_after: None }),
        (Passing, Request, wait, Answer::Failed),
        (TokenRefused, Request, None, Answer::Again),
        (SignInNeeded, Service, None, Answer::Again),
        (Refused, Request, wait, Answer::Refused),
        (Refused, Service, None, Answer::Refused),
    ] {
        let failure = Failure { extent, retry_after, ..Failure::new(kind, "") };
        assert_eq!(Answer::from(&failure), expected, "{kind:?} of {extent:?}");
    }
}

#[test]
fn a_429_pauses_everybody_and_then_the_pace_is_the_same() {
    let mut desk = Desk::with_users(100);
    desk.pacer.handle_change(UserIndex(0), false, &desk.now);
    let item = desk.one();
    desk.answer(item, Answer::Throttled { retry_after: Some(seconds(20)) });
    for user in 1..100 {
        desk.pacer.handle_change(UserIndex(user), false, &desk.now);
    }
    assert_eq!(desk.wait(), Some(seconds(20)));
    desk.pass(seconds(20));
    assert!(desk.wait().is_some_and(|wait| wait < Duration::from_millis(423)), "19 more tokens");
    let first = desk.wait_and_send();
    assert_eq!((first.len(), first[0].work), (20, turn(0, Cause::Change)), "it is back in its place");
    let begin = desk.now.instant;
    let second = desk.wait_and_send();
    let pause = desk.now.instant.saturating_since(begin);
    assert_eq!((second.len(), pause.as_millis()), (20, 444), "45 a second");
}

#[test]
fn in_an_outage_each_probe_is_another_user_and_nobody_waits_longer_than_the_pause() {
    let mut desk = Desk::with_users(3);
    desk.pass(seconds(1));
    for user in 0..3 {
        desk.pacer.handle_change(UserIndex(user), false, &desk.now);
    }
    let items = desk.send();
    for item in items {
        desk.answer(item, SILENCE);
    }
    assert_eq!(desk.wait(), Some(seconds(1)));
    let mut probes = Vec::new();
    for wait in [1, 2, 2, 2] {
        assert_eq!(desk.wait(), Some(seconds(wait)));
        desk.pass(seconds(wait));
        let probe = desk.one();
        probes.push(probe.work);
        desk.answer(probe, SILENCE);
    }
    assert_eq!(probes, [0, 1, 2, 0].map(|user| turn(user, Cause::Change)));
    desk.pass(seconds(2));
    let probe = desk.one();
    assert_eq!(probe.work, turn(1, Cause::Change));
    assert_eq!(desk.wait(), Some(seconds(2)), "it is not answered yet");
    desk.done(probe, Some(Presence::Away));
    assert_eq!(works(&desk.send()), [turn(0, Cause::Change), turn(2, Cause::Change)]);
}

#[test]
fn a_refused_user_is_looked_at_after_15_minutes_or_when_the_setup_changed() {
    let mut desk = Desk::with_users(2);
    desk.set(1, Presence::Away);
    desk.pacer.handle_change(UserIndex(0), false, &desk.now);
    let item = desk.one();
    desk.answer(item, Answer::Refused);
    desk.pacer.handle_change(UserIndex(0), false, &desk.now);
    let begin = desk.now.instant;
    let items = loop {
        let items = desk.wait_and_send();
        if items.iter().any(|item| matches!(item.work, Work::User { user: UserIndex(0), .. })) {
            break items;
        }
        desk.done(items[0], Some(Presence::Away));
    };
    let after = desk.now.instant.saturating_since(begin);
    assert!((seconds(900)..seconds(900 + 240)).contains(&after), "{after:?}");
    // A change that comes while it is on its way counts, unless it is refused again.
    desk.pacer.handle_change(UserIndex(0), false, &desk.now);
    desk.answer(items[0], Answer::Done(None));
    let item = desk.one();
    assert_eq!(item.work, turn(0, Cause::Change));
    desk.pacer.handle_change(UserIndex(0), false, &desk.now);
    desk.answer(item, Answer::Refused);
    desk.pacer.handle_setup_changed(UserIndex(0), &desk.now);
    desk.pacer.handle_setup_changed(UserIndex(1), &desk.now);
    assert_eq!(desk.one().work, turn(0, Cause::Change));
}

#[test]
fn a_user_that_fails_while_others_succeed_rests_and_then_waits_for_its_slot() {
    let mut desk = Desk::with_users(2);
    desk.pacer.handle_change(UserIndex(0), false, &desk.now);
    for _ in 0..2 {
        let item = desk.one();
        desk.set(1, Presence::Away);
        desk.answer(item, SILENCE);
        assert_eq!(desk.wait(), Some(seconds(2)), "no pause for others, and 2 s for this one");
        desk.pass(seconds(2));
    }
    let item = desk.one();
    desk.set(1, Presence::Away);
    desk.answer(item, Answer::Failed);
    desk.pacer.handle_removed(UserIndex(1));
    assert!(desk.wait().is_some_and(|wait| wait > seconds(2)), "until its slot");
    assert_eq!(works(&desk.wait_and_send()), [turn(0, Cause::Keepalive)]);
}

#[test]
fn a_batch_of_users_who_always_fail_does_not_stop_the_others() {
    let mut desk = Desk::with_users(40);
    desk.pass(seconds(1));
    for user in 0..40 {
        desk.pacer.handle_change(UserIndex(user), false, &desk.now);
    }
    let begin = desk.now.instant;
    let mut set = 0;
    while set < 20 {
        let items = desk.wait_and_send();
        desk.pass(Duration::from_millis(100));
        for item in items {
            if matches!(item.work, Work::User { user: UserIndex(..20), .. }) {
                desk.answer(item, SILENCE);
            } else {
                desk.done(item, Some(Presence::Away));
                set += 1;
            }
        }
    }
    let after = desk.now.instant.saturating_since(begin);
    assert!(after < seconds(6), "each batch of them costs a pause and a probe, three times: {after:?}");
}

#[test]
fn one_that_faded_during_a_pause_goes_when_it_ends_even_if_its_slot_is_later() {
    // The wall clock is set by 2 s, so that the slots of most users are later.
    let is_later = [1, 2, 3, 4, 5, 6].map(|user| {
        let mut desk = Desk::with_users(7);
        desk.set(user, Presence::Available);
        desk.pass(seconds(235));
        desk.pacer.handle_change(UserIndex(0), false, &desk.now);
        let item = desk.one();
        desk.answer(item, Answer::Throttled { retry_after: Some(seconds(80)) });
        desk.pacer.handle_removed(UserIndex(0));
        desk.now.wall += jiff::SignedDuration::from_secs(2);
        assert_eq!(desk.wait(), Some(seconds(80)));
        let slot = desk.pacer.users.get(UserIndex(user)).and_then(|user| user.slot).expect("a slot");
        desk.pass(seconds(80));
        let is_later = slot > second_of(desk.now.wall);
        assert_eq!(desk.one().work, turn(user, Cause::Keepalive));
        is_later
    });
    assert!(is_later.contains(&true), "{is_later:?}");
}
