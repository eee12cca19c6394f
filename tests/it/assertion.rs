//! Sign-in by certificate and by federated assertion: what is sent is checked by openssl and by the emulator, what is on
//! disk may be anything, and the real daemon lives with both.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use presenced::auth::Authenticator;
use presenced::config::{Account, Auth, SecretSource};
use presenced::failure::{Failure, FailureKind};
use presenced::status::report::{Health, Report, State};
use presenced::time::Clock as _;
use presenced::warning::Code;
use presenced_emulator::{App, Call, Emulator, FederatedCredential, Then};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::stage::canned::Server;
use crate::stage::desk::run;
use crate::stage::entra::{account, after, environment, granted};
use crate::stage::faults::on;
use crate::stage::house::{CLIENT_ID, House, USER, guarded};
use crate::stage::openssl::Keys;
use crate::stage::reports::{has, warned, work};
use crate::stage::signal_bench::ManualClock;

const SECRET: &str = r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#;

fn by_certificate(server: &Server, certificate: &Path, key: Option<SecretSource>) -> Account {
    account(server, Auth::ClientCertificate { certificate: certificate.to_owned(), key })
}

fn federated(server: &Server, assertion: SecretSource) -> Account {
    account(server, Auth::Federated { assertion })
}

/// One token with `make`'s account; the form it was asked for with.
async fn form_of(make: impl FnOnce(&Server) -> Account) -> Result<Vec<(String, String)>, Failure> {
    let (server, folder) = (Server::start([granted("t")]).await, TempDir::new().unwrap());
    Authenticator::new("bot", &make(&server), &environment(&folder)).token(&after(0), false).await?;
    Ok(server.requests()[0].form())
}

async fn refusal(make: impl FnOnce(&Server) -> Account) -> Failure {
    let failure = form_of(make).await.unwrap_err();
    assert!(!format!("{failure:?}").contains("MII"), "{failure:?}");
    failure
}

fn private(path: &Path, content: impl AsRef<[u8]>) {
    write(path, content, 0o600);
}

fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn openssl_accepts_the_assertion_for_every_form_of_key() {
    let keys = Keys::new();
    keys.make("bot");
    keys.make("ca");
    let path = |name: &str| keys.path(name);
    let (certificate, pkcs8) = (keys.read("bot.pem"), keys.read("bot.key"));
    let pkcs1 = keys.run(&["rsa", "-in", "bot.key", "-traditional"]);
    assert!(pkcs1.starts_with(b"-----BEGIN RSA PRIVATE KEY-----") && pkcs8.starts_with(b"-----BEGIN PRIVATE KEY-----"));
    write(&path("open.pem"), &certificate, 0o644);
    private(&path("pkcs8.key"), &pkcs8);
    private(&path("pkcs1.key"), &pkcs1);
    private(&path("both.pem"), [&certificate[..], &pkcs8].concat());
    // A chain in any order, with Windows' line ends and words between, as `openssl pkcs12` and people make them.
    let chain = [b"Bag Attributes\n  friendlyName: bot\n", &keys.read("ca.pem")[..], &pkcs1, &certificate].concat();
    private(&path("chain.pem"), String::from_utf8(chain).unwrap().replace('\n', "\r\n"));
    let cat = ["cat", path("pkcs1.key").to_str().unwrap()].map(str::to_owned).to_vec();
    for (certificate, key) in [
        ("open.pem", Some(SecretSource::File(path("pkcs8.key")))),
        ("open.pem", Some(SecretSource::File(path("pkcs1.key")))),
        ("open.pem", Some(SecretSource::Command(cat))),
        ("both.pem", None),
        ("chain.pem", None),
    ] {
        let (server, folder) = (Server::start([granted("t")]).await, TempDir::new().unwrap());
        let account = by_certificate(&server, &path(certificate), key);
        let authenticator = Authenticator::new("bot", &account, &environment(&folder));
        let token = authenticator.token(&after(0), false).await.unwrap();
        assert_eq!((token.bearer.expose_secret(), token.user), ("t", None));
        let form = server.requests()[0].form();
        let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["grant_type", "client_id", "client_assertion_type", "client_assertion", "scope", "claims"]);
        assert_eq!(form[2].1, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let assertion = &form[3].1;
        assert!(keys.verifies("bot.key", assertion), "{certificate}: {assertion}");
        assert!(!keys.verifies("ca.key", assertion));
        let parts: Vec<&str> = assertion.split('.').collect();
        let thumbprint = keys.thumbprint("bot.pem", "-sha256");
        assert_eq!(decoded(parts[0]), json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
        let (mut claims, now) = (decoded(parts[1]), after(0).wall.as_second());
        assert_eq!(claims["jti"].take().as_str().unwrap().len(), 36);
        let audience = server.url.join("/contoso.onmicrosoft.com/oauth2/v2.0/token").unwrap();
        assert_eq!(
            claims,
            json!({"aud": audience.as_str(), "iss": CLIENT_ID, "sub": CLIENT_ID, "jti": null, "iat": now - 300,
                   "nbf": now - 300, "exp": now + 300})
        );
    }
}

#[tokio::test]
async fn a_certificate_or_key_that_will_not_do_is_refused_in_one_sentence() {
    let keys = Keys::new();
    keys.make("bot");
    keys.make("other");
    keys.make_with("small", &["-newkey", "rsa:1024"], "20980101000000Z");
    keys.make_with("large", &["-newkey", "rsa:4608"], "20980101000000Z");
    keys.make_with("odd", &["-newkey", "rsa:2100"], "20980101000000Z");
    keys.make_with("curve", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "20980101000000Z");
    keys.make_with("edwards", &["-newkey", "ed25519"], "20980101000000Z");
    keys.make_with("over", &["-newkey", "rsa:2048"], "20260101000000Z");
    let text = |name: &str| String::from_utf8(keys.read(name)).unwrap();
    let (certificate, key) = (text("bot.pem"), text("bot.key"));
    let put = |name: &str, content: &[u8]| private(&keys.path(name), content);
    let locked = keys.run(&["pkey", "-in", "bot.key", "-aes256", "-passout", "pass:x"]);
    let locked_before = keys.run(&["rsa", "-in", "bot.key", "-traditional", "-aes256", "-passout", "pass:x"]);
    let sec1 = keys.run(&["ec", "-in", "curve.key"]);
    put("bare.pem", certificate.as_bytes());
    put("key.pem", key.as_bytes());
    put("garbage.pem", b"hunter2 hunter2");
    put("empty.pem", b"");
    put("cut.pem", &certificate.as_bytes()[..certificate.len() - 30]);
    put("damaged.pem", certificate.replace("MII", "MI!").as_bytes());
    put("nonsense.pem", b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n");
    put("binary", &[0xff; 100]);
    put("cert.der", &keys.der("bot.pem"));
    put("key.der", &keys.run(&["pkey", "-in", "bot.key", "-outform", "DER"]));
    put("bot.p12", &keys.run(&["pkcs12", "-export", "-in", "bot.pem", "-inkey", "bot.key", "-passout", "pass:x"]));
    put("damaged.key", key.replacen("MII", "MIJ", 1).as_bytes());
    put("locked.key", &locked);
    put("locked1.key", &locked_before);
    put("sec1.key", &sec1);
    for name in ["small", "large", "odd", "curve", "edwards", "over", "other", "bot"] {
        private(&keys.path(&format!("{name}.key")), keys.read(&format!("{name}.key")));
    }
    write(&keys.path("open.key"), &key, 0o640);
    write(&keys.path("open.pem"), certificate.clone() + &key, 0o644);
    put("huge.pem", &vec![b'#'; 64 * 1024 + 1]);
    std::fs::create_dir(keys.path("folder")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(keys.path("pipe")).status().unwrap().success());

    let rows: &[(&str, Option<&str>, &str, &str)] = &[
        ("missing.pem", None, "cannot be read: No such file", ""),
        ("folder", None, "cannot be read: it is a folder, not a regular file", ""),
        ("pipe", None, "cannot be read: it is a pipe, not a regular file", ""),
        ("open.pem", None, "can be read by others (mode 644)", "chmod 600"),
        ("garbage.pem", None, "there is no certificate in", "openssl req -x509"),
        ("empty.pem", Some("key.pem"), "there is no certificate in", "openssl req -x509"),
        ("key.pem", None, "there is no certificate in", "openssl req -x509"),
        ("bare.pem", None, "there is no private key", "key = { file"),
        ("bare.pem", Some("bare.pem"), "there is no private key", ""),
        ("bare.pem", Some("missing.key"), "cannot be read: No such file", ""),
        ("bare.pem", Some("open.key"), "can be read by others (mode 640)", "chmod 600"),
        ("bare.pem", Some("other.key"), "the key does not belong to the certificate", "made with"),
        ("curve.pem", Some("bot.key"), "the key does not belong to the certificate", "made with"),
        ("curve.pem", Some("curve.key"), "of the wrong kind: it must be RSA", "openssl req -x509"),
        ("curve.pem", Some("sec1.key"), "of the wrong kind: it must be RSA", "openssl req -x509"),
        ("edwards.pem", Some("edwards.key"), "of the wrong kind: it must be RSA", "openssl req -x509"),
        ("bare.pem", Some("locked.key"), "is encrypted", "openssl pkey"),
        ("bare.pem", Some("locked1.key"), "is encrypted", "openssl pkey"),
        ("small.pem", Some("small.key"), "too small: it must have 2048 bits or more", "openssl req -x509"),
        ("large.pem", Some("large.key"), "too large: it must have 4096 bits or less", "openssl req -x509"),
        ("odd.pem", Some("odd.key"), "unusual length: it must have 2048, 3072 or 4096 bits", "openssl req -x509"),
        ("cut.pem", Some("key.pem"), "its `CERTIFICATE` does not end", "export it again"),
        ("damaged.pem", Some("key.pem"), "its `CERTIFICATE` is damaged", "export it again"),
        ("nonsense.pem", Some("key.pem"), "is damaged", "export it again"),
        ("bare.pem", Some("damaged.key"), "is damaged", "export it again"),
        ("binary", Some("key.pem"), "is not PEM", "openssl req -x509"),
        ("cert.der", Some("key.pem"), "is DER, but it must be PEM", "openssl x509 -inform DER"),
        ("bare.pem", Some("key.der"), "is DER, but it must be PEM", "openssl pkey -inform DER"),
        ("bot.p12", None, "is PKCS#12 (.pfx, .p12), but it must be PEM", "openssl pkcs12"),
        ("huge.pem", Some("key.pem"), "is larger than 64 KiB", ""),
        ("bare.pem", Some("huge.pem"), "is larger than 64 KiB", ""),
        ("over.pem", Some("over.key"), "expired on 2026-01-01", "upload it"),
    ];
    for (certificate, key, wrong, hint) in rows {
        let key = key.map(|key| SecretSource::File(keys.path(key)));
        let failure = refusal(|server| by_certificate(server, &keys.path(certificate), key.clone())).await;
        assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
        assert!(failure.text.contains(wrong), "{certificate} {key:?}: {failure}");
        assert!(!failure.text.contains("hunter2"));
        let said = failure.hint.clone().unwrap_or_default();
        assert!(said.contains(hint) && hint.is_empty() == said.is_empty(), "{certificate} {key:?}: {said}");
    }
    let unset =
        |server: &Server| by_certificate(server, &keys.path("bare.pem"), Some(SecretSource::Env("UNSET".into())));
    assert!(refusal(unset).await.text.contains("`UNSET` with the certificate's key"));
}

#[tokio::test]
async fn a_certificate_of_the_future_is_waited_for() {
    let keys = Keys::new();
    keys.make("bot");
    private(&keys.path("bot.key"), keys.read("bot.key"));
    let (server, folder) = (Server::start([granted("t")]).await, TempDir::new().unwrap());
    let account = by_certificate(&server, &keys.path("bot.pem"), Some(SecretSource::File(keys.path("bot.key"))));
    let authenticator = Authenticator::new("bot", &account, &environment(&folder));
    let mut now = after(0);
    now.wall = "2000-12-31T23:59:59Z".parse().unwrap();
    let failure = authenticator.token(&now, false).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Passing);
    assert!(failure.text.contains("is valid only from 2001-01-01T00:00:00Z on"), "{failure}");
    assert!(failure.hint.unwrap().contains("timedatectl"));
    assert!(authenticator.token(&after(0), false).await.is_ok());
}

#[tokio::test]
async fn a_new_certificate_counts_at_once_and_is_noticed_while_the_old_one_is_nearly_over() {
    let keys = Keys::new();
    keys.make("new");
    keys.make_with("old", &["-newkey", "rsa:2048"], "20261220120000Z");
    let both = |name: &str| [keys.read(&format!("{name}.pem")), keys.read(&format!("{name}.key"))].concat();
    let path = keys.path("bot.pem");
    private(&path, both("old"));
    let (server, folder) = (Server::start([granted("t1"), granted("t2")]).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &by_certificate(&server, &path, None), &environment(&folder));
    let expiry = || authenticator.certificate().map(|expiry| expiry.at.to_string());
    assert_eq!(expiry().as_deref(), Some("2026-12-20T12:00:00Z"), "before any token");
    authenticator.token(&after(0), false).await.unwrap();

    private(&path, b"half a file");
    authenticator.token(&after(1), false).await.unwrap();
    assert_eq!(expiry().as_deref(), Some("2026-12-20T12:00:00Z"), "what cannot be read says nothing");
    private(&path, both("new"));
    authenticator.token(&after(2), false).await.unwrap();
    assert_eq!(expiry().as_deref(), Some("2098-01-01T00:00:00Z"), "while the token still holds");
    authenticator.token(&after(2), true).await.unwrap();
    let sent: Vec<_> = server.requests().iter().map(|request| request.field("client_assertion").unwrap()).collect();
    assert!(keys.verifies("old.key", &sent[0]) && keys.verifies("new.key", &sent[1]));
    assert_ne!(decoded(sent[0].split('.').nth(1).unwrap())["jti"], decoded(sent[1].split('.').nth(1).unwrap())["jti"]);
}

fn token(exp: i64) -> String {
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(json!({"exp": exp}).to_string()))
}

#[tokio::test]
async fn a_federated_assertion_is_read_again_for_each_token() {
    let (server, folder) = (Server::start([granted("t1"), granted("t2")]).await, TempDir::new().unwrap());
    let path = folder.path().join("token");
    let account = federated(&server, SecretSource::File(path.clone()));
    let authenticator = Authenticator::new("bot", &account, &environment(&folder));
    let now = after(0).wall.as_second();
    // Kubernetes writes it for everyone to read.
    for exp in [now + 60, now + 120] {
        write(&path, token(exp) + "\n", 0o644);
        authenticator.token(&after(0), true).await.unwrap();
    }
    let names: Vec<_> = server.requests()[0].form().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["grant_type", "client_id", "client_assertion_type", "client_assertion", "scope", "claims"]);
    let sent: Vec<_> = server.requests().iter().map(|request| request.field("client_assertion").unwrap()).collect();
    assert_eq!(sent, [token(now + 60), token(now + 120)]);

    let command = ["/bin/echo", &token(now)].map(str::to_owned).to_vec();
    let form = form_of(|server| federated(server, SecretSource::Command(command))).await.unwrap();
    assert_eq!(form[3].1, token(now));
}

#[tokio::test]
async fn a_federated_assertion_that_will_not_do_is_refused() {
    use FailureKind::{Passing, Refused};
    let folder = TempDir::new().unwrap();
    let put = |name: &str, content: &str| {
        write(&folder.path().join(name), content, 0o644);
        SecretSource::File(folder.path().join(name))
    };
    let over = token(after(0).wall.as_second() - 300);
    let echo = |text: &str| SecretSource::Command(["/bin/echo", text].map(str::to_owned).to_vec());
    for (source, kind, wrong, hint) in [
        (SecretSource::File(folder.path().join("missing")), Refused, "cannot be read: No such file", "kubelet"),
        (put("empty", "\n"), Refused, "is empty", "kubelet"),
        (put("opaque", "s3cret"), Refused, "is not a JSON Web Token", "eyJ"),
        (put("json", &json!({"value": over}).to_string()), Refused, "is not a JSON Web Token", "the only text there"),
        (put("over", &over), Passing, "expired at 2026-11-24T07:55:00Z", "kubelet"),
        (echo(&over), Passing, "expired at", "fetch a new one"),
        (SecretSource::Env("UNSET".to_owned()), Refused, "`UNSET` with the federated assertion", "{ file"),
        (echo(""), Refused, "prints nothing", ""),
    ] {
        let failure = refusal(|server| federated(server, source.clone())).await;
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.text.contains(wrong) && !failure.text.contains("s3cret"), "{failure}");
        let said = failure.hint.clone().unwrap_or_default();
        assert!(said.contains(hint) && hint.is_empty() == said.is_empty(), "{failure}: {said}");
    }
}

/// An emulator that knows the certificate of `bot`, and the assertions of `issuer`; not the application's secret.
fn options(keys: &Keys) -> presenced_emulator::Options {
    let federated = FederatedCredential {
        issuer: "https://cluster.example".to_owned(),
        subject: "system:serviceaccount:teams:presenced".to_owned(),
        audience: "api://AzureADTokenExchange".to_owned(),
        public_key: keys.public_key("issuer.key"),
    };
    let app =
        App { secret: None, certificates: vec![keys.der("bot.pem")], federated: vec![federated], ..App::default() };
    presenced_emulator::Options { apps: vec![app], ..presenced_emulator::Options::default() }
}

async fn house(keys: &Keys) -> House {
    keys.make("bot");
    keys.make("issuer");
    let house = House::with(options(keys)).await;
    for (name, mode) in [("bot.pem", 0o644), ("bot.key", 0o600)] {
        write(&house.path(name), keys.read(name), mode);
    }
    private(
        &house.path("both.pem"),
        [keys.read("bot.pem"), keys.run(&["rsa", "-in", "bot.key", "-traditional"])].concat(),
    );
    house
}

#[tokio::test]
async fn a_bot_with_a_certificate_holds_its_presence() {
    let keys = Keys::new();
    let mut house = house(&keys).await;
    for auth in [
        r#"{ method = "client-certificate", certificate = "bot.pem", key = { file = "bot.key" } }"#,
        r#"{ method = "client-certificate", certificate = "both.pem" }"#,
    ] {
        house.write("config.toml", house.configuration().replace(SECRET, auth));
        let (code, shown, _) = house.ask(&["check"]).await;
        assert!(code == 0 && shown.contains("by client-certificate"), "{shown}");
        let (code, shown, error) = house.ask(&["login"]).await;
        assert!(code == 0 && shown.contains("that works"), "{shown}{error}");
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        house.inject(on(Call::Set, Then::ClaimsChallenge));
        house.write("call-state", "in-call");
        house.seen("Busy/InACall").await;
        let report = daemon.report("holding", |report| work(report).state == State::Holding).await;
        assert_eq!((report.health, report.warnings.len()), (Health::Ok, 0), "{report:?}");
        assert!(daemon.stop().await.success());
        assert_eq!(house.visible(), "Offline/Offline");
        std::fs::remove_file(house.path("call-state")).unwrap();
    }
}

#[tokio::test]
async fn a_certificate_unknown_to_entra_is_refused_with_the_fix() {
    let keys = Keys::new();
    let mut house = house(&keys).await;
    keys.make("stranger");
    private(&house.path("stranger.pem"), [keys.read("stranger.pem"), keys.read("stranger.key")].concat());
    let auth = r#"{ method = "client-certificate", certificate = "stranger.pem" }"#;
    house.write("config.toml", house.configuration().replace(SECRET, auth));
    let daemon = house.start().await;
    let report = daemon.report("refused", |report| work(report).state == State::Refused).await;
    let text = warned(&report);
    assert!(text.contains("AADSTS700027") && text.contains("upload it (not the key)"), "{text}");
    // The right one, in its place, and nothing else.
    private(&house.path("stranger.pem"), [keys.read("bot.pem"), keys.read("bot.key")].concat());
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    house.seen("Available/Available").await;

    std::fs::set_permissions(house.path("stranger.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, error) = house.ask(&["check"]).await;
    assert!(code == 2 && error.contains("others can read the secret file (mode 644)"), "{error}");
    let auth = r#"{ method = "client-certificate", certificate = "gone.pem", key = { env = "K" } }"#;
    house.write("config.toml", house.configuration().replace(SECRET, auth));
    let (code, _, error) = house.ask(&["check"]).await;
    assert!(code == 2 && error.contains("the certificate cannot be read: No such file"), "{error}");
}

#[tokio::test]
async fn a_pod_with_a_federated_identity_holds_its_presence() {
    let keys = Keys::new();
    let mut house = house(&keys).await;
    let token = |subject: &str, exp: i64| {
        let claims = json!({"iss": "https://cluster.example", "aud": ["api://AzureADTokenExchange"], "exp": exp,
                            "sub": format!("system:serviceaccount:{subject}")});
        keys.jwt("issuer.key", &json!({"alg": "RS256", "kid": "1"}), &claims)
    };
    let far = 4_000_000_000;
    write(&house.path("token"), token("teams:other", far), 0o644);
    let auth = r#"{ method = "federated", assertion = { file = "$AZURE_FEDERATED_TOKEN_FILE" } }"#;
    house.write("config.toml", house.configuration().replace(SECRET, auth));
    let file = house.path("token");
    let daemon = house
        .start_with(&[], |command| {
            command.env("AZURE_FEDERATED_TOKEN_FILE", file);
        })
        .await;
    let report = daemon.report("refused", |report| work(report).state == State::Refused).await;
    let text = warned(&report);
    assert!(text.contains("AADSTS700213") && text.contains("federated-credential list"), "{text}");
    write(&house.path("token"), token("teams:presenced", far), 0o644);
    house.write("call-state", "in-call");
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    house.seen("Busy/InACall").await;
    let text = format!("{report:?}{}", daemon.log());
    assert!(!text.contains("eyJ"), "{text}");
}

/// 30 days ahead of the end, by time alone; gone when the certificate is another.
#[tokio::test]
async fn a_certificate_about_to_expire_is_reported_until_it_is_replaced() {
    let keys = Keys::new();
    keys.make("bot");
    keys.make("issuer");
    keys.make_with("short", &["-newkey", "rsa:2048"], "20261224100000Z");
    let clock = ManualClock::at("2026-11-24T09:00:00Z");
    let folder = tempfile::tempdir().unwrap();
    let both = |name: &str| [keys.read(&format!("{name}.pem")), keys.read(&format!("{name}.key"))].concat();
    private(&folder.path().join("bot.pem"), both("short"));
    let mut options = options(&keys);
    options.apps[0].certificates.push(keys.der("short.pem"));
    // As long as tokens live for who handles claims challenges.
    options.token_lifetime = std::time::Duration::from_hours(28)..=std::time::Duration::from_hours(28);
    let emulator = Emulator::new(options, clock.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { emulator.serve(listener).await.map(|never| match never {}) });
    let text = format!(
        r#"[accounts.work]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
user      = "{USER}"
auth      = {{ method = "client-certificate", certificate = "bot.pem" }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
"#
    );
    let (mut reports, _daemon) = run(folder.path(), &text, &clock, "unix:path=/nonexistent");
    let told = |report: &Report| has(report, Code::CertificateExpires);
    let is_held = |report: &Report| report.accounts.get("work").is_some_and(|work| work.state == State::Holding);
    let holding = reports.wait_for(|report| is_held(report));
    assert!(!told(&guarded("holding", holding).await.unwrap().clone()));

    clock.pass(std::time::Duration::from_hours(1)).await;
    let report = guarded("the warning", reports.wait_for(|report| told(report))).await.unwrap().clone();
    assert_eq!(clock.now().wall.to_string(), "2026-11-24T10:00:00Z");
    let text = warned(&report);
    assert!(text.contains("expires on 2026-12-24") && text.contains("upload it"), "{text}");
    assert_eq!(report.health, Health::Degraded);

    let kept = |report: &Report| work(report).asserted.as_ref().is_some_and(|held| held.sent_at == clock.now().wall);
    guarded("the keepalive that was overdue", reports.wait_for(|report| kept(report))).await.unwrap();
    private(&folder.path().join("bot.pem"), both("bot"));
    clock.pass(std::time::Duration::from_mins(4)).await;
    guarded("no warning", reports.wait_for(|report| !told(report))).await.unwrap();
    serving.abort();
}

#[tokio::test]
async fn the_emulator_takes_a_certificate_from_its_command_line() {
    let keys = Keys::new();
    keys.make("bot");
    private(&keys.path("both.pem"), [keys.read("bot.pem"), keys.read("bot.key")].concat());
    for (file, code) in [("bot.key", 2), ("missing", 2)] {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_presenced"))
            .args(["emulator", "--listen", "127.0.0.1:0", "--certificate"])
            .arg(keys.path(file))
            .kill_on_drop(true)
            .output();
        let output = guarded("the refusal", output).await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_presenced"))
        .args(["emulator", "--listen", "127.0.0.1:0", "--certificate"])
        .arg(keys.path("both.pem"))
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap());
    let line = tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut first);
    guarded("its address", line).await.unwrap();
    let address = first.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap().trim_end_matches('.');
    let both = keys.read("both.pem");
    let house = house(&keys).await;
    private(&house.path("both.pem"), both);
    let auth = r#"{ method = "client-certificate", certificate = "both.pem" }"#;
    house.write("config.toml", house.configuration().replace(SECRET, auth).replace(&house.address, address));
    let (code, shown, error) = house.ask(&["login"]).await;
    assert!(code == 0 && shown.contains("that works"), "{shown}{error}");
}
