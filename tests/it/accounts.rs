//! Several accounts in one daemon: what happens to one does not affect another. On a clock that moves only when the test moves
//! it, so that being late by a moment would show.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use presenced::status::report::State;
use presenced::time::Clock as _;
use presenced_emulator::{Call, Cause, Emulator, Fault, Matches, Options, Outcome, Then};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::stage::desk::run;
use crate::stage::house::{CLIENT_ID, USER, guarded};
use crate::stage::signal_bench::ManualClock;

/// Seconds between two attempts of each account: Available is set again 1 minute ahead of its fade, the service asks for 10
/// minutes, and what is refused is looked at every 15.
const KEEPALIVE: u64 = 240;
const RETRY_AFTER: u64 = 600;
const LOOK_AGAIN: u64 = 900;
/// When trouble becomes a warning, for which the daemon wakes once.
const TROUBLE: u64 = 30;

/// A separate Graph for one account.
async fn serve(options: Options, clock: &Arc<ManualClock>, serving: &mut JoinSet<()>) -> (Emulator, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let emulator = Emulator::new(options, clock.clone());
    let served = emulator.clone();
    serving.spawn(async move { panic!("{:?}", served.serve(listener).await) });
    (emulator, address)
}

fn sets(emulator: &Emulator) -> usize {
    emulator.requests().iter().filter(|record| record.call == Call::Set).count()
}

#[tokio::test]
async fn one_refused_one_throttled_and_the_healthy_one_is_never_late() {
    let clock = ManualClock::at("2026-11-24T09:00:00Z");
    let start = clock.now().wall;
    let mut serving = JoinSet::new();
    let mut forbidden = Options::default();
    forbidden.apps[0].roles.clear();
    let (refused, refused_at) = serve(forbidden, &clock, &mut serving).await;
    let (throttled, throttled_at) = serve(Options::default(), &clock, &mut serving).await;
    let (well, well_at) = serve(Options::default(), &clock, &mut serving).await;
    let headers = BTreeMap::from([("retry-after".to_owned(), RETRY_AFTER.to_string())]);
    let too_many = Then::Respond { status: 429, headers, body: None };
    throttled.inject(Fault::new(Matches::Only(Call::Set), too_many)).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let mut config = "[signals.call]\npath = \"call-state\"\n".to_owned();
    for (name, address) in [("refused", refused_at), ("throttled", throttled_at), ("well", well_at)] {
        write!(
            config,
            r#"[accounts.{name}]
tenant    = "{name}.onmicrosoft.com"
client_id = "{CLIENT_ID}"
user      = "{USER}"
auth      = {{ method = "client-secret", secret = {{ env = "SECRET" }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
"#
        )
        .unwrap();
    }
    let mut records = well.subscribe();
    let mut is_set = async |pair: &str| {
        let set = guarded(pair, async {
            loop {
                let record = records.recv().await.unwrap();
                if record.call == Call::Set && record.outcome == Outcome::Answered {
                    return record;
                }
            }
        })
        .await;
        assert_eq!(set.visible.unwrap().to_string(), pair);
    };
    let (mut reports, _running) = run(folder.path(), &config, &clock, "unix:path=/nonexistent");
    let mut failed = async |account: &str, times: u64| {
        let failed = reports.wait_for(|report| report.accounts[account].requests.failed == times);
        let report = guarded(account, failed).await.unwrap();
        report.accounts[account].state
    };

    is_set("Available/Available").await;
    let mut now = 0;
    for next in 0..=3600 {
        let due = |every: u64| next % every == 0;
        if next > 0 {
            if !due(KEEPALIVE) && !due(RETRY_AFTER) && !due(LOOK_AGAIN) && next != TROUBLE {
                continue;
            }
            clock.pass(Duration::from_secs(next - now)).await;
            now = next;
            if due(KEEPALIVE) {
                is_set("Available/Available").await;
            }
        }
        if due(RETRY_AFTER) {
            assert_eq!(failed("throttled", next / RETRY_AFTER + 1).await, State::Throttled);
        }
        if due(LOOK_AGAIN) {
            assert_eq!(failed("refused", next / LOOK_AGAIN + 1).await, State::Refused);
        }
    }
    let call_state = |state: &str| std::fs::write(folder.path().join("call-state"), state).unwrap();
    call_state("in-call");
    is_set("Busy/InACall").await;
    clock.pass(Duration::from_secs(RETRY_AFTER)).await;
    failed("throttled", 3600 / RETRY_AFTER + 2).await;
    call_state("idle");
    is_set("Available/Available").await;

    let spans = well.timeline(USER).unwrap().spans;
    let seen: Vec<_> = spans.iter().map(|span| (span.from, span.visible.to_string(), span.cause)).collect();
    let at = |seconds| -> Timestamp { start + Duration::from_secs(seconds) };
    let expected = [
        (at(0), "Offline/Offline", Cause::Start),
        (at(0), "Available/Available", Cause::Set),
        (at(3600), "Busy/InACall", Cause::Set),
        (at(4200), "Available/Available", Cause::Set),
    ];
    assert_eq!(seen, expected.map(|(from, pair, cause)| (from, pair.to_owned(), cause)), "each at once, and no fade");
    // A change of the presence asks neither of the two earlier than it may.
    assert_eq!((sets(&throttled), sets(&refused)), (8, 5));
}
