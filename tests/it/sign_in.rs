//! The life of a sign-in beside a running daemon: signing in and out in another terminal, a revocation, and who is shown to be
//! signed in.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use presenced::status::report::{Health, PermissionKind, Report, State};
use presenced::warning::Code;
use presenced_emulator::{Call, Fault, RequestRecord, Then};

use crate::stage::faults::{on, once, quick_sign_in};
use crate::stage::house::{CALL, Daemon, House, USER, guarded, personal};
use crate::stage::http_client::default_client;
use crate::stage::reports::{has, work};

/// A daemon whose account a person signs in to.
async fn daemon(house: &House) -> Daemon {
    house.write("config.toml", personal(house) + CALL);
    house.start().await
}

/// The same, with somebody signed in and Available held.
async fn signed_in(house: &mut House) -> Daemon {
    house.write("config.toml", personal(house) + CALL);
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    daemon.report("holding", |report| work(report).state == State::Holding).await;
    daemon
}

async fn sign_in_needed(daemon: &Daemon) -> Report {
    daemon.report("sign-in needed", |report| work(report).state == State::SignInNeeded).await
}

/// When the token of the last sign-in by a code was given: the sign-in was stored after that.
fn signed_in_at(house: &House) -> jiff::Timestamp {
    let of_code = |record: &RequestRecord| {
        record.call == Call::Token && record.status == Some(200) && record.body.contains("device_code=")
    };
    house.emulator.requests().into_iter().rfind(of_code).unwrap().at
}

#[tokio::test]
async fn the_daemon_continues_within_a_second_of_a_sign_in() {
    let mut house = House::with(quick_sign_in()).await;
    let daemon = daemon(&house).await;
    let report = sign_in_needed(&daemon).await;
    assert_eq!(work(&report).sign_in, None);
    let (code, shown, error) = house.ask(&["login"]).await;
    assert_eq!((code, error.as_str()), (0, ""), "{shown}");
    let set = house.seen("Available/Available").await;
    let took = set.at.duration_since(signed_in_at(&house));
    assert!(took.as_secs() < 1, "{took:?}");
    let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
    assert_eq!((report.health, report.warnings.len()), (Health::Ok, 0));
    assert_eq!(work(&report).asserted.as_ref().unwrap().sent_at.duration_since(set.at).as_secs(), 0);
}

#[tokio::test]
async fn after_a_revocation_a_sign_in_is_enough() {
    let mut house = House::with(quick_sign_in()).await;
    let daemon = signed_in(&mut house).await;
    house.post(&format!("/_emulator/users/{USER}/revoke"), None, &serde_json::Value::Null).await;
    let forgotten = default_client().delete(format!("http://{}/_emulator/tokens", house.address)).send().await;
    assert!(forgotten.unwrap().status().is_success());
    house.write("call-state", "in-call");
    let report = sign_in_needed(&daemon).await;
    let error = work(&report).last_error.clone().unwrap();
    assert!(
        error.text.contains("the sign-in was revoked, for example by a changed password (AADSTS50173"),
        "{}",
        error.text
    );
    assert_eq!(error.hint.as_deref(), Some("run `presenced login work`"));
    let renewal = work(&report).sign_in.as_ref().unwrap().renewal_error.clone();
    assert_eq!(renewal, Some(error.text));
    assert_eq!(house.ask(&["login", "--status"]).await.0, 4);

    assert_eq!(house.ask(&["login"]).await.0, 0);
    let set = house.seen("Busy/InACall").await;
    assert!(set.at.duration_since(signed_in_at(&house)).as_secs() < 1);
    let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
    assert_eq!((report.health, report.warnings.len()), (Health::Ok, 0));
    assert_eq!(work(&report).sign_in.as_ref().unwrap().renewal_error, None);
}

#[tokio::test]
async fn a_sign_out_is_noticed_at_once_and_so_is_the_next_sign_in() {
    let mut house = House::with(quick_sign_in()).await;
    let daemon = signed_in(&mut house).await;
    let sets = |house: &House| house.emulator.requests().iter().filter(|record| record.call == Call::Set).count();
    assert_eq!(house.ask(&["logout"]).await.0, 0);
    let report = sign_in_needed(&daemon).await;
    assert!(has(&report, Code::SignInNeeded));
    assert_eq!(work(&report).sign_in, None);
    assert!(work(&report).asserted.is_some(), "what Graph holds it still holds");
    let (code, shown, _) = house.ask(&["status"]).await;
    assert_eq!(code, 4);
    for words in ["work: sign-in needed", "nobody is signed in to account `work`", "run `presenced login work`"] {
        assert!(shown.contains(words), "{shown}");
    }
    // The next keepalive is minutes away, and this needs no request.
    assert_eq!(house.ask(&["login"]).await.0, 0);
    let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
    assert_eq!((report.health, report.warnings.len()), (Health::Ok, 0));
    assert_eq!(work(&report).sign_in.as_ref().unwrap().user.as_deref(), Some(USER));
    assert_eq!(sets(&house), 1);
}

#[tokio::test]
async fn a_sign_out_that_meets_a_request_ends_the_same_way() {
    let mut house = House::with(quick_sign_in()).await;
    let daemon = signed_in(&mut house).await;
    assert_eq!(house.ask(&["logout"]).await.0, 0);
    sign_in_needed(&daemon).await;
    house.write("call-state", "in-call");
    daemon.report("the request", |report| work(report).requests.failed == 1).await;
    sign_in_needed(&daemon).await;
    assert_eq!(house.ask(&["login"]).await.0, 0);
    house.seen("Busy/InACall").await;
    let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
    assert_eq!((report.health, report.warnings.len()), (Health::Ok, 0));
}

#[tokio::test]
async fn a_sign_out_while_a_request_is_on_its_way_is_noticed_after_it() {
    let mut house = House::with(quick_sign_in()).await;
    let daemon = signed_in(&mut house).await;
    let delay = Some(jiff::SignedDuration::from_secs(2));
    house.inject(Fault { delay, ..once(on(Call::Set, Then::Answer)) });
    house.write("call-state", "in-call");
    daemon.report("the request", |report| work(report).requests.sent == 2).await;
    assert_eq!(house.ask(&["logout"]).await.0, 0);
    let report = sign_in_needed(&daemon).await;
    assert_eq!(work(&report).requests.failed, 0);
    assert_eq!(house.visible(), "Busy/InACall");
}

#[tokio::test]
async fn an_unknown_account_is_not_a_sign_in() {
    let mut house = House::with(quick_sign_in()).await;
    let daemon = signed_in(&mut house).await;
    for arguments in [&["login", "wrok"][..], &["login", "--status", "wrok"]] {
        let (code, _, error) = house.ask(arguments).await;
        assert_eq!(code, 2);
        assert!(
            error.contains("there is no account `wrok`") && error.contains("the configuration has `work`"),
            "{error}"
        );
    }
    daemon.report("as before", |report| work(report).state == State::Holding).await;
}

#[tokio::test]
async fn a_sign_in_without_a_daemon_reports_that_none_runs() {
    let house = House::with(quick_sign_in()).await;
    house.write("config.toml", personal(&house));
    let (code, _, error) = house.ask(&["login"]).await;
    let socket = house.path("presenced.sock");
    let note = format!(
        "note: presenced is not running: nothing answers at {}. The daemon will use this the next time it starts.\n",
        socket.display()
    );
    assert_eq!((code, error), (0, note));

    // Without a place for the socket.
    let mut without = tokio::process::Command::new(env!("CARGO_BIN_EXE_presenced"));
    without.args(["--config".as_ref(), house.path("config.toml").as_os_str()]).args(["logout"]);
    without.env_clear().env("HOME", house.path("")).kill_on_drop(true);
    let output = guarded("logout", without.output()).await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && error.contains("$XDG_RUNTIME_DIR is not set"), "{error}");
}

#[tokio::test]
async fn the_signed_in_user_comes_from_the_daemon_or_from_the_store() {
    let mut house = House::with(quick_sign_in()).await;
    house.write("config.toml", personal(&house) + &house.account("bot") + CALL + "[log]\nlevel = \"debug\"\n");
    let (code, shown, _) = house.ask(&["login", "--status"]).await;
    assert_eq!(code, 4);
    assert!(shown.contains("work: sign-in needed") && shown.contains("bot: does not need a sign-in"), "{shown}");
    assert_eq!(house.ask(&["login", "work"]).await.0, 0);
    let (code, shown, _) = house.ask(&["login", "--status"]).await;
    assert_eq!(code, 0);
    for words in ["work: signed in", "presenced is not running", "method      device-code", "who         "] {
        assert!(shown.contains(words), "{words} in {shown}");
    }

    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let well = |report: &Report| report.accounts.values().all(|account| account.state == State::Holding);
    let report = daemon.report("both", well).await;
    let person = work(&report).sign_in.clone().unwrap();
    assert_eq!((person.method.as_str(), person.user.as_deref()), ("device-code", Some(USER)));
    assert_eq!(
        (person.kind, &*person.permissions),
        (Some(PermissionKind::Delegated), &["Presence.ReadWrite".to_owned()][..])
    );
    let left = person.token_expires_at.unwrap().duration_since(report.started_at);
    assert!((3590..=5500).contains(&left.as_secs()), "{left:?}");
    let bot = report.accounts["bot"].sign_in.clone().unwrap();
    assert_eq!((bot.method.as_str(), &bot.user, &bot.username), ("client-secret", &None, &None));
    assert_eq!((bot.kind, bot.tenant.as_ref()), (Some(PermissionKind::Application), person.tenant.as_ref()));
    assert!(bot.tenant.is_some() && bot.permissions.contains(&"Presence.ReadWrite.All".to_owned()), "{bot:?}");

    let (code, shown, _) = house.ask(&["login", "--status", "--json"]).await;
    assert_eq!(code, 0);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["accounts"]["work"]["sign_in"], serde_json::to_value(&person).unwrap());
    assert_eq!((&shown["running"], &shown["accounts"]["bot"]["signed_in"]), (&true.into(), &true.into()));
    let (_, shown, _) = house.ask(&["status"]).await;
    let name = person.username.unwrap();
    assert!(shown.contains(&format!("signed in   {name} by device-code; ")), "{shown}");
    assert!(daemon.log().contains("DEBUG") && !daemon.log().contains(&name), "names are in no log");
}
