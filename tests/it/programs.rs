//! No program that presenced starts gets a variable that the configuration names with `{ env = … }`. Stand-ins for all these
//! programs are first on PATH and save their environment.

use std::path::Path;
use std::process::Stdio;

use crate::stage::house::{House, USER, guarded};
use crate::stage::stand_ins::{SYSTEMCTL, furnish, installed, is_started, presenced, take};

/// The programs that presenced starts, each with what its stand-in does besides saving its environment.
const PROGRAMS: [(&str, &str); 6] = [
    ("systemctl", SYSTEMCTL),
    ("loginctl", "echo Linger=no"),
    ("journalctl", "echo a line"),
    ("dbus-daemon", ""),
    ("xdg-open", ""),
    ("print-secret", "echo emulator-secret"),
];

/// Asserts that these programs were started, each at least once, and none with the secret.
#[track_caller]
fn assert_kept_from(house: &House, programs: &[&str], what: &str) {
    for program in programs {
        let environments = take(house, program);
        assert!(!environments.is_empty(), "{what} does not start {program}");
        for (_, environment) in environments {
            assert!(!environment.contains("SECRET"), "{what}: {program} gets {environment:?}");
            assert!(environment.contains("XDG_RUNTIME_DIR="), "{what}: {program} lacks what it needs: {environment:?}");
        }
    }
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
    let path = furnish(&house, &PROGRAMS);
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
    guarded("xdg-open", async {
        while !is_started(&house, "xdg-open") {
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
    let path = furnish(&house, &PROGRAMS);
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
