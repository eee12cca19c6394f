//! What each option reads as, and what it does not read.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use presenced::calendar::BusyClass;
use presenced::config::{
    Account, Auth, Calendar, CalendarPlace, Call, Cloud, Endpoints, History, Idle, Log, OnExit, Signals, TokenStore,
};
use presenced::policy::{self, CallState, Claim, Is, Lock, Rule, Sleep, When, default_rules};
use presenced::presence::{Expiration, Presence};

use super::{ACCOUNT, CLIENT, USER, bad, environment, good, parse, parse_in, problem};

fn minutes(minutes: u64) -> Expiration {
    Expiration::try_from(Duration::from_secs(minutes * 60)).expect("5 to 240")
}

#[test]
fn a_minimal_configuration_has_the_defaults() {
    let config = good("");
    let work = Account {
        tenant: "contoso.onmicrosoft.com".to_owned(),
        client_id: CLIENT.to_owned(),
        user: None,
        users: None,
        rate: presenced::pacer::Rate::default(),
        cloud: Cloud::Global,
        auth: Auth::DeviceCode,
        tokens: TokenStore::Auto,
        endpoints: Endpoints { graph: Cloud::Global.graph().unwrap(), login: Cloud::Global.login() },
    };
    assert_eq!(config.accounts, [("work".to_owned(), work)].into());
    assert_eq!(config.session.expiration, minutes(15));
    assert_eq!(config.session.on_exit, OnExit::Clear);
    assert!(!config.session.verify);
    assert_eq!(config.status.listen, None);
    assert_eq!(config.signals, Signals::default());
    assert_eq!(config.rules, default_rules());
    assert_eq!(config.log, Log::default());
    assert_eq!((config.history.keep, config.history.max_size), (SignedDuration::from_hours(48), 1_000_000));
}

#[test]
fn every_option_is_read() {
    let config = good(
        r#"
user = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
cloud = "us-gov-dod"
endpoints = { graph = "http://127.0.0.1:8765/v1.0/", login = "http://localhost:8765" }
[session]
expiration = "1h 30m"
on_exit = "keep"
verify = true
[signals.calendar]
sources = [{ path = "~/cal" }, { path = "$CALENDARS/${TEAM}.ics" }, { path = "near.ics" }]
identity = ["me@contoso.com", "Me.Too@contoso.com"]
[signals.lock]
[signals.call]
path = "/run/calls"
stale_after = "PT2M"
[signals.idle]
after = "1h 30m"
[tokens]
store = "file"
[status]
listen = "[::1]:9464"
[log]
level = "presenced=debug,warn"
dir = "~/logs"
[[rules]]
name = "all at once"
set = "busy/inacall"
expiration = "PT5M"
prefer = true
[rules.when]
account = "work"
lock = ["unlocked", "off"]
sleep = "awake"
call = ["in-call", "conference"]
idle = "active"
calendar = "working-elsewhere"
online = true
within = ["Mon..Fri 08:00-12:00", "Sat"]
outside = "12:00-13:00"
signal = { mic = "on", door = ["open", "ajar"] }
[[rules]]
name = "else"
set = "nothing"
"#,
    );
    let work = &config.accounts["work"];
    assert_eq!(work.user.as_deref(), Some(USER));
    assert_eq!(work.cloud, Cloud::UsGovDod);
    assert_eq!(work.endpoints.graph.as_str(), "http://127.0.0.1:8765/v1.0");
    assert_eq!(work.endpoints.login.as_str(), "http://localhost:8765/");
    assert_eq!(work.tokens, TokenStore::File);
    assert_eq!(config.session.expiration, minutes(90));
    assert_eq!(config.session.on_exit, OnExit::Keep);
    assert!(config.session.verify);
    let paths = ["/home/me/cal", "/srv/calendars/red.ics", "/etc/presenced/near.ics"];
    assert_eq!(
        config.signals.calendar,
        Some(Calendar {
            sources: paths.map(|path| CalendarPlace::Path(path.into()).into()).into(),
            identity: ["me@contoso.com", "Me.Too@contoso.com"].map(str::to_owned).into(),
        })
    );
    assert_eq!(config.status.listen, Some("[::1]:9464".parse().unwrap()));
    assert!(config.signals.lock.is_some());
    assert_eq!(
        config.signals.call,
        Some(Call { path: "/run/calls".into(), owners: None, stale_after: Some(Duration::from_mins(2)) })
    );
    assert_eq!(config.signals.idle, Some(Idle { after: Duration::from_mins(90) }));
    assert_eq!(config.log, Log { level: Some("presenced=debug,warn".to_owned()), dir: Some("/home/me/logs".into()) });
    let when = When {
        account: vec!["work".to_owned()],
        lock: vec![Is::Value(Lock::Unlocked), Is::Off],
        sleep: vec![Is::Value(Sleep::Awake)],
        call: vec![Is::Value(CallState::InCall), Is::Value(CallState::Conference)],
        idle: vec![Is::Value(policy::Idle::Active)],
        calendar: vec![Is::Value(BusyClass::WorkingElsewhere)],
        online: Some(true),
        within: vec!["Mon..Fri 08:00-12:00".parse().unwrap(), "Sat".parse().unwrap()],
        outside: vec!["12:00-13:00".parse().unwrap()],
        signal: [
            ("mic".to_owned(), vec!["on".to_owned()]),
            ("door".to_owned(), vec!["open".to_owned(), "ajar".to_owned()]),
        ]
        .into(),
    };
    let all = Rule {
        name: "all at once".to_owned(),
        when,
        set: Claim::Hold(Presence::InACall),
        expiration: Some(minutes(5)),
        prefer: true,
    };
    let last =
        Rule { name: "else".to_owned(), when: When::default(), set: Claim::Nothing, expiration: None, prefer: false };
    assert_eq!(config.rules, [all, last]);
}

#[test]
fn only_a_presence_can_be_preferred() {
    let rule = |set: &str, prefer: &str| format!("[[rules]]\nname = \"a\"\nset = \"{set}\"\nprefer = {prefer}\n");
    assert!(good(&rule("Away/Away", "true")).rules[0].prefer);
    assert!(!good(&rule("nothing", "false")).rules[0].prefer);
    let problem = bad(&rule("nothing", "true"));
    assert!(problem.contains("nothing matches \"nothing\""), "{problem}");
    assert!(bad(&rule("Away/Away", "\"yes\"")).contains("`prefer` must be true or false, but this is a text"));
}

#[test]
fn a_signal_can_be_turned_off_and_then_needs_nothing() {
    let off = "[signals.calendar]\nenabled = false\n[signals.lock]\nenabled = false\n[signals.call]\nenabled = false\n\
               [signals.idle]\nenabled = false\n";
    assert_eq!(good(off).signals, Signals::default());
    let on = good("[signals.call]\nenabled = true\n");
    assert_eq!(
        on.signals.call,
        Some(Call { path: "/run/user/1000/presenced/call-state".into(), owners: None, stale_after: None })
    );
    assert!(good("[signals.microphone]\nenabled = false\n").signals.microphone.is_none());
    assert_eq!(good("[signals.idle]\n").signals.idle, Some(Idle { after: Duration::from_mins(10) }));
    assert!(bad("[signals.lock]\nenabled = false\npaht = 1\n").contains("[signals.lock] has no key `paht`"));
}

#[test]
fn expirations_need_a_unit_and_a_length_that_graph_accepts() {
    for (text, expected) in [
        ("\"5m\"", 5),
        ("\"PT15M\"", 15),
        ("\"pt1h\"", 60),
        ("\"1h 30m\"", 90),
        ("\"90 minutes\"", 90),
        ("\"4h\"", 240),
    ] {
        let config = good(&format!("[session]\nexpiration = {text}\n"));
        assert_eq!(config.session.expiration, minutes(expected), "{text}");
    }
    for (text, expected) in [
        ("15", "`15` needs a unit"),
        ("1.5", "`1.5` needs a unit"),
        ("\"15\"", "`15` needs a unit"),
        ("\"4m\"", "`4m` is shorter than the 5 minutes Microsoft Graph accepts as an expiration"),
        ("\"-15m\"", "`-15m` is shorter than the 5 minutes Microsoft Graph accepts as an expiration"),
        ("\"5h\"", "`5h` is longer than the 4 hours Microsoft Graph accepts as an expiration"),
        ("\"1d\"", "`1d` is longer than the 4 hours Microsoft Graph accepts as an expiration"),
        ("\"5m 0.5s\"", "`5m 0.5s` is not a number of whole seconds"),
        ("\"soon\"", "`soon` is not a duration"),
        ("\"1mo\"", "`1mo` is not a duration"),
        ("\"\"", "`` is not a duration"),
        ("true", "a duration must be a text, but this is true or false"),
    ] {
        assert_eq!(bad(&format!("[session]\nexpiration = {text}\n")), expected);
    }
}

#[test]
fn a_history_is_kept_for_a_time_and_up_to_a_size() {
    let many = |rest: &str| {
        let auth = "auth = { method = \"token-command\", command = [\"x\"] }";
        let account = ACCOUNT.replace("auth = { method = \"device-code\" }", auth);
        parse(&format!("{account}users = [\"{USER}\"]\n{rest}")).expect("it is valid").history.max_size
    };
    assert_eq!((many(""), many("[history]\nmax_size = \"200 kB\"\n")), (64_000_000, 200_000));
    for (text, expected) in [("100kB", 100_000), (" 1 mb ", 1_000_000), ("1GB", 1_000_000_000)] {
        assert_eq!(good(&format!("[history]\nmax_size = \"{text}\"\n")).history.max_size, expected, "{text}");
    }
    for (text, expected) in [
        ("10", "`10` needs a unit"),
        ("0.5", "`0.5` needs a unit"),
        ("\"10\"", "`10` needs a unit"),
        ("\"99kB\"", "`99kB` is less than 100 kB"),
        ("\"0GB\"", "`0GB` is less than 100 kB"),
        ("\"2GB\"", "`2GB` is more than 1 GB"),
        ("\"99999999999999999999999kB\"", "`99999999999999999999999kB` is more than 1 GB"),
        ("\"1.5MB\"", "`1.5MB` is not a size"),
        ("\"-1MB\"", "`-1MB` is not a size"),
        ("\"MB\"", "`MB` is not a size"),
        ("\"1MiB\"", "`1MiB` is not a size"),
        ("\"\"", "`` is not a size"),
        ("true", "a size must be a text, but this is true or false"),
    ] {
        assert_eq!(bad(&format!("[history]\nmax_size = {text}\n")), expected);
    }
    for (text, expected) in [
        ("2", "`2` needs a unit"),
        ("\"59m\"", "`59m` is shorter than an hour"),
        ("\"-2d\"", "`-2d` is shorter than an hour"),
        ("\"366d\"", "`366d` is longer than 365 days"),
        ("\"always\"", "`always` is not a duration"),
    ] {
        assert_eq!(bad(&format!("[history]\nkeep = {text}\n")), expected);
    }
    let all = good("[history]\nenabled = false\nkeep = \"365d\"\nmax_size = \"10 MB\"\n").history;
    let expected = History { enabled: false, keep: SignedDuration::from_hours(365 * 24), max_size: 10_000_000 };
    assert_eq!(all, expected);
}

#[test]
fn paths_expand_or_say_what_is_missing() {
    let call = |path: &str| format!("[signals.call]\npath = \"{path}\"\n");
    for (written, path) in [
        ("~", "/home/me"),
        ("$HOME/x", "/home/me/x"),
        ("${XDG_RUNTIME_DIR}/x", "/run/user/1000/x"),
        ("a~b/$TEAM-${TEAM}", "/etc/presenced/a~b/red-red"),
    ] {
        assert_eq!(
            good(&call(written)).signals.call,
            Some(Call { path: path.into(), owners: None, stale_after: None }),
            "{written}"
        );
    }
    for (written, expected) in [
        ("$NOWHERE/x", "the environment variable `NOWHERE` of `$NOWHERE/x` is not set"),
        ("${TEAM/x", "`${` is not closed in `${TEAM/x`"),
        ("~you/x", "`~you/x` names another user's home folder"),
        ("", "`path` is empty"),
        ("a\\u0000b", "a path cannot contain a NUL character"),
    ] {
        assert_eq!(bad(&call(written)), expected);
    }
    let nobody = presenced::config::Environment { home: PathBuf::new(), runtime_dir: None, ..environment() };
    for (snippet, expected) in [
        (call("~/x"), "`~` stands for the home folder, but this user has none"),
        (call("$XDG_RUNTIME_DIR/x"), "the environment variable `XDG_RUNTIME_DIR` of `$XDG_RUNTIME_DIR/x` is not set"),
        (
            "[signals.call]\n".to_owned(),
            "[signals.call] has no `path`, and $XDG_RUNTIME_DIR, where it is by default, is not set",
        ),
    ] {
        let problems = parse_in(&format!("{ACCOUNT}{snippet}"), &nobody).unwrap_err();
        assert_eq!(problems.iter().next().unwrap().message, expected);
    }
}

#[test]
fn impossible_rules_and_signals_are_refused() {
    let rule = |rest: &str| format!("[[rules]]\nname = \"r\"\nset = \"nothing\"\n{rest}\n");
    for (snippet, expected) in [
        (rule("when = { lock = \"unlock\" }"), "`unlock` is not a valid value for `lock`"),
        (rule("when = { lock = \"unknown\" }"), "`unknown` is not a valid value for `lock`"),
        (rule("when = { call = [\"in-call\", \"incall\"] }"), "`incall` is not a valid value for `call`"),
        (rule("when = { lock = [] }"), "`lock` is an empty list"),
        (rule("when = { lock = true }"), "`lock` must be a text, but this is true or false"),
        (rule("when = { idle = \"10m\" }"), "`10m` is not a valid value for `idle`"),
        (rule("when = { screen = \"locked\" }"), "`when` has no key `screen`"),
        (rule("when = \"locked\""), "`when` must be a table, but this is a text"),
        (rule("when = { online = \"yes\" }"), "`online` must be true or false, but this is a text"),
        (
            rule("when = { within = \"Mun 08:00-10:00\" }"),
            "`within`: `Mun` is not a day of the week; did you mean `Mon`?",
        ),
        (rule("when = { signal = \"x\" }"), "`signal` must be a table, but this is a text"),
        (rule("when = { signal = { \"a b\" = \"x\" } }"), "`a b` is not a valid name for a signal"),
        (rule("when = { signal = { a = \"\" } }"), "`a` is empty"),
        (rule("expiration = \"4m\""), "`4m` is shorter than the 5 minutes Microsoft Graph accepts as an expiration"),
        (rule("") + &rule(""), "there is already a rule `r`"),
        ("[[rules]]\nset = \"nothing\"\n".to_owned(), "[[rules]] has no `name`"),
        ("[[rules]]\nname = \"r\"\n".to_owned(), "[[rules]] has no `set`"),
        ("[rules]\nname = \"r\"\n".to_owned(), "`rules` is a list of tables"),
        ("[signals.calendar]\n".to_owned(), "[signals.calendar] has no `sources`"),
        ("[signals.calendar]\nsources = []\n".to_owned(), "`sources` is an empty list"),
        ("[signals.calendar]\nsources = [\"~/x\"]\n".to_owned(), "a source is a table with a `path` or a `url`"),
        ("[signals.calendar]\nsources = [{}]\n".to_owned(), "a source has no `path` and no `url`"),
        (
            "[signals.calendar]\nsources = [{ path = \"x\" }]\nidentity = [\"me\"]\n".to_owned(),
            "`identity` holds e-mail addresses, but this is not one",
        ),
        ("[signals.idle]\nafter = \"59s\"\n".to_owned(), "`59s` is shorter than a minute"),
        ("[signals.idle]\nafter = \"25h\"\n".to_owned(), "`25h` is longer than 24 hours"),
        ("[signals.idle]\nafter = \"-10m\"\n".to_owned(), "`-10m` is shorter than a minute"),
        ("[signals.idle]\nafter = 10\n".to_owned(), "`10` needs a unit"),
        ("[signals.idle]\nafter = \"soon\"\n".to_owned(), "`soon` is not a duration"),
        ("[signals.idle]\nafetr = \"10m\"\n".to_owned(), "[signals.idle] has no key `afetr`"),
        ("[signals.clendar]\n".to_owned(), "[signals] has no key `clendar`"),
        ("[log]\nlevel = \"wran\"\n".to_owned(), "`wran` is not a log level"),
        ("[log]\nlevel = \"presenced=loud\"\n".to_owned(), "`presenced=loud` is not a log level"),
        ("[session]\non_exit = \"Clear\"\n".to_owned(), "`Clear` is not a valid value for `on_exit`"),
        ("[sesion]\n".to_owned(), "the configuration has no key `sesion`"),
    ] {
        assert_eq!(bad(&snippet), expected, "{snippet}");
    }
    let empty = format!("rules = []\n{ACCOUNT}");
    assert_eq!(problem(&empty), "without a rule presenced claims nothing");
}
