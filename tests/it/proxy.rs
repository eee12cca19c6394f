//! A proxy that does not do its work, with the real program: whoever reads the error learns that it is the proxy, and which one.

use presenced::status::report::State;
use presenced::warning::Code;
use presenced_emulator::Options;

use crate::stage::canned::{Server, answer};
use crate::stage::house::House;
use crate::stage::reports::{has, work};

const SECRET: &str = r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#;
const OPAQUE: &str = r#"{ method = "token-command", command = ["echo", "opaque"] }"#;

/// A configuration whose Graph is reached through a proxy only.
fn away(house: &House) -> String {
    let here = format!("http://{}/v1.0", house.address);
    house.configuration().replace(SECRET, OPAQUE).replace(&here, "https://nobody.invalid/v1.0")
}

/// An address of this machine at which nobody listens.
fn closed() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("loopback has a free port")
}

/// What the daemon says of its first failure, with this proxy: the error and its hint.
async fn failure(proxy: &str) -> (String, String) {
    let house = House::with(Options::default()).await;
    house.write("config.toml", away(&house));
    let daemon = house.start_with(&[], |command| _ = command.env("HTTPS_PROXY", proxy)).await;
    let report = daemon.report("the failure", |report| work(report).last_error.is_some()).await;
    let error = work(&report).last_error.clone().expect("it failed");
    assert!(!format!("{report:?}{}", daemon.log()).contains("hunter2"), "{report:?}");
    (error.text, error.hint.unwrap_or_default())
}

#[tokio::test]
async fn a_dead_proxy_is_named_without_its_password() {
    let closed = closed();
    let (text, hint) = failure(&format!("http://me:hunter2@{closed}")).await;
    let expected = format!(
        "no connection to nobody.invalid, because its proxy {closed} cannot be reached: Connection refused (os error 111)"
    );
    assert_eq!(text, expected);
    assert!(hint.contains("HTTPS_PROXY") && hint.contains("NO_PROXY"), "{hint}");
}

#[tokio::test]
async fn a_proxy_that_refuses_the_connection_is_named() {
    for (status, why) in [(403, "it refused"), (407, "it requires a user name and a password")] {
        let proxy = Server::start([answer(status, "", "")]).await;
        let address = format!("127.0.0.1:{}", proxy.url.port().expect("it has a port"));
        let (text, hint) = failure(&format!("http://{address}")).await;
        assert_eq!(
            text,
            format!("no connection to nobody.invalid, because its proxy {address} does not connect to it: {why}")
        );
        assert!(hint.contains("HTTPS_PROXY"), "{hint}");
    }
}

#[tokio::test]
async fn a_kind_of_proxy_that_presenced_cannot_use_is_refused() {
    let house = House::new().await;
    house.write("config.toml", away(&house));
    for scheme in ["socks5", "socks5h", "socks4"] {
        let proxy = format!("{scheme}://me:hunter2@127.0.0.1:1080");
        let daemon = house.start_with(&[], |command| _ = command.env("ALL_PROXY", &proxy)).await;
        let report = daemon.report("refused", |report| has(report, Code::Refused)).await;
        let warning = &report.warnings[0];
        let expected = format!(
            "account `work`: no connection to nobody.invalid: its proxy 127.0.0.1:1080 is a {scheme} proxy, which presenced cannot use"
        );
        assert_eq!((work(&report).state, &warning.text), (State::Refused, &expected));
        assert!(warning.hint.contains("http://") && warning.hint.contains("HTTPS_PROXY"), "{}", warning.hint);
        assert!(!format!("{report:?}{}", daemon.log()).contains("hunter2"));
        assert!(daemon.stop().await.success());
    }
}

/// The sign-in service and calendars take the same way.
#[tokio::test]
async fn a_sign_in_through_a_dead_proxy_says_so() {
    let house = House::new().await;
    let here = format!("login = \"http://{}\"", house.address);
    house.write("config.toml", house.configuration().replace(&here, "login = \"https://nobody.invalid\""));
    let closed = closed();
    let mut login = house.command(&["login"]);
    let output = login.env("https_proxy", format!("http://me:hunter2@{closed}")).output().await.expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(&format!("its proxy {closed} cannot be reached")), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
