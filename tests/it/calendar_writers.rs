//! A daemon whose calendar is being rewritten, by the programs that do that and in the ways they do it: others must see the
//! meeting until the new calendar is whole, and then the new one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use presenced::status::report::Report;
use presenced::warning::Code;
use presenced_emulator::{Call, Emulator, Options, Outcome};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::stage::desk;
use crate::stage::house::{CLIENT_ID, Daemon, House, USER, guarded};
use crate::stage::signal_bench::ManualClock;

const BUSY: &str = "Busy/InAConferenceCall";
const AWAY: &str = "Away/Away";

fn event(uid: &str, properties: &str) -> String {
    format!("BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\n{properties}\r\nEND:VEVENT\r\n")
}

/// A calendar that has an event of this kind all the time.
fn short(status: &str) -> String {
    calendar_after(0, status)
}

/// The same after 500 events that are over: half of it has no event of this day.
fn long(status: &str) -> String {
    calendar_after(500, status)
}

fn calendar_after(past: u32, status: &str) -> String {
    let over = |number: u32| {
        event(
            &format!("over-{number}"),
            "DTSTART:20200101T090000Z\r\nDURATION:PT1H\r\nSUMMARY:A meeting of another year",
        )
    };
    let always =
        format!("DTSTART:20200101T000000\r\nDURATION:P1D\r\nRRULE:FREQ=DAILY\r\nX-MICROSOFT-CDO-BUSYSTATUS:{status}");
    let events: String = (0..past).map(over).chain([event("always", &always)]).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n{events}END:VCALENDAR\r\n")
}

/// A daemon on a calendar, and what it is about to contain.
struct Stage {
    house: House,
    daemon: Daemon,
    file: PathBuf,
    /// What others are to have seen so far, without repetitions.
    expected: Vec<&'static str>,
}

impl Stage {
    /// The source is the file itself, or the folder that it is in.
    async fn new(source: &str) -> Self {
        let mut house = House::new().await;
        fs::create_dir(house.path("calendars")).unwrap();
        let file = house.path("calendars/work.ics");
        fs::write(&file, short("BUSY")).unwrap();
        let sources = format!("[signals.calendar]\nsources = [{{ path = \"{source}\" }}]\n");
        house.write("config.toml", house.account("work") + &sources);
        let daemon = house.start().await;
        house.seen(BUSY).await;
        Self { house, daemon, file, expected: vec![BUSY] }
    }

    /// Waits until others see this, and nothing else before it.
    async fn sees(&mut self, pair: &'static str) {
        let set = self
            .house
            .request(pair, |record| {
                matches!(record.call, Call::Set | Call::Clear) && record.outcome == Outcome::Answered
            })
            .await;
        let visible = set.visible.map(|visible| visible.to_string());
        assert_eq!(visible.as_deref(), Some(pair), "{}\n{}", set.body, self.daemon.log());
        self.expected.push(pair);
    }

    /// Waits until the daemon has seen that the file is not whole, and why.
    async fn is_noticed(&self, reason: &str) {
        let is_said = |report: &Report| report.warnings.iter().any(|warning| warning.text.contains(reason));
        let report = self.daemon.report(reason, is_said).await;
        assert_eq!((has_incomplete(&report), report.signals["calendar"].value.as_str()), (true, "busy"), "{report:?}");
    }

    /// Others saw nothing else, from the first presence on.
    fn end(self) {
        let spans = self.house.emulator.timeline(USER).unwrap().spans;
        let pairs = spans.into_iter().map(|span| span.visible.to_string());
        let mut pairs: Vec<String> = pairs.skip_while(|pair| pair != BUSY).collect();
        pairs.dedup();
        assert_eq!(pairs, self.expected);
    }
}

fn has_incomplete(report: &Report) -> bool {
    report.warnings.iter().any(|warning| warning.code == Code::CalendarIncomplete)
}

/// Writes a calendar into an open file, in pieces over two seconds, as a slow download does.
async fn write_slowly(calendar: &str, new: &Path, to: &Path) {
    fs::write(new, calendar).unwrap();
    let script = "exec 3< \"$1\" > \"$2\"; for piece in 1 2 3 4 5 6 7 8 9 10; do dd bs=6000 count=1 <&3 2>/dev/null; sleep 0.2; \
                  done; cat <&3";
    run(Command::new("sh").args(["-c", script, "sh"]).args([new, to])).await;
}

async fn run(command: &mut Command) {
    let output = guarded("a writer", command.output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The two ways to configure the file: by its name, and by its folder's.
const SOURCES: [&str; 2] = ["calendars/work.ics", "calendars"];

#[tokio::test]
async fn a_slow_download_into_the_file_itself() {
    for source in SOURCES {
        let mut stage = Stage::new(source).await;
        write_slowly(&long("OOF"), &stage.house.path("new"), &stage.file).await;
        stage.sees(AWAY).await;
        stage.end();
    }
}

#[tokio::test]
async fn a_download_that_fails_and_is_repeated_later() {
    for source in SOURCES {
        let mut stage = Stage::new(source).await;
        let away = long("OOF");
        let mut download = File::create(&stage.file).unwrap();
        stage.is_noticed("it is empty").await;
        download.write_all(&away.as_bytes()[..away.len() / 2]).unwrap();
        drop(download);
        stage.is_noticed("it ends before its END:VCALENDAR").await;
        fs::write(&stage.file, &away).unwrap();
        stage.sees(AWAY).await;
        stage.daemon.report("no warning", |report| !has_incomplete(report)).await;
        stage.end();
    }
}

#[tokio::test]
async fn rsync_into_the_file_itself_over_a_slow_line() {
    for source in SOURCES {
        let mut stage = Stage::new(source).await;
        let new = stage.house.path("new");
        // It writes 256 KiB at a time.
        fs::write(&new, calendar_after(5000, "OOF")).unwrap();
        run(Command::new("rsync").args(["--inplace", "--whole-file", "--bwlimit=200"]).args([&new, &stage.file])).await;
        stage.sees(AWAY).await;
        stage.end();
    }
}

#[tokio::test]
async fn a_careful_program_renames_the_new_file_into_place() {
    for source in SOURCES {
        let mut stage = Stage::new(source).await;
        for (status, pair) in [("OOF", AWAY), ("BUSY", BUSY), ("OOF", AWAY)] {
            let draft = stage.file.with_extension("tmp");
            fs::write(&draft, short(status)).unwrap();
            fs::rename(draft, &stage.file).unwrap();
            stage.sees(pair).await;
        }
        stage.end();
    }
}

#[tokio::test]
async fn an_editor_that_keeps_a_backup_and_writes_slowly() {
    for source in SOURCES {
        let mut stage = Stage::new(source).await;
        fs::rename(&stage.file, stage.file.with_extension("ics~")).unwrap();
        write_slowly(&long("OOF"), &stage.house.path("new"), &stage.file).await;
        stage.sees(AWAY).await;
        stage.end();
    }
}

#[tokio::test]
async fn a_daemon_that_starts_while_the_file_is_written_claims_nothing_until_it_is_whole() {
    for source in ["work.ics", "."] {
        let mut house = House::new().await;
        let sources = format!("[signals.calendar]\nsources = [{{ path = \"{source}\" }}]\n");
        house.write("config.toml", house.account("work") + &sources);
        let busy = long("BUSY");
        let (first, second) = busy.split_at(busy.len() / 2);
        let mut file = File::create(house.path("work.ics")).unwrap();
        file.write_all(first.as_bytes()).unwrap();
        let daemon = house.start().await;
        let report = daemon.report("a warning", has_incomplete).await;
        assert_eq!(
            (report.signals["calendar"].value.as_str(), house.visible().as_str()),
            ("unknown", "Offline/Offline")
        );
        file.write_all(second.as_bytes()).unwrap();
        drop(file);
        let set = house.request("a set", |record| record.call == Call::Set).await;
        assert_eq!(set.visible.unwrap().to_string(), BUSY);
    }
}

#[tokio::test]
async fn one_empty_file_among_thousands_costs_a_minute_and_not_the_day() {
    let (clock, folder) = (ManualClock::at("2026-11-24T09:00:00Z"), tempfile::tempdir().unwrap());
    let calendars = folder.path().join("calendars");
    fs::create_dir(&calendars).unwrap();
    for number in 0..2_999 {
        let event = event(&number.to_string(), "DTSTART:20261125T090000Z\r\nDURATION:PT1H");
        let file = format!("BEGIN:VCALENDAR\r\n{event}END:VCALENDAR\r\n");
        fs::write(calendars.join(format!("{number}.ics")), file).unwrap();
    }
    fs::write(calendars.join("empty.ics"), "").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let emulator = Emulator::new(Options::default(), clock.clone());
    let mut records = emulator.subscribe();
    let serving = tokio::spawn({
        let emulator = emulator.clone();
        async move { emulator.serve(listener).await }
    });
    let config = format!(
        r#"[accounts.work]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
user      = "{USER}"
auth      = {{ method = "client-secret", secret = {{ env = "SECRET" }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
[signals.calendar]
sources = [{{ path = "calendars" }}]
"#
    );
    let (mut reports, _running) = desk::run(folder.path(), &config, &clock, "unix:path=/nonexistent");
    let mut until = async |what: &str, matches: fn(&Report) -> bool| -> Arc<Report> {
        guarded(what, reports.wait_for(|report| matches(report))).await.unwrap().clone()
    };
    let report = until("a warning", has_incomplete).await;
    assert_eq!(report.signals["calendar"].value, "unknown");
    clock.pass(Duration::from_mins(1)).await;
    let set = guarded("a set", async {
        loop {
            let record = records.recv().await.unwrap();
            if record.call == Call::Set && record.outcome == Outcome::Answered {
                return record;
            }
        }
    })
    .await;
    assert_eq!(set.visible.unwrap().to_string(), "Available/Available");
    assert_eq!(set.at, "2026-11-24T09:01:00Z".parse::<Timestamp>().unwrap());
    let report = until("free", |report| report.signals["calendar"].value == "free").await;
    let [warning] = report.warnings.as_slice() else { panic!("{report:?}") };
    assert!(warning.code == Code::CalendarIncomplete && warning.text.contains("empty.ics"), "{warning:?}");
    serving.abort();
}
