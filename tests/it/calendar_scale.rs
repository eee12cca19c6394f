//! The calendar signal with very many files: bursts, folders that come and go, and the kernel's limits.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use jiff::tz::TimeZone;
use presenced::calendar::{BusyClass, Schedule};
use presenced::config::{self, CalendarPlace};
use presenced::daemon::clock::SystemClock;
use presenced::signals::{Buses, Observation, Update, calendar};
use presenced::status::report::Report;
use presenced::time::Clock as _;
use presenced::warning::Code;

use crate::stage::house::{House, guarded};
use crate::stage::signal_bench::Signal;

const NOON: &str = "2026-11-23T12:00:00Z";

/// How many files there are, and how many of them change in a burst: the whole scale where the code is optimised.
const FILES: usize = if cfg!(debug_assertions) { 4_000 } else { 20_000 };
const BURST: usize = FILES / 4;

type Seen = Observation<Arc<Schedule>>;

/// Noon, and on from there.
fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock::scaled(1.0, NOON.parse().unwrap(), TimeZone::UTC))
}

fn follow(clock: &Arc<SystemClock>, folder: &Path) -> Signal<Arc<Schedule>> {
    let config =
        config::Calendar { sources: vec![CalendarPlace::Path(folder.to_owned()).into()], identity: Vec::new() };
    let unwrap = |update| if let Update::Calendar(observation) = update { Some(observation) } else { None };
    Signal::start(clock, Buses::default(), unwrap, |context| calendar::run(config, context))
}

/// A calendar with one event on 2026-11-23, at this hour.
fn event(uid: &str, hour: u8) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20261101T000000Z\r\n\
         DTSTART:20261123T{hour:02}0000Z\r\nDTEND:20261123T{:02}0000Z\r\nSUMMARY:Planning\r\nEND:VEVENT\r\n\
         END:VCALENDAR\r\n",
        hour + 1
    )
}

fn busy(seen: &Seen) -> bool {
    let schedule = seen.reading.known().expect("a known calendar");
    schedule.at(NOON.parse().unwrap()).unwrap().class == BusyClass::Busy
}

fn write(folder: &Path, number: usize, hour: u8) {
    let draft = folder.join("draft.tmp");
    fs::write(&draft, event(&number.to_string(), hour)).unwrap();
    fs::rename(draft, folder.join(format!("{number}.ics"))).unwrap();
}

#[tokio::test]
async fn one_of_very_many_files_counts_at_once_and_a_burst_a_few_times() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        fs::write(dir.path().join(format!("{number}.ics")), event(&number.to_string(), 15)).unwrap();
    }
    let clock = clock();
    let mut signal = follow(&clock, dir.path());
    let seen = signal.next().await;
    assert_eq!((seen.source.as_str(), busy(&seen)), (format!("1 source, {FILES} events").as_str(), false));

    let mut took = Vec::new();
    for hour in [12, 15, 12] {
        let before = clock.now().instant;
        write(dir.path(), 7, hour);
        assert_eq!(busy(&signal.next().await), hour == 12);
        took.push(clock.now().instant.saturating_since(before));
    }
    println!("one changed file among {FILES}, to the new reading: {took:?}");

    // A sync: each file anew, half of them the atomic way. Each takes part in the schedule by its own hour.
    let before = clock.now().instant;
    let folder = dir.path().to_owned();
    let sync = tokio::task::spawn_blocking(move || {
        for number in 0..BURST {
            let hour = u8::try_from(number % 10).unwrap();
            if number % 2 == 0 {
                write(&folder, number, hour);
            } else {
                fs::write(folder.join(format!("{number}.ics")), event(&number.to_string(), hour)).unwrap();
            }
        }
        write(&folder, FILES, 23);
    });
    let mut readings = 1;
    while !signal.next().await.source.ends_with(&format!("{} events", FILES + 1)) {
        readings += 1;
    }
    let took = clock.now().instant.saturating_since(before);
    sync.await.unwrap();
    println!("a burst of {BURST} changes: {readings} readings in {took:?}");
    // A few at once, then two a second.
    let allowed = 6 + 2 * usize::try_from(took.as_secs() + 1).unwrap();
    assert!(readings <= allowed, "{readings} readings in {took:?}");
}

#[tokio::test]
async fn a_folder_that_vanishes_and_returns_is_followed_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let (folder, link) = (root.join("calendars"), root.join("link"));
    let make = |name: &str| {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("a.ics"), event("a", 12)).unwrap();
    };
    make("calendars");
    symlink("calendars", &link).unwrap();
    let mut signal = follow(&clock(), &link);
    assert!(busy(&signal.next().await));
    let gone = |seen: &Seen| seen.warnings.iter().any(|warning| warning.code == Code::CalendarUnreadable);
    fs::remove_dir_all(&folder).unwrap();
    signal.until(gone).await;
    // Back by another name, moved into place.
    make("calendars.new");
    fs::rename(root.join("calendars.new"), &folder).unwrap();
    assert!(busy(&signal.until(|seen| !gone(seen)).await));
    // The link leads elsewhere, atomically.
    make("other");
    write(&root.join("other"), 1, 15);
    symlink("other", root.join("link.new")).unwrap();
    fs::rename(root.join("link.new"), &link).unwrap();
    signal.until(|seen| seen.source.ends_with("2 events")).await;
    // What is hidden, half-written or no calendar says nothing; what comes last is seen, and alone.
    for name in [".b.ics", "b.ics~", "b.ics.tmp", "b.txt"] {
        fs::write(root.join("other").join(name), event("b", 12)).unwrap();
    }
    write(&root.join("other"), 2, 15);
    signal.until(|seen| seen.source.ends_with("3 events")).await;
}

/// The daemon in its own user namespace, where the test can set the kernel's limit of watches.
async fn with_watches(house: &House, limit: u32) -> tokio::process::Child {
    let script = |limit: u32| format!("echo {limit} > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"");
    let may = tokio::process::Command::new("unshare").args(["-Ur", "sh", "-c", &script(limit), "true"]).output().await;
    assert!(
        may.is_ok_and(|output| output.status.success()),
        "this test needs user namespaces: root has them, others with sysctl kernel.unprivileged_userns_clone=1 and \
         kernel.apparmor_restrict_unprivileged_userns=0"
    );
    let real = house.command(&["run"]);
    let real = real.as_std();
    let mut command = tokio::process::Command::new("unshare");
    command
        .args(["-Ur", "sh", "-c", &script(limit)])
        .arg(real.get_program())
        .args(real.get_args())
        .env_clear()
        .envs(real.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command.spawn().unwrap()
}

#[tokio::test]
async fn more_folders_than_may_be_watched_are_said_and_read_all_the_same() {
    let house = House::new().await;
    for number in 0..8 {
        let folder: PathBuf = house.path(&format!("calendars/{number}"));
        fs::create_dir_all(&folder).unwrap();
        write(&folder, number, 12);
    }
    house.write(
        "config.toml",
        format!("{}\n[signals.calendar]\nsources = [{{ path = \"calendars\" }}]\n", house.account("work")),
    );
    let mut child = with_watches(&house, 4).await;
    let report = |what: &'static str, wanted: fn(&Report) -> bool| {
        let socket = house.path("presenced.sock");
        guarded(what, async move {
            let client = loop {
                match presenced::status::Client::connect(&socket).await {
                    Ok(client) => break client,
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            let mut watch = client.watch().await.unwrap();
            loop {
                let report = watch.next().await.unwrap().expect("the daemon runs");
                if wanted(&report) {
                    return report;
                }
            }
        })
    };
    let seen = report("the warning", |report| {
        !report.warnings.is_empty() && report.signals["calendar"].source.ends_with("8 events")
    })
    .await;
    let warning = seen.warnings.iter().find(|warning| warning.code == Code::WatchFailed).expect("a warning");
    assert!(warning.hint.contains("fs.inotify.max_user_watches"), "{warning:?}");
    // Nobody tells of this one: it is found by looking again.
    for number in 0..8 {
        write(&house.path(&format!("calendars/{number}")), 100 + number, 12);
    }
    report("all files", |report| report.signals["calendar"].source.ends_with("16 events")).await;
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    child.wait().await.unwrap();
}

#[tokio::test]
async fn another_time_zone_counts_at_once() {
    let house = House::new().await;
    // A floating hour around now, as it is in Kiritimati (UTC+14): far from now anywhere else that is tried.
    let zone = |name: &str| TimeZone::get(name).unwrap();
    let now = SystemClock::real().now().wall;
    let there = zone("Pacific/Kiritimati").to_datetime(now);
    let hour = jiff::SignedDuration::from_hours(1);
    let local = |time: jiff::civil::DateTime| time.strftime("%Y%m%dT%H%M%S").to_string();
    let (start, end) = (local(there.saturating_sub(hour)), local(there.saturating_add(hour)));
    house.write("a.ics", event("a", 12).replace("20261123T120000Z", &start).replace("20261123T130000Z", &end));
    house.write(
        "config.toml",
        format!("{}\n[signals.calendar]\nsources = [{{ path = \"a.ics\" }}]\n", house.account("work")),
    );
    let localtime = house.path("localtime");
    let set = |name: &str| {
        symlink(format!("/usr/share/zoneinfo/{name}"), house.path("localtime.new")).unwrap();
        fs::rename(house.path("localtime.new"), &localtime).unwrap();
    };
    set("Etc/UTC");
    let daemon = house
        .start_with(&[], |command| {
            command.env("TZ", format!(":{}", localtime.display()));
        })
        .await;
    daemon.report("free in UTC", |report| report.signals["calendar"].value == "free").await;
    set("Pacific/Kiritimati");
    daemon.report("busy there", |report| report.signals["calendar"].value == "busy").await;
    set("Europe/Berlin");
    daemon.report("free in Berlin", |report| report.signals["calendar"].value == "free").await;
    daemon.stop().await;
}
