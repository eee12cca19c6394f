//! The real program killed without warning, again and again, at moments from before it has a socket to after its request was
//! answered. What it leaves behind must neither stand in its successor's way nor mislead it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use presenced::status::report::State;
use presenced_emulator::{Approval, Call, DeviceCodeOptions, Fault, Matches, Options, Then};
use rustix::process::Signal;

use crate::stage::canned::{Answer, Server};
use crate::stage::house::{CALL, House, exists, guarded, personal};

/// Where in its life it is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// After this many turns of the test's own work: anywhere from the program's first instruction on.
    Starting(u32),
    /// Its request is with Graph and not answered.
    Asking,
    /// Others see what it set.
    Holding,
}

#[tokio::test]
async fn whenever_it_is_killed_the_next_one_holds_what_is_true_then() {
    let seed = fastrand::u64(..);
    // Shown when the test fails.
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let states =
        [("in-call", "Busy/InACall"), ("presenting", "DoNotDisturb/Presenting"), ("idle", "Available/Available")];
    for round in 0..9 {
        let (state, pair) = states[round % states.len()];
        let moment = match random.u8(0..3) {
            0 => Moment::Starting(random.u32(0..2000)),
            1 => Moment::Asking,
            _ => Moment::Holding,
        };
        println!("round {round}: killed {moment:?}");
        match moment {
            Moment::Starting(turns) => {
                let mut child = house.command(&["run"]).stderr(std::process::Stdio::null()).spawn().unwrap();
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                child.start_kill().unwrap();
                guarded("its end", child.wait()).await.unwrap();
            }
            Moment::Asking => {
                house.inject(Fault { times: Some(1), ..Fault::new(Matches::Only(Call::Set), Then::Hang) });
                let daemon = house.start().await;
                house.request("the request", |record| record.call == Call::Set && record.status.is_none()).await;
                daemon.signal(Signal::KILL);
                assert!(!daemon.ended().await.success());
            }
            Moment::Holding => {
                let daemon = house.start().await;
                daemon.report("holding", |report| report.accounts["work"].state == State::Holding).await;
                daemon.signal(Signal::KILL);
                assert!(!daemon.ended().await.success());
                assert!(exists(&house.path("presenced.sock")), "nobody cleaned up");
            }
        }
        // Everything else continues without it.
        house.write("call-state", state);
        let daemon = house.start().await;
        daemon.report("holding", |report| report.accounts["work"].state == State::Holding).await;
        assert_eq!(house.visible(), pair);
        assert!(daemon.stop().await.success());
        assert_eq!(house.visible(), "Offline/Offline");
    }
}

/// Each start renews the sign-in and fetches a subscription, so the program is killed with a refresh token or a part of a
/// calendar half-written. Their number must not grow, and a logout must leave none.
#[tokio::test]
async fn two_hundred_kills_leave_no_token_and_no_pile_of_drafts() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let device = DeviceCodeOptions {
        approval: Approval::AfterPolls(0),
        interval: std::time::Duration::from_secs(1),
        ..DeviceCodeOptions::default()
    };
    let house = House::with(Options { device, ..Options::default() }).await;
    let part = format!("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nBEGIN:VCALENDAR\r\n{}", "X".repeat(100_000));
    let calendars = Server::start([Answer::Bytes(part.into_bytes())]).await;
    let source = format!("[signals.calendar]\nsources = [{{ url = \"{}a.ics\", optional = true }}]\n", calendars.url);
    house.write("config.toml", personal(&house) + CALL + &source + "[tokens]\nstore = \"file\"\n");
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let (tokens, cache) = (house.path(".local/state/presenced/tokens"), house.path(".cache/presenced/subscriptions"));

    // What version 0.1 left: the kills below remove it, and never add to it.
    let old = [tokens.join("work.4194304.draft"), tokens.join("gone.17.draft"), cache.join(".tmpAb3xYz")];
    std::fs::create_dir_all(&cache).unwrap();
    for path in &old {
        std::fs::write(path, "a refresh token").unwrap();
    }
    let mut most = 0;
    for round in 0..200 {
        let fetches = calendars.requests().len();
        let mut child = house.command(&["run"]).stderr(Stdio::null()).spawn().unwrap();
        if random.bool() {
            // It renews the sign-in at about the same time.
            guarded("a fetch", calendars.asked(fetches + 1)).await;
        }
        for _ in 0..random.u32(0..500) {
            tokio::task::yield_now().await;
        }
        child.start_kill().unwrap();
        guarded("its end", child.wait()).await.unwrap();
        let drafts = files(&tokens).union(&files(&cache)).filter(|path| is_draft(path)).count();
        most = most.max(drafts);
        assert!(drafts <= 3 + old.len(), "round {round}: {:?} {:?}", files(&tokens), files(&cache));
    }
    println!("at most {most} drafts");
    let daemon = house.start().await;
    guarded("a start removes what is left", async {
        while old.iter().any(|path| exists(path)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    daemon.report("that it runs", |_| true).await;
    assert!(daemon.stop().await.success());
    std::fs::write(&old[0], "a refresh token").unwrap();
    assert_eq!(house.ask(&["logout"]).await.0, 0);
    let left = files(&tokens).into_iter().filter(|path| path.extension().is_none_or(|extension| extension != "lock"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

fn is_draft(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains(".draft") || name.starts_with(".tmp")
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
