//! Snapshots of the view without styles, and a test that no report, however odd, breaks its bounds. The tests of the other views
//! also use its two reports.

use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

use super::many::tests::report_of_many;
use super::user::tests::{plain_user, user};
use super::*;
use crate::status::report::{LastError, Override, PermissionKind, State, UserProblem};
use crate::status::users::UserRow;
use crate::warning::Code;

pub(in crate::cli::status) fn at(text: &str) -> Timestamp {
    format!("2026-11-23T{text}Z").parse().unwrap()
}

pub(super) fn account(state: State, desired: Option<crate::presence::Presence>) -> Account {
    Account {
        state,
        desired: desired.map(Pair::from),
        rule: None,
        because: "no rule matches".to_owned(),
        withheld: None,
        since: None,
        until: None,
        asserted: None,
        preferred: None,
        seen: None,
        next: None,
        requests: Requests::default(),
        last_error: None,
        note: None,
        sign_in: None,
        users: None,
    }
}

pub(super) fn asserted(presence: crate::presence::Presence, fades_at: Option<Timestamp>) -> Asserted {
    Asserted {
        availability: presence.availability().to_owned(),
        activity: presence.activity().to_owned(),
        sent_at: at("13:02:00"),
        fades_at,
        expires_at: at("13:17:00"),
    }
}

fn signal(value: &str, source: &str) -> Signal {
    Signal {
        value: value.to_owned(),
        since: at("08:30:00"),
        source: source.to_owned(),
        health: Health::Ok,
        reason: None,
        until: None,
        watched: None,
    }
}

fn warning(code: Code, text: &str, hint: &str) -> Warning {
    Warning { code, severity: code.severity(), text: text.to_owned(), hint: hint.to_owned(), since: at("13:00:10") }
}

/// A report without any problem.
pub(in crate::cli::status) fn healthy_report() -> Report {
    use crate::presence::Presence::InACall;
    Report {
        version: "0.1.0".to_owned(),
        pid: 4242,
        started_at: at("07:00:00"),
        health: Health::Ok,
        accounts: [(
            "work".to_owned(),
            Account {
                rule: Some("call".to_owned()),
                because: "call is in-call (baresip)".to_owned(),
                since: Some(at("12:58:00")),
                asserted: Some(asserted(InACall, None)),
                next: Some(Next { at: at("13:14:00"), why: "keepalive".to_owned() }),
                requests: Requests { sent: 12, failed: 0, throttled: 0 },
                ..account(State::Holding, Some(InACall))
            },
        )]
        .into(),
        signals: [
            ("calendar".to_owned(), Signal { until: Some(at("14:00:00")), ..signal("free", "2 sources, 1204 events") }),
            ("call".to_owned(), signal("in-call", "/run/user/1000/presenced/call-state")),
            ("lock".to_owned(), signal("unlocked", "logind")),
            ("signal.door".to_owned(), signal("closed", "socket")),
        ]
        .into(),
        manual: None,
        warnings: Vec::new(),
    }
}

/// A report with every kind of problem.
pub(in crate::cli::status) fn failing_report() -> Report {
    use crate::presence::Presence::{Available, Away};
    let mut report = Report { health: Health::Failing, ..healthy_report() };
    let failed = |text: &str, hint: Option<&str>| {
        Some(LastError { at: at("13:09:55"), text: text.to_owned(), hint: hint.map(str::to_owned) })
    };
    report.accounts = [
        (
            "contoso".to_owned(),
            Account {
                since: Some(at("13:05:00")),
                until: Some(at("16:00:00")),
                asserted: Some(asserted(Available, Some(at("13:07:00")))),
                next: Some(Next { at: at("13:10:08"), why: "retry".to_owned() }),
                requests: Requests { sent: 40, failed: 3, throttled: 1 },
                last_error: failed("Graph answered 503 ServiceUnavailable (request 5f1c…)", None),
                ..account(State::Retrying, Some(Away))
            },
        ),
        (
            "fabrikam".to_owned(),
            Account {
                last_error: failed(
                    "the refresh token was revoked (AADSTS50173): the password was changed after it was issued",
                    Some("presenced login fabrikam"),
                ),
                ..account(State::SignInNeeded, Some(Available))
            },
        ),
        ("old".to_owned(), account(State::Released, None)),
        ("shut".to_owned(), account(State::Stopping, None)),
        ("slow".to_owned(), account(State::Throttled, Some(Away))),
        ("stern".to_owned(), account(State::Refused, None)),
        ("young".to_owned(), account(State::Starting, Some(Away))),
    ]
    .into();
    let call = report.signals.get_mut("call").unwrap();
    (call.value, call.health) = ("unknown".to_owned(), Health::Degraded);
    report.manual = Some(Override { presence: "Away/Away".to_owned(), until: Some(at("16:00:00")) });
    report.warnings = vec![
        warning(
            Code::CallStateInvalid,
            "/run/user/1000/presenced/call-state, line 1, column 12: expected `\"` and found the end of the file",
            "write a bare word, or one JSON object",
        ),
        warning(Code::SignInNeeded, "fabrikam is not signed in", "presenced login fabrikam"),
    ];
    report
}

/// The view at 13:10:48 UTC, an hour east of it, without styles.
pub(super) fn plain(report: &Report, width: usize) -> String {
    let view = render(report, at("13:10:48"), &TimeZone::fixed(Offset::constant(1)), width);
    anstream::adapter::strip_str(&view).to_string()
}

#[test]
fn one_line_says_what_is_not_claimed_and_why() {
    let incomplete = "the calendar /home/me/x.ics is not whole: it has no END:VCALENDAR";
    let unknown = |reason: Option<&str>| Signal {
        health: Health::Degraded,
        reason: reason.map(str::to_owned),
        ..signal("unknown", "1 source")
    };
    let withheld = |presence: Option<crate::presence::Presence>, unknown: &[&str]| {
        let unknown = unknown.iter().map(|name| (*name).to_owned()).collect();
        Account {
            withheld: Some(Withheld { presence: presence.map(Into::into), unknown }),
            ..account(State::Released, None)
        }
    };
    let mut report = healthy_report();
    report.signals.insert("calendar".to_owned(), unknown(Some(incomplete)));
    report.signals.insert("call".to_owned(), unknown(None));
    let line = |report: &Report| {
        let text = plain(report, 300);
        text.lines().find(|line| line.starts_with("  why")).map(|line| line.trim().to_owned())
    };
    let available = crate::presence::Presence::Available;
    for (account, expected) in [
        (
            withheld(Some(available), &["calendar"]),
            "Available is not claimed: the calendar has been unknown since 09:30 (the calendar /home/me/x.ics is not whole: \
             it has no END:VCALENDAR)",
        ),
        (
            withheld(Some(available), &["call", "calendar"]),
            "Available is not claimed: the call has been unknown since 09:30 and the calendar has been unknown since 09:30 (the \
             calendar /home/me/x.ics is not whole: it has no END:VCALENDAR)",
        ),
        (withheld(None, &["idle"]), "Nothing is claimed: user input is unknown"),
    ] {
        report.accounts.insert("work".to_owned(), account);
        assert_eq!(line(&report), Some(format!("why         {expected}")));
    }
}

#[test]
fn a_healthy_report() {
    insta::assert_snapshot!(plain(&healthy_report(), 80));
}

#[test]
fn a_failing_report() {
    insta::assert_snapshot!(plain(&failing_report(), 80));
}

/// Sets the last error of the account `work`.
fn set_last_error(report: &mut Report, text: &str) {
    let error = LastError { at: at("13:09:55"), text: text.to_owned(), hint: None };
    report.accounts.get_mut("work").unwrap().last_error = Some(error);
}

/// What a user with every signal sees on a usual day, with one problem.
#[test]
fn a_usual_day_fits_a_terminal_of_24_lines() {
    use crate::presence::Presence::Available;
    let mut report = healthy_report();
    let signals = ["calendar", "call", "idle", "lock", "sleep"].map(|name| (name.to_owned(), signal("off", "logind")));
    report.signals = signals.into();
    let sign_in = SignIn {
        method: "device-code".to_owned(),
        user: None,
        username: Some("firstname.lastname@contoso.onmicrosoft.com".to_owned()),
        tenant: None,
        permissions: ["Presence.ReadWrite", "Presence.Read"].map(str::to_owned).into(),
        kind: Some(PermissionKind::Delegated),
        token_expires_at: Some(at("14:02:00")),
        renewal_error: None,
    };
    let work = report.accounts.get_mut("work").unwrap();
    work.asserted = Some(asserted(Available, Some(at("13:15:00"))));
    work.until = Some(at("16:00:00"));
    work.sign_in = Some(sign_in);
    work.seen =
        Some(Seen { availability: "Available".to_owned(), activity: "Available".to_owned(), at: at("13:08:00") });
    report.warnings =
        vec![warning(Code::CalendarStale, "the calendar at outlook.office365.com cannot be fetched", "wait")];
    let error = "the calendar at outlook.office365.com cannot be fetched";
    set_last_error(&mut report, error);
    let text = plain(&report, 80);
    assert!(!text.contains("last error"), "an error that a warning shows is not repeated:\n{text}");
    assert!(text.lines().count() < 24, "it needs more than a screen, with the prompt below:\n{text}");
    let at_line = |part: &str| text.lines().position(|line| line.contains(part)).unwrap();
    assert!(at_line("calendar-stale") < at_line("signal "), "warnings come before the table:\n{text}");
}

#[test]
fn a_narrow_terminal() {
    insta::assert_snapshot!(plain(&failing_report(), 40));
}

#[test]
fn what_others_see_and_what_wins() {
    use crate::presence::Presence::{Available, Away, InACall};
    let seen = |availability: &str, activity: &str| {
        Some(Seen { availability: availability.to_owned(), activity: activity.to_owned(), at: at("13:08:00") })
    };
    let preferred = Some(Preferred {
        availability: "Away".to_owned(),
        activity: "Away".to_owned(),
        sent_at: at("13:02:00"),
        expires_at: at("13:17:00"),
    });
    let with = |presence, seen, preferred| Account {
        asserted: Some(asserted(presence, None)),
        seen,
        preferred,
        ..account(State::Holding, Some(presence))
    };
    let accounts = [
        ("1 as asserted", with(InACall, seen("Busy", "InACall"), None)),
        ("2 a stronger session", with(Available, seen("Busy", "InAMeeting"), None)),
        ("3 a status that hides it", with(InACall, seen("Offline", "OffWork"), None)),
        ("4 preferred", with(Away, seen("Away", "Away"), preferred.clone())),
        ("5 preferred before", with(Away, seen("Available", "Available"), preferred)),
        ("6 nothing claimed", Account { asserted: None, ..with(Away, seen("Dreaming", "OnMars"), None) }),
    ];
    let accounts = accounts.map(|(name, account)| (name.to_owned(), account)).into();
    insta::assert_snapshot!(plain(&Report { accounts, signals: [].into(), ..healthy_report() }, 80));
}

#[test]
fn the_user_and_the_permissions_are_shown() {
    use crate::presence::Presence::InACall;
    let person = SignIn {
        method: "device-code".to_owned(),
        user: Some("fa8bf3dc-eca7-46b7-bad1-db199b62afc3".to_owned()),
        username: Some("me@contoso.com".to_owned()),
        tenant: Some("dcd219dd-bc68-4b9b-bf0b-4a33a796be35".to_owned()),
        permissions: ["openid", "Presence.ReadWrite", "Presence.Read"].map(str::to_owned).into(),
        kind: Some(PermissionKind::Delegated),
        token_expires_at: Some(at("14:02:00")),
        renewal_error: None,
    };
    let nameless = SignIn { username: None, token_expires_at: None, ..person.clone() };
    let bot = SignIn {
        method: "client-secret".to_owned(),
        user: None,
        permissions: vec!["Presence.ReadWrite.All".to_owned()],
        kind: Some(PermissionKind::Application),
        ..nameless.clone()
    };
    let late = SignIn {
        token_expires_at: Some(at("13:10:00")),
        renewal_error: Some("no answer".to_owned()),
        ..person.clone()
    };
    let accounts = [
        ("1 a person", person),
        ("2 a person without a name", nameless),
        ("3 an application", bot.clone()),
        ("4 no permissions", SignIn { permissions: Vec::new(), ..bot.clone() }),
        ("5 a token that cannot be read", SignIn { permissions: Vec::new(), kind: None, ..bot }),
        ("6 an expired token", late),
    ];
    let signed_in = |sign_in| Account { sign_in: Some(sign_in), ..account(State::Holding, Some(InACall)) };
    let accounts = accounts.map(|(name, sign_in)| (name.to_owned(), signed_in(sign_in))).into();
    insta::assert_snapshot!(plain(&Report { accounts, signals: [].into(), ..healthy_report() }, 80));
}

#[test]
fn a_signal_whose_changes_no_event_reports_is_marked() {
    let polled = |source: &str| Signal { watched: Some(Watched::Polled), ..signal("free", source) };
    let report = |source| Report { signals: [("calendar".to_owned(), polled(source))].into(), ..healthy_report() };
    let line = |source, width| {
        let text = plain(&report(source), width);
        let line = text.lines().find(|line| line.trim_start().starts_with("calendar")).unwrap();
        line.trim_start().to_owned()
    };
    let of = |source: &str| format!("calendar  free   09:30  {source}");
    assert_eq!(line("2 sources, 1204 events", 80), of("2 sources, 1204 events, checked each minute"));
    assert_eq!(line("/srv/calls/of/everyone/call-state", 60), of("…e/call-state, checked each minute"));
    assert_eq!(line("2 sources, 1204 events", 50), of("checked each minute"));
}

#[test]
fn an_override_without_an_end() {
    let manual = Some(Override { presence: "nothing".to_owned(), until: None });
    let text = plain(&Report { manual, ..healthy_report() }, 80);
    assert!(text.contains("override:   nothing until `presenced unset`"), "{text}");
}

#[test]
fn a_daemon_without_accounts_and_signals() {
    let report = Report { accounts: [].into(), signals: [].into(), ..healthy_report() };
    assert_eq!(plain(&report, 80), "presenced 0.1.0, pid 4242, up 6 h 10 min: ok\n");
}

#[test]
fn styles_add_nothing_but_styles() {
    let styled = render(&failing_report(), at("13:10:48"), &TimeZone::UTC, 80);
    assert!(styled.contains("\u{1b}["));
    assert!(!anstream::adapter::strip_str(&styled).to_string().contains('\u{1b}'));
}

proptest! {
    #[test]
    fn no_text_breaks_out_of_the_screen(text in "\\PC{0,120}", control in "[\\x00-\\x1f\\x7f]{0,3}", width in 40_usize..120) {
        let odd = format!("{text}{control}{text}");
        let mut report = failing_report();
        let contoso = report.accounts.remove("contoso").unwrap();
        let seen = Some(Seen { availability: odd.clone(), activity: odd.clone(), at: at("13:08:00") });
        let sign_in = Some(SignIn {
            method: odd.clone(),
            user: None,
            username: Some(odd.clone()),
            tenant: None,
            permissions: vec![odd.clone()],
            kind: Some(PermissionKind::Delegated),
            token_expires_at: Some(at("14:00:00")),
            renewal_error: Some(odd.clone()),
        });
        let (because, rule) = (odd.clone(), Some(odd.clone()));
        report.accounts.insert(odd.clone(), Account { rule, because, seen, sign_in, ..contoso });
        let watched = Some(Watched::Polled);
        report.signals.insert(odd.clone(), Signal { until: Some(at("14:00:00")), watched, ..signal(&odd, &odd) });
        report.manual = Some(Override { presence: odd.clone(), until: None });
        report.warnings.push(warning(Code::Refused, &odd, &odd));
        let many = report_of_many(12).accounts.remove("agents").unwrap();
        let mut users = many.users.clone().unwrap();
        users.states.insert(odd.clone(), 1);
        users.problems.insert(0, UserProblem { user: odd.clone(), name: None, text: odd.clone(), hint: None });
        report.accounts.insert(format!("{odd} many"), Account { users: Some(users), ..many });
        let row = UserRow { name: Some(odd.clone()), error: Some(odd.clone()), account: odd.clone(), ..user() };
        report.version = odd;
        for line in plain_user(&row, width).lines() {
            prop_assert!(columns(line) <= width && !line.contains(char::is_control), "{line:?}");
        }
        for line in plain(&report, width).lines() {
            prop_assert!(columns(line) <= width, "{line:?} is {} columns wide", columns(line));
            prop_assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}
