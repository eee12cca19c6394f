//! What others see of a user's sessions over time, with a simulated clock.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use presenced_core::presence::Presence;

/// The time `millis` after the start.
fn at(millis: u64) -> Now {
    Now {
        instant: Instant::from_origin(Duration::from_millis(1_000_000 + millis)),
        wall: Timestamp::from_millisecond(1_700_000_000_000 + i64::try_from(millis).unwrap()).unwrap(),
        zone: TimeZone::UTC,
    }
}

fn offline() -> UserPresence {
    UserPresence::new(&at(0), 100)
}

fn app(presence: Presence, minutes: u64, now: &Now) -> Session {
    Session {
        owner: SessionOwner::Application,
        pair: presence.into(),
        set_at: now.instant,
        fades: presence.fades(),
        expires_at: Some(now.instant + Duration::from_secs(60 * minutes)),
    }
}

fn client(presence: Presence, now: &Now) -> Session {
    Session { owner: SessionOwner::Client, fades: false, expires_at: None, ..app(presence, 0, now) }
}

fn seen(user: &mut UserPresence, millis: u64) -> String {
    user.advance(&at(millis));
    user.visible().to_string()
}

#[test]
fn available_fades_after_exactly_five_and_ten_minutes_and_expires_separately() {
    let mut user = offline();
    user.set("app", app(Presence::Available, 240, &at(0)), &at(0));
    assert_eq!(seen(&mut user, 299_999), "Available/Available");
    assert_eq!(seen(&mut user, 300_000), "Available/AvailableInactive");
    assert_eq!(seen(&mut user, 599_999), "Available/AvailableInactive");
    assert_eq!(seen(&mut user, 600_000), "Away/Away");
    assert_eq!(seen(&mut user, 240 * 60_000 - 1), "Away/Away");
    assert_eq!(seen(&mut user, 240 * 60_000), "Offline/Offline");
    assert_eq!(user.fades(), 1);
}

#[test]
fn a_late_look_finds_each_change_at_its_exact_time() {
    let mut user = offline();
    user.set("app", app(Presence::Available, 15, &at(1_000)), &at(1_000));
    user.advance(&at(86_400_000));
    let timeline = user.timeline();
    let seen: Vec<_> = timeline
        .spans
        .iter()
        .map(|span| (span.from.as_millisecond() - at(0).wall.as_millisecond(), span.visible.to_string(), span.cause))
        .collect();
    assert_eq!(
        seen,
        [
            (0, "Offline/Offline".to_owned(), Cause::Start),
            (1_000, "Available/Available".to_owned(), Cause::Set),
            (301_000, "Available/AvailableInactive".to_owned(), Cause::Faded),
            (601_000, "Away/Away".to_owned(), Cause::Faded),
            (901_000, "Offline/Offline".to_owned(), Cause::Expired),
        ]
    );
}

#[test]
fn a_session_that_would_fade_and_expire_at_the_same_time_expires() {
    let mut user = offline();
    user.set("app", app(Presence::Available, 5, &at(0)), &at(0));
    assert_eq!(seen(&mut user, 300_000), "Offline/Offline");
    assert_eq!(user.fades(), 0);
    user.set("app", app(Presence::Available, 10, &at(300_000)), &at(300_000));
    assert_eq!(seen(&mut user, 899_999), "Available/AvailableInactive");
    assert_eq!(seen(&mut user, 900_000), "Offline/Offline");
}

#[test]
fn only_available_fades() {
    for presence in Presence::ALL.into_iter().filter(|presence| !presence.fades()) {
        let mut user = offline();
        user.set("app", app(presence, 240, &at(0)), &at(0));
        assert_eq!(seen(&mut user, 240 * 60_000 - 1), presence.to_string());
    }
}

#[test]
fn setting_a_session_again_restarts_fade_and_expiry() {
    let mut user = offline();
    user.set("app", app(Presence::Available, 5, &at(0)), &at(0));
    user.set("app", app(Presence::InACall, 15, &at(200_000)), &at(200_000));
    assert_eq!(seen(&mut user, 1_099_999), "Busy/InACall");
    assert_eq!(seen(&mut user, 1_100_000), "Offline/Offline");
}

#[test]
fn the_strongest_session_is_seen() {
    use Presence::{Available, Away, InACall, InAConferenceCall, Presenting};
    let cases: [(&[Presence], &str); 6] = [
        (&[Away, Available], "Available/Available"),
        (&[Available, Away], "Available/Available"),
        (&[InACall, Available, Away], "Busy/InACall"),
        (&[Presenting, InACall], "DoNotDisturb/Presenting"),
        (&[InACall, InAConferenceCall], "Busy/InAConferenceCall"),
        (&[InAConferenceCall, InACall], "Busy/InACall"),
    ];
    for (presences, expected) in cases {
        let mut user = offline();
        for (order, presence) in presences.iter().enumerate() {
            let now = at(order as u64);
            user.set(&format!("session {order}"), app(*presence, 30, &now), &now);
        }
        assert_eq!(user.visible().to_string(), expected, "{presences:?}");
    }
}

#[test]
fn it_says_which_session_wins_and_why() {
    use Presence::{Available, Away, InACall};
    let mut user = offline();
    assert_eq!(user.reason(), (Reason::NoSession, None));
    user.prefer(Pair::new(Availability::Away, "Away"), Duration::from_hours(1), &at(0));
    assert_eq!(user.reason(), (Reason::NoSession, None), "a preferred presence alone has no effect");
    user.set("a", app(Away, 240, &at(1)), &at(1));
    assert_eq!(user.reason(), (Reason::Preferred, Some("a")));
    user.clear_preferred(&at(2));
    assert_eq!(user.reason(), (Reason::OnlySession, Some("a")));
    user.set("b", app(Available, 240, &at(3)), &at(3));
    assert_eq!(user.reason(), (Reason::Strongest, Some("b")));
    user.set("c", client(Available, &at(4)), &at(4));
    assert_eq!(user.reason(), (Reason::SetLast, Some("c")));
    user.advance(&at(300_003));
    assert_eq!(user.reason(), (Reason::NotFaded, Some("c")));
    user.set("a", app(InACall, 240, &at(300_004)), &at(300_004));
    assert_eq!(user.reason(), (Reason::Strongest, Some("a")));
}

#[test]
fn an_application_s_away_is_hidden_by_a_client_s_available() {
    let mut user = offline();
    user.set("desktop", client(Presence::Available, &at(0)), &at(0));
    user.set("app", app(Presence::Away, 30, &at(1)), &at(1));
    assert_eq!(seen(&mut user, 1_000_000), "Available/Available");
    assert!(
        !user.clear("desktop", SessionOwner::Application, &at(1_000_001)),
        "an application cannot end a client's session"
    );
    assert!(user.clear("desktop", SessionOwner::Client, &at(1_000_001)));
    assert_eq!(seen(&mut user, 1_000_002), "Away/Away");
}

#[test]
fn a_fresh_session_wins_over_a_faded_one() {
    let mut user = offline();
    user.set("desktop", client(Presence::Available, &at(0)), &at(0));
    user.set("app", app(Presence::Available, 30, &at(10)), &at(10));
    assert_eq!(seen(&mut user, 400_000), "Available/Available");
    assert_eq!(user.fades(), 1, "it faded, although others did not see it");
}

#[test]
fn a_preferred_presence_wins_while_there_is_a_session_and_expires() {
    let mut user = offline();
    let away = || Pair::new(Availability::Away, "Away");
    user.prefer(away(), Duration::from_hours(1), &at(0));
    assert_eq!(seen(&mut user, 1), "Offline/Offline", "without a session there is nothing to replace");
    user.set("app", app(Presence::Presenting, 240, &at(2)), &at(2));
    assert_eq!(seen(&mut user, 3_599_999), "Away/Away");
    assert_eq!(seen(&mut user, 3_600_000), "DoNotDisturb/Presenting");
    assert_eq!(user.timeline().spans.last().unwrap().cause, Cause::PreferredExpired);
    user.prefer(away(), Duration::from_hours(1), &at(3_600_001));
    user.clear_preferred(&at(3_600_002));
    assert_eq!(seen(&mut user, 3_600_003), "DoNotDisturb/Presenting");
}

#[test]
fn clearing_the_last_session_shows_offline_and_a_missing_session_is_reported() {
    let mut user = offline();
    assert!(!user.clear("app", SessionOwner::Application, &at(0)));
    user.set("app", app(Presence::InACall, 5, &at(1)), &at(1));
    assert!(user.clear("app", SessionOwner::Application, &at(2)));
    assert_eq!(seen(&mut user, 3), "Offline/Offline");
    user.set("app", app(Presence::InACall, 5, &at(4)), &at(4));
    assert!(!user.clear("app", SessionOwner::Application, &at(300_004)), "it expired");
}

proptest! {
    /// What a keepalive relies on.
    #[test]
    fn a_session_set_again_in_time_never_fades(gaps in prop::collection::vec(1_u64..300_000, 1..60)) {
        let mut user = offline();
        let mut millis = 0;
        for gap in gaps {
            user.set("app", app(Presence::Available, 15, &at(millis)), &at(millis));
            millis += gap;
            prop_assert_eq!(seen(&mut user, millis), "Available/Available");
        }
        prop_assert_eq!(user.fades(), 0);
        prop_assert_eq!(user.timeline().spans.len(), 2);
    }

    /// The times of the looks change neither what is seen nor the timeline.
    #[test]
    fn looking_often_or_once_is_the_same(
        actions in prop::collection::vec((0_u64..900_000, 0_usize..3, 0_usize..5, 5_u64..30), 1..20),
        looks in prop::collection::vec(0_u64..20_000_000, 0..30),
    ) {
        let mut often = offline();
        let mut once = offline();
        let mut looks = looks;
        looks.sort_unstable();
        let mut looks = looks.into_iter().peekable();
        let mut millis = 0;
        for (gap, session, presence, minutes) in actions {
            millis += gap;
            while let Some(look) = looks.next_if(|look| *look <= millis) {
                often.advance(&at(look));
            }
            for user in [&mut often, &mut once] {
                user.set(&session.to_string(), app(Presence::ALL[presence], minutes, &at(millis)), &at(millis));
            }
        }
        for look in looks {
            often.advance(&at(look));
        }
        for user in [&mut often, &mut once] {
            user.advance(&at(40_000_000));
        }
        prop_assert_eq!(often.visible(), Pair::offline());
        prop_assert_eq!(often.fades(), once.fades());
        prop_assert_eq!(often.timeline(), once.timeline());
    }
}
