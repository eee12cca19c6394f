//! What is not a small regular file in place of each file that the daemon reads or writes: a pipe, a device, a folder, a huge file.
//! The daemon names it, keeps doing everything else, and obeys.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use presenced::daemon::kept_path;
use presenced::status::report::{Report, State};
use presenced::warning::Code;
use presenced_emulator::{Approval, DeviceCodeOptions, Options};
use rustix::process::Signal;

use crate::stage::canned::{Server, answer};
use crate::stage::house::{CALL, Daemon, House, guarded, personal};
use crate::stage::http_client::default_client;
use crate::stage::odd_file::Odd;
use crate::stage::reports::{has, warned, work};

/// How long the daemon may take to end. It takes less than 3 s, and the test machine's load comes on top.
const END: Duration = Duration::from_secs(5);

fn state(house: &House, name: &str) -> PathBuf {
    house.path(".local/state/presenced").join(name)
}

/// The only file in a folder whose name ends so.
fn only(folder: &Path, end: &str) -> PathBuf {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = paths.filter(|path| path.to_string_lossy().ends_with(end));
    let only = found.next().unwrap();
    assert_eq!(found.next(), None);
    only
}

/// Its loop runs: it answers, and does what a command says.
async fn obeys(house: &mut House) {
    for command in [&["status"][..], &["set", "Away/Away"]] {
        let (code, _, error) = house.ask(command).await;
        assert!(code == 0 || command == ["status"] && code < 6, "{command:?}: {error}");
    }
}

async fn ends(daemon: Daemon) {
    let ended = tokio::time::timeout(END, daemon.stop()).await;
    assert!(ended.expect("it ends in time").success());
}

fn trouble(report: &Report) -> String {
    let error = work(report).last_error.as_ref().unwrap();
    format!("{}\nhint: {}", error.text, error.hint.as_deref().unwrap_or_default())
}

/// A house whose user has signed in, with the sign-in in a file.
async fn signed_in() -> House {
    let device = DeviceCodeOptions {
        approval: Approval::AfterPolls(0),
        interval: Duration::from_secs(1),
        ..DeviceCodeOptions::default()
    };
    let house = House::with(Options { device, ..Options::default() }).await;
    house.write("config.toml", format!("{}{CALL}[tokens]\nstore = \"file\"\n", personal(&house)));
    assert_eq!(house.ask(&["login"]).await.0, 0);
    house
}

#[tokio::test]
async fn a_token_file_is_small_and_regular_or_not_read() {
    for (name, kinds) in [("tokens/work.json", &Odd::ALL[..]), ("tokens/work.lock", &Odd::ALL[..3])] {
        for &odd in kinds {
            let mut house = signed_in().await;
            let path = state(&house, name);
            odd.put(&path);
            let daemon = house.start().await;
            let failed = |report: &Report| work(report).last_error.is_some() || has(report, Code::TokenNotStored);
            let report = daemon.report("what is wrong with it", failed).await;
            let text = if name.ends_with("lock") { warned(&report) } else { trouble(&report) };
            assert!(text.contains(path.to_str().unwrap()) && text.contains("hint: move it away"), "{odd:?}: {text}");
            obeys(&mut house).await;
            ends(daemon).await;
            let (code, _, error) = house.ask(&["login", "--status"]).await;
            assert!(name.ends_with("lock") || code != 0, "{odd:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_history_is_a_regular_file_or_not_written() {
    for odd in Odd::ALL {
        let mut house = House::new().await;
        house.write("config.toml", house.configuration());
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        ends(daemon).await;
        let path = only(&state(&house, "history"), ".jsonl");
        odd.put(&path);
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        if odd != Odd::Huge {
            let report = daemon.report("the warning", |report| has(report, Code::HistoryUnwritable)).await;
            assert!(warned(&report).contains(path.to_str().unwrap()), "{odd:?}: {}", warned(&report));
        }
        obeys(&mut house).await;
        house.seen("Away/Away").await;
        ends(daemon).await;
    }
}

#[tokio::test]
async fn a_socket_whose_lock_is_something_else_is_refused() {
    for odd in [Odd::Pipe, Odd::Device, Odd::Folder] {
        let house = House::new().await;
        house.write("config.toml", house.configuration());
        let path = house.path("presenced.sock.lock");
        odd.put(&path);
        let output = house.command(&["run"]).output();
        let output = guarded("the end", output).await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{odd:?}: {error}");
        assert!(error.contains(path.to_str().unwrap()) && error.contains("hint: move it away"), "{odd:?}: {error}");
    }
}

#[tokio::test]
async fn what_was_set_is_in_a_regular_file_or_forgotten() {
    for odd in Odd::ALL {
        let mut house = House::new().await;
        house.write("config.toml", house.configuration());
        let path = kept_path(&state(&house, ""), &house.path("presenced.sock")).unwrap();
        odd.put(&path);
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        assert!(daemon.log().contains(&format!("{} ", path.display())), "{odd:?}: {}", daemon.log());
        obeys(&mut house).await;
        house.seen("Away/Away").await;
        ends(daemon).await;
    }
}

#[tokio::test]
async fn a_configuration_that_is_reloaded_is_a_regular_file() {
    for odd in Odd::ALL {
        let mut house = House::new().await;
        house.write("config.toml", house.configuration());
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        let path = house.path("config.toml");
        odd.put(&path);
        daemon.signal(Signal::HUP);
        let report = daemon.report("the warning", |report| has(report, Code::ConfigurationInvalid)).await;
        assert!(warned(&report).contains(path.to_str().unwrap()), "{odd:?}: {}", warned(&report));
        let (code, _, error) = house.ask(&["reload"]).await;
        assert!(code == 2 && error.contains(path.to_str().unwrap()), "{odd:?}: {code} {error}");
        ends(daemon).await;
    }
}

#[tokio::test]
async fn a_pipe_is_a_configuration_once() {
    let mut house = House::new().await;
    let text = house.configuration();
    let pipe = house.path("config.toml");
    Odd::Pipe.put(&pipe);
    let writer = tokio::task::spawn_blocking(move || fs::write(pipe, text));
    let daemon = house.start().await;
    guarded("the reader", writer).await.unwrap().unwrap();
    house.seen("Available/Available").await;
    let (code, _, error) = house.ask(&["reload"]).await;
    assert!(code == 2 && error.contains("presenced reads a pipe only when it starts"), "{code} {error}");
    ends(daemon).await;
}

#[tokio::test]
async fn a_subscription_is_fetched_again_if_its_copy_is_something_else() {
    let calendar = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTART:20200101T000000Z\r\nDTEND:20991231T000000Z\r\n\
                    SUMMARY:x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    for name in [".json", ".ics"] {
        for odd in Odd::ALL {
            let server = Server::start([answer(200, "", calendar)]).await;
            let mut house = House::new().await;
            let source = format!("[signals.calendar]\nsources = [{{ url = \"{}a.ics\" }}]\n", server.url);
            house.write("config.toml", house.account("work") + &source);
            let busy = |report: &Report| report.signals["calendar"].value == "busy";
            let daemon = house.start().await;
            daemon.report("busy", busy).await;
            ends(daemon).await;
            odd.put(&only(&house.path(".cache/presenced/subscriptions"), name));
            let daemon = house.start().await;
            if odd != Odd::Folder {
                daemon.report(&format!("busy with {odd:?} as {name}"), busy).await;
            }
            obeys(&mut house).await;
            ends(daemon).await;
        }
    }
}

#[tokio::test]
async fn a_secret_is_in_a_small_regular_file_or_refused() {
    for odd in Odd::ALL {
        let mut house = House::new().await;
        let account = house.account("work").replace("env = \"BOT_SECRET\"", "file = \"secret\"");
        house.write("config.toml", account + CALL);
        let path = house.path("secret");
        fs::write(&path, "emulator-secret").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        odd.put(&path);
        // The next token needs it.
        let tokens = format!("http://{}/_emulator/tokens", house.address);
        assert!(default_client().delete(tokens).send().await.is_ok());
        house.write("call-state", "in-call");
        let report = daemon.report("the refusal", |report| work(report).state == State::Refused).await;
        assert!(trouble(&report).contains(path.to_str().unwrap()), "{odd:?}: {}", trouble(&report));
        obeys(&mut house).await;
        ends(daemon).await;
    }
}
