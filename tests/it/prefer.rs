//! `prefer = true`: the real program sets and clears the preferred presence, seen beside a Teams client and a person who
//! chooses a status by hand.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use presenced::daemon::clock::SystemClock;
use presenced::status::report::{Account, Report, State};
use presenced::warning::Code;
use presenced_emulator::{App, Call, Fault, Matches, Options, Then};
use rustix::process::Signal;

use crate::stage::bus::Bus;
use crate::stage::house::{CLIENT_ID, Daemon, House, guarded};
use crate::stage::login1::{Login1, Session};

/// Away is preferred in a call, so that a test needs no more than a file; else the user is Available.
const RULES: &str = "
[[rules]]
name = \"in a call\"
when = { call = \"in-call\" }
set = \"Away/Away\"
prefer = true
[[rules]]
name = \"else\"
set = \"Available/Available\"
";

fn work(report: &Report) -> &Account {
    &report.accounts["work"]
}

fn configure(house: &House, rest: &str) {
    house.write("config.toml", house.configuration() + rest);
}

/// A daemon that prefers Away beside a Teams client that says Available.
async fn preferring(house: &mut House, rest: &str) -> Daemon {
    house.teams_says("Available", "Available").await;
    configure(house, &format!("{rest}{RULES}"));
    house.write("call-state", "in-call");
    let daemon = house.start().await;
    let preferred = house.request("the preferred presence", |record| record.call == Call::Prefer).await;
    assert_eq!(preferred.visible.unwrap().to_string(), "Away/Away");
    daemon.report("confirmed", |report| work(report).preferred.is_some()).await;
    daemon
}

/// The calls about presence so far.
fn calls(house: &House) -> Vec<Call> {
    let about_presence = [Call::Set, Call::Clear, Call::Prefer, Call::ClearPreferred];
    house.emulator.requests().iter().map(|record| record.call).filter(|call| about_presence.contains(call)).collect()
}

#[tokio::test]
async fn a_locked_screen_is_seen_beside_a_teams_client_only_where_it_is_preferred() {
    for prefer in [true, false] {
        let house = House::new().await;
        let bus = Bus::start();
        let login1 = Login1::with(&bus, Session::DESKTOP).await;
        house.teams_says("Available", "Available").await;
        configure(
            &house,
            &format!(
                "
[signals.lock]
[[rules]]
name = \"asleep\"
when = {{ sleep = \"suspending\" }}
set = \"Away/Away\"
[[rules]]
name = \"locked\"
when = {{ lock = \"locked\" }}
set = \"Away/Away\"
prefer = {prefer}
[[rules]]
name = \"at the desk\"
when = {{ lock = \"unlocked\" }}
set = \"Available/Available\"
"
            ),
        );
        let daemon = house
            .start_with(&[], |command| {
                command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
            })
            .await;
        daemon.report("the desk", |report| work(report).rule.as_deref() == Some("at the desk")).await;
        login1.set_locked("c1", true).await;
        let is_away = |report: &Report| {
            let away = |availability: &str| availability == "Away";
            work(report).asserted.as_ref().is_some_and(|asserted| away(&asserted.availability))
                && work(report).preferred.as_ref().is_some_and(|preferred| away(&preferred.availability)) == prefer
        };
        let report = daemon.report("away", is_away).await;
        assert_eq!(house.visible(), if prefer { "Away/Away" } else { "Available/Available" });
        if let Some(preferred) = &work(&report).preferred {
            assert_eq!(preferred.expires_at.duration_since(preferred.sent_at).as_mins(), 15);
            let (_, shown, _) = house.ask(&["status"]).await;
            assert!(shown.contains("preferred   Away/Away"), "{shown}");
        }

        // Going to sleep is another rule, which does not prefer.
        login1.prepare_for_sleep(true).await;
        daemon.report("asleep", |report| work(report).rule.as_deref() == Some("asleep")).await;
        daemon.report("not preferred", |report| work(report).preferred.is_none()).await;
        assert_eq!(house.preferred(), None);
        login1.prepare_for_sleep(false).await;
        daemon.report("away again", is_away).await;

        login1.set_locked("c1", false).await;
        let back = |report: &Report| {
            let asserted = work(report).asserted.as_ref();
            asserted.is_some_and(|asserted| asserted.availability == "Available") && work(report).preferred.is_none()
        };
        daemon.report("back", back).await;
        assert_eq!((house.visible().as_str(), house.preferred()), ("Available/Available", None));
    }
}

#[tokio::test]
async fn stopping_clears_it_first_and_keeping_keeps_it() {
    let mut house = House::new().await;
    let daemon = preferring(&mut house, "").await;
    assert!(daemon.stop().await.success());
    assert_eq!((house.visible().as_str(), house.preferred()), ("Available/Available", None));
    assert_eq!(calls(&house), [Call::Set, Call::Prefer, Call::ClearPreferred, Call::Clear]);

    let mut house = House::new().await;
    let daemon = preferring(&mut house, "[session]\non_exit = \"keep\"\n").await;
    assert!(daemon.stop().await.success());
    assert_eq!(house.visible(), "Away/Away");
}

#[tokio::test]
async fn after_a_crash_it_is_gone_with_its_expiration() {
    let clock = SystemClock::scaled(600.0, "2026-11-23T12:00:00Z".parse().unwrap(), TimeZone::UTC);
    let mut house = House::on(clock, Options::default()).await;
    let daemon = preferring(&mut house, "[session]\nexpiration = \"5m\"\n").await;
    let request = house.emulator.requests().into_iter().find(|record| record.call == Call::Prefer).unwrap();
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    guarded("the expiration", async {
        while house.preferred().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let seen = house.emulator.timeline(crate::stage::house::USER).unwrap();
    let away = seen.spans.iter().find(|span| span.visible.to_string() == "Away/Away").unwrap();
    let next = seen.spans.iter().find(|span| span.from > away.from).unwrap();
    assert_eq!(next.visible.to_string(), "Available/Available");
    assert_eq!(next.from.duration_since(request.at).as_mins(), 5);
}

#[tokio::test]
async fn a_presence_set_by_others_is_not_cleared() {
    let mut house = House::new().await;
    let daemon = preferring(&mut house, "").await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    house.choose_by_hand("DoNotDisturb").await;
    house.write("call-state", "idle");
    let daemon = house.start().await;
    daemon.report("at the desk", |report| work(report).state == State::Holding).await;
    assert!(daemon.stop().await.success());
    assert_eq!(house.preferred().as_deref(), Some("DoNotDisturb/DoNotDisturb"));
    assert!(!calls(&house).contains(&Call::ClearPreferred));
}

#[tokio::test]
async fn one_that_is_refused_is_said_and_does_not_cost_the_session() {
    let mut house = House::new().await;
    let then = Then::Respond { status: 403, headers: BTreeMap::new(), body: None };
    house.inject(Fault::new(Matches::Only(Call::Prefer), then));
    let presenting = "
[[rules]]
name = \"presenting\"
when = { call = \"presenting\" }
set = \"DoNotDisturb/Presenting\"
prefer = true
";
    configure(&house, &format!("{presenting}{RULES}"));
    house.write("call-state", "in-call");
    let daemon = house.start().await;
    house.request("the 403", |record| record.status == Some(403)).await;
    let refused = |report: &Report| report.warnings.iter().any(|warning| warning.code == Code::Refused);
    let report = daemon.report("refused", refused).await;
    assert_eq!(work(&report).state, State::Refused);
    let text = &report.warnings[0].text;
    assert!(text.contains("setUserPreferredPresence with 403"), "{text}");
    // A session change that succeeds says nothing about the refused preference.
    house.write("call-state", "presenting");
    house.seen("DoNotDisturb/Presenting").await;
    let presenting = |report: &Report| work(report).asserted.as_ref().is_some_and(|held| held.activity == "Presenting");
    assert!(refused(&daemon.report("the session", presenting).await));
    house.write("call-state", "idle");
    house.seen("Available/Available").await;
    let well = |report: &Report| work(report).state == State::Holding && report.warnings.is_empty();
    daemon.report("the session", well).await;
}

#[tokio::test]
async fn a_reload_that_takes_it_away_clears_it_and_so_does_another_name_for_the_account() {
    let mut house = House::new().await;
    let daemon = preferring(&mut house, "").await;
    configure(&house, &RULES.replace("prefer = true", "prefer = false"));
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("cleared", |report| work(report).preferred.is_none()).await;
    assert_eq!(house.preferred(), None);
    configure(&house, RULES);
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("set again", |report| work(report).preferred.is_some()).await;

    let renamed = house.configuration().replace("[accounts.work]", "[accounts.renamed]");
    house.write("config.toml", renamed + &RULES.replace("prefer = true", "prefer = false"));
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("the new name", |report| report.accounts["renamed"].state == State::Holding).await;
    assert_eq!(house.preferred(), None);
    assert!(!calls(&house).contains(&Call::Clear), "the session is the same");
    assert!(house.emulator.state().users[crate::stage::house::USER].sessions.contains_key(CLIENT_ID));
}

#[tokio::test]
async fn another_application_of_the_same_user_waits_until_it_is_taken_back() {
    const OTHER: &str = "00000000-0000-0000-0000-000000000001";
    let apps = vec![App::default(), App { client_id: OTHER.to_owned(), ..App::default() }];
    let mut house = House::with(Options { apps, ..Options::default() }).await;
    let daemon = preferring(&mut house, "").await;
    let slow = Fault::new(Matches::Only(Call::ClearPreferred), Then::Answer);
    house.inject(Fault { delay: Some(SignedDuration::from_secs(1)), ..slow });
    house.write("config.toml", (house.configuration() + RULES).replace(CLIENT_ID, OTHER));
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("the other application", |report| work(report).preferred.is_some()).await;
    assert_eq!(house.preferred().as_deref(), Some("Away/Away"));
    house.request("the old session's end", |record| record.call == Call::Clear).await;
    assert_eq!(house.preferred().as_deref(), Some("Away/Away"));
}
