//! `presenced logs`: the files of a real daemon, and the arguments of journalctl. The box (tests/systemd) tests it with a real
//! journal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::stage::house::{House, guarded};

/// A stand-in for journalctl that prints its arguments, or `last` if it is asked for the last line.
fn journalctl(house: &House, last: &str) {
    let folder = house.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--output=cat*) printf '%s' '{last}' ;; *) echo \"journalctl $*\" ;; esac\n"
    );
    std::fs::write(folder.join("journalctl"), script).unwrap();
    std::fs::set_permissions(folder.join("journalctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs `presenced logs` where only this folder has programs.
async fn logs(house: &House, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = house.command(&[&["logs"], args].concat());
    command.env("PATH", house.path("bin"));
    let output = guarded("logs", command.output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn without_files_the_journal_of_the_unit_is_shown() {
    let house = House::new().await;
    journalctl(&house, "a line");
    for (args, called) in [
        (&[][..], "journalctl --user --unit=presenced --lines=100\n"),
        (&["-n", "5", "-f"], "journalctl --user --unit=presenced --lines=5 --follow\n"),
        (&["--since", "2026-11-24T09:00:00Z"], "journalctl --user --unit=presenced --since=@1795510800\n"),
        (&["--unit", "presenced@bot", "--system"], "journalctl --unit=presenced@bot --lines=100\n"),
    ] {
        assert_eq!(logs(&house, args).await, (Some(0), called.to_owned(), String::new()), "{args:?}");
    }
    // An invalid configuration may have named a folder.
    house.write("config.toml", "[log]\ndri = \"/tmp\"\n");
    let (code, out, err) = logs(&house, &[]).await;
    assert_eq!((code, out.as_str()), (Some(0), "journalctl --user --unit=presenced --lines=100\n"));
    assert!(err.starts_with("warning: the configuration ") && err.contains("`presenced check`"), "{err}");
}

#[tokio::test]
async fn a_missing_log_is_reported() {
    let house = House::new().await;
    let (code, out, err) = logs(&house, &[]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("error: there is no log to show: journalctl is not installed"), "{err}");
    assert!(err.contains("\nhint: "), "{err}");
    journalctl(&house, "");
    let (code, out, err) = logs(&house, &[]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("the journal has no lines from your unit presenced"), "{err}");
    let missing = house.path("missing").display().to_string();
    let (code, _, err) = logs(&house, &["--log-dir", &missing]).await;
    assert_eq!(code, Some(1));
    assert!(err.starts_with(&format!("error: the log in {missing} cannot be read: ")), "{err}");
}

#[tokio::test]
async fn files_are_shown_and_followed() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration() + "[log]\ndir = \"logs\"\n");
    std::fs::create_dir(house.path("logs")).unwrap();
    let (code, _, err) = logs(&house, &[]).await;
    assert_eq!(code, Some(1));
    assert!(err.starts_with("error: there is no log in "), "{err}");

    let _daemon = house.start().await;
    house.seen("Available/Available").await;
    let (code, out, err) = logs(&house, &["--since", "1h"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("decided") && out.contains("Available/Available"), "{out}");
    assert_eq!(logs(&house, &["-n", "1"]).await.1.lines().count(), 1);

    let mut command = house.command(&["logs", "-f", "-n", "0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Nothing says when the command has begun to watch, so the log keeps growing.
    let states = ["in-call", "idle"].into_iter().cycle();
    let next = async {
        let mut states = states;
        loop {
            house.write("call-state", states.next().unwrap());
            // A decision's lines begin with the signals that led to it.
            while let Ok(line) = tokio::time::timeout(std::time::Duration::from_millis(200), lines.next_line()).await {
                if line.unwrap().unwrap().contains("decided") {
                    return;
                }
            }
        }
    };
    guarded("the line of a decision", next).await;
}
