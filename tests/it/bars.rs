//! The status for bars: lines that continue across restarts of the daemon, and the snippets of docs/bars.md as a bar runs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use presenced::status::report::{Health, State};
use serde_json::Value;
use tempfile::TempDir;

use crate::stage::fake_daemon::{FakeDaemon, report};

/// Sets the environment of a bar in a session with this runtime folder.
fn in_session(command: &mut Command, folder: &Path) {
    command.env_clear().env("TZ", "UTC").env("HOME", "/nonexistent").env("XDG_RUNTIME_DIR", folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// The long-running program of a bar, and the lines that it prints.
struct Bar {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Bar {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_presenced"));
        command.args(args);
        in_session(&mut command, folder);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).unwrap();
        assert!(read > 0, "it ended: {:?}", self.child.wait());
        line.trim_end_matches('\n').to_owned()
    }

    fn module(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn once(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_presenced"));
    command.args(args);
    in_session(&mut command, folder);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_bar_outlives_the_daemon() {
    let folder = TempDir::new().unwrap();
    // Even the socket's folder does not exist yet.
    let mut bar = Bar::start(folder.path(), &["status", "--format", "waybar", "--watch"]);
    let module = bar.module();
    assert_eq!((&module["text"], &module["class"]), (&"off".into(), &serde_json::json!(["off"])), "{module}");

    let daemon = FakeDaemon::start(folder.path(), report());
    let module = bar.module();
    assert_eq!(module["text"], "Busy");
    assert_eq!((&module["alt"], &module["class"]), (&"busy".into(), &serde_json::json!(["busy", "holding", "ok"])));
    assert!(module["tooltip"].as_str().unwrap().contains("call is in-call (baresip)"), "{module}");

    // A keepalive changes nothing that a bar shows.
    daemon.change(|report| report.accounts.get_mut("work").unwrap().requests.sent += 1);
    daemon.change(|report| report.health = Health::Failing);
    assert_eq!(bar.module()["class"], serde_json::json!(["busy", "holding", "failing"]));

    daemon.stop();
    assert_eq!(bar.module()["alt"], "off");
    let daemon = FakeDaemon::start(folder.path(), report());
    assert_eq!(bar.module()["alt"], "busy");

    // A killed daemon leaves its socket behind, and the next one replaces it.
    daemon.stop();
    assert_eq!(bar.module()["alt"], "off");
    drop(UnixListener::bind(folder.path().join("presenced/presenced.sock")).unwrap());
    let daemon = FakeDaemon::start(folder.path(), report());
    assert_eq!(bar.module()["alt"], "busy");

    // The folder may disappear with the daemon.
    daemon.stop();
    assert_eq!(bar.module()["alt"], "off");
    std::fs::remove_dir_all(folder.path().join("presenced")).unwrap();
    let _daemon = FakeDaemon::start(folder.path(), report());
    assert_eq!(bar.module()["alt"], "busy");
}

#[test]
fn it_ends_when_the_bar_has_ended() {
    let folder = TempDir::new().unwrap();
    let daemon = FakeDaemon::start(folder.path(), report());
    let mut bar = Bar::start(folder.path(), &["status", "--format", "{state}", "--watch"]);
    assert_eq!(bar.line(), "holding");
    // From here on, nothing reads the output.
    let mut child = std::mem::replace(&mut bar.child, Command::new("true").spawn().unwrap());
    drop(bar);
    daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::Retrying);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_line_never_fails() {
    let folder = TempDir::new().unwrap();
    let format = |format: &str| once(folder.path(), &["status", "--format", format]);
    assert_eq!(format("{availability}|{rule}"), (Some(0), "off|\n".to_owned(), String::new()));
    let daemon = FakeDaemon::start(folder.path(), report());
    assert_eq!(format("{availability}|{rule}"), (Some(0), "Busy|call\n".to_owned(), String::new()));
    daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::SignInNeeded);
    assert_eq!(format("{state}"), (Some(0), "sign-in-needed\n".to_owned(), String::new()));
    let other = once(folder.path(), &["status", "--format", "waybar", "--account", "home"]);
    let module: Value = serde_json::from_str(&other.1).unwrap();
    assert_eq!((other.0, &module["alt"]), (Some(0), &"off".into()));
    assert_eq!(module["tooltip"], "there is no account `home`\nhint: the configuration has `work`");
}

#[test]
fn a_wrong_format_is_reported_before_the_daemon_is_asked() {
    let folder = TempDir::new().unwrap();
    for (args, said) in [
        (&["status", "--format", "waybra"][..], "did you mean `waybar`?"),
        (&["status", "--format", "{availabilty}"], "did you mean `availability`?"),
        (&["status", "--format", "{rule"], "a `{` has no matching brace"),
        (&["status", "--format", "waybar", "--json"], "cannot be used with"),
    ] {
        let (code, out, err) = once(folder.path(), args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.contains(said), "{args:?}: {err}");
    }
}

/// The commands of docs/bars.md: the line of each snippet that runs presenced for the bar.
fn commands() -> Vec<String> {
    let page = std::fs::read_to_string("docs/bars.md").unwrap();
    let within = |line: &str, start: &str, end: char| {
        let (_, rest) = line.split_once(start)?;
        Some(rest.rsplit_once(end).map_or(rest, |(command, _)| command).to_owned())
    };
    let command = |line: &str| {
        within(line, "\"exec\": \"", '"')
            .or_else(|| line.strip_prefix("exec = ").map(str::to_owned))
            .or_else(|| line.strip_prefix("command=").map(str::to_owned))
            .or_else(|| within(line, "#(", ')'))
    };
    page.lines().filter_map(command).collect()
}

#[test]
fn the_snippets_of_the_documents_work() {
    let folder = TempDir::new().unwrap();
    let _daemon = FakeDaemon::start(folder.path(), report());
    let bin = TempDir::new().unwrap();
    symlink(env!("CARGO_BIN_EXE_presenced"), bin.path().join("presenced")).unwrap();
    let commands = commands();
    assert_eq!(commands.len(), 4, "waybar, polybar, i3blocks and tmux: {commands:?}");
    for command in commands {
        assert!(command.ends_with(" --watch"), "{command}");
        let mut shell = Command::new("sh");
        // Each bar runs it with a shell. Without `--watch` it ends.
        shell.arg("-c").arg(command.trim_end_matches(" --watch"));
        in_session(&mut shell, folder.path());
        shell.env("PATH", format!("{}:/usr/bin:/bin", bin.path().display()));
        let mut child = shell.spawn().unwrap();
        let mut line = String::new();
        child.stdout.take().unwrap().read_to_string(&mut line).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{command}");
        assert!(line.contains("Busy") && line.lines().count() == 1, "{command}: {line}");
    }
}

#[test]
fn the_documents_have_every_field_and_class() {
    let page = std::fs::read_to_string("docs/bars.md").unwrap();
    let (_, help, _) = once(Path::new("/nonexistent"), &["status", "--help"]);
    for field in ["account", "presence", "availability", "activity", "state", "health", "rule", "because", "since"] {
        assert!(page.contains(&format!("`{{{field}}}`")), "{field}");
        assert!(help.contains(&format!("{{{field}}}")), "{field}");
    }
    for state in State::ALL {
        assert!(page.contains(&format!("`{}`", presenced::status::report::word(state))), "{state:?}");
    }
}
