//! `presenced service` without a service manager, and the packaged units. The box (`tests/systemd`) tests it with a real systemd.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Runs `presenced service` in a separate home, with this script as `systemctl`; `None` if there is no `systemctl`.
fn service(home: &Path, systemctl: Option<&str>, arguments: &[&str]) -> (i32, String) {
    let bin = home.join("bin");
    fs::create_dir_all(&bin).unwrap();
    if let Some(script) = systemctl {
        let file = bin.join("systemctl");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_presenced"))
        .arg("service")
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("USER", "me")
        .env("PATH", &bin)
        .env("XDG_RUNTIME_DIR", home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A service manager that reports its own properties but knows no unit.
const ANSWERS: &str = r#"echo "UnitPath=/nowhere $HOME/.config/systemd/user""#;

#[test]
fn without_a_service_manager_nothing_is_done_and_the_fix_is_named() {
    let home = TempDir::new().unwrap();
    let no_bus = "echo 'Failed to connect to bus: No such file or directory' >&2; exit 1";
    for verb in ["install", "uninstall", "status"] {
        let (code, said) = service(home.path(), None, &[verb]);
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with("error: systemd is not available: there is no program `systemctl`\nhint: "), "{said}");
        let (code, said) = service(home.path(), Some(no_bus), &[verb]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("\nhint: "), "{said}");
        fs::remove_file(home.path().join("bin/systemctl")).unwrap();
    }
    assert!(!home.path().join(".config").exists(), "something was written");
}

#[test]
fn a_build_is_not_installed() {
    let home = TempDir::new().unwrap();
    let (code, said) = service(home.path(), Some(ANSWERS), &["install"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("is in the build folder") && said.contains("\nhint: run `sudo install "), "{said}");
    assert!(!home.path().join(".config").exists(), "something was written");
}

#[test]
fn nothing_is_written_to_a_folder_that_systemd_does_not_read() {
    let home = TempDir::new().unwrap();
    let (code, said) = service(home.path(), Some("echo UnitPath=/elsewhere"), &["install"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("it has a different $XDG_CONFIG_HOME"), "{said}");
}

#[test]
fn help_matches_its_snapshot() {
    let page = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_presenced")).args(arguments).env_clear().output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let pages =
        [&["service"][..], &["service", "install"], &["service", "uninstall"], &["service", "status"]].map(|command| {
            let page = page(&[command, &["--help"]].concat());
            assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
            format!("$ presenced {} --help\n{page}", command.join(" "))
        });
    insta::assert_snapshot!(pages.join("\n"));
    let manual = page(&["man"]);
    for part in [".SS \"presenced service\"", ".SS \"presenced service install\"", "\\-\\-socket\\-activation"] {
        assert!(manual.contains(part), "no {part} in {manual}");
    }
}

fn unit(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd").join(name)).unwrap()
}

/// The settings of a unit, without what differs from one to another.
fn settings(unit: &str) -> Vec<&str> {
    let lines = unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter(|line| !line.starts_with("ExecStart=") && !line.starts_with("Description=")).collect()
}

#[test]
fn the_template_unit_has_the_same_settings_as_the_service() {
    let (first, more) = (unit("presenced.service"), unit("presenced@.service"));
    assert_eq!(settings(&first), settings(&more));
    assert!(more.contains("--config %E/presenced/%i.toml --socket %t/presenced/%i.sock run"));
}

#[test]
fn the_unit_for_bots_has_all_restrictions_of_the_service() {
    let bot = unit("presenced-sidecar.service");
    let bot = settings(&bot);
    // Settings that a dynamic user implies.
    let implied = ["NoNewPrivileges=yes", "RestrictSUIDSGID=yes", "After=dbus.socket graphical-session.target"];
    let person = unit("presenced.service");
    for setting in settings(&person).into_iter().filter(|setting| !setting.starts_with("WantedBy=")) {
        assert!(bot.contains(&setting) || implied.contains(&setting), "{setting} is missing");
    }
}
