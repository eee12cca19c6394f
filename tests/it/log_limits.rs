//! The log is bounded, private and clean, whatever changes how often, whatever other programs say, and whoever prepared its folder.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use jiff::tz::TimeZone;
use presenced::daemon::clock::SystemClock;
use presenced::status::Client;
use presenced::time::Clock as _;

use crate::stage::house::{House, guarded};

/// Rules, so that each change of the door is also a decision.
const RULES: &str = "[[rules]]\nname = \"door\"\nwhen = { signal = { door = \"open\" } }\nset = \"Busy/InACall\"\n\
    [[rules]]\nname = \"call\"\nwhen = { call = \"in-call\" }\nset = \"Busy/InAConferenceCall\"\n\
    [[rules]]\nname = \"else\"\nset = \"Available/Available\"\n";

/// How often the door moves. Each time adds two lines, together about 400 bytes.
const MOVES: u64 = 1_500;

/// The number in `text` before `word`.
fn number_before(text: &str, word: &str) -> Option<u64> {
    text.split_once(word)?.0.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn a_signal_that_flaps_does_not_fill_the_log_and_nothing_is_uncounted() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration() + RULES);
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let door = "door".parse().unwrap();
    let mut client = Client::connect(&house.path("presenced.sock")).await.unwrap();
    for value in ["open", "closed"].iter().cycle().take(MOVES.try_into().unwrap()) {
        guarded("the door", client.set_signal(&door, &value.parse().unwrap(), None)).await.unwrap();
    }
    drop(client);
    // A line of another kind is not affected.
    house.write("call-state", "in-call");
    daemon.report("the call", |report| report.signals["call"].value == "in-call").await;
    let log = house.path("log");
    assert!(daemon.stop().await.success());

    let text = fs::read_to_string(log).unwrap();
    assert!(text.len() < 100_000, "{} bytes\n{}", text.len(), &text[text.len() - 4000..]);
    assert!(text.contains("call is in-call"), "{text}");
    // Each move is a line or in the number of those left out, and the last one is quoted.
    let moves: Vec<&str> = text.lines().filter(|line| line.contains("signal.door is ")).collect();
    let (summaries, lines): (Vec<&str>, Vec<&str>) = moves.iter().partition(|line| line.contains("left out "));
    let left_out: u64 = summaries.iter().map(|line| number_before(line, " similar line").unwrap()).sum();
    assert!(lines.len() >= 20 && left_out >= 1_000, "{} lines, {left_out} left out", lines.len());
    assert_eq!(lines.len() as u64 + left_out, MOVES, "{summaries:#?}");
    assert!(moves.last().unwrap().contains("signal.door is closed"), "{:#?}", moves.last());
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Runs the daemon with `--log-dir` and this umask until it has logged, and stops it.
async fn run_with_logs(house: &mut House, folder: &Path, umask: &str) {
    house.write("config.toml", house.configuration());
    let binary = std::env::var_os("PRESENCED_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_presenced").into());
    let mut command = tokio::process::Command::new("sh");
    // The daemon's arguments follow those of the shell.
    let plain = house.command(&["run", "--log-dir", folder.to_str().unwrap()]);
    let plain = plain.as_std();
    command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]).arg(binary).args(plain.get_args());
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    house.seen("Available/Available").await;
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(guarded("the daemon's end", child.wait()).await.unwrap().success());
}

/// The name of today's file, and of tomorrow's: a test may run at midnight.
fn names() -> [String; 2] {
    let today = SystemClock::real().now().wall.to_zoned_datetime(TimeZone::UTC).date();
    [today, today.tomorrow().unwrap()].map(|day| format!("presenced.{day}.log"))
}

fn logs_in(folder: &Path) -> Vec<std::path::PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

#[tokio::test]
async fn log_files_are_private_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let mut house = House::new().await;
        let folder = house.path("below/logs");
        run_with_logs(&mut house, &folder, umask).await;
        assert_eq!(mode(&folder), 0o700, "umask {umask}");
        let files = logs_in(&folder);
        for file in &files {
            assert_eq!(mode(file), 0o600, "umask {umask}: {}", file.display());
        }
        assert!(files.iter().any(|file| fs::read_to_string(file).unwrap().contains("decided")));
    }
}

#[tokio::test]
async fn files_and_folders_of_older_versions_are_narrowed() {
    let mut house = House::new().await;
    let folder = house.path("logs");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let old = [&names()[0], "presenced.2026-01-02.log"].map(|name| folder.join(name));
    for file in &old {
        fs::write(file, "from before\n").unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    run_with_logs(&mut house, &folder, "022").await;
    assert_eq!(mode(&folder), 0o700);
    for file in &old {
        assert_eq!(mode(file), 0o600, "{}", file.display());
        assert!(fs::read_to_string(file).unwrap().starts_with("from before\n"));
    }
}

#[tokio::test]
async fn a_folder_that_also_holds_other_files_keeps_its_mode() {
    let mut house = House::new().await;
    let folder = house.path("logs");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("other"), "").unwrap();
    fs::set_permissions(folder.join("other"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
    run_with_logs(&mut house, &folder, "022").await;
    assert_eq!((mode(&folder), mode(&folder.join("other"))), (0o1777, 0o644));
    assert_eq!(logs_in(&folder).iter().map(|file| mode(file)).max(), Some(0o600));
}

#[tokio::test]
async fn planted_links_and_pipes_are_not_written_to() {
    for plant in ["symlink", "hard link", "dangling", "pipe"] {
        let mut house = House::new().await;
        let folder = house.path("logs");
        fs::create_dir(&folder).unwrap();
        let target = house.path("target");
        fs::write(&target, "theirs").unwrap();
        for path in names().map(|name| folder.join(name)) {
            match plant {
                "symlink" => symlink(&target, &path).unwrap(),
                "hard link" => fs::hard_link(&target, &path).unwrap(),
                "dangling" => symlink(house.path("nothing"), &path).unwrap(),
                _ => {
                    let status = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
                    assert!(status.success());
                }
            }
        }
        run_with_logs(&mut house, &folder, "022").await;
        assert_eq!(fs::read_to_string(&target).unwrap(), "theirs", "{plant}");
        assert!(!house.path("nothing").exists(), "{plant}");
        assert!(
            logs_in(&folder).iter().any(|file| {
                let metadata = fs::symlink_metadata(file).unwrap();
                metadata.is_file() && fs::read_to_string(file).unwrap().contains("decided") && mode(file) == 0o600
            }),
            "{plant}"
        );
    }
}

#[tokio::test]
async fn a_folder_of_another_user_is_refused_and_one_that_others_write_to_is_named() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let folder = house.path("logs");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("other"), "").unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    run_with_logs(&mut house, &folder, "022").await;
    let log: String = logs_in(&folder).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(log.contains("WARN") && log.contains("others may write to"), "{log}");

    // Only root can give a folder away.
    if std::os::unix::fs::chown(&folder, Some(12345), None).is_err() {
        return;
    }
    let (code, _, error) = house.ask(&["run", "--log-dir", folder.to_str().unwrap()]).await;
    assert_eq!(code, 1);
    assert!(error.contains("the folder belongs to another user (number 12345)"), "{error}");
    assert!(error.contains("hint: use `--log-dir`"), "{error}");
}

/// What a compositor sends when a client made a mistake (`wl_display.error` of the core protocol), with this message.
#[cfg(feature = "wayland")]
fn protocol_error(message: &str) -> Vec<u8> {
    let mut text = [message.as_bytes(), b"\0"].concat();
    let length = u32::try_from(text.len()).unwrap();
    text.resize(text.len().next_multiple_of(4), 0);
    let size = u32::try_from(20 + text.len()).unwrap();
    // The display is object 1. Its event 0 names an object, a code and a text.
    [1, size << 16, 1, 3, length].into_iter().flat_map(u32::to_ne_bytes).chain(text).collect()
}

#[cfg(feature = "wayland")]
#[tokio::test]
async fn a_compositors_words_reach_standard_error_only_as_clean_log_lines() {
    let mut house = House::new().await;
    let level = "[signals.idle]\n[log]\nlevel = \"debug\"\n";
    house.write("config.toml", house.configuration() + level);
    let compositor = std::os::unix::net::UnixListener::bind(house.path("wayland-0")).unwrap();
    compositor.set_nonblocking(true).unwrap();
    let compositor = tokio::net::UnixListener::from_std(compositor).unwrap();
    let error = protocol_error("\u{1b}]0;owned\u{7}\r\n2026-01-01T00:00:00Z  INFO forged \u{9b}2J");
    let serving = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = compositor.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, &error).await.unwrap();
            open.push(stream);
        }
    });
    let daemon = house
        .start_with(&[], |command| {
            command.env("WAYLAND_DISPLAY", "wayland-0");
        })
        .await;
    house.seen("Available/Available").await;
    let log = guarded("the words", async {
        loop {
            let log = daemon.log();
            if log.contains("owned") && log.ends_with('\n') {
                return log;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    serving.abort();
    assert!(!log.contains(|char: char| char.is_control() && char != '\n'), "{log:?}");
    for line in log.lines() {
        let time = line.split(' ').next().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok() && !line.starts_with("2026-01-01"), "{line}");
    }
}
