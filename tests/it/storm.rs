//! Everything that once broke the program, at the same time, on one daemon whose calls change: floods, misplaced files, seats that
//! nobody frees, a flapping signal, a limit of processes, and a Graph that fails now and then.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use presenced::presence::Presence;
use presenced::session::State;
use presenced::status::{MAX_CONNECTIONS, MAX_WATCHERS};
use presenced_emulator::{Approval, Call, DeviceCodeOptions, Fault, Matches, Options, Pair, Then};

use crate::stage::bus::Bus;
use crate::stage::faults::once;
use crate::stage::flood;
use crate::stage::house::{CALL, Daemon, House, ONLY_CALLS_DECIDE, USER, guarded, personal};
use crate::stage::odd_file::{Odd, remove};
use crate::stage::saver::{Gnome, Saver as _};
use crate::stage::task_limit::TaskLimit;

/// How long it lasts.
const STORM: Duration = Duration::from_mins(2);

/// How long a call lasts, and a pause after it. A session collects changes that come more often than five times in 30 s.
const CALL_TIME: Duration = Duration::from_secs(8);

/// For how long others may see something wrong after a change.
const WRONG: Duration = Duration::from_secs(5);

/// How long the daemon may take to end.
const END: Duration = Duration::from_secs(3);

/// What a daemon uses of its machine.
#[derive(Debug)]
struct Used {
    kib: usize,
    descriptors: usize,
    threads: usize,
}

impl Used {
    fn by(daemon: &Daemon) -> Self {
        let process = PathBuf::from(format!("/proc/{}", daemon.pid().as_raw_nonzero()));
        let status = std::fs::read_to_string(process.join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let count = |what| std::fs::read_dir(process.join(what)).unwrap().count();
        Self {
            kib: line.trim().trim_end_matches(" kB").parse().unwrap(),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }
}

/// Work on a thread of its own, again and again until this is dropped.
struct Actor(Arc<AtomicBool>);

impl Actor {
    fn start(mut act: impl FnMut(&AtomicBool) + Send + 'static) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                act(&seen);
            }
        });
        Self(ended)
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes all seats of the socket, asks for more than it reads, and leaves when the daemon has closed the last one.
fn take_all_seats(socket: PathBuf) -> Actor {
    let many = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    Actor::start(move |ended| {
        let mut seats = Vec::new();
        for number in 0..MAX_CONNECTIONS + MAX_WATCHERS {
            let Ok(mut stream) = UnixStream::connect(&socket) else { continue };
            stream.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
            let watch = "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n";
            let _ = stream.write_all(if number % 3 == 0 { watch } else { &many }.as_bytes());
            seats.push(stream);
        }
        // The daemon closes a connection that nobody reads; then writing fails for another reason than time.
        let is_open = |stream: &mut UnixStream| {
            let failed = stream.write_all(b"\r\n").err();
            failed.is_none_or(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        };
        while !ended.load(Ordering::Relaxed) && seats.iter_mut().any(is_open) {
            std::thread::yield_now();
        }
    })
}

/// Sets a signal by the socket as fast as that goes, also while there is no seat.
fn flap(socket: PathBuf) -> Actor {
    let mut number = 0_u32;
    Actor::start(move |_| {
        let Ok(mut stream) = UnixStream::connect(&socket) else { return };
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        for _ in 0..100 {
            number += 1;
            let body = format!("{{\"value\": \"v{number}\"}}");
            let request =
                format!("PUT /v1/signals/door HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(request.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// The files that the daemon writes while it runs.
fn files(house: &House) -> Vec<PathBuf> {
    let state = house.path(".local/state/presenced");
    let mut files = vec![state.join("tokens/work.json"), house.path("presenced.sock.lock")];
    for folder in ["history", "kept"] {
        let entries = std::fs::read_dir(state.join(folder)).into_iter().flatten().flatten();
        let is_whole = |path: &PathBuf| !path.to_string_lossy().contains(".draft");
        files.extend(entries.map(|entry| entry.path()).filter(is_whole));
    }
    files
}

#[tokio::test]
#[ignore = "it takes two minutes, and all of a machine: `.ci/long storm`"]
#[expect(clippy::disallowed_methods, reason = "the rhythm of the storm; nothing is waited for")]
async fn two_minutes_of_everything_cost_no_presence_no_memory_and_no_obedience() {
    let device = DeviceCodeOptions {
        approval: Approval::AfterPolls(0),
        interval: Duration::from_secs(1),
        ..DeviceCodeOptions::default()
    };
    // The sign-in is renewed in the storm: five minutes before this is over.
    let lifetime = Duration::from_mins(6);
    let mut house = House::with(Options { device, token_lifetime: lifetime..=lifetime, ..Options::default() }).await;
    let bus = Arc::new(Bus::start());
    let informational =
        |number| format!("HTTP/1.1 {}\r\n\r\n", ["100 Continue", "103 Early Hints"][number as usize % 2]);
    let (calendar, calendar_sent) =
        flood::on_loopback(|_| Vec::new(), move |number| informational(number).into_bytes());
    #[cfg(feature = "wayland")]
    flood::on_socket(&house.path("wayland-0"), |_| Vec::new(), |number| flood::wayland_global(number, "wl_output"));
    house.write(
        "config.toml",
        personal(&house)
            + CALL
            + &format!("[signals.calendar]\nsources = [{{ url = \"http://{calendar}/a.ics\" }}]\n")
            + "[signals.lock]\n[signals.idle]\n[tokens]\nstore = \"file\"\n"
            + ONLY_CALLS_DECIDE,
    );
    house.write("call-state", "idle");
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let (address, mut limit) = (bus.address(), None);
    let daemon = house
        .start_with(&[], |command| {
            command.env("DBUS_SESSION_BUS_ADDRESS", address);
            limit = Some(TaskLimit::of(command, 100));
        })
        .await;
    let limit = limit.unwrap();
    house.seen("Available/Available").await;
    assert_eq!(house.ask(&["signal", "door", "open"]).await.0, 0);
    guarded("the flood of the calendar", calendar_sent.more(1024 * 1024)).await;
    let before = Used::by(&daemon);

    let began = Timestamp::now();
    let mut expected = vec![(began, Presence::Available)];
    let actors = [take_all_seats(house.path("presenced.sock")), flap(house.path("presenced.sock"))];
    let there = Arc::clone(&bus);
    let saver = tokio::spawn(async move {
        let saver = Gnome::start(&there, false).await;
        let mut active = false;
        loop {
            active = !active;
            Gnome::set(&saver, active).await;
            tokio::task::yield_now().await;
        }
    });
    let rounds = STORM.as_secs() / CALL_TIME.as_secs();
    for round in 0..rounds {
        let odd = Odd::ALL[usize::try_from(round).unwrap() % Odd::ALL.len()];
        for file in files(&house) {
            odd.put(&file);
        }
        limit.set(daemon.pid(), if round % 4 == 2 { 1 } else { 100 });
        let failure = match round % 5 {
            0 => Some(Then::Reset),
            1 => Some(Then::Respond { status: 503, headers: [].into(), body: None }),
            2 => Some(Then::Respond { status: 429, headers: [("Retry-After".into(), "1".into())].into(), body: None }),
            _ => None,
        };
        if let Some(then) = failure {
            house.inject(once(Fault::new(Matches::Only(Call::Set), then)));
        }
        let (state, pair) =
            [("in-call", Presence::InACall), ("idle", Presence::Available)][usize::from(round % 2 == 1)];
        expected.push((Timestamp::now(), pair));
        house.write("call-state", state);
        tokio::time::sleep(CALL_TIME).await;
        for file in files(&house) {
            remove(&file);
        }
    }

    let ended = Timestamp::now();
    drop(actors);
    saver.abort();
    let timeline = house.emulator.timeline(USER).unwrap();
    for (index, (from, pair)) in expected.iter().enumerate() {
        let to = expected.get(index + 1).map_or(ended, |next| next.0);
        let pair = Pair::from(*pair);
        let wrong = timeline.wrong(&[(*from, pair.clone())], *from, to);
        assert!(wrong <= WRONG, "round {index}: {wrong:?} something other than {pair}\n{}", daemon.log());
    }
    // It still holds a presence, and does what a command says.
    limit.set(daemon.pid(), 100);
    guarded("a seat at the socket", async { while house.ask(&["set", "Away/Away"]).await.0 == 1 {} }).await;
    house.seen("Away/Away").await;
    daemon.report("holding", |report| report.accounts["work"].state == State::Holding).await;
    let after = Used::by(&daemon);
    println!("before {before:?}\nafter  {after:?}\nlog {} bytes", daemon.log().len());
    assert!(after.kib < before.kib + 16 * 1024, "{before:?} became {after:?}");
    assert!(after.descriptors < before.descriptors + 16, "{before:?} became {after:?}");
    assert!(after.threads < before.threads + 8, "{before:?} became {after:?}");
    assert!(daemon.log().len() < 500_000, "the log has {} bytes", daemon.log().len());
    let stopped = tokio::time::timeout(END, daemon.stop()).await;
    assert!(stopped.expect("it ends within 3 s").success());
}
