//! The real program killed without warning, again and again, at moments from before it has a socket to after its request was
//! answered. What it leaves behind must neither stand in its successor's way nor mislead it.

use presenced::emulator::{Call, Fault, Matches, Then};
use presenced::status::report::State;
use rustix::process::Signal;

use crate::stage::house::{House, exists, guarded};

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
