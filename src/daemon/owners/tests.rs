use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::calendar::BusyClass;

const HOLD: Duration = Duration::from_mins(15);

fn at(seconds: u64) -> Now {
    let after = Duration::from_secs(seconds);
    Now { instant: Instant::from_origin(after), wall: Timestamp::UNIX_EPOCH + after, zone: TimeZone::UTC }
}

fn in_call() -> Reading<Call> {
    Reading::Known(Call { state: CallState::InCall, app: None })
}

fn busy() -> Reading<Arc<Schedule>> {
    let changes = vec![(Timestamp::UNIX_EPOCH, BusyClass::Busy, false)];
    Reading::Known(Arc::new(Schedule::new(Timestamp::UNIX_EPOCH, Timestamp::MAX, changes)))
}

/// Signals of which each of these owners has entries.
fn signals(owners: &[Owners]) -> OwnersSignals {
    let mut signals = OwnersSignals::new(&config::Signals::default());
    signals.calls.folders = owners.iter().map(|owners| (owners.clone(), Folder::default())).collect();
    signals.calendars.folders = owners.iter().map(|owners| (owners.clone(), Folder::default())).collect();
    signals
}

fn said<T>(owners: Owners, changed: &[(&str, Reading<T>)], is_known: bool) -> OwnersReadings<T>
where
    T: Clone,
{
    let changed = changed.iter().map(|(name, reading)| ((*name).to_owned(), reading.clone())).collect();
    OwnersReadings { owners, replaces: false, changed, is_known, warnings: Vec::new() }
}

/// The same, of a folder that is read for the first time.
fn first<T>(owners: Owners, changed: &[(&str, Reading<T>)]) -> OwnersReadings<T>
where
    T: Clone,
{
    OwnersReadings { replaces: true, ..said(owners, changed, true) }
}

fn state(signals: &OwnersSignals, account: &str, user: Option<&str>) -> String {
    let names = user.map(|id| UserNames { id, name: None });
    signals.over(&Snapshot::default(), account, names).map_or("none".to_owned(), |own| own.call.to_string())
}

#[test]
fn everyone_has_their_own_entry_and_that_of_their_account() {
    let of_bots = Owners::UsersOf("bots".to_owned());
    let mut signals = signals(&[Owners::Users, of_bots.clone(), Owners::Accounts]);
    assert!(!signals.is_complete());
    assert_eq!(signals.hear_calls(first(Owners::Users, &[("aa", in_call())]), HOLD, &at(0)), News::All);
    assert_eq!(signals.hear_calls(first(of_bots, &[("bb", in_call())]), HOLD, &at(0)), News::All);
    let accounts = first(Owners::Accounts, &[("me", in_call())]);
    assert_eq!(signals.hear_calls(accounts, HOLD, &at(0)), News::All);
    assert_eq!(state(&signals, "me", None), "in-call");
    assert_eq!(state(&signals, "other", None), "idle");
    assert_eq!(
        (state(&signals, "bots", Some("aa")), state(&signals, "bots", Some("bb"))),
        ("in-call".into(), "in-call".into())
    );
    assert_eq!(state(&signals, "agents", Some("bb")), "idle", "the entry is of the users of another account");
    assert_eq!(state(&signals, "me", Some("cc")), "in-call", "a call of the account is everybody's");
    assert!(!signals.is_complete_for_accounts(), "no calendar was heard");
    for owners in signals.calendars.folders.keys().cloned().collect::<Vec<_>>() {
        signals.hear_calendars(first(owners, &[]), HOLD, &at(0));
    }
    assert!(signals.is_complete() && signals.is_complete_for_accounts());
}

#[test]
fn whoever_follows_no_entry_has_the_machines_readings() {
    let mut of_users = signals(&[Owners::Users]);
    assert!(of_users.over(&Snapshot::default(), "me", None).is_none());
    of_users.hear_calls(first(Owners::Users, &[]), HOLD, &at(0));
    of_users.hear_calendars(first(Owners::Users, &[("aa", busy())]), HOLD, &at(0));
    let machine = Snapshot { calendar: busy(), call: in_call(), ..Snapshot::default() };
    let names = UserNames { id: "bb", name: Some("ben") };
    let own = of_users.over(&machine, "bots", Some(names)).unwrap();
    assert_eq!((own.call.clone(), own.calendar_at(at(1).wall).known().unwrap().class), (in_call(), BusyClass::Busy));
}

#[test]
fn a_folder_that_is_away_changes_nobody_until_the_sessions_expire() {
    let mut signals = signals(&[Owners::Users]);
    signals.hear_calls(first(Owners::Users, &[("aa", in_call())]), HOLD, &at(0));
    assert_eq!(signals.hear_calls(said(Owners::Users, &[], false), HOLD, &at(60)), News::Of(Owners::Users, Vec::new()));
    let end = at(60).instant + HOLD;
    assert_eq!((signals.next_end(), state(&signals, "bots", Some("aa"))), (Some(end), "in-call".into()));
    assert!(!signals.end(&at(60 + 899)));
    assert_eq!(state(&signals, "bots", Some("aa")), "in-call");
    assert!(signals.end(&at(60 + 900)) && !signals.end(&at(60 + 900)));
    assert_eq!((signals.next_end(), state(&signals, "bots", Some("aa"))), (None, "unknown".into()));
    // It is back: what it says now counts for everybody.
    assert_eq!(signals.hear_calls(said(Owners::Users, &[("aa", Reading::Off)], true), HOLD, &at(2000)), News::All);
    assert_eq!(state(&signals, "bots", Some("aa")), "idle");
    // A short absence changes only those who changed meanwhile.
    signals.hear_calls(said(Owners::Users, &[], false), HOLD, &at(2010));
    let back = signals.hear_calls(said(Owners::Users, &[("bb", in_call())], true), HOLD, &at(2011));
    assert_eq!((back, signals.next_end()), (News::Of(Owners::Users, vec!["bb".to_owned()]), None));
}

#[test]
fn what_is_said_first_replaces_what_was_known() {
    let mut signals = signals(&[Owners::Users]);
    signals.hear_calls(first(Owners::Users, &[("aa", in_call()), ("bb", in_call())]), HOLD, &at(0));
    let again = first(Owners::Users, &[("bb", in_call())]);
    let News::Of(_, names) = signals.hear_calls(again, HOLD, &at(1)) else { panic!("that concerns two only") };
    assert!(names.contains(&"aa".to_owned()));
    assert_eq!(
        (state(&signals, "bots", Some("aa")), state(&signals, "bots", Some("bb"))),
        ("idle".into(), "in-call".into())
    );
}

#[test]
fn a_folder_that_is_away_when_it_is_read_anew_changes_nobody_either() {
    let mut signals = signals(&[Owners::Users]);
    signals.hear_calls(first(Owners::Users, &[("aa", in_call()), ("bb", in_call())]), HOLD, &at(0));
    // As after a suspend, before its file system is there again.
    let away = OwnersReadings { replaces: true, ..said(Owners::Users, &[], false) };
    assert_eq!(signals.hear_calls(away, HOLD, &at(1)), News::Of(Owners::Users, Vec::new()));
    assert_eq!(state(&signals, "bots", Some("aa")), "in-call");
    let back = said(Owners::Users, &[("bb", in_call())], true);
    assert_eq!(signals.hear_calls(back, HOLD, &at(2)), News::Of(Owners::Users, vec!["bb".to_owned(), "aa".to_owned()]));
    assert_eq!(
        (state(&signals, "bots", Some("aa")), state(&signals, "bots", Some("bb"))),
        ("idle".into(), "in-call".into())
    );
}

#[test]
fn what_was_said_before_a_reload_is_not_about_the_folders_after_it() {
    let mut signals = signals(&[Owners::Users]);
    let late = said(Owners::Users, &[("aa", in_call())], true);
    assert_eq!(signals.hear_calls(late, HOLD, &at(0)), News::Of(Owners::Users, Vec::new()));
    signals.hear_calendars(first(Owners::Users, &[]), HOLD, &at(0));
    assert!(!signals.is_complete(), "everybody else would be in no call");
    assert_eq!(signals.hear_calls(first(Owners::Users, &[("bb", in_call())]), HOLD, &at(0)), News::All);
    assert_eq!((signals.is_complete(), state(&signals, "bots", Some("aa"))), (true, "idle".into()));
}

#[test]
fn an_object_id_may_be_in_upper_case() {
    let mut signals = signals(&[Owners::Users]);
    let id = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3";
    let entry = id.to_ascii_uppercase();
    signals.hear_calls(first(Owners::Users, &[(&entry, in_call())]), HOLD, &at(0));
    assert_eq!(state(&signals, "bots", Some(id)), "in-call");
    let gone = signals.hear_calls(said(Owners::Users, &[(&entry, Reading::Off)], true), HOLD, &at(1));
    assert_eq!(
        (gone, state(&signals, "bots", Some(id))),
        (News::Of(Owners::Users, vec![id.to_owned()]), "idle".into())
    );
}

#[test]
fn an_unknown_calendar_is_not_hidden_by_another() {
    assert_eq!(both(busy(), Reading::Unknown), Reading::Unknown);
    assert_eq!(both(Reading::Off, Reading::Unknown), Reading::Unknown);
    assert_eq!(both(busy(), Reading::Off), busy());
}
