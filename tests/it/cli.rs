//! The small commands as a user or a script runs them, against the status socket of a fake daemon.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use presenced::policy::Claim;
use presenced::presence::Presence;
use presenced::status::report::{Health, Report, State};
use tempfile::TempDir;

use crate::stage::fake_daemon::{Asked, FakeDaemon, report};

fn start() -> (TempDir, FakeDaemon) {
    let folder = TempDir::new().unwrap();
    let daemon = FakeDaemon::start(folder.path(), report());
    (folder, daemon)
}

/// The program, without this machine's environment, terminal and home.
fn presenced(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_presenced"));
    command.args(args).env_clear().env("TZ", "UTC").env("HOME", "/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit code and the output of a run.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the program against the socket.
fn ask(socket: &Path, args: &[&str]) -> Ended {
    run(presenced(args).arg("--socket").arg(socket))
}

#[track_caller]
fn assert_ended(ended: &Ended, code: i32, out: &str, err: &str) {
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(code), out, err));
}

const START: &str = "hint: start it with `presenced run` or `systemctl --user start presenced`\n";

#[test]
fn status_shows_what_is_claimed_and_why() {
    let (_folder, daemon) = start();
    let ended = ask(&daemon.socket, &["status"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    // The whole view has its own snapshots. Here the real clock draws it.
    assert!(ended.out.starts_with("work: Busy/InACall\n"), "{}", ended.out);
    assert!(ended.out.contains("call is in-call (baresip) (rule `call`)"), "{}", ended.out);
    assert!(!ended.out.contains('\u{1b}'), "no colours without a terminal");
    assert!(ended.out.lines().all(|line| line.chars().count() <= 80), "{}", ended.out);
}

#[test]
fn the_socket_is_found_in_the_runtime_folder() {
    let (folder, _daemon) = start();
    let ended = run(presenced(&["status"]).env("XDG_RUNTIME_DIR", folder.path()));
    assert!(ended.out.starts_with("work: Busy/InACall\n"), "{ended:?}");
    let ended = run(&mut presenced(&["status"]));
    assert_ended(
        &ended,
        2,
        "",
        "error: no location is available for the status socket: $XDG_RUNTIME_DIR is not set\n\
         hint: run this in a login session, or give the path of the socket with `--socket`\n",
    );
}

#[test]
fn colours_are_optional() {
    let (_folder, daemon) = start();
    let with = |name: &str| run(presenced(&["status", "--socket"]).arg(&daemon.socket).env(name, "1")).out;
    assert!(with("CLICOLOR_FORCE").contains("\u{1b}["));
    assert!(!with("NO_COLOR").contains("\u{1b}["));
}

#[test]
fn json_is_the_daemons_report() {
    let (_folder, daemon) = start();
    let ended = ask(&daemon.socket, &["status", "--json"]);
    assert_eq!(serde_json::from_str::<Report>(&ended.out).unwrap(), report());
    assert!(ended.out.ends_with("}\n"), "{}", ended.out);
}

#[test]
fn one_of_several_accounts_can_be_shown() {
    let (_folder, daemon) = start();
    daemon.change(|report| {
        let home = presenced::status::report::Account { state: State::Released, ..report.accounts["work"].clone() };
        report.accounts.insert("home".to_owned(), home);
    });
    let ended = ask(&daemon.socket, &["status", "--account", "home"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(ended.out.starts_with("home: nothing claimed\n") && !ended.out.contains("work: "), "{}", ended.out);
    let json = ask(&daemon.socket, &["status", "--account", "home", "--json"]).out;
    let names = |json: &str| serde_json::from_str::<Report>(json).unwrap().accounts.into_keys().collect::<Vec<_>>();
    assert_eq!(names(&json), ["home"]);
    let (mut child, mut lines) = watching(&daemon.socket, &["status", "--account", "home", "--watch", "--json"]);
    assert_eq!(names(&lines.next().unwrap()), ["home"]);
    // A reload removes the account.
    daemon.change(|report| drop(report.accounts.remove("home")));
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let no_account = "error: there is no account `home`\nhint: the configuration has `work`\n";
    assert_ended(&ask(&daemon.socket, &["status", "--account", "home"]), 2, "", no_account);
}

#[test]
fn the_exit_code_shows_the_state() {
    let (_folder, daemon) = start();
    let code = || ask(&daemon.socket, &["status"]).code;
    assert_eq!(code(), Some(0));
    daemon.change(|report| report.health = Health::Degraded);
    assert_eq!(code(), Some(1));
    daemon.change(|report| report.health = Health::Failing);
    assert_eq!(code(), Some(1));
    daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::SignInNeeded);
    assert_eq!(code(), Some(4));
    assert_eq!(ask(&daemon.socket, &["status", "--json"]).code, Some(4));
}

#[test]
fn a_missing_daemon_and_another_server_are_distinguished() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("presenced.sock");
    let not_running = format!("error: presenced is not running: nothing answers at {}\n{START}", socket.display());
    for args in
        [&["status"][..], &["status", "--watch"], &["set", "away"], &["unset"], &["reload"], &["signal", "a", "b"]]
    {
        assert_ended(&ask(&socket, args), 3, "", &not_running);
    }
    // A stale socket counts as none.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert_ended(&ask(&socket, &["status"]), 3, "", &not_running);
    // Another program's server.
    std::fs::remove_file(&socket).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull").unwrap();
    });
    let ended = ask(&socket, &["status"]);
    other.join().unwrap();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.starts_with("error: the answer from the socket is not understood: "), "{ended:?}");
}

/// Reads the lines of a child up to the one that ends a block.
fn next_block(lines: &mut impl Iterator<Item = String>, ends: impl Fn(&str) -> bool) -> String {
    let mut block = String::new();
    for line in lines {
        block.push_str(&line);
        block.push('\n');
        if ends(&line) {
            return block;
        }
    }
    panic!("the output ended within a block: {block}");
}

fn watching(socket: &Path, args: &[&str]) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = presenced(args).arg("--socket").arg(socket).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    (child, lines)
}

#[test]
fn watching_prints_a_block_for_each_change() {
    let (_folder, daemon) = start();
    let (mut child, mut lines) = watching(&daemon.socket, &["status", "--watch"]);
    // The last line of a block names the daemon.
    let ends = |line: &str| line.starts_with("presenced 0.1.0, ");
    assert!(next_block(&mut lines, ends).contains("work: Busy/InACall\n"));
    daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::Released);
    assert!(next_block(&mut lines, ends).contains("work: nothing claimed\n"));
    daemon.stop();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let mut err = String::new();
    child.stderr.unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(err, format!("error: presenced is stopping\n{START}"));
}

#[test]
fn watching_as_json_prints_a_line_for_each_change() {
    let (_folder, daemon) = start();
    let (mut child, mut lines) = watching(&daemon.socket, &["status", "--watch", "--json"]);
    let mut next = || serde_json::from_str::<Report>(&lines.next().unwrap()).unwrap();
    assert_eq!(next(), report());
    daemon.change(|report| report.health = Health::Failing);
    assert_eq!(next().health, Health::Failing);
    daemon.stop();
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_presence_is_set_by_any_of_its_names() {
    let (_folder, daemon) = start();
    let hold = |presence| Asked::SetOverride(Claim::Hold(presence), None);
    for (name, asked) in [
        ("available", hold(Presence::Available)),
        ("call", hold(Presence::InACall)),
        ("BUSY", hold(Presence::InACall)),
        ("Busy/InACall", hold(Presence::InACall)),
        ("busy/inaconferencecall", hold(Presence::InAConferenceCall)),
        ("meeting", hold(Presence::InAConferenceCall)),
        ("away", hold(Presence::Away)),
        ("dnd", hold(Presence::Presenting)),
        ("presenting", hold(Presence::Presenting)),
        ("nothing", Asked::SetOverride(Claim::Nothing, None)),
    ] {
        assert_eq!(ask(&daemon.socket, &["set", name]).code, Some(0));
        assert_eq!(daemon.asked(), [asked], "{name}");
    }
    let ended = ask(&daemon.socket, &["set", "call", "--for", "1h 30m"]);
    assert_ended(&ended, 0, "claiming Busy/InACall for 1 h 30 min, or until `presenced unset`\n", "");
    let ended = ask(&daemon.socket, &["set", "nothing"]);
    assert_ended(&ended, 0, "claiming nothing until `presenced unset`\n", "");
    assert_ended(&ask(&daemon.socket, &["unset"]), 0, "the rules decide again\n", "");
    assert_eq!(
        daemon.asked(),
        [
            Asked::SetOverride(Claim::Hold(Presence::InACall), Some(Duration::from_mins(90))),
            Asked::SetOverride(Claim::Nothing, None),
            Asked::ClearOverride,
        ]
    );
}

#[test]
fn wrong_arguments_are_refused_before_the_daemon_is_asked() {
    let (_folder, daemon) = start();
    for (args, said) in [
        (&["set", "bussy"][..], "tip: a similar value exists: 'busy'"),
        (&["set", "Busy/InACal"], "tip: a similar value exists: 'Busy/InACall'"),
        (&["set", "xyzzy"], "[possible values: available, call, conference, away, dnd, nothing]"),
        (&["set", "call", "--for", "soon"], "`soon` is not a duration; write it like 30m, 1h30m or PT15M"),
        (&["set", "call", "--for", "0s"], "`0s` is out of range"),
        (&["set"], "<PRESENCE>"),
        (&["signal", "a b", "c"], "that is not a valid signal name"),
        (&["signal", "door", ""], "that is not a valid signal value"),
        (&["signal", "door"], "<VALUE>"),
        (&["signal", "door", "open", "--unset"], "--unset"),
        (&["signal", "door", "--unset", "--ttl", "2m"], "--ttl"),
        (&["statsu"], "tip: a similar subcommand exists: 'status'"),
        (&["completions", "tcsh"], "[possible values: bash, elvish, fish, powershell, zsh]"),
    ] {
        let ended = ask(&daemon.socket, args);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?}");
        assert!(ended.err.starts_with("error: ") && ended.err.contains(said), "{args:?}: {}", ended.err);
    }
    assert_eq!(daemon.asked(), []);
}

#[test]
fn setting_a_signal_prints_nothing() {
    let (_folder, daemon) = start();
    assert_ended(&ask(&daemon.socket, &["signal", "door", "wide open"]), 0, "", "");
    assert_ended(&ask(&daemon.socket, &["signal", "temp", "-5", "--ttl", "PT90S"]), 0, "", "");
    assert_ended(&ask(&daemon.socket, &["signal", "door", "--unset"]), 0, "", "");
    assert_eq!(
        daemon.asked(),
        [
            Asked::SetSignal("door".into(), "wide open".into(), None),
            Asked::SetSignal("temp".into(), "-5".into(), Some(Duration::from_secs(90))),
            Asked::ClearSignal("door".into()),
        ]
    );
}

#[test]
fn a_refusal_is_shown_in_full() {
    let (_folder, daemon) = start();
    assert_ended(&ask(&daemon.socket, &["reload"]), 0, "the new configuration is in force\n", "");
    daemon.answers(Err("unknown key `tenat`\n  3 | tenat = \"x\"\n      ^^^^^\n"));
    assert_ended(
        &ask(&daemon.socket, &["reload"]),
        2,
        "",
        "error: unknown key `tenat`\n  3 | tenat = \"x\"\n      ^^^^^\n\
         hint: the last valid configuration stays in force; fix the file, then run `presenced reload`\n",
    );
    daemon.answers(Err("there is no override"));
    assert_ended(
        &ask(&daemon.socket, &["unset"]),
        1,
        "",
        "error: there is no override\nhint: `presenced status` shows what is in force\n",
    );
}

#[cfg(not(feature = "emulator"))]
#[test]
fn a_build_for_a_sidecar_has_neither_the_emulator_nor_the_demo() {
    for command in ["emulator", "demo"] {
        let ended = run(&mut presenced(&[command]));
        assert_eq!(ended.code, Some(2));
        assert!(ended.err.starts_with(&format!("error: unrecognized subcommand '{command}'")), "{}", ended.err);
    }
    assert!(!run(&mut presenced(&["--help"])).out.contains("demo"));
}

#[cfg(feature = "emulator")]
#[test]
fn help_matches_its_snapshot() {
    let pages: Vec<String> =
        ["", "status", "set", "unset", "signal", "users", "reload", "doctor", "completions", "man"]
            .into_iter()
            .map(|command| {
                let args: Vec<&str> = [command].into_iter().filter(|arg| !arg.is_empty()).chain(["--help"]).collect();
                let ended = run(&mut presenced(&args));
                assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{command}");
                assert!(ended.out.lines().all(|line| line.chars().count() <= 80), "{command}: {}", ended.out);
                format!("$ presenced {}\n{}", args.join(" "), ended.out)
            })
            .collect();
    insta::assert_snapshot!(pages.join("\n"));
}

#[test]
fn without_a_command_it_prints_help_and_fails() {
    let ended = run(&mut presenced(&[]));
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("Usage: presenced [OPTIONS] <COMMAND>"), "{}", ended.err);
    let ended = run(&mut presenced(&["--version"]));
    assert_ended(&ended, 0, &format!("presenced {}\n", env!("CARGO_PKG_VERSION")), "");
}

#[test]
fn completions_of_every_shell_know_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = run(&mut presenced(&["completions", shell]));
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{shell}");
        for word in ["status", "signal", "--watch", "unset"] {
            assert!(ended.out.contains(word.trim_start_matches('-')), "{shell} does not know {word}");
        }
    }
}

#[test]
fn the_manual_page_has_every_command() {
    let ended = run(&mut presenced(&["man"]));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(ended.out.contains("\n.TH PRESENCED 1"), "{}", ended.out);
    for part in [".SS \"presenced status\"", ".SS \"presenced signal\"", "\\fB\\-\\-ttl\\fR", ".SH EXAMPLES"] {
        assert!(ended.out.contains(part), "no {part} in {}", ended.out);
    }
    assert!(!ended.out.contains('\u{1b}'), "styles do not belong in roff");
}

#[test]
fn a_folder_gets_one_manual_page_per_command() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man/man1");
    assert_ended(&run(&mut presenced(&["man", "--dir", dir.to_str().unwrap()])), 0, "", "");
    let page = |name: &str| std::fs::read_to_string(dir.join(format!("{name}.1"))).unwrap();
    assert_eq!(page("presenced"), run(&mut presenced(&["man"])).out);
    let help = run(&mut presenced(&["--help"])).out;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.contains(&"status") && commands.contains(&"man"), "{commands:?}");
    for command in &commands {
        let page = page(&format!("presenced-{command}"));
        let parts = [
            format!(".TH PRESENCED-{} 1 \" \" \"presenced {}\"", command.to_uppercase(), env!("CARGO_PKG_VERSION")),
            format!("presenced\\-{command} \\- "),
            format!("\\fBpresenced {command}\\fR"),
            "\\fB\\-\\-config\\fR".to_owned(),
        ];
        for part in parts {
            assert!(page.contains(&part), "no {part} in {page}");
        }
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), commands.len() + 1);
    let under_a_file = dir.join("presenced.1/man1");
    let ended = run(&mut presenced(&["man", "--dir", under_a_file.to_str().unwrap()]));
    assert_ended(
        &ended,
        1,
        "",
        &format!("error: cannot write {}/presenced.1: Not a directory (os error 20)\n", under_a_file.display()),
    );
}

#[test]
fn a_reader_that_leaves_causes_no_error() {
    let (_folder, daemon) = start();
    let socket = daemon.socket.to_str().unwrap();
    for args in [
        &["man"][..],
        &["completions", "bash"],
        &["--help"],
        &["status", "--socket", socket],
        &["status", "--json", "--socket", socket],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = run(presenced(args).stdout(writer));
        assert_ended(&ended, 0, "", "");
    }
    // A watching client notices it with the next report.
    let (mut child, mut lines) = watching(&daemon.socket, &["status", "--watch"]);
    assert_eq!(lines.next().as_deref(), Some("work: Busy/InACall"));
    drop(lines);
    let ended = loop {
        daemon.change(|report| report.pid += 1);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::yield_now();
    };
    assert_eq!(ended.code(), Some(0));
    // A closed standard error does not change the exit code.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(run(presenced(&["status", "--socket", "/nonexistent"]).stderr(writer)).code, Some(3));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = run(presenced(&["man"]).stdout(full));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.starts_with("error: cannot write to standard output: "), "{}", ended.err);
}
