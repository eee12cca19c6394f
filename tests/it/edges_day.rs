//! Each source of a desktop fails once, in real time, and what others saw is compared with what was true.
//!
//! It takes two minutes, so `.ci/long day` runs it. With `PRESENCED_BINARY` it tries another build of the program, and prints the same
//! table. It needs root, for the file system that stalls.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use presenced::daemon::clock::SystemClock;
use presenced::presence::Presence;
use presenced::time::Clock as _;
use presenced_emulator::Pair;

use crate::stage::bus::Bus;
use crate::stage::canned::{Server, answer};
use crate::stage::house::{House, USER};
use crate::stage::login1::{Login1, Session};
use crate::stage::mounts::Fuse;
use crate::stage::sound::{Kind, MICROPHONE, SoundServer};

/// How long each fault lasts: longer than a keepalive of a minute could hide, and shorter than people would wait.
const FAULT: Duration = Duration::from_secs(90);

/// How long a program that restarts is away, and how long to watch afterwards.
const RESTART: Duration = Duration::from_secs(20);
const AFTER_RESTART: Duration = Duration::from_secs(70);

/// The longest time for which others may see Offline instead of the truth.
const OFFLINE_AT_MOST: Duration = Duration::from_mins(1);

/// How long a change may take where presenced has to look for it.
const LOOK: Duration = Duration::from_secs(75);

fn now() -> Timestamp {
    SystemClock::real().now().wall
}

/// Real time passes.
async fn pass(duration: Duration) {
    let clock = SystemClock::real();
    clock.sleep_until(clock.now().instant + duration).await;
}

/// A calendar with a meeting from an hour ago until in an hour.
fn in_a_meeting() -> String {
    let time = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let hour = Duration::from_hours(1);
    let (from, to) = (time(now() - hour), time(now() + hour));
    format!(
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:{from}\r\nDTEND:{to}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

/// One source and its fault.
struct Row {
    what: &'static str,
    house: House,
    /// What was true from when on.
    truth: Vec<(Timestamp, Presence)>,
}

impl Row {
    fn begin(what: &'static str, house: House, presence: Presence) -> Self {
        Self { what, house, truth: vec![(now(), presence)] }
    }

    fn now_true(&mut self, presence: Presence) {
        self.truth.push((now(), presence));
    }

    /// What others have seen until now, each for how long, and for how long it was wrong, and Offline.
    fn end(self) -> Seen {
        let (from, to) = (self.truth[0].0, now());
        let timeline = self.house.emulator.timeline(USER).unwrap();
        let truth: Vec<_> = self.truth.iter().map(|(at, presence)| (*at, Pair::from(*presence))).collect();
        let wrong = timeline.wrong(&truth, from, to);
        let (mut seen, mut offline) = (Vec::new(), Duration::ZERO);
        for span in &timeline.spans {
            let (begins, ends) = (span.from.max(from), span.to.unwrap_or(to).min(to));
            if begins >= ends {
                continue;
            }
            let lasted = Duration::try_from(ends.duration_since(begins)).unwrap();
            seen.push(format!("{} {:.0} s", span.visible, lasted.as_secs_f64()));
            if span.visible.to_string() == "Offline/Offline" {
                offline = offline.max(lasted);
            }
        }
        let mut line = String::new();
        _ = write!(line, "| {} | {} | {:.0} s |", self.what, seen.join(", "), wrong.as_secs_f64());
        Seen { what: self.what, line, offline }
    }
}

/// What others saw while one source failed.
struct Seen {
    what: &'static str,
    /// Its line of the table.
    line: String,
    /// The longest time for which it was Offline.
    offline: Duration,
}

async fn a_broken_file() -> Seen {
    let mut house = House::new().await;
    let whole = in_a_meeting();
    house.write("work.ics", &whole);
    house.write("config.toml", house.account("work") + "[signals.calendar]\nsources = [{ path = \"work.ics\" }]\n");
    let _daemon = house.start().await;
    house.seen("Busy/InAConferenceCall").await;
    let row = Row::begin("calendar file broken", house, Presence::InAConferenceCall);
    fs::write(row.house.path("work.ics"), &whole[..20]).unwrap();
    pass(FAULT).await;
    row.house.write("work.ics", &whole);
    pass(Duration::from_secs(5)).await;
    row.end()
}

async fn a_subscription_that_is_gone() -> Seen {
    let mut house = House::new().await;
    let whole = answer(200, "Content-Type: text/calendar\r\n", &in_a_meeting());
    let gone = answer(404, "", "gone");
    let server = Server::start(std::iter::once(whole).chain(std::iter::repeat_n(gone, 20))).await;
    let sources = format!("[signals.calendar]\nsources = [{{ url = \"{}\", refresh = \"1m\" }}]\n", server.url);
    house.write("config.toml", house.account("work") + &sources);
    let _daemon = house.start().await;
    house.seen("Busy/InAConferenceCall").await;
    let row = Row::begin("subscription 404", house, Presence::InAConferenceCall);
    pass(FAULT).await;
    row.end()
}

async fn a_sound_server_that_restarts() -> Seen {
    let mut house = House::new().await;
    let server = tokio::task::spawn_blocking(|| SoundServer::start(Kind::PulseAudio)).await.unwrap();
    let socket = server.socket();
    house.write("config.toml", house.account("work") + "[signals.microphone]\n");
    let _daemon = house
        .start_with(&[], |command| {
            command.env("PULSE_SERVER", format!("unix:{}", socket.display()));
        })
        .await;
    let (mut server, mut talks) = tokio::task::spawn_blocking(move || {
        let talks = server.record_and_wait("Talk", MICROPHONE);
        (server, talks)
    })
    .await
    .unwrap();
    house.seen("Busy/InACall").await;
    let row = Row::begin("sound server restarted, 20 s", house, Presence::InACall);
    server.kill();
    drop(talks);
    pass(RESTART).await;
    (server, talks) = tokio::task::spawn_blocking(move || {
        server.resume();
        let talks = server.record_and_wait("Talk", MICROPHONE);
        (server, talks)
    })
    .await
    .unwrap();
    pass(AFTER_RESTART).await;
    let seen = row.end();
    drop((server, talks));
    seen
}

async fn a_file_server_that_stalls() -> Seen {
    let mut house = House::new().await;
    let files = Fuse::in_folder(&house.path("")).await;
    fs::write(files.source.join("work.ics"), in_a_meeting()).unwrap();
    let sources = format!("[signals.calendar]\nsources = [{{ path = \"{}\" }}]\n", files.mounted.display());
    house.write("config.toml", house.account("work") + &sources);
    let _daemon = house.start().await;
    house.seen("Busy/InAConferenceCall").await;
    let mut row = Row::begin("file server stalled, then a change there", house, Presence::InAConferenceCall);
    files.stall();
    pass(FAULT).await;
    files.answer();
    fs::write(files.source.join("work.ics"), "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n").unwrap();
    row.now_true(Presence::Available);
    pass(LOOK).await;
    row.end()
}

async fn a_bus_that_restarts() -> Seen {
    let mut house = House::new().await;
    let mut bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    login1.add("1", Session::DESKTOP).await;
    login1.set_auto(Some("1"));
    house.write("config.toml", house.account("work") + "[signals.lock]\n");
    let address = bus.address();
    let _daemon = house
        .start_with(&[], |command| {
            command.env("DBUS_SYSTEM_BUS_ADDRESS", address);
        })
        .await;
    house.seen("Available/Available").await;
    let row = Row::begin("bus restarted, 20 s", house, Presence::Available);
    bus.kill();
    drop(login1);
    pass(RESTART).await;
    bus.resume();
    let login1 = Login1::start(&bus).await;
    login1.add("1", Session::DESKTOP).await;
    login1.set_auto(Some("1"));
    pass(AFTER_RESTART).await;
    let seen = row.end();
    drop((bus, login1));
    seen
}

#[tokio::test]
#[ignore = "takes two minutes of real time; `.ci/long day` runs it"]
async fn each_source_fails_once() {
    let rows = tokio::join!(
        a_broken_file(),
        a_subscription_that_is_gone(),
        a_sound_server_that_restarts(),
        a_file_server_that_stalls(),
        a_bus_that_restarts(),
    );
    println!("| what failed | what others saw | wrong |\n|---|---|---|");
    let mut long = Vec::new();
    for Seen { what, line, offline } in [rows.0, rows.1, rows.2, rows.3, rows.4] {
        println!("{line}");
        if offline > OFFLINE_AT_MOST {
            long.push(what);
        }
    }
    assert!(long.is_empty(), "Offline for too long: {long:?}");
}
