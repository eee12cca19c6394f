//! What each option reads as, and what it does not read.

use std::path::PathBuf;
use std::time::Duration;

use presenced::calendar::BusyClass;
use presenced::config::{
    Account, Auth, Calendar, CalendarSource, Call, Cloud, Endpoints, Idle, Log, OnExit, SecretSource, Signals,
    TokenStore,
};
use presenced::policy::{self, CallState, Claim, Is, Lock, Rule, Sleep, When, default_rules};
use presenced::presence::{Expiration, Presence};

use super::{ACCOUNT, bad, environment, good, parse, parse_in, problem};

const CLIENT: &str = "22553876-f5ab-4529-bffb-cfe50aa89f87";
const USER: &str = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3";

fn account(auth: &str, rest: &str) -> String {
    format!("[accounts.a]\ntenant = \"contoso.com\"\nclient_id = \"{CLIENT}\"\nauth = {auth}\n{rest}\n")
}

fn auth_of(auth: &str) -> Auth {
    let config =
        parse(&account(auth, &format!("user = \"{USER}\""))).unwrap_or_else(|p| panic!("{}", p.render(100, false)));
    config.accounts["a"].auth.clone()
}

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
        cloud: Cloud::Global,
        auth: Auth::DeviceCode,
        tokens: TokenStore::Auto,
        endpoints: Endpoints::of(Cloud::Global),
    };
    assert_eq!(config.accounts, [("work".to_owned(), work)].into());
    assert_eq!(config.session.expiration, minutes(15));
    assert_eq!(config.session.on_exit, OnExit::Clear);
    assert!(!config.session.verify);
    assert_eq!(config.status.listen, None);
    assert_eq!(config.signals, Signals::default());
    assert_eq!(config.rules, default_rules());
    assert_eq!(config.log, Log::default());
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
            sources: paths.map(|path| CalendarSource::Path(path.into())).into(),
            identity: ["me@contoso.com", "Me.Too@contoso.com"].map(str::to_owned).into(),
        })
    );
    assert_eq!(config.status.listen, Some("[::1]:9464".parse().unwrap()));
    assert!(config.signals.lock.is_some());
    assert_eq!(config.signals.call, Some(Call { path: "/run/calls".into() }));
    assert_eq!(config.signals.idle, Some(Idle { after: Duration::from_mins(90) }));
    assert_eq!(config.log, Log { level: Some("presenced=debug,warn".to_owned()), dir: Some("/home/me/logs".into()) });
    let when = When {
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
fn every_way_to_sign_in_is_read() {
    let secret = |secret| Auth::ClientSecret { secret };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    for (text, auth) in [
        (r#"{ method = "device-code" }"#, Auth::DeviceCode),
        (r#"{ method = "browser" }"#, Auth::Browser),
        (r#"{ method = "client-secret", secret = { file = "~/s" } }"#, secret(SecretSource::File("/home/me/s".into()))),
        (
            r#"{ method = "client-secret", secret = { credential = "client-secret" } }"#,
            secret(SecretSource::Credential("client-secret".to_owned())),
        ),
        (
            r#"{ method = "client-secret", secret = { env = "TEAMS_SECRET" } }"#,
            secret(SecretSource::Env("TEAMS_SECRET".to_owned())),
        ),
        (
            r#"{ method = "client-secret", secret = { command = ["pass", "teams/secret"] } }"#,
            secret(SecretSource::Command(words(&["pass", "teams/secret"]))),
        ),
        (
            r#"{ method = "client-certificate", certificate = "~/bot.pem", key = { credential = "bot-key" } }"#,
            Auth::ClientCertificate {
                certificate: "/home/me/bot.pem".into(),
                key: Some(SecretSource::Credential("bot-key".to_owned())),
            },
        ),
        (
            r#"{ method = "client-certificate", certificate = "bot.pem" }"#,
            Auth::ClientCertificate { certificate: "/etc/presenced/bot.pem".into(), key: None },
        ),
        (
            r#"{ method = "federated", assertion = { file = "$HOME/token" } }"#,
            Auth::Federated { assertion: SecretSource::File("/home/me/token".into()) },
        ),
        (
            r#"{ method = "federated", assertion = { command = ["github-token"] } }"#,
            Auth::Federated { assertion: SecretSource::Command(words(&["github-token"])) },
        ),
        (
            r#"{ method = "token-command", command = ["~/bin/token", "~/kept as it is"] }"#,
            Auth::TokenCommand { command: words(&["/home/me/bin/token", "~/kept as it is"]) },
        ),
    ] {
        assert_eq!(auth_of(text), auth, "{text}");
    }
}

#[test]
fn the_clouds_have_their_own_addresses() {
    for (cloud, graph, login) in [
        ("global", "https://graph.microsoft.com/v1.0", "https://login.microsoftonline.com/"),
        ("us-gov", "https://graph.microsoft.us/v1.0", "https://login.microsoftonline.us/"),
        ("us-gov-dod", "https://dod-graph.microsoft.us/v1.0", "https://login.microsoftonline.us/"),
        ("china", "https://microsoftgraph.chinacloudapi.cn/v1.0", "https://login.chinacloudapi.cn/"),
    ] {
        let config = good(&format!("cloud = \"{cloud}\"\n"));
        let endpoints = &config.accounts["work"].endpoints;
        assert_eq!((endpoints.graph.as_str(), endpoints.login.as_str()), (graph, login));
    }
}

#[test]
fn a_signal_can_be_turned_off_and_then_needs_nothing() {
    let off = "[signals.calendar]\nenabled = false\n[signals.lock]\nenabled = false\n[signals.call]\nenabled = false\n\
               [signals.idle]\nenabled = false\n";
    assert_eq!(good(off).signals, Signals::default());
    let on = good("[signals.call]\nenabled = true\n");
    assert_eq!(on.signals.call, Some(Call { path: "/run/user/1000/presenced/call-state".into() }));
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
fn accounts_that_cannot_work_are_refused() {
    let secret = r#"{ method = "client-secret", secret = { env = "S" } }"#;
    let device = r#"{ method = "device-code" }"#;
    for (text, expected) in [
        (String::new(), "the configuration has no account"),
        ("[accounts]\n".to_owned(), "the configuration has no account"),
        ("accounts = 1\n".to_owned(), "[accounts] must be a table, but this is a whole number"),
        (
            account(secret, ""),
            "[accounts.a] has no `user`: an application's own token has no user, so Graph's `/me` does not work",
        ),
        (
            account(r#"{ method = "client-certificate", certificate = "x" }"#, ""),
            "[accounts.a] has no `user`: an application's own token has no user, so Graph's `/me` does not work",
        ),
        (
            account(r#"{ method = "federated", assertion = { file = "x" } }"#, ""),
            "[accounts.a] has no `user`: an application's own token has no user, so Graph's `/me` does not work",
        ),
        (account(r#"{ method = "client-certificate" }"#, &format!("user = \"{USER}\"")), "`auth` has no `certificate`"),
        (
            account(
                r#"{ method = "client-certificate", certificate = "x", key = "hunter2" }"#,
                &format!("user = \"{USER}\""),
            ),
            "a secret does not belong in the configuration; say where it is",
        ),
        (
            account(
                r#"{ method = "client-certificate", certificate = "-----BEGIN CERTIFICATE-----" }"#,
                &format!("user = \"{USER}\""),
            ),
            "a certificate does not belong in the configuration; say where it is",
        ),
        (
            account(
                r#"{ method = "client-certificate", certificate = "x", secret = { env = "S" } }"#,
                &format!("user = \"{USER}\""),
            ),
            "`auth` has no key `secret`",
        ),
        (account(r#"{ method = "federated" }"#, &format!("user = \"{USER}\"")), "`auth` has no `assertion`"),
        (
            account(r#"{ method = "federated", assertion = { fiel = "x" } }"#, &format!("user = \"{USER}\"")),
            "`assertion` has a key that does not say where a secret is",
        ),
        (
            account(r#"{ method = "token-command", command = ["x"] }"#, ""),
            "[accounts.a] has no `user`: the command's token does not say whose it is",
        ),
        (
            account(secret, "user = \"me@contoso.com\""),
            "`user` is a sign-in name, which Graph may mistake for another user's: use the object id",
        ),
        (
            account(device, "user = \"me\""),
            "`user` is not an id; an id looks like 22553876-f5ab-4529-bffb-cfe50aa89f87",
        ),
        (account(device, "cloud = \"usgov\""), "`usgov` is not a valid value for `cloud`"),
        (account(r#"{ method = "device" }"#, ""), "`device` is not a valid value for `method`"),
        (account("\"device-code\"", ""), "`auth` must be a table, but this is a text"),
        (account("{}", ""), "`auth` has no `method`"),
        (account(r#"{ method = "device-code", secret = "hunter2" }"#, ""), "`auth` has no key `secret`"),
        (
            account(r#"{ method = "token-command", command = [] }"#, &format!("user = \"{USER}\"")),
            "`command` is an empty list",
        ),
        (
            account(r#"{ method = "token-command", command = "x" }"#, &format!("user = \"{USER}\"")),
            "`command` must be a list, but this is a text",
        ),
        (
            account(r#"{ method = "token-command", command = ["x", 1] }"#, &format!("user = \"{USER}\"")),
            "`command` must be a text, but this is a whole number",
        ),
        (ACCOUNT.replace("accounts.work", "accounts.\"my work\""), "`my work` is not a valid name for an account"),
        (ACCOUNT.replace("contoso.onmicrosoft.com", "common"), "`common` means many tenants, but an account has one"),
        (
            ACCOUNT.replace("contoso.onmicrosoft.com", "contoso..com"),
            "`tenant` is neither a domain name nor a directory id",
        ),
        (
            ACCOUNT.replace(CLIENT, "22553876f5ab4529bffbcfe50aa89f87"),
            "`client_id` is not an id; an id looks like 22553876-f5ab-4529-bffb-cfe50aa89f87",
        ),
    ] {
        assert_eq!(problem(&text), expected, "{text}");
    }
    assert_eq!(good("").accounts["work"].tenant, "contoso.onmicrosoft.com");
    let by_id = parse(&ACCOUNT.replace("contoso.onmicrosoft.com", CLIENT)).unwrap();
    assert_eq!(by_id.accounts["work"].tenant, CLIENT);
}

#[test]
fn a_secret_is_in_exactly_one_known_place() {
    let secret = |secret: &str| {
        problem(&account(
            &format!("{{ method = \"client-secret\", secret = {secret} }}"),
            &format!("user = \"{USER}\""),
        ))
    };
    assert_eq!(secret("\"hunter2\""), "a secret does not belong in the configuration; say where it is");
    for attributes in ["\"x\"", "{}", "{ service = 1 }", "{ service = \"\" }", "{ service = \"a\\u001bb\" }"] {
        let wrong = secret(&format!("{{ keyring = {attributes} }}"));
        assert_eq!(wrong, "these are not the attributes of a secret in the keyring", "{attributes}");
    }
    assert_eq!(secret("{ keyring = { a = \"b\" }, env = \"A\" }"), "a secret is in exactly one place");
    assert_eq!(secret("{ value = \"x\" }"), "`secret` has a key that does not say where a secret is");
    assert_eq!(secret("{ env = \"A\", file = \"b\" }"), "a secret is in exactly one place");
    assert_eq!(secret("{}"), "a secret is in exactly one place");
    assert_eq!(secret("{ env = \"A~b\" }"), "this is not the name of a secret's place");
    assert_eq!(secret("{ credential = \"../x\" }"), "this is not the name of a secret's place");
}

#[test]
fn tokens_go_out_encrypted_or_stay_on_this_machine() {
    let endpoint = |address: &str| format!("endpoints = {{ graph = \"{address}\" }}\n");
    for (address, kept) in [
        ("https://graph.example/beta//", "https://graph.example/beta"),
        ("http://127.0.0.1:1/v1.0", "http://127.0.0.1:1/v1.0"),
        ("http://127.8.9.1/v1.0", "http://127.8.9.1/v1.0"),
        ("http://[::1]:1/v1.0", "http://[::1]:1/v1.0"),
        ("http://LOCALHOST/", "http://localhost/"),
    ] {
        let config = good(&endpoint(address));
        assert_eq!(config.accounts["work"].endpoints.graph.as_str(), kept);
        assert_eq!(config.accounts["work"].endpoints.login, Endpoints::of(Cloud::Global).login);
    }
    for (address, expected) in [
        ("http://graph.example", "plain http would send tokens unencrypted to graph.example"),
        ("http://localhost.example", "plain http would send tokens unencrypted to localhost.example"),
        ("http://128.0.0.1", "plain http would send tokens unencrypted to 128.0.0.1"),
        ("http://0.0.0.0", "plain http would send tokens unencrypted to 0.0.0.0"),
        ("ftp://graph.example", "`graph` must use https, not ftp"),
        ("file:///etc/passwd", "`graph` must use https, not file"),
        ("https://me:hunter2@graph.example", "`graph` contains a user name or a password"),
        ("https://graph.example/?a=b", "`graph` contains a query or a fragment"),
        ("https://graph.example/#a", "`graph` contains a query or a fragment"),
        ("graph.microsoft.com", "`graph` is not a valid address: relative URL without a base"),
    ] {
        assert_eq!(bad(&endpoint(address)), expected);
    }
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
        assert_eq!(good(&call(written)).signals.call, Some(Call { path: path.into() }), "{written}");
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
fn rules_and_signals_that_cannot_be_meant_are_refused() {
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
        (rule("when = { within = \"Mun 08:00-10:00\" }"), "`within`: `Mun` is no day of the week; did you mean `Mon`?"),
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

#[test]
fn subscriptions_are_read_in_every_scheme() {
    for (source, address, refresh) in [
        ("url = \"https://cal.example/a.ics?k=1#x\"", "https://cal.example/a.ics?k=1", 15),
        ("url = \"webcal://cal.example/a.ics\", refresh = \"1m\"", "https://cal.example/a.ics", 1),
        ("url = \"WEBCALS://cal.example/a.ics\", refresh = \"PT24H\"", "https://cal.example/a.ics", 1440),
        ("url = \"webcal://127.0.0.1:1/a.ics\", refresh = \"1h 30m\"", "http://127.0.0.1:1/a.ics", 90),
        ("url = \"http://[::1]:1/a.ics\"", "http://[::1]:1/a.ics", 15),
    ] {
        let config = good(&format!("[signals.calendar]\nsources = [{{ {source} }}]\n"));
        let [CalendarSource::Subscription(subscription)] = &config.signals.calendar.as_ref().unwrap().sources[..]
        else {
            panic!("{source} is a subscription")
        };
        assert_eq!(subscription.url.expose().as_str(), address);
        assert_eq!(subscription.refresh, Duration::from_mins(refresh));
    }
}

#[test]
fn wrong_subscriptions_are_refused_without_telling_their_address() {
    for (source, expected) in [
        (
            "url = \"http://cal.example/hunter2\"",
            "plain http would send the address and the calendar unencrypted (cal.example)",
        ),
        ("url = \"cal.example/hunter2\"", "`url` is not an address that begins with https://, webcal:// or webcals://"),
        (
            "url = \"ftp://cal.example/hunter2\"",
            "`url` is not an address that begins with https://, webcal:// or webcals://",
        ),
        ("url = \"https://cal .example/hunter2\"", "`url` is not a valid address: invalid international domain name"),
        ("url = \"https://:hunter2@\"", "`url` is not a valid address: empty host"),
        ("path = \"https://cal.example/hunter2\"", "`path` is an address, but `path` is for files and folders"),
        ("path = \"x\", url = \"https://cal.example/hunter2\"", "a source has a `path` or a `url`, but this has both"),
        ("path = \"x\", refresh = \"15m\"", "`refresh` belongs to a `url`; files and folders are watched"),
        ("url = \"https://cal.example/hunter2\", refresh = \"59s\"", "`59s` is shorter than a minute"),
        ("url = \"https://cal.example/hunter2\", refresh = \"-1h\"", "`-1h` is shorter than a minute"),
        ("url = \"https://cal.example/hunter2\", refresh = \"25h\"", "`25h` is longer than 24 hours"),
        ("url = \"https://cal.example/hunter2\", refresh = 15", "`15` needs a unit"),
        ("url = \"https://cal.example/hunter2\", refrehs = \"1h\"", "a source has no key `refrehs`"),
    ] {
        let text = format!("{ACCOUNT}[signals.calendar]\nsources = [{{ {source} }}]\n");
        assert_eq!(problem(&text), expected, "{source}");
        let problems = parse(&text).unwrap_err();
        let everything = format!("{}\n{problems}\n{problems:?}", problems.render(200, true));
        assert!(!everything.contains("hunter2"), "{source}\n{everything}");
    }
}
