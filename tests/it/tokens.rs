//! Where tokens live, by the real program: in a real keyring, in a file, and in one of them at a time whatever happens.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::process::Stdio;
use std::time::Duration;

use jiff::SignedDuration;
use presenced::session::State;
use presenced::status::report::{Account, Report};
use presenced_emulator::{Approval, Call, DeviceCodeOptions, Fault, Matches, Options, RequestRecord, Then};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::stage::house::{Daemon, House, exists, guarded, personal};
use crate::stage::keyring::Desktop;

const SIGN_IN: [(&str, &str); 2] = [("application", "presenced"), ("account", "work")];
const SIGNALS: &str = "[signals.call]\npath = \"call-state\"\n";

fn work(report: &Report) -> &Account {
    &report.accounts["work"]
}

fn trouble(report: &Report) -> String {
    let error = work(report).last_error.as_ref().unwrap();
    format!("{}\nhint: {}", error.text, error.hint.as_deref().unwrap_or_default())
}

/// A house on the desktop, with `tokens` as its `[tokens]`.
async fn house(tokens: &str) -> House {
    house_with(tokens, Options::default()).await
}

/// The same, where signing in takes a second.
async fn house_with(tokens: &str, options: Options) -> House {
    let device = DeviceCodeOptions {
        approval: Approval::AfterPolls(0),
        interval: Duration::from_secs(1),
        ..DeviceCodeOptions::default()
    };
    let house = House::with(Options { device, ..options }).await;
    configure(&house, tokens);
    house
}

fn configure(house: &House, tokens: &str) {
    house.write("config.toml", format!("{}{SIGNALS}[tokens]\n{tokens}\n", personal(house)));
}

/// A command on the desktop, to its end: exit code, standard output, standard error.
async fn ask(house: &House, desktop: &Desktop, arguments: &[&str]) -> (i32, String, String) {
    let mut command = house.command(arguments);
    command.env("DBUS_SESSION_BUS_ADDRESS", desktop.bus.address());
    let output = guarded("a command", command.output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

async fn start(house: &House, desktop: &Desktop) -> Daemon {
    let address = desktop.bus.address();
    house.start_with(&[], |command| _ = command.env("DBUS_SESSION_BUS_ADDRESS", address)).await
}

/// A `login` that has said that it waits for the keyring. What it says after that goes nowhere.
async fn login_that_waits(house: &House, desktop: &Desktop) -> Child {
    let mut login = house.command(&["login"]);
    login.env("DBUS_SESSION_BUS_ADDRESS", desktop.bus.address()).stdout(Stdio::piped());
    let mut login = login.spawn().unwrap();
    let mut lines = BufReader::new(login.stdout.take().unwrap()).lines();
    let line = guarded("a line", lines.next_line()).await.unwrap();
    assert_eq!(line.as_deref(), Some("The keyring is locked. Unlock it, or press Ctrl-C to give up. Waiting …"));
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    login
}

fn file(house: &House) -> bool {
    exists(&house.path(".local/state/presenced/tokens/work.json"))
}

/// The refresh token in the keyring.
fn stored(desktop: &Desktop) -> String {
    let json = desktop.secret_tool(&["lookup", "application", "presenced", "account", "work"], "");
    let sign_in: serde_json::Value = serde_json::from_str(&json).unwrap();
    sign_in["refresh_token"].as_str().unwrap().to_owned()
}

/// Waits until this many renewals were requested.
async fn renewals(house: &House, count: usize) {
    let is_renewal =
        |record: &RequestRecord| record.call == Call::Token && record.body.contains("grant_type=refresh_token");
    guarded("a renewal", async {
        while house.emulator.requests().into_iter().filter(is_renewal).count() < count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_sign_in_is_kept_in_the_keyring_and_renewed_there() {
    let desktop = Desktop::new().await;
    let mut house = house("").await;
    let (code, _, err) = ask(&house, &desktop, &["login"]).await;
    assert!(code == 0 && err.starts_with("note: presenced is not running"), "{err}");
    assert!(!file(&house));
    assert_eq!(desktop.count(&SIGN_IN).await, 1);
    let first = stored(&desktop);
    let _daemon = start(&house, &desktop).await;
    house.seen("Available/Available").await;
    assert_ne!(stored(&desktop), first, "what was renewed is stored before it is used");
    assert!(!file(&house));
    let (code, out, _) = ask(&house, &desktop, &["logout"]).await;
    assert_eq!((code, out.as_str()), (0, "Signed out of `work` on this machine.\n"));
    assert_eq!(desktop.count(&SIGN_IN).await, 0);
    let (code, out, _) = ask(&house, &desktop, &["logout"]).await;
    assert_eq!((code, out.as_str()), (0, "Account `work` was not signed in.\n"));
}

#[tokio::test]
async fn a_locked_keyring_is_awaited_while_other_accounts_continue() {
    let desktop = Desktop::new().await;
    let mut house = house("").await;
    assert_eq!(ask(&house, &desktop, &["login"]).await.0, 0);
    desktop.lock().await;
    let questions = desktop.watch_questions().await;
    let daemon = start(&house, &desktop).await;
    let report = daemon.report("the wait", |report| work(report).state == State::SignInNeeded).await;
    assert_eq!(
        trouble(&report),
        "the sign-in to account `work` is kept in the keyring, which is locked\n\
         hint: unlock the keyring; presenced then continues by itself"
    );
    assert!(desktop.is_only_looked_at(questions).await);
    desktop.unlock().await;
    house.seen("Available/Available").await;
    let report = daemon.report("well again", |report| work(report).state == State::Holding).await;
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    // A token that is there needs no keyring.
    desktop.lock().await;
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
}

#[tokio::test]
async fn signing_in_waits_for_a_locked_keyring_too() {
    let desktop = Desktop::new().await;
    desktop.lock().await;
    let house = house("").await;
    let mut first = login_that_waits(&house, &desktop).await;
    // It can be given up, and nobody was asked for a code.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(first.id().unwrap().try_into().unwrap()).unwrap(),
        rustix::process::Signal::INT,
    )
    .unwrap();
    assert!(!guarded("the end", first.wait()).await.unwrap().success());
    assert_eq!(house.emulator.requests().len(), 0);

    let mut second = login_that_waits(&house, &desktop).await;
    desktop.unlock().await;
    assert!(guarded("the end", second.wait()).await.unwrap().success());
    assert_eq!((desktop.count(&SIGN_IN).await, file(&house)), (1, false));
}

#[tokio::test]
async fn a_keyring_that_dies_is_missed_only_when_the_token_is_over() {
    let mut desktop = Desktop::new().await;
    // Renewed after 10 s, over after 20; changes that come fast wait up to 5 s for each other.
    let lifetime = Duration::from_secs(20);
    let mut house = house_with("", Options { token_lifetime: lifetime..=lifetime, ..Options::default() }).await;
    assert_eq!(ask(&house, &desktop, &["login"]).await.0, 0);
    let daemon = start(&house, &desktop).await;
    house.seen("Available/Available").await;
    desktop.kill_keyring().await;
    let mut is_in_call = false;
    while !daemon.log().contains("the token could not be renewed early") {
        is_in_call = !is_in_call;
        house.write("call-state", if is_in_call { "in-call" } else { "idle" });
        house.seen(if is_in_call { "Busy/InACall" } else { "Available/Available" }).await;
    }
    let missed = async {
        loop {
            is_in_call = !is_in_call;
            house.write("call-state", if is_in_call { "in-call" } else { "idle" });
            let changed = |report: &Report| {
                let because = &work(report).because;
                work(report).state == State::SignInNeeded || because.starts_with("call") == is_in_call
            };
            if work(&daemon.report("a change", changed).await).state == State::SignInNeeded {
                break;
            }
        }
    };
    guarded("the end of the token", missed).await;
    let report = daemon.report("missed", |report| work(report).state == State::SignInNeeded).await;
    assert_eq!(trouble(&report), "nobody is signed in to account `work`\nhint: run `presenced login work`");
    house.write("call-state", "conference");
    desktop.start_again().await;
    house.seen("Busy/InAConferenceCall").await;
}

#[tokio::test]
async fn a_daemon_that_is_there_before_the_keyring_waits_for_it() {
    let mut desktop = Desktop::new().await;
    let mut house = house("store = \"keyring\"").await;
    assert_eq!(ask(&house, &desktop, &["login"]).await.0, 0);
    desktop.kill_keyring().await;
    let daemon = start(&house, &desktop).await;
    let report = daemon.report("the wait", |report| work(report).state == State::Refused).await;
    assert_eq!(
        trouble(&report),
        "the sign-in to account `work` is kept in the keyring, but there is none on the session bus\n\
         hint: start one that provides org.freedesktop.secrets, such as gnome-keyring, KWallet or KeePassXC; or set \
         `store = \"file\"` in [tokens] and run `presenced login work`"
    );
    desktop.start_again().await;
    house.seen("Available/Available").await;
}

#[tokio::test]
async fn without_a_keyring_a_sign_in_is_kept_in_a_file() {
    let house = house("").await;
    assert_eq!(house.ask(&["login"]).await.0, 0);
    assert!(file(&house));

    // Where only the keyring will do, nobody is sent for a code that leads nowhere.
    configure(&house, "store = \"keyring\"");
    let asked = house.emulator.requests().len();
    let (code, out, err) = house.ask(&["login"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    let wrong = "error: the sign-in to account `work` is kept in the keyring, but the session bus cannot be reached: ";
    assert!(err.starts_with(wrong), "{err}");
    assert!(err.ends_with("or set `store = \"file\"` in [tokens] and run `presenced login work`\n"), "{err}");
    let mut desktop = Desktop::new().await;
    desktop.kill_keyring().await;
    let (code, out, err) = ask(&house, &desktop, &["login"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("there is none on the session bus\nhint: start one"), "{err}");
    assert_eq!(house.emulator.requests().len(), asked);
}

#[tokio::test]
async fn a_new_sign_in_removes_the_one_in_the_other_store() {
    let desktop = Desktop::new().await;
    let house = house("").await;
    assert_eq!(house.ask(&["login"]).await.0, 0);
    assert_eq!((file(&house), desktop.count(&SIGN_IN).await), (true, 0));
    assert_eq!(ask(&house, &desktop, &["login"]).await.0, 0);
    assert_eq!((file(&house), desktop.count(&SIGN_IN).await), (false, 1));
    let first = stored(&desktop);
    assert_eq!(ask(&house, &desktop, &["login"]).await.0, 0);
    assert_eq!(desktop.count(&SIGN_IN).await, 1);
    assert_ne!(stored(&desktop), first);
    configure(&house, "store = \"file\"");
    assert_eq!(ask(&house, &desktop, &["login"]).await.0, 0);
    assert_eq!((file(&house), desktop.count(&SIGN_IN).await), (true, 0));

    // With one in each place, as when a sign-in was cut off, signing out removes both.
    let arguments = ["store", "--label=x", "application", "presenced", "account", "work"];
    desktop.secret_tool(&arguments, "{\"refresh_token\": \"old\"}");
    let (code, out, _) = ask(&house, &desktop, &["logout"]).await;
    assert_eq!((code, out.as_str()), (0, "Signed out of `work` on this machine.\n"));
    assert_eq!((file(&house), desktop.count(&SIGN_IN).await), (false, 0));
}

/// The first renewal takes so long that there is time to sign in or out before its answer comes.
fn hold_up_a_renewal(house: &House) {
    let delay = Some(SignedDuration::from_secs(6));
    house.inject(Fault { delay, times: Some(1), ..Fault::new(Matches::Only(Call::Token), Then::Answer) });
}

#[tokio::test]
async fn a_renewal_that_was_under_way_does_not_put_the_old_sign_in_back() {
    let desktop = Desktop::new().await;
    for on_bus in [true, false] {
        let mut house = house("").await;
        let stored = |house: &House| {
            if on_bus {
                return stored(&desktop);
            }
            let json = std::fs::read(house.path(".local/state/presenced/tokens/work.json")).unwrap();
            let sign_in: serde_json::Value = serde_json::from_slice(&json).unwrap();
            sign_in["refresh_token"].as_str().unwrap().to_owned()
        };
        let login = async |house: &House| {
            if on_bus { ask(house, &desktop, &["login"]).await.0 } else { house.ask(&["login"]).await.0 }
        };
        assert_eq!(login(&house).await, 0);
        hold_up_a_renewal(&house);
        let old = stored(&house);
        let _daemon = if on_bus { start(&house, &desktop).await } else { house.start().await };
        renewals(&house, 1).await;
        assert_eq!(login(&house).await, 0);
        let new = stored(&house);
        assert_ne!(new, old);
        house.inject(Fault::new(Matches::Only(Call::Token), Then::Hang));
        house.seen("Available/Available").await;
        house.write("call-state", "in-call");
        // The first one is over and done with when the next is asked for.
        renewals(&house, 2).await;
        assert_eq!(stored(&house), new);
    }
}

#[tokio::test]
async fn a_renewal_that_was_under_way_does_not_undo_signing_out() {
    let desktop = Desktop::new().await;
    let mut house = house("").await;
    assert_eq!(ask(&house, &desktop, &["login"]).await.0, 0);
    hold_up_a_renewal(&house);
    let daemon = start(&house, &desktop).await;
    renewals(&house, 1).await;
    assert_eq!(ask(&house, &desktop, &["logout"]).await.0, 0);
    house.seen("Available/Available").await;
    house.write("call-state", "in-call");
    daemon.report("signed out", |report| work(report).state == State::SignInNeeded).await;
    assert_eq!((file(&house), desktop.count(&SIGN_IN).await), (false, 0));
}

#[tokio::test]
async fn a_sign_in_that_is_killed_leaves_a_whole_one() {
    let desktop = Desktop::new().await;
    for stage in 0..4 {
        let mut house = house("").await;
        // There is one in the file, and the next goes to the keyring.
        assert_eq!(house.ask(&["login"]).await.0, 0);
        let mut login = house.command(&["login"]);
        login.env("DBUS_SESSION_BUS_ADDRESS", desktop.bus.address()).stdout(Stdio::null());
        let mut login = login.spawn().unwrap();
        house.request("the sign-in", |record| record.call == Call::Token).await;
        let until = async {
            match stage {
                0 => {}
                1 => while desktop.count(&SIGN_IN).await == 0 {},
                2 => {
                    while file(&house) {
                        tokio::task::yield_now().await;
                    }
                }
                _ => drop(login.wait().await),
            }
        };
        guarded("the stage", until).await;
        login.start_kill().unwrap();
        login.wait().await.unwrap();
        let _daemon = start(&house, &desktop).await;
        house.seen("Available/Available").await;
        assert_eq!(ask(&house, &desktop, &["logout"]).await.0, 0);
    }
}

#[tokio::test]
async fn a_client_secret_is_read_from_the_keyring() {
    let desktop = Desktop::new().await;
    let mut house = House::new().await;
    let attributes = ["service", "presenced", "key", "client-secret"];
    let keyring = r#"secret = { keyring = { service = "presenced", key = "client-secret" } }"#;
    let account = house.account("work").replace(r#"secret = { env = "BOT_SECRET" }"#, keyring);
    house.write("config.toml", format!("{account}{SIGNALS}"));
    let login = async || ask(&house, &desktop, &["login"]).await;

    let (code, _, err) = login().await;
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "error: the keyring has no secret with `key client-secret service presenced`\n\
         hint: run `secret-tool store --label=presenced key client-secret service presenced`\n"
    );
    desktop.secret_tool(&[&["store", "--label=x"], &attributes[..]].concat(), "emulator-secret");
    assert_eq!(login().await.0, 0);
    desktop.secret_tool(&[&["store", "--label=x", "more", "1"], &attributes[..]].concat(), "another");
    let (code, _, err) = login().await;
    assert_eq!(code, 1);
    assert!(err.starts_with("error: the keyring has 2 secrets with `key client-secret service presenced`"), "{err}");
    desktop.secret_tool(&["clear", "more", "1"], "");

    desktop.lock().await;
    let mut waiting = login_that_waits(&house, &desktop).await;
    let daemon = start(&house, &desktop).await;
    let report = daemon.report("the wait", |report| work(report).state == State::SignInNeeded).await;
    assert!(trouble(&report).starts_with("the client secret is kept in the keyring, which is locked\nhint: "));
    desktop.unlock().await;
    house.seen("Available/Available").await;
    assert!(guarded("the end", waiting.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_sign_in_is_written_when_no_other_process_is_at_it() {
    let house = house("").await;
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let file = house.path(".local/state/presenced/tokens/work.json");
    let before = std::fs::read(&file).unwrap();
    let lock = std::fs::File::open(file.with_extension("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut login = house.command(&["login"]).stdout(Stdio::null()).spawn().unwrap();
    let pid = login.id().unwrap().to_string();
    guarded("the wait for the lock", async {
        // A line of who waits: `1: -> FLOCK  ADVISORY  WRITE 4242 …`.
        let waits = |line: &str| line.contains("-> FLOCK") && line.split_whitespace().any(|word| word == pid);
        while !std::fs::read_to_string("/proc/locks").unwrap().lines().any(waits) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(std::fs::read(&file).unwrap(), before);
    drop(lock);
    assert!(guarded("the end", login.wait()).await.unwrap().success());
    assert_ne!(std::fs::read(&file).unwrap(), before);
}
