//! What a person's sessions look like to others as time goes by, in a time of the tests' own.

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

fn app(presence: Presence, minutes: u64, now: &Now) -> Session {
    Session {
        holder: Holder::Application,
        pair: presence.into(),
        set_at: now.instant,
        fades: presence.fades(),
        expires_at: Some(now.instant + Duration::from_secs(60 * minutes)),
    }
}

fn client(presence: Presence, now: &Now) -> Session {
    Session { holder: Holder::Client, fades: false, expires_at: None, ..app(presence, 0, now) }
}

fn seen(person: &mut Person, millis: u64) -> String {
    person.advance(&at(millis));
    person.visible().to_string()
}

#[test]
fn available_fades_after_five_and_ten_minutes_to_the_millisecond_and_expires_on_its_own_clock() {
    let mut person = Person::new(&at(0));
    person.set("app", app(Presence::Available, 240, &at(0)), &at(0));
    assert_eq!(seen(&mut person, 299_999), "Available/Available");
    assert_eq!(seen(&mut person, 300_000), "Available/AvailableInactive");
    assert_eq!(seen(&mut person, 599_999), "Available/AvailableInactive");
    assert_eq!(seen(&mut person, 600_000), "Away/Away");
    assert_eq!(seen(&mut person, 240 * 60_000 - 1), "Away/Away");
    assert_eq!(seen(&mut person, 240 * 60_000), "Offline/Offline");
    assert_eq!(person.fades(), 1);
}

#[test]
fn a_lazy_look_finds_each_change_at_its_exact_time() {
    let mut person = Person::new(&at(0));
    person.set("app", app(Presence::Available, 15, &at(1_000)), &at(1_000));
    person.advance(&at(86_400_000));
    let timeline = person.timeline();
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
fn a_session_that_expires_when_it_would_fade_expires() {
    let mut person = Person::new(&at(0));
    person.set("app", app(Presence::Available, 5, &at(0)), &at(0));
    assert_eq!(seen(&mut person, 300_000), "Offline/Offline");
    assert_eq!(person.fades(), 0);
    person.set("app", app(Presence::Available, 10, &at(300_000)), &at(300_000));
    assert_eq!(seen(&mut person, 899_999), "Available/AvailableInactive");
    assert_eq!(seen(&mut person, 900_000), "Offline/Offline");
}

#[test]
fn only_available_fades() {
    for presence in Presence::ALL.into_iter().filter(|presence| !presence.fades()) {
        let mut person = Person::new(&at(0));
        person.set("app", app(presence, 240, &at(0)), &at(0));
        assert_eq!(seen(&mut person, 240 * 60_000 - 1), presence.to_string());
    }
}

#[test]
fn a_session_set_to_something_else_starts_both_clocks_again() {
    let mut person = Person::new(&at(0));
    person.set("app", app(Presence::Available, 5, &at(0)), &at(0));
    person.set("app", app(Presence::InACall, 15, &at(200_000)), &at(200_000));
    assert_eq!(seen(&mut person, 1_099_999), "Busy/InACall");
    assert_eq!(seen(&mut person, 1_100_000), "Offline/Offline");
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
        let mut person = Person::new(&at(0));
        for (order, presence) in presences.iter().enumerate() {
            let now = at(order as u64);
            person.set(&format!("session {order}"), app(*presence, 30, &now), &now);
        }
        assert_eq!(person.visible().to_string(), expected, "{presences:?}");
    }
}

#[test]
fn an_away_of_ours_is_invisible_while_a_client_says_available() {
    let mut person = Person::new(&at(0));
    person.set("desktop", client(Presence::Available, &at(0)), &at(0));
    person.set("app", app(Presence::Away, 30, &at(1)), &at(1));
    assert_eq!(seen(&mut person, 1_000_000), "Available/Available");
    assert!(
        !person.clear("desktop", Holder::Application, &at(1_000_001)),
        "an application cannot end a client's session"
    );
    assert!(person.clear("desktop", Holder::Client, &at(1_000_001)));
    assert_eq!(seen(&mut person, 1_000_002), "Away/Away");
}

#[test]
fn a_faded_session_gives_way_to_a_fresh_one() {
    let mut person = Person::new(&at(0));
    person.set("desktop", client(Presence::Available, &at(0)), &at(0));
    person.set("app", app(Presence::Available, 30, &at(10)), &at(10));
    assert_eq!(seen(&mut person, 400_000), "Available/Available");
    assert_eq!(person.fades(), 1, "it faded, though nobody saw it");
}

#[test]
fn a_preferred_presence_wins_while_there_is_a_session_and_expires() {
    let mut person = Person::new(&at(0));
    let away = || Pair::new(Availability::Away, "Away");
    person.prefer(away(), Duration::from_hours(1), &at(0));
    assert_eq!(seen(&mut person, 1), "Offline/Offline", "nothing to prefer it to");
    person.set("app", app(Presence::Presenting, 240, &at(2)), &at(2));
    assert_eq!(seen(&mut person, 3_599_999), "Away/Away");
    assert_eq!(seen(&mut person, 3_600_000), "DoNotDisturb/Presenting");
    assert_eq!(person.timeline().spans.last().unwrap().cause, Cause::PreferredExpired);
    person.prefer(away(), Duration::from_hours(1), &at(3_600_001));
    person.clear_preferred(&at(3_600_002));
    assert_eq!(seen(&mut person, 3_600_003), "DoNotDisturb/Presenting");
}

#[test]
fn clearing_the_last_session_is_offline_and_clearing_none_says_so() {
    let mut person = Person::new(&at(0));
    assert!(!person.clear("app", Holder::Application, &at(0)));
    person.set("app", app(Presence::InACall, 5, &at(1)), &at(1));
    assert!(person.clear("app", Holder::Application, &at(2)));
    assert_eq!(seen(&mut person, 3), "Offline/Offline");
    person.set("app", app(Presence::InACall, 5, &at(4)), &at(4));
    assert!(!person.clear("app", Holder::Application, &at(300_004)), "it expired");
}

proptest! {
    /// The keepalive's promise, from the service's side.
    #[test]
    fn set_again_in_time_never_fades(gaps in prop::collection::vec(1_u64..300_000, 1..60)) {
        let mut person = Person::new(&at(0));
        let mut millis = 0;
        for gap in gaps {
            person.set("app", app(Presence::Available, 15, &at(millis)), &at(millis));
            millis += gap;
            prop_assert_eq!(seen(&mut person, millis), "Available/Available");
        }
        prop_assert_eq!(person.fades(), 0);
        prop_assert_eq!(person.timeline().spans.len(), 2);
    }

    /// When somebody looks changes nothing of what is seen, nor of the record.
    #[test]
    fn looking_often_or_once_is_the_same(
        actions in prop::collection::vec((0_u64..900_000, 0_usize..3, 0_usize..5, 5_u64..30), 1..20),
        looks in prop::collection::vec(0_u64..20_000_000, 0..30),
    ) {
        let mut often = Person::new(&at(0));
        let mut once = Person::new(&at(0));
        let mut looks = looks;
        looks.sort_unstable();
        let mut looks = looks.into_iter().peekable();
        let mut millis = 0;
        for (gap, session, presence, minutes) in actions {
            millis += gap;
            while let Some(look) = looks.next_if(|look| *look <= millis) {
                often.advance(&at(look));
            }
            for person in [&mut often, &mut once] {
                person.set(&session.to_string(), app(Presence::ALL[presence], minutes, &at(millis)), &at(millis));
            }
        }
        for look in looks {
            often.advance(&at(look));
        }
        for person in [&mut often, &mut once] {
            person.advance(&at(40_000_000));
        }
        prop_assert_eq!(often.visible(), Pair::offline());
        prop_assert_eq!(often.fades(), once.fades());
        prop_assert_eq!(often.timeline(), once.timeline());
    }
}
