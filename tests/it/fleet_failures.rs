//! An account with many users, and Graph or Entra fails: nobody fades, everybody is held in the end, and no request is repeated
//! without a pause.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use presenced::daemon::clock::SystemClock;
use presenced::status::report::Report;
use presenced::warning::Code;
use presenced_emulator::{Call, Fault, Matches, Options, Parts, RequestRecord, Then, User};

use crate::fleet::{USERS, all_hold, carried_out, configuration, holding, house, id, lines, seen};
use crate::stage::house::{Daemon, House, guarded};
use crate::stage::reports::has;

pub(crate) const SPEED: u32 = 60;

/// A house whose emulator has the clock of [`House::start_fast`], and an account with many users.
pub(crate) async fn fast_house() -> House {
    let since = "2026-11-23T12:00:00Z".parse().unwrap();
    let options = Options { users: (1..=USERS).map(User::numbered).collect(), ..Options::default() };
    let house = House::on(SystemClock::fast_since(f64::from(SPEED), since), options).await;
    furnish(&house);
    house
}

async fn real_house() -> House {
    let house = house().await;
    furnish(&house);
    house
}

fn furnish(house: &House) {
    house.write("agents", lines(1..=USERS));
    house.write("config.toml", configuration(house));
}

fn throttled(retry_after: &str) -> Then {
    let headers = BTreeMap::from([("Retry-After".to_owned(), retry_after.to_owned())]);
    Then::Respond { status: 429, headers, body: None }
}

/// What Graph's gateway says about a token that it does not accept.
fn refused_token() -> Then {
    let headers = BTreeMap::from([("WWW-Authenticate".to_owned(), "Bearer error=\"invalid_token\"".to_owned())]);
    let body = serde_json::json!({"error": {"code": "InvalidAuthenticationToken", "message": ""}});
    Then::Respond { status: 401, headers, body: Some(body) }
}

fn once(call: impl Into<Matches>, then: Then) -> Fault {
    times(1, call, then)
}

fn times(times: u32, call: impl Into<Matches>, then: Then) -> Fault {
    Fault { times: Some(times), ..Fault::new(call, then) }
}

fn for_seconds(seconds: i64, call: impl Into<Matches>, then: Then) -> Fault {
    Fault { lasts: Some(SignedDuration::from_secs(seconds)), ..Fault::new(call, then) }
}

/// How many calls of this kind arrived, each part of a batch for itself.
fn arrived(house: &House, call: Call) -> u64 {
    house.emulator.state().requests.remove(&call).unwrap_or_default().answered.into_values().sum()
}

fn requests(house: &House) -> Vec<RequestRecord> {
    house.emulator.requests()
}

/// Waits until that many more changes were carried out.
pub(crate) async fn changes_later(house: &House, more: u64) {
    let until = carried_out(house, Call::Set) + more;
    guarded("more requests", async {
        while carried_out(house, Call::Set) < until {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// How often a user's presence faded since `from`.
fn fades(house: &House, from: Timestamp) -> usize {
    let to = requests(house).last().unwrap().at;
    (1..=USERS).map(|number| house.emulator.timeline(&id(number)).unwrap().fades(from, to)).sum()
}

async fn everybody_is_available(house: &House, daemon: &Daemon) -> Report {
    let report = all_hold(daemon, USERS).await;
    seen(house, 1..=USERS, "Available/Available").await;
    report
}

/// After each 429 with `Retry-After`, no request is sent before the 20 s are over. What was on its way then may still arrive.
fn assert_pauses(house: &House) {
    let requests = requests(house);
    let throttles: Vec<_> = requests.iter().filter(|record| record.status == Some(429)).collect();
    assert!(!throttles.is_empty());
    for throttle in throttles {
        let next = requests.iter().find(|record| record.at > throttle.at + SignedDuration::from_secs(5));
        let next = next.map(|next| next.at.duration_since(throttle.at));
        assert!(next.is_none_or(|pause| pause >= SignedDuration::from_secs(19)), "{next:?} after {throttle:?}");
    }
}

#[tokio::test]
async fn a_429_out_of_nowhere_pauses_everybody_and_nobody_fades() {
    let house = fast_house().await;
    let daemon = house.start_fast(SPEED).await;
    everybody_is_available(&house, &daemon).await;
    let from = requests(&house).last().unwrap().at;
    for call in [Call::Set, Call::Batch] {
        house.inject(once(call, throttled("20")));
        changes_later(&house, 30).await;
    }
    assert_pauses(&house);
    // Two keepalives each.
    changes_later(&house, 100).await;
    assert_eq!(fades(&house, from), 0);
    daemon.report("no warning", |report| !has(report, Code::Throttled) && holding(report) == USERS as usize).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_429_at_the_start_delays_everybody_by_its_retry_after() {
    for fault in [
        once(Call::ReadMany, throttled("20")),
        once(Call::Batch, throttled("20")),
        Fault { after: 7, ..times(3, Call::Set, throttled("20")) },
    ] {
        let house = fast_house().await;
        house.inject(fault);
        let daemon = house.start_fast(SPEED).await;
        everybody_is_available(&house, &daemon).await;
        assert_pauses(&house);
        assert_eq!(carried_out(&house, Call::Token), 1);
        assert_eq!(daemon.stop().await.code(), Some(0));
    }
}

#[tokio::test]
async fn everybody_is_set_although_reading_never_works() {
    for then in [Then::status(403), Then::status(429), Then::status(503), refused_token(), Then::status(200)] {
        let house = fast_house().await;
        house.inject(Fault::new(Call::ReadMany, then));
        let daemon = house.start_fast(SPEED).await;
        everybody_is_available(&house, &daemon).await;
        let reads = arrived(&house, Call::ReadMany);
        assert!(reads <= 3, "{reads} reads");
        assert_eq!(daemon.stop().await.code(), Some(0));
    }
}

#[tokio::test]
async fn an_outage_at_the_start_and_later_shows_a_warning_and_passes() {
    for then in [Then::status(503), Then::Reset] {
        let house = fast_house().await;
        house.inject(for_seconds(100, Matches::Graph, then.clone()));
        let daemon = house.start_fast(SPEED).await;
        daemon.report("the warning", |report| has(report, Code::ServiceUnavailable)).await;
        everybody_is_available(&house, &daemon).await;
        daemon.report("no warning", |report| !has(report, Code::ServiceUnavailable)).await;
        let from = requests(&house).last().unwrap().at;
        house.inject(for_seconds(50, Matches::Graph, then));
        changes_later(&house, 150).await;
        assert_eq!(fades(&house, from), 0);
        let report = all_hold(&daemon, USERS).await;
        assert!(!has(&report, Code::ServiceUnavailable));
        // One in the first second, and one every 2 s.
        let probes = requests(&house).iter().filter(|record| record.at > from && record.status != Some(200)).count();
        assert!(probes <= 50, "{probes} requests during the outage");
        assert_eq!(daemon.stop().await.code(), Some(0));
    }
}

#[tokio::test]
async fn requests_that_are_never_answered_hold_up_nobody_for_ever() {
    let house = fast_house().await;
    house.inject(times(3, Matches::Graph, Then::Hang));
    let daemon = house.start_fast(SPEED).await;
    everybody_is_available(&house, &daemon).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let house = fast_house().await;
    let daemon = house.start_fast(SPEED).await;
    everybody_is_available(&house, &daemon).await;
    let from = requests(&house).last().unwrap().at;
    house.inject(once(Matches::Graph, refused_token()));
    changes_later(&house, 100).await;
    assert_eq!((carried_out(&house, Call::Token), fades(&house, from)), (2, 0));
    let from = requests(&house).last().unwrap().at;
    house.inject(for_seconds(30, Matches::Graph, refused_token()));
    changes_later(&house, 100).await;
    let tokens = carried_out(&house, Call::Token);
    assert!((3..=9).contains(&tokens), "{tokens} tokens");
    assert_eq!(fades(&house, from), 0);
    all_hold(&daemon, USERS).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_sign_in_service_that_is_down_is_asked_less_and_less_often() {
    let house = fast_house().await;
    house.inject(for_seconds(100, Call::Token, Then::status(503)));
    let daemon = house.start_fast(SPEED).await;
    daemon.report("the warning", |report| has(report, Code::ServiceUnavailable)).await;
    everybody_is_available(&house, &daemon).await;
    daemon.report("no warning", |report| !has(report, Code::ServiceUnavailable)).await;
    let asked = arrived(&house, Call::Token);
    assert!(asked <= 9, "{asked} token requests");
    // The token is refused while no other one is available.
    house.inject(for_seconds(60, Call::Token, Then::Reset));
    house.inject(once(Matches::Graph, refused_token()));
    changes_later(&house, 100).await;
    all_hold(&daemon, USERS).await;
    assert!(arrived(&house, Call::Token) <= asked + 9);
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_wrong_secret_is_tried_once() {
    let house = fast_house().await;
    let arguments = ["--speed", "60", "--since", "2026-11-23T12:00:00Z"];
    let wrong_secret = |command: &mut tokio::process::Command| {
        command.env("BOT_SECRET", "wrong");
    };
    let daemon = house.start_with(&arguments, wrong_secret).await;
    let report = daemon.report("the warning", |report| has(report, Code::Refused)).await;
    assert_eq!(holding(&report), 0);
    assert_eq!((arrived(&house, Call::Token), arrived(&house, Call::Set)), (1, 0));
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn an_answer_to_a_batch_that_makes_no_sense_loses_nobody() {
    let html = |text: String| Then::Respond { status: 200, headers: BTreeMap::new(), body: Some(text.into()) };
    for then in [
        Then::Parts(Parts::Missing),
        Then::Parts(Parts::Doubled),
        Then::Parts(Parts::Unknown),
        html("<html>Welcome to this network</html>".to_owned()),
        html("x".repeat(300_000)),
    ] {
        for applied in [false, true] {
            let house = fast_house().await;
            let is_parts = matches!(then, Then::Parts(_));
            house.inject(Fault { applied: applied && !is_parts, ..times(3, Call::Batch, then.clone()) });
            let daemon = house.start_fast(SPEED).await;
            everybody_is_available(&house, &daemon).await;
            let sets = arrived(&house, Call::Set);
            assert!(sets <= 3 * u64::from(USERS), "{sets} parts for {then:?}");
            assert_eq!(daemon.stop().await.code(), Some(0));
        }
    }
}

#[tokio::test]
async fn a_batch_that_is_refused_as_a_whole_says_nothing_about_its_users() {
    for status in [400, 403, 404, 413] {
        let house = real_house().await;
        house.inject(times(2, Call::Batch, Then::status(status)));
        let daemon = house.start().await;
        let report = everybody_is_available(&house, &daemon).await;
        assert!(!has(&report, Code::UsersRefused), "{status}");
        assert_eq!(daemon.stop().await.code(), Some(0));
    }
}

#[tokio::test]
async fn an_outage_shows_what_waits_and_who_has_faded() {
    let house = fast_house().await;
    let daemon = house.start_fast(SPEED).await;
    let users = |report: &Report| report.accounts["agents"].users.clone().unwrap();
    let report = daemon.report("everybody is held", |report| holding(report) == USERS as usize).await;
    let before = users(&report);
    assert!((1..=1395).contains(&before.rate.used) && before.next_deadline.is_some(), "{before:?}");
    assert_eq!((before.rate.requests, before.rate.per_seconds, before.faded, before.fades), (1500, 30, 0, 0));
    assert_eq!(before.waiting.changes.count, 0);
    house.inject(for_seconds(420, Matches::Graph, Then::status(503)));
    let report = daemon.report("everybody has faded", |report| users(report).faded == USERS as usize).await;
    let waiting = users(&report).waiting.keepalives;
    assert!(waiting.count > 0 && waiting.oldest.is_some(), "{waiting:?}");
    assert_eq!(users(&report).next_deadline, None);
    let report = daemon.report("nobody has faded any more", |report| users(report).faded == 0).await;
    assert_eq!(users(&report).fades, u64::from(USERS));
    assert_eq!(daemon.stop().await.code(), Some(0));
}
