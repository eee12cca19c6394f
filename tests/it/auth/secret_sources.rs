//! Where secrets and tokens come from, and that they are shown nowhere.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use presenced::auth::Authenticator;
use presenced::config::{Account, Auth, SecretSource};
use presenced::failure::{Failure, FailureKind};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use crate::stage::canned::Server;
use crate::stage::entra::{account, after, bearer, environment, granted};

/// The client secret as sent, when it is read from `source`.
async fn secret_sent(folder: &TempDir, source: SecretSource) -> Result<String, Failure> {
    let server = Server::start([granted("t")]).await;
    let account = account(&server, Auth::ClientSecret { secret: source });
    Authenticator::new("bot", &account, &environment(folder)).token(&after(0), false).await?;
    Ok(server.requests()[0].field("client_secret").unwrap())
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_secret_comes_from_where_the_configuration_says() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secret");
    write(&path, " a~b +&= \r\n", 0o600);
    for (source, expected) in [
        (SecretSource::File(path.clone()), " a~b +&= "),
        (SecretSource::Credential("secret".to_owned()), " a~b +&= "),
        (SecretSource::Env("SECRET".to_owned()), "s3cret"),
        (SecretSource::Command(vec!["/bin/echo".to_owned(), "printed".to_owned()]), "printed"),
    ] {
        assert_eq!(secret_sent(&folder, source).await.as_deref(), Ok(expected));
    }
}

#[tokio::test]
async fn a_secret_that_is_missing_or_shown_to_others_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("open"), "s3cret", 0o640);
    write(&path("empty"), "\n", 0o600);
    std::fs::write(path("binary"), [0xff, 0xfe]).unwrap();
    std::fs::set_permissions(path("binary"), std::fs::Permissions::from_mode(0o600)).unwrap();
    for (source, wrong) in [
        (SecretSource::File(path("open")), "can be read by others (mode 640)"),
        (SecretSource::File(path("empty")), "is empty"),
        (SecretSource::File(path("binary")), "cannot be read"),
        (SecretSource::File(path("missing")), "cannot be read"),
        (SecretSource::Credential("missing".to_owned()), "cannot be read"),
        (SecretSource::Env("UNSET".to_owned()), "`UNSET`"),
        (SecretSource::Command(vec!["/bin/true".to_owned()]), "prints nothing"),
    ] {
        let failure = secret_sent(&folder, source).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
        assert!(failure.text.contains(wrong), "{failure}");
        assert!(!format!("{failure:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn a_command_may_print_the_token() {
    let (server, folder) = (Server::start([]).await, TempDir::new().unwrap());
    let script = r#"echo '{"accessToken": "t", "expires_on": 1763974800, "expires_in": 600}'"#;
    let command = ["/bin/sh", "-c", script].map(ToOwned::to_owned).to_vec();
    let account = account(&server, Auth::TokenCommand { command });
    let authenticator = Authenticator::new("bot", &account, &environment(&folder));
    let token = authenticator.token(&after(0), false).await.unwrap();
    assert_eq!(token.bearer.expose_secret(), "t");

    let account = Account { auth: Auth::TokenCommand { command: vec!["/bin/false".to_owned()] }, ..account };
    let failure = bearer(&Authenticator::new("bot", &account, &environment(&folder)), &after(0)).await.unwrap_err();
    assert_eq!((failure.kind, failure.text.contains("/bin/false")), (FailureKind::Passing, true));
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let (server, folder) = (Server::start([granted("t0ken")]).await, TempDir::new().unwrap());
    let command = ["/bin/echo", "s3cret"].map(ToOwned::to_owned).to_vec();
    let account = account(&server, Auth::ClientSecret { secret: SecretSource::Command(command) });
    let authenticator = Authenticator::new("bot", &account, &environment(&folder));
    // As long as there is only one log, an event that another test's thread reaches first is disabled for it.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let log = folder.path().join("log");
    let file = Arc::new(std::fs::File::create(&log).unwrap());
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(file).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let token = authenticator.token(&after(0), true).await.unwrap();
    drop(logging);
    let logged = std::fs::read_to_string(log).unwrap();
    assert!(logged.contains("token renewed"), "{logged}");
    let shown = format!("{authenticator:?} {token:?} {logged}");
    assert!(!shown.contains("t0ken") && !shown.contains("s3cret"), "{shown}");
}
