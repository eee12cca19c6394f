//! No program that presenced starts gets a variable that the configuration names with `{ env = … }`. Stand-ins for all these
//! programs are first on PATH and save their environment.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::stage::house::{House, USER, guarded};

/// The programs that presenced starts, each with what its stand-in does besides saving its environment.
const PROGRAMS: [(&str, &str); 6] = [
    (
        "systemctl",
        "case \"$*\" in\n\
         *show*UnitPath*) echo \"UnitPath=$HOME/.config/systemd/user\" ;;\n\
         *show*) printf 'LoadState=loaded\\nActiveState=inactive\\nUnitFileState=enabled\\n' ;;\n\
         *restart*) exit 1 ;;\n\
         esac",
    ),
    ("loginctl", "echo Linger=no"),
    ("journalctl", "echo a line"),
    ("dbus-daemon", ""),
    ("xdg-open", ""),
    ("print-secret", "echo emulator-secret"),
];

/// Puts the stand-ins into the house, and returns a PATH with them.
fn furnish(house: &House) -> String {
    let bin = house.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(house.path("kept")).unwrap();
    for (name, does) in PROGRAMS {
        let kept = house.path("kept").display().to_string();
        // Renamed only when it is complete.
        let keep = format!("cat /proc/$$/environ > {kept}/draft.$$\nmv {kept}/draft.$$ {kept}/{name}.$$");
        house.write(&format!("bin/{name}"), format!("#!/bin/sh\n{keep}\n{does}\n"));
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

/// Takes the environments that a program saved: one text for each start.
fn kept(house: &House, program: &str) -> Vec<String> {
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(house.path("kept")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(program) {
            kept.push(String::from_utf8(std::fs::read(&path).unwrap()).unwrap());
            std::fs::remove_file(path).unwrap();
        }
    }
    kept
}

/// Asserts that these programs were started, each at least once, and none with the secret.
#[track_caller]
fn assert_kept_from(house: &House, programs: &[&str], what: &str) {
    for program in programs {
        let environments = kept(house, program);
        assert!(!environments.is_empty(), "{what} does not start {program}");
        for environment in environments {
            assert!(!environment.contains("SECRET"), "{what}: {program} gets {environment:?}");
            assert!(environment.contains("XDG_RUNTIME_DIR="), "{what}: {program} lacks what it needs: {environment:?}");
        }
    }
}

/// presenced as `binary`, with this configuration.
fn presenced(binary: &Path, house: &House, config: &Path, arguments: &[&str], path: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .env("HOME", house.path("."))
        .env("XDG_RUNTIME_DIR", house.path("."))
        .env("PRESENCED_CONFIG", config)
        .env("BOT_SECRET", "emulator-secret")
        .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The program at a path that it can be installed from: not in a build folder.
fn installed(house: &House) -> std::path::PathBuf {
    let (built, installed) = (Path::new(env!("CARGO_BIN_EXE_presenced")), house.path("presenced"));
    if std::fs::hard_link(built, &installed).is_err() {
        std::fs::copy(built, &installed).unwrap();
    }
    installed
}

/// Commands that start other programs, and which ones.
const COMMANDS: [(&[&str], &[&str]); 7] = [
    (&["service", "status"], &["systemctl"]),
    (&["service", "uninstall"], &["systemctl"]),
    (&["logs"], &["journalctl"]),
    (&["logs", "--follow"], &["journalctl"]),
    (&["doctor"], &["systemctl", "loginctl"]),
    (&["doctor", "--report"], &["systemctl", "loginctl"]),
    (&["demo", "--speed", "5000", "--for", "1s"], &["dbus-daemon"]),
];

#[tokio::test]
async fn no_program_gets_a_secret_of_the_configuration() {
    let house = House::new().await;
    let path = furnish(&house);
    let config = house.path("config.toml");
    let address = &house.address;
    let by_command = format!("{{ command = [\"{}\"] }}", house.path("bin/print-secret").display());
    // Two accounts may not hold one session.
    let by_command = house
        .account("by-command")
        .replace("{ env = \"BOT_SECRET\" }", &by_command)
        .replace(USER, "aaaaaaaa-eca7-46b7-bad1-db199b62afc3");
    let person = format!(
        "[accounts.person]\ntenant = \"contoso.onmicrosoft.com\"\nclient_id = \"22553876-f5ab-4529-bffb-cfe50aa89f88\"\n\
         auth = {{ method = \"browser\" }}\n\
         endpoints = {{ graph = \"http://{address}/v1.0\", login = \"http://{address}\" }}\n\
         [tokens]\nstore = \"file\"\n"
    );
    let run = async |arguments: &[&str], config: &Path| {
        let mut command = presenced(Path::new(env!("CARGO_BIN_EXE_presenced")), &house, config, arguments, &path);
        guarded(&arguments.join(" "), command.output()).await.unwrap()
    };

    house.write("config.toml", house.account("work"));
    for (arguments, programs) in COMMANDS {
        run(arguments, &config).await;
        assert_kept_from(&house, programs, &arguments.join(" "));
    }
    run(&["init"], &config).await;
    assert_kept_from(&house, &["systemctl"], "init");
    let installed = installed(&house);
    let mut install = presenced(&installed, &house, &config, &["service", "install"], &path);
    guarded("service install", install.output()).await.unwrap();
    assert_kept_from(&house, &["systemctl", "journalctl"], "service install");

    house.write("config.toml", format!("{}{by_command}{person}", house.account("work")));
    let output = run(&["login", "by-command"], &config).await;
    assert!(output.status.success(), "{output:?}");
    assert_kept_from(&house, &["print-secret"], "login by a command");
    let binary = Path::new(env!("CARGO_BIN_EXE_presenced"));
    let mut login = presenced(binary, &house, &config, &["login", "person"], &path);
    let mut login = login.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let is_opened = || {
        let mut kept = std::fs::read_dir(house.path("kept")).unwrap().map(|entry| entry.unwrap().file_name());
        kept.any(|name| name.to_str().unwrap().starts_with("xdg-open"))
    };
    guarded("xdg-open", async {
        while !is_opened() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    login.kill().await.unwrap();
    assert_kept_from(&house, &["xdg-open"], "login in a browser");
}

#[tokio::test]
async fn no_program_gets_a_secret_of_an_invalid_or_unreadable_configuration() {
    let house = House::new().await;
    let path = furnish(&house);
    let wrong = house.path("wrong.toml");
    house.write("wrong.toml", house.account("work").replace("tenant", "tennant") + "[signals\n");
    // Not even root can read a folder as a file.
    let unreadable = house.path("folder.toml");
    std::fs::create_dir(&unreadable).unwrap();
    for config in [&wrong, &unreadable] {
        for (arguments, programs) in COMMANDS {
            let binary = Path::new(env!("CARGO_BIN_EXE_presenced"));
            let mut command = presenced(binary, &house, config, arguments, &path);
            guarded(&arguments.join(" "), command.output()).await.unwrap();
            assert_kept_from(&house, programs, &format!("{} with {}", arguments.join(" "), config.display()));
        }
    }
}
