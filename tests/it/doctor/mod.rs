//! `presenced doctor` as a person runs it: in a healthy and a broken setup, with and without a daemon. [`calendars`] tests what it
//! says about calendars, [`network`] about the way to the services, and [`public`] what the public report leaves out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod calendars;
mod network;
mod public;

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use presenced::status::report::{Health, State};
use presenced_emulator::{App, Call, Fault, Matches, Options, Then};
use serde_json::Value;
use tokio::process::Command;

use crate::stage::bus::Bus;
use crate::stage::fake_daemon::{FakeDaemon, report};
use crate::stage::faults::{on, quick_sign_in, respond};
use crate::stage::house::{CALL, House, guarded, personal};
use crate::stage::keyring::Desktop;
use crate::stage::login1::{Login1, Session};
use crate::stage::reports::work;

/// Two meetings, one without a start.
const BROKEN: &str = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20261124T090000Z\nSUMMARY:Fine\nEND:VEVENT\n\
                      BEGIN:VEVENT\nUID:2\nSUMMARY:Takeover of Fabrikam\nEND:VEVENT\nEND:VCALENDAR\n";
const MEETING: &str = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20261124T090000Z\nEND:VEVENT\nEND:VCALENDAR\n";

const UNIT: &str =
    "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nNRestarts=0\nNeedDaemonReload=no\n";

/// Replaces systemd's programs, because no test may touch the real manager: they print the contents of the files beside them.
fn install_systemd(house: &House, unit: &str, environment: &str) {
    std::fs::create_dir_all(house.path("bin")).unwrap();
    house.write("bin/unit", unit);
    house.write("bin/environment", environment);
    let here = house.path("bin").display().to_string();
    let systemctl = format!(
        "#!/bin/sh\ncase \"$*\" in\n*show-environment) cat {here}/environment ;;\n*) cat {here}/unit ;;\nesac\n"
    );
    for (name, text) in [("systemctl", systemctl.as_str()), ("loginctl", "#!/bin/sh\necho Linger=no\n")] {
        house.write(&format!("bin/{name}"), text);
        std::fs::set_permissions(house.path(&format!("bin/{name}")), Permissions::from_mode(0o755)).unwrap();
    }
}

/// `presenced doctor` in the house, without a desktop.
fn doctor(house: &House, arguments: &[&str]) -> Command {
    let mut command = house.command(&[&["doctor"], arguments].concat());
    let path = std::env::var_os("PATH").unwrap();
    command.env("TZ", "UTC").env("PATH", format!("{}:{}", house.path("bin").display(), path.display()));
    command
}

async fn ask(command: &mut Command) -> (i32, String) {
    let output = guarded("doctor", command.output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert_eq!(text(output.stderr), "");
    (output.status.code().unwrap(), text(output.stdout))
}

/// What it found.
struct Found {
    code: i32,
    printed: Value,
}

impl Found {
    async fn by(command: &mut Command) -> Self {
        let (code, text) = ask(command.arg("--json")).await;
        Self { code, printed: serde_json::from_str(&text).unwrap() }
    }

    async fn of(house: &House) -> Self {
        Self::by(&mut doctor(house, &[])).await
    }

    /// The check of this name, or the first of several.
    #[track_caller]
    fn check(&self, name: &str) -> &Value {
        let checks = self.printed["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("no {name} in {checks:#?}"))
    }

    fn verdict(&self, name: &str) -> &str {
        self.check(name)["verdict"].as_str().unwrap()
    }

    /// All texts of a check.
    fn said(&self, name: &str) -> String {
        let check = self.check(name);
        let details: Vec<_> = check["details"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
        format!("{}: {}; {}; {}", text("verdict"), text("found"), details.join("; "), text("hint"))
    }

    #[track_caller]
    fn says(&self, name: &str, expected: &str) {
        let said = self.said(name);
        assert!(said.starts_with(expected), "{name}: {said}");
    }
}

#[tokio::test]
async fn without_a_configuration_everything_else_is_checked() {
    let house = House::new().await;
    install_systemd(&house, "LoadState=not-found\n", "");
    let found = Found::of(&house).await;
    assert_eq!((found.code, found.printed["version"].as_u64()), (1, Some(1)));
    let said = found.said("configuration");
    assert!(said.starts_with("failed: ") && said.contains("the file does not exist"), "{said}");
    assert!(said.contains("presenced init"), "{said}");
    for (name, verdict) in [
        ("daemon", "warning"),
        ("unit", "warning"),
        ("calendar", "skipped"),
        ("lock", "failed"),
        ("sleep", "failed"),
        ("sign-in", "skipped"),
        ("graph", "skipped"),
        ("clock", "skipped"),
        ("time zone", "ok"),
        ("runtime folder", "ok"),
        ("state folder", "ok"),
    ] {
        assert_eq!(found.verdict(name), verdict, "{}", found.said(name));
    }
    assert_eq!(found.printed["daemon"], serde_json::json!({"running": false, "version": null, "pid": null}));
}

#[tokio::test]
async fn an_invalid_configuration_is_reported_with_its_lines_and_hides_nothing_else() {
    let house = House::new().await;
    house.write("config.toml", house.account("work") + "[session]\nexpiration = \"3m\"\nverfy = true\n");
    let found = Found::of(&house).await;
    let said = found.said("configuration");
    assert!(said.contains("2 problems; line 9, column 14: ") && said.contains("`presenced check`"), "{said}");
    assert_eq!((found.code, found.verdict("state folder")), (1, "ok"));
}

/// Replaces the parts that depend on the machine.
fn redacted(text: &str, house: &House) -> String {
    let folder = house.path("").display().to_string();
    let text = text.replace(folder.trim_end_matches('/'), "/house").replace(&house.address, "ADDRESS");
    let line = |line: &str| match line.trim_start_matches(['✓', '!', '+', ' ']).split("  ").next() {
        Some("state folder") => "✓ state folder   [free space]".to_owned(),
        Some("inotify") => "✓ inotify        [watches]".to_owned(),
        Some("zone database") => "✓ zone database  [version]".to_owned(),
        Some(_) | None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_first_look_fits_a_terminal_and_says_what_to_do_first() {
    let house = House::new().await;
    install_systemd(&house, "LoadState=not-found\n", "");
    house.write("work.ics", BROKEN);
    let calendar = "[signals.calendar]\nsources = [{ path = \"work.ics\" }]\n[signals.lock]\n";
    house.write("config.toml", personal(&house) + CALL + calendar);
    std::fs::set_permissions(house.path("config.toml"), Permissions::from_mode(0o644)).unwrap();
    let (code, text) = ask(doctor(&house, &[]).env("LANG", "C.UTF-8")).await;
    assert_eq!(code, 4, "no one is signed in\n{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(redacted(&text, &house));
    let (_, ascii) = ask(&mut doctor(&house, &[])).await;
    assert!(ascii.is_ascii(), "{ascii}");
}

#[tokio::test]
async fn an_application_gets_a_token_and_everything_is_fine() {
    let house = House::new().await;
    install_systemd(&house, UNIT, "");
    house.write("config.toml", house.configuration());
    let found = Found::of(&house).await;
    assert_eq!(found.code, 0, "{:#}", found.printed);
    found.says("sign-in", "ok: received a token by client-secret; it expires in ");
    found.says("permission", "ok: Presence.ReadWrite.All, for the application");
    found.says("graph", "ok: 127.0.0.1 answers; it requires a token, as expected");
    found.says("login", "ok: 127.0.0.1 answers");
    found.says("clock", "ok: ");
    found.says("call", "ok: idle, from ");
    found.says("keyring", "skipped: no account stores anything in it");
    found.says("unit", "ok: active (running), enabled");
    found.says("linger", "warning: this user's services stop at logout");
    assert_eq!(found.check("sign-in")["subject"], "work");
}

#[tokio::test]
async fn each_way_the_services_can_be_unreachable_is_distinguished() {
    type Judge = fn(&Found);

    let date = |then: &str| respond(404, &[("Date", then)]);
    let cases: [(Fault, Judge); 7] = [
        (Fault::new(Matches::Any, respond(503, &[])), |found| {
            found.says("graph", "failed: 127.0.0.1 answers 503: it does not work now");
            assert_eq!(found.verdict("sign-in"), "failed");
        }),
        (on(Call::Discovery, date("Tue, 24 Nov 2020 09:00:00 GMT")), |found| {
            found.says("clock", "warning: this machine is ");
            assert!(found.said("clock").contains(" ahead of the services, which may refuse its tokens"));
        }),
        (on(Call::Token, Then::Aadsts(7_000_222)), |found| {
            found.says("sign-in", "failed: the sign-in service refuses: ");
            assert!(found.said("sign-in").contains("AADSTS7000222"));
        }),
        (on(Call::Read, Then::Hang), |found| {
            found.says("graph", "failed: 127.0.0.1: connected, but no answer");
        }),
        (on(Call::Read, Then::Reset), |found| {
            found.says("graph", "failed: 127.0.0.1: connected, but no answer");
        }),
        (on(Call::Read, respond(302, &[("Location", "http://portal.example/")])), |found| {
            found.says("graph", "warning: 127.0.0.1 answers 302, which this service would not");
            assert!(found.said("graph").contains("sign-in page of a network"));
        }),
        (
            on(Call::Discovery, Then::Respond { status: 400, headers: BTreeMap::new(), body: Some("no".into()) }),
            |found| {
                found.says("login", "warning: 127.0.0.1 answers 400");
            },
        ),
    ];
    for (fault, judge) in cases {
        let house = House::new().await;
        house.write("config.toml", house.configuration());
        house.inject(fault);
        judge(&Found::of(&house).await);
    }
}

#[tokio::test]
async fn what_is_valid_but_cannot_work_is_a_warning() {
    let house = House::new().await;
    house.write("config.toml", house.account("work") + "cloud = \"china\"\n");
    Found::of(&house).await.says(
        "note",
        "warning: [accounts.work]: Microsoft Graph has no presence in the cloud `china`, so presenced cannot hold one there",
    );
}

#[tokio::test]
async fn an_application_that_may_write_may_also_read() {
    for (role, expected) in [("Presence.ReadWrite.All", "ok: "), ("Presence.Read.All", "failed: ")] {
        let apps = vec![App { roles: vec![role.to_owned()], ..App::default() }];
        let house = House::with(Options { apps, ..Options::default() }).await;
        house.write("config.toml", house.configuration() + "[session]\nverify = true\n");
        Found::of(&house).await.says("permission", expected);
    }
}

#[tokio::test]
async fn a_missing_permission_is_named_with_how_to_grant_it() {
    let apps = vec![App { roles: vec!["Presence.Read.All".to_owned()], ..App::default() }];
    let house = House::with(Options { apps, ..Options::default() }).await;
    house.write("config.toml", house.configuration());
    let found = Found::of(&house).await;
    found.says("permission", "failed: the token does not permit setting a presence");
    assert!(found.said("permission").contains("the application lacks `Presence.ReadWrite.All`"));
    assert_eq!(found.code, 1);
}

/// Everything below a folder, with what it holds.
fn tree(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tree(&path, files);
        }
        files.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
    }
}

#[tokio::test]
async fn a_persons_sign_in_is_checked_and_not_changed() {
    let house = House::with(quick_sign_in()).await;
    house.write("config.toml", personal(&house) + CALL);
    let found = Found::of(&house).await;
    assert_eq!(found.code, 4);
    found.says("sign-in", "failed: nobody is signed in to account `work`");
    assert!(found.said("sign-in").ends_with("run `presenced login work`"));

    assert_eq!(house.ask(&["login"]).await.0, 0);
    let everything = || {
        let mut files = BTreeMap::new();
        tree(&house.path(""), &mut files);
        files
    };
    let tokens = || house.emulator.requests().iter().filter(|record| record.call == Call::Token).count();
    let (before, asked) = (everything(), tokens());
    let found = Found::of(&house).await;
    assert_eq!(found.code, 0, "{:#}", found.printed);
    let said = found.said("sign-in");
    assert!(said.starts_with("ok: ") && said.contains("finds out whether it is still accepted"), "{said}");
    found.says("sign-in file", "ok: no other user may read it (mode 600)");
    for arguments in [&[][..], &["--report"]] {
        ask(&mut doctor(&house, arguments)).await;
    }
    assert_eq!(tokens(), asked, "no refresh token is used up");
    assert_eq!(everything(), before, "and nothing is written");

    let file = house.path(".local/state/presenced/tokens/work.json");
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    Found::of(&house).await.says("sign-in file", "failed: others may read it (mode 644)");
}

#[tokio::test]
async fn a_running_daemon_is_asked_for_what_it_knows_better() {
    let mut house = House::with(quick_sign_in()).await;
    install_systemd(&house, UNIT, "");
    house.write("config.toml", personal(&house) + CALL + "[signals.lock]\n");
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let daemon = house.start().await;
    assert_eq!(house.ask(&["signal", "lock", "unlocked"]).await.0, 0);
    house.seen("Available/Available").await;
    daemon.report("holding", |report| work(report).state == State::Holding).await;
    let found = Found::of(&house).await;
    found.says("daemon", &format!("ok: running, pid {}, up ", daemon.pid().as_raw_nonzero()));
    found.says("lock", "ok: unlocked, from presenced signal, reported by the daemon");
    found.says("permission", "ok: Presence.ReadWrite, for the person");
    found.says("presence", "ok: Graph has confirmed the presence");
    let sign_in = found.said("sign-in");
    assert!(sign_in.contains(", by device-code; the token expires in "), "{sign_in}");
    assert_eq!(found.printed["daemon"]["running"], true);

    house.inject(on(Call::Set, respond(403, &[])));
    house.write("call-state", "in-call");
    daemon.report("refused", |report| work(report).state == State::Refused).await;
    let found = Found::of(&house).await;
    found.says("presence", "failed: Graph refuses the request: ");
    assert_eq!(found.code, 1);
}

#[tokio::test]
async fn a_daemon_of_another_version_should_be_restarted() {
    let house = House::new().await;
    house.write("config.toml", house.configuration());
    let mut old = report();
    old.version = "0.0.9".to_owned();
    old.health = Health::Ok;
    let daemon = FakeDaemon::try_start(&house.path("presenced.sock"), old).unwrap();
    let found = Found::of(&house).await;
    let said = found.said("daemon");
    assert!(said.contains("version 0.0.9; this command has version "), "{said}");
    assert!(said.ends_with("run `systemctl --user restart presenced`"), "{said}");
    daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::SignInNeeded);
    assert_eq!(Found::of(&house).await.code, 4);
    daemon.stop();
}

#[tokio::test]
async fn variables_missing_from_services_are_named_without_their_values() {
    let house = House::new().await;
    house.write("config.toml", house.configuration());
    let here = house.path("").display().to_string();
    let (here, lost) = (here.trim_end_matches('/'), "unix:path=/nonexistent");
    install_systemd(&house, UNIT, &format!("XDG_RUNTIME_DIR={here}\nDBUS_SESSION_BUS_ADDRESS={lost}\nTZ=Asia/Tokyo\n"));
    let found = Found::by(doctor(&house, &[]).env("https_proxy", "http://hunter2@127.0.0.1:1")).await;
    found.says("environment", "warning: services lack https_proxy, and have other values for TZ");
    assert!(found.said("environment").contains("`systemctl --user import-environment https_proxy TZ`"));
    assert!(!found.printed.to_string().contains("hunter2"));
    install_systemd(&house, "LoadState=not-found\n", "");
    Found::of(&house).await.says("environment", "ok: services lack ");
}

#[tokio::test]
async fn the_lock_is_shown_with_its_source_and_its_warnings() {
    let bus = Bus::start();
    let house = House::new().await;
    house.write("config.toml", house.configuration() + "[signals.lock]\n");
    for (desktop, expected) in [
        ("", "ok: unlocked, from logind; ; "),
        ("sway", "warning: unlocked, from logind; The screen counts as unlocked, but sway does not report"),
    ] {
        let login1 = Login1::with(&bus, Session { desktop, ..Session::DESKTOP }).await;
        let found = Found::by(
            doctor(&house, &[])
                .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
                .env("DBUS_SESSION_BUS_ADDRESS", bus.address()),
        )
        .await;
        found.says("lock", expected);
        found.says("sleep", "ok: awake, from logind");
        for name in ["session bus", "system bus"] {
            found.says(name, "ok: it answers");
        }
        drop(login1);
    }
    let found = Found::of(&house).await;
    found.says("system bus", "warning: it cannot be used: ");
    found.says("lock", "failed: it is unknown; The screen lock cannot be seen: the system bus cannot be used");
}

#[tokio::test]
async fn a_keyring_is_unlocked_locked_or_missing() {
    let desktop = Desktop::new().await;
    let house = House::with(quick_sign_in()).await;
    house.write("config.toml", personal(&house) + CALL + "[tokens]\nstore = \"keyring\"\n");
    let look = async || Found::by(doctor(&house, &[]).env("DBUS_SESSION_BUS_ADDRESS", desktop.bus.address())).await;
    let found = look().await;
    found.says("keyring", "ok: it is available and unlocked");
    assert_eq!(found.code, 4);
    desktop.lock().await;
    let found = look().await;
    found.says("keyring", "failed: it is locked");
    assert_eq!(found.code, 4);
    let found = Found::of(&house).await;
    found.says("keyring", "failed: the session bus, which it is on, cannot be reached");
    house.write("config.toml", personal(&house) + CALL);
    let found = Found::of(&house).await;
    assert!(found.said("keyring").ends_with("; sign-ins are stored in a file; ; "), "{}", found.said("keyring"));
}

#[tokio::test]
async fn misuse_is_reported_and_a_missing_reader_is_not_an_error() {
    let house = House::new().await;
    let output = guarded("doctor", doctor(&house, &["--json", "--report"]).output()).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot be used with"));
}
