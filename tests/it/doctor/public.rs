//! The public report. Everything that identifies the machine or its user contains a canary here, and no canary may appear in the
//! report.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use tokio::process::Command;

use super::{BROKEN, UNIT, ask, install_systemd};
use crate::stage::canned::{self, answer};
use crate::stage::fake_daemon::{FakeDaemon, report};
use crate::stage::faults::respond;
use crate::stage::house::House;
use presenced::status::report::{LastError, State, Warning};
use presenced::warning::{Code, Severity};
use presenced_emulator::{Fault, Matches};

/// The canary in lower case. No word contains it.
const CANARY: &str = "qzx";

/// An id without its last digit. It is a canary too, because an id cannot contain the other one.
const ID: &str = "d0d0d0d0-0000-4000-8000-00000000000";

/// Every kind of account, with a canary in every possible place.
fn configuration(house: &House, calendar: &str) -> String {
    let home = house.path("home-qzx");
    let endpoints = format!("endpoints = {{ graph = \"http://{0}/v1.0\", login = \"http://{0}\" }}", house.address);
    let mut config = String::from("# qzx: a comment with a canary\n");
    let accounts = [
        ("qzx-person", "{ method = \"device-code\" }".to_owned()),
        ("qzx-file", "{ method = \"client-secret\", secret = { file = \"secret-qzx\" } }".to_owned()),
        ("qzx-env", "{ method = \"client-secret\", secret = { env = \"SECRET_QZX\" } }".to_owned()),
        ("qzx-credential", "{ method = \"client-secret\", secret = { credential = \"cred-qzx\" } }".to_owned()),
        ("qzx-keyring", "{ method = \"client-secret\", secret = { keyring = { qzxname = \"qzxvalue\" } } }".to_owned()),
        (
            "qzx-command",
            "{ method = \"client-secret\", secret = { command = [\"/bin/qzx-pass\", \"qzxarg\"] } }".to_owned(),
        ),
        ("qzx-token", "{ method = \"token-command\", command = [\"/bin/sh\", \"-c\", \"echo user qzx is not known >&2; exit 1\"] }".to_owned()),
    ];
    for (number, (name, auth)) in accounts.into_iter().enumerate() {
        write!(
            config,
            "[accounts.{name}]\ntenant = \"qzx.onmicrosoft.com\"\nclient_id = \"{ID}{number}\"\n\
             user = \"{ID}f\"\nauth = {auth}\n{endpoints}\n"
        )
        .unwrap();
    }
    config
        + &format!(
            "[signals.calendar]\nsources = [{{ path = \"{0}/broken-qzx.ics\" }}, {{ path = \"{0}/none-qzx\" }}, {{ url = \
             \"{calendar}token-qzx.ics\" }}]\nidentity = [\"boss@qzx.example\"]\n[signals.call]\npath = \"{0}/no/call-qzx\"\n\
             [[rules]]\nname = \"qzx with the dentist\"\nwhen = {{ signal = {{ qzxdoor = \"qzxopen\" }} }}\nset = \"Busy/InACall\"\n",
            home.display()
        )
}

/// `presenced doctor --report` for a user whose home, name and environment are canaries.
fn command(house: &House) -> Command {
    let mut command = house.command(&["doctor", "--report"]);
    let path = format!("{}:{}", house.path("bin").display(), std::env::var_os("PATH").unwrap().display());
    command
        .env("HOME", house.path("home-qzx"))
        .env("USER", "qzxuser")
        .env("LOGNAME", "qzxuser")
        .env("HOSTNAME", "laptop-qzx")
        .env("TZ", "UTC")
        .env("PATH", path)
        .env("SECRET_QZX", "qzx-secret")
        .env("XDG_CURRENT_DESKTOP", "qzx:GNOME")
        .env("XDG_SESSION_TYPE", "qzx")
        .env("HTTPS_PROXY", "http://qzxproxy:qzx-password@proxy-qzx.example:3128")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/qzx/bus")
        .stdin(Stdio::null());
    command
}

fn furnish(house: &House) {
    std::fs::create_dir(house.path("home-qzx")).unwrap();
    house.write(
        "home-qzx/broken-qzx.ics",
        BROKEN.replace("Takeover of Fabrikam", "qzx takeover").replace("UID:2", "UID:qzx"),
    );
    house.write("secret-qzx", "qzx-secret");
    std::fs::set_permissions(house.path("secret-qzx"), std::fs::Permissions::from_mode(0o600)).unwrap();
    install_systemd(house, &UNIT.replace("running", "running-qzx"), "HTTPS_PROXY=http://qzx@proxy\n");
}

#[track_caller]
fn assert_public(text: &str, house: &House) {
    let lowered = text.to_lowercase();
    let line = lowered.lines().find(|line| line.contains(CANARY));
    assert_eq!(line, None, "in\n{text}");
    let folder = house.path("");
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for private in [folder.to_str().unwrap(), "d0d0d0d0", "fabrikam", "qzx", &format!(" {host}")] {
        assert!(!lowered.contains(&private.to_lowercase()), "{private} in\n{text}");
    }
}

#[tokio::test]
async fn no_canary_appears_in_the_report() {
    let calendars = canned::Server::start([answer(404, "", "qzx")]).await;
    let house = House::new().await;
    furnish(&house);
    house.write("config.toml", configuration(&house, calendars.url.as_str()));
    let (_, text) = ask(&mut command(&house)).await;
    assert_public(&text, &house);
    // The rest is still reported.
    for sign in [
        "- presenced: 0.1.0",
        "- desktop: another, GNOME",
        "[account 1]",
        "✗ ",
        "it has no DTSTART",
        "127.0.0.1 answers",
        "method = \"device-code\"",
        "set = \"Busy/InACall\"",
        "HTTPS_PROXY",
    ] {
        assert!(text.contains(sign), "no {sign} in\n{text}");
    }
}

#[tokio::test]
async fn answers_of_services_and_of_a_daemon_are_redacted_too() {
    let house = House::new().await;
    furnish(&house);
    house.inject(Fault::new(Matches::Any, respond(400, &[])));
    house.write("config.toml", configuration(&house, "http://127.0.0.1:9/"));
    let mut report = report();
    let account = report.accounts.remove("work").unwrap();
    for name in ["qzx-person", "qzx-file"] {
        let mut account = account.clone();
        account.state = State::Refused;
        account.because = "qzx".to_owned();
        account.last_error = Some(LastError {
            at: account.asserted.as_ref().unwrap().sent_at,
            text: "the user 'qzx takeover' of https://qzx.example and boss@qzx.example is refused at /home/qzx"
                .to_owned(),
            hint: Some("ask `qzx`".to_owned()),
        });
        report.accounts.insert(name.to_owned(), account);
    }
    report.warnings.push(Warning {
        code: Code::WatchFailed,
        severity: Severity::Warning,
        text: "The folder /home/qzx/secret cannot be watched.".to_owned(),
        hint: "qzx".to_owned(),
        since: report.started_at,
    });
    report.version = "0.1.0-qzx".to_owned();
    let daemon = FakeDaemon::try_start(&house.path("presenced.sock"), report).unwrap();
    let (_, text) = ask(&mut command(&house)).await;
    assert_public(&text, &house);
    assert!(text.contains("cannot be watched"), "{text}");
    daemon.stop();
}

#[tokio::test]
async fn an_invalid_configuration_shows_only_where_it_is_invalid() {
    let house = House::new().await;
    furnish(&house);
    for config in [
        "[accounts.qzx]\nqzx = \"qzx\"\nclient_id = \"qzx\"\nauth = { method = \"qzx\" }\n",
        "[accounts.qzx]\nauth = { method = \"client-secret\", secret = \"qzx\" }\n[session]\nexpiration = \"qzx\"\n",
        "qzx",
        "[accounts.qzx\nsecret = \"qzx",
        "[[rules]]\nname = \"qzx\"\nset = \"qzx\"\nwhen = { qzx = \"qzx\" }\n[signals.qzx]\n",
    ] {
        house.write("config.toml", config);
        let (code, text) = ask(&mut command(&house)).await;
        assert_public(&text, &house);
        assert!(code == 1 && text.contains(" problem") && text.contains("line "), "{text}");
    }
}
