//! Secrets stay secret: the real program lives a day with every way to a token, as talkative as it can be, and none of what it
//! knows is found anywhere but where it belongs. Nor are its memory and its children open to others.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use presenced::daemon::clock::SystemClock;
use presenced::time::Clock as _;
use presenced_emulator::{App, At, Call, DeviceCodeOptions, Fault, Matches, Options, Then};
use rustix::thread::{CapabilitySet, capabilities, remove_capability_from_bounding_set, set_capabilities};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::stage::canned::{self, answer};
use crate::stage::house::{House, USER, guarded};
use crate::stage::http_client::default_client;
use crate::stage::keyring::Desktop;
use crate::stage::openssl::Keys;

/// A day takes 10 s.
const SPEED: f64 = 8640.0;

/// How each account signs in; the names are also those of their secrets.
const WAYS: [&str; 9] =
    ["env", "file", "credential", "command", "keyring", "token-command", "certificate", "device-code", "browser"];

fn client_id(way: &str) -> String {
    let number = WAYS.iter().position(|known| *known == way).unwrap();
    format!("22553876-f5ab-4529-bffb-cfe50aa89f8{number}")
}

/// Letters that no encoding changes.
fn secret(way: &str) -> String {
    format!("Hx7-client-secret-by-{way}-9Qz")
}

/// Only `trace` may have these: the title of a meeting, who is invited, who signs in.
const PERSONAL: [&str; 3] = ["Takeover of Fabrikam", "me@contoso", "boss@contoso"];

/// The address of the calendar is a secret.
const CALENDAR: &str = "private-8fJ2k1";

const MEETING: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//x//EN\r\nBEGIN:VEVENT\r\nUID:1\r\n\
    DTSTAMP:20200101T000000Z\r\nDTSTART:20200101T100000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=HOURLY;INTERVAL=3\r\n\
    SUMMARY:Takeover of Fabrikam\r\nORGANIZER:mailto:boss@contoso.com\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:me@contoso.com\r\n\
    END:VEVENT\r\nEND:VCALENDAR\r\n";

fn options(keys: &Keys) -> Options {
    let certificates = vec![keys.der("bot.pem")];
    let app = |way| App {
        client_id: client_id(way),
        secret: Some(secret(way)),
        certificates: certificates.clone(),
        ..App::default()
    };
    Options {
        apps: WAYS.map(app).to_vec(),
        // People are not as fast as this clock.
        device: DeviceCodeOptions {
            interval: Duration::from_secs(1),
            lifetime: Duration::from_hours(720),
            ..DeviceCodeOptions::default()
        },
        ..Options::default()
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A program that tells what it was started with, and then prints a file of the folder `known`.
fn confess(house: &House, name: &str) -> String {
    let script = format!(
        "#!/bin/sh\ncat /proc/$$/environ /proc/$$/cmdline >> {0}/confessed\ncat {0}/known/{name}\n",
        house.path("").display()
    );
    let program = house.path(&format!("known/{name}.sh"));
    write(&program, &script, 0o700);
    program.display().to_string()
}

/// Puts every secret in its place and writes the configuration.
fn furnish(house: &House, desktop: &Desktop, keys: &Keys, calendar: &url::Url) {
    desktop.secret_tool(&["store", "--label=bot", "service", "presenced", "key", "bot"], &secret("keyring"));
    write(&house.path("known/bot.pem"), std::str::from_utf8(&keys.read("bot.pem")).unwrap(), 0o600);
    write(&house.path("known/bot.key"), std::str::from_utf8(&keys.read("bot.key")).unwrap(), 0o600);
    // A browser that goes where it is sent, and back.
    write(&house.path("bin/xdg-open"), "#!/bin/sh\nexec curl --silent --location --output /dev/null \"$1\"\n", 0o700);
    write(&house.path("known/file"), &secret("file"), 0o600);
    write(&house.path("known/credential"), &secret("credential"), 0o600);
    write(&house.path("known/command"), &secret("command"), 0o600);
    write(&house.path("known/meetings.ics"), MEETING, 0o600);
    write(&house.path("known/broken.ics"), &MEETING.replace("DTSTART:2020", "DTSTART:soon"), 0o600);
    let mut config = String::new();
    for way in WAYS {
        let auth = match way {
            "env" => r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#.to_owned(),
            "file" => r#"{ method = "client-secret", secret = { file = "known/file" } }"#.to_owned(),
            "credential" => r#"{ method = "client-secret", secret = { credential = "credential" } }"#.to_owned(),
            "command" => format!(
                r#"{{ method = "client-secret", secret = {{ command = ["/bin/sh", "{}"] }} }}"#,
                confess(house, "command")
            ),
            "token-command" => {
                format!(r#"{{ method = "token-command", command = ["/bin/sh", "{}"] }}"#, confess(house, "token"))
            }
            "keyring" => {
                r#"{ method = "client-secret", secret = { keyring = { service = "presenced", key = "bot" } } }"#
                    .to_owned()
            }
            "certificate" => {
                r#"{ method = "client-certificate", certificate = "known/bot.pem", key = { file = "known/bot.key" } }"#
                    .to_owned()
            }
            person => format!(r#"{{ method = "{person}" }}"#),
        };
        let (client_id, address) = (client_id(way), &house.address);
        write!(
            config,
            "[accounts.{way}]\ntenant = \"contoso.onmicrosoft.com\"\nclient_id = \"{client_id}\"\nuser = \"{USER}\"\n\
             auth = {auth}\nendpoints = {{ graph = \"http://{address}/v1.0\", login = \"http://{address}\" }}\n"
        )
        .unwrap();
    }
    write!(
        config,
        "[tokens]\nstore = \"keyring\"\n[session]\nverify = true\n[signals.call]\npath = \"call-state\"\n[signals.calendar]\n\
         sources = [{{ path = \"known\" }}, {{ url = \"{calendar}{CALENDAR}.ics\", refresh = \"1m\" }}]\n\
         identity = [\"me@contoso.com\"]\n[log]\nlevel = \"trace\"\ndir = \"{}\"\n",
        house.path("logs").display()
    )
    .unwrap();
    house.write("config.toml", config);
}

/// A token of the application whose command prints one.
async fn fetch_token(house: &House) -> String {
    let (client_id, secret) = (client_id("token-command"), secret("token-command"));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &*client_id),
        ("client_secret", &*secret),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let url = format!("http://{}/contoso.onmicrosoft.com/oauth2/v2.0/token", house.address);
    let answer: serde_json::Value = default_client().post(url).form(&form).send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// What goes wrong in the course of the day.
fn faults() -> Vec<Fault> {
    let at = |hours, call, then| Fault {
        at: Some(At::After(SignedDuration::from_hours(hours))),
        lasts: Some(SignedDuration::from_mins(100)),
        ..Fault::new(call, then)
    };
    let respond = |status, body| Then::Respond { status, headers: std::collections::BTreeMap::new(), body };
    let token = Matches::Only(Call::Token);
    vec![
        at(3, token, Then::Reset),
        at(5, token, respond(500, None)),
        at(7, token, respond(429, None)),
        at(9, token, respond(200, Some("<html>".into()))),
        at(11, token, respond(401, None)),
        at(13, Matches::Graph, Then::Reset),
        at(15, Matches::Graph, respond(401, None)),
        at(17, Matches::Graph, Then::ClaimsChallenge),
        at(19, Matches::Graph, respond(403, None)),
    ]
}

/// What the socket answers, headers and all; of what never ends, the beginning.
async fn socket(house: &House, path: &str) -> String {
    let mut stream = UnixStream::connect(house.path("presenced.sock")).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while stream.read_buf(&mut answer).await.unwrap() > 0 {
        if path == "/v1/watch" && answer.ends_with(b"\n\r\n") && answer.len() > 1000 {
            break;
        }
    }
    String::from_utf8(answer).unwrap()
}

/// Runs a command on the desktop to its end: what it said.
async fn ask(house: &House, desktop: &Desktop, arguments: &[&str]) -> String {
    let mut command = house.command(arguments);
    let path = format!("{}:{}", house.path("bin").display(), std::env::var_os("PATH").unwrap().display());
    command.env("DBUS_SESSION_BUS_ADDRESS", desktop.bus.address()).env("PATH", path);
    let output = guarded("a command", command.output()).await.unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// Every file below `folder` but those that are there for their secrets.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() && !["known", "tokens"].iter().any(|name| path.ends_with(name)) {
            files(&path, found);
        } else if !kind.is_dir() && !kind.is_socket() {
            found.push(path);
        }
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "two programs agree when their fast clocks began")]
async fn no_secret_is_anywhere_but_in_its_place() {
    let began = Timestamp::now();
    let (desktop, keys) = (Desktop::new().await, Keys::new());
    keys.make("bot");
    let house = House::on(SystemClock::fast_since(SPEED, began), options(&keys)).await;
    let calendars = canned::Server::start([answer(200, "Content-Type: text/calendar\r\n", MEETING)]).await;
    furnish(&house, &desktop, &keys, &calendars.url);
    write(&house.path("known/token"), &fetch_token(&house).await, 0o600);
    let mut said: Vec<(String, String)> = Vec::new();
    let mut hear = |what: &str, heard: String| said.push((what.to_owned(), heard));
    for person in ["device-code", "browser"] {
        let heard = ask(&house, &desktop, &["login", person]).await;
        assert!(heard.contains(&format!("Signed in to `{person}`")), "{heard}");
        hear("login", heard);
    }

    let began_at = (Timestamp::now().duration_since(began).as_secs_f64() * SPEED).round();
    for fault in faults() {
        house.inject(fault);
    }
    let end = began + Duration::from_secs_f64(began_at) + Duration::from_hours(24);
    let (speed, since) = (SPEED.to_string(), began.to_string());
    let daemon = house
        .start_with(&["--speed", &speed, "--since", &since], |command| {
            command.env("BOT_SECRET", secret("env")).env("CREDENTIALS_DIRECTORY", house.path("known"));
            command.env("DBUS_SESSION_BUS_ADDRESS", desktop.bus.address());
        })
        .await;
    let pid = daemon.pid().as_raw_nonzero();
    hear("cmdline", std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap());

    let clock = SystemClock::fast_since(SPEED, began);
    let until = async |time| {
        while clock.now().wall < time {
            clock.sleep_until_wall(time).await;
        }
    };
    until(end - Duration::from_hours(12)).await;
    for command in [
        &["status"][..],
        &["status", "--json"],
        &["set", "call", "--for", "30m"],
        &["unset"],
        &["signal", "door", "closed"],
        &["check"],
        &["doctor"],
        &["doctor", "--json"],
        &["doctor", "--report"],
        &["agenda"],
        &["agenda", "--json"],
        &["login", "file"],
        &["login", "keyring"],
        &["login", "certificate"],
        &["login", "--status"],
        &["login", "--status", "--json"],
        &["login", "nobody"],
        &["reload"],
        &["man"],
        &["completions", "bash"],
    ] {
        hear(&command.join(" "), ask(&house, &desktop, command).await);
    }
    for path in ["/v1/status", "/v1/watch", "/metrics", "/healthz", "/readyz", "/v1/nothing"] {
        hear(path, guarded(path, socket(&house, path)).await);
    }
    until(end).await;
    let last_words = daemon.log();
    daemon.stop().await;

    assert_eq!(desktop.count(&[("application", "presenced")]).await, 2);
    hear("logout", ask(&house, &desktop, &["logout", "device-code"]).await);
    assert_eq!(desktop.count(&[("application", "presenced")]).await, 1);

    let mut found = Vec::new();
    files(&house.path(""), &mut found);
    for file in found {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        said.push((file.display().to_string(), text));
    }
    let text = |name: &str| &said.iter().find(|(what, _)| what.contains(name)).unwrap_or_else(|| panic!("no {name}")).1;
    // It was a day that had something to tell.
    for sign in ["TRACE", "DEBUG", "token renewed", "could not be renewed", "token error", "calendar"] {
        assert!(text("/logs/").contains(sign), "{sign}\n{last_words}");
    }
    assert!(text("/confessed").contains("XDG_RUNTIME_DIR") && text("/confessed").contains("token.sh"));
    let issued = house.emulator.issued_secrets();
    assert!(issued.len() > 50, "{}", issued.len());

    // And one line of the key, as secret as the others.
    let key = String::from_utf8(keys.read("bot.key")).unwrap();
    let ours: Vec<String> = WAYS.map(secret).into_iter().chain(key.lines().nth(5).map(ToOwned::to_owned)).collect();
    for (what, text) in &said {
        // A shortened token is still a secret: its end is what cannot be guessed.
        for secret in issued.iter().chain(&ours).map(|secret| &secret[secret.len().saturating_sub(20)..]) {
            assert!(!text.contains(secret), "{what} has {secret}");
        }
        let is_own_copy = what.contains("/.cache/") || what.ends_with("/config.toml");
        assert!(is_own_copy || !text.contains(CALENDAR), "{what} has the calendar's address");
    }
    for line in text("/logs/").lines().filter(|line| !line.contains(" TRACE ")) {
        assert!(!PERSONAL.iter().any(|personal| line.contains(personal)), "{line}");
    }
}

#[test]
fn the_memory_of_presenced_is_closed_to_other_programs_of_its_user() {
    // Root may look into any process, and continuous integration runs as root: here nobody may.
    let look = || {
        let mut sets = capabilities(None).unwrap();
        for power in [CapabilitySet::SYS_PTRACE, CapabilitySet::SYS_ADMIN, CapabilitySet::PERFMON] {
            // Only root has capabilities to give up.
            let _ = remove_capability_from_bounding_set(power);
            sets.effective.remove(power);
            sets.permitted.remove(power);
        }
        set_capabilities(None, sets).unwrap();
        let environ = |command: &mut Command| {
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            // Kept open: `cat` ends with it.
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(b"ready\n").unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let environ = std::fs::read(format!("/proc/{}/environ", child.id()));
            child.kill().unwrap();
            child.wait().unwrap();
            environ.map(drop).map_err(|error| error.kind())
        };
        assert_eq!(environ(&mut Command::new("cat")), Ok(()), "any other program can be looked into");
        let mut emulator = Command::new(env!("CARGO_BIN_EXE_presenced"));
        let closed = environ(emulator.args(["emulator", "--listen", "127.0.0.1:0"]));
        assert_eq!(closed, Err(ErrorKind::PermissionDenied));
    };
    std::thread::spawn(look).join().unwrap();
}
