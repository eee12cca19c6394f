//! Renewals by the real program: a sign-in service that is ill is not seen in the presence while the token still holds.

use std::time::Duration;

use jiff::Timestamp;
use presenced::daemon::clock::SystemClock;
use presenced_emulator::{Call, Fault, Matches, Options, Outcome, Then};

use crate::stage::house::{House, USER, guarded};

/// The 10 s that are waited for an answer of the sign-in service are 40 minutes of this clock.
const SPEED: f64 = 240.0;

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "two programs agree when their fast clocks began")]
async fn a_sign_in_service_that_hangs_delays_no_keepalive() {
    let began = Timestamp::now();
    let lifetime = Duration::from_mins(10);
    let options = Options { token_lifetime: lifetime..=lifetime, ..Options::default() };
    let mut house = House::on(SystemClock::fast_since(SPEED, began), options).await;
    house.write("config.toml", house.configuration());
    let _daemon = house.start_with(&["--speed", &SPEED.to_string(), "--since", &began.to_string()], |_| {}).await;
    let first = house.seen("Available/Available").await;
    house.inject(Fault::new(Matches::Only(Call::Token), Then::Hang));
    // The keepalive after 8 minutes finds a token of which less than 5 minutes are left.
    let ripe = first.at + Duration::from_mins(5);
    let kept = house
        .request("the keepalive", |record| record.call == Call::Set && record.status == Some(200) && record.at > ripe)
        .await;
    assert!(kept.at < first.at + lifetime, "{first:?} {kept:?}");
    assert_eq!(house.emulator.timeline(USER).unwrap().fades(first.at, kept.at), 0);
    let hangs = || house.emulator.requests().iter().any(|record| record.outcome == Outcome::Hung);
    guarded("the renewal that hangs", async {
        while !hangs() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
