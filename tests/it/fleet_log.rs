//! The log of an account with many users: a few lines for each kind of event, not one for each user.

use std::collections::BTreeMap;

use presenced::daemon::clock::SystemClock;
use presenced::status::report::Report;
use presenced_emulator::{Call, Fault, Options, Then, User};

use crate::fleet::{all_hold, configuration, holding, id, lines, posted, presences};
use crate::stage::house::House;

const USERS: u32 = 1000;
const SPEED: u32 = 60;

/// The next answers to this many users.
fn next(users: u32, then: Then) -> Fault {
    Fault { times: Some(users), ..Fault::new(Call::Set, then) }
}

async fn all_call(house: &House, state: &str) {
    let line = |number| format!("{{\"user\": \"{}\", \"signal\": \"call\", \"value\": \"{state}\"}}\n", id(number));
    posted(house, "/v1/users/signals", &(1..=USERS).map(line).collect::<String>()).await;
}

#[tokio::test]
async fn a_thousand_users_do_not_write_a_thousand_lines() {
    let since = "2026-11-23T12:00:00Z".parse().unwrap();
    let options = Options { users: (1..=USERS).map(User::numbered).collect(), ..Options::default() };
    let house = House::on(SystemClock::fast_since(f64::from(SPEED), since), options).await;
    house.write("agents", lines(1..=USERS));
    house.write("config.toml", configuration(&house));
    let daemon = house.start_fast(SPEED).await;
    let with_problems = |report: &Report| report.accounts["agents"].users.as_ref().unwrap().with_problems;
    let are = |report: &Report, pair| presences(report).get(pair) == Some(&1000) && holding(report) == 1000;
    all_hold(&daemon, USERS).await;

    // They change at once, and are refused.
    house.inject(next(USERS, Then::status(404)));
    all_call(&house, "in-call").await;
    daemon.report("all are refused", |report| with_problems(report) == 1000).await;
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("calls", |report| are(report, "Busy/InACall")).await;

    // Every second one is throttled, or fails for a reason of its own, and the others are not.
    for (round, state) in (1..=5).zip(["idle", "in-call"].into_iter().cycle()) {
        for number in 0..20 {
            let headers = BTreeMap::from([("Retry-After".to_owned(), "1".to_owned())]);
            house.inject(next(1, Then::Respond { status: 429, headers, body: None }));
            house.inject(next(1, Then::Answer));
            house.inject(next(1, Then::status([404, 408, 409][number % 3])));
            house.inject(next(1, Then::Answer));
        }
        all_call(&house, state).await;
        daemon.report("all are throttled", |report| report.accounts["agents"].requests.throttled >= 20 * round).await;
    }
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("no calls", |report| are(report, "Available/Available")).await;
    let log = daemon.log();
    assert!(log.lines().count() < 100, "{log}");
    assert_eq!(daemon.stop().await.code(), Some(0));
}
