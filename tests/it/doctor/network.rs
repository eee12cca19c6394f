//! What it says of the way to the services: addresses, proxies, and a sign-in service that does not know the tenant.

use std::sync::Arc;

use presenced_emulator::clock::RealClock;
use presenced_emulator::{Options, Server};

use super::{Found, doctor};
use crate::stage::canned::{self, answer};
use crate::stage::house::House;

#[tokio::test]
async fn a_wrong_address_is_reported_by_how_far_the_request_got() {
    let house = House::new().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (graph, expected) in [
        (format!("http://{closed}/v1.0"), "failed: 127.0.0.1: no connection: Connection refused"),
        ("https://nobody.invalid/v1.0".to_owned(), "failed: nobody.invalid: the name has no address: "),
        (format!("https://{}/v1.0", house.address), "failed: 127.0.0.1: no encrypted connection: "),
    ] {
        let right = format!("http://{}/v1.0", house.address);
        house.write("config.toml", house.configuration().replace(&right, &graph));
        let found = Found::of(&house).await;
        found.says("graph", expected);
        assert_eq!((found.code, found.verdict("login")), (1, "ok"));
    }
}

#[tokio::test]
async fn a_companys_certificate_authority_is_trusted_once_its_file_is_named() {
    let (house, server) = (House::new().await, Server::start_tls(Options::default(), Arc::new(RealClock::new())).await);
    let server = server.unwrap();
    house.write("ca.pem", server.ca_pem().unwrap());
    let away = house.configuration().replace(&format!("http://{}", house.address), &server.login_url());
    house.write("config.toml", away);
    let found = Found::of(&house).await;
    found.says("graph", "failed: 127.0.0.1: no encrypted connection: ");
    for what_to_type in ["/usr/local/share/ca-certificates/", "`update-ca-certificates`", "`SSL_CERT_FILE`"] {
        assert!(found.said("graph").contains(what_to_type), "{}", found.said("graph"));
    }
    let found = Found::by(doctor(&house, &[]).env("SSL_CERT_FILE", house.path("ca.pem"))).await;
    assert_eq!((found.verdict("graph"), found.verdict("login")), ("ok", "ok"), "{:#}", found.printed);
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_tenant_is_reported() {
    let login = canned::Server::start([answer(
        400,
        "",
        r#"{"error": "invalid_tenant", "error_description": "AADSTS90002: x", "error_codes": [90002]}"#,
    )])
    .await;
    let house = House::new().await;
    let right = format!("login = \"http://{}\"", house.address);
    let other = format!("login = \"{}\"", login.url.as_str().trim_end_matches('/'));
    house.write("config.toml", house.configuration().replace(&right, &other));
    let found = Found::of(&house).await;
    found.says("login", "failed: 127.0.0.1 answers, but refuses: the tenant does not exist (AADSTS90002)");
    assert!(login.requests().iter().any(|request| {
        request.line == "GET /contoso.onmicrosoft.com/v2.0/.well-known/openid-configuration HTTP/1.1"
            && request.header("authorization").is_none()
    }));
}

#[tokio::test]
async fn proxies_are_named_without_their_passwords() {
    let house = House::new().await;
    let away = house.configuration().replace(&format!("http://{}/v1.0", house.address), "https://nobody.invalid/v1.0");
    house.write("config.toml", away);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = Found::by(doctor(&house, &[]).env("HTTPS_PROXY", format!("http://me:hunter2@{closed}"))).await;
    let expected =
        format!("ok: HTTPS_PROXY: nobody.invalid is reached through {closed}, 127.0.0.1 is reached directly");
    found.says("proxy", &expected);
    // The proxy resolves the name.
    let expected = format!("failed: nobody.invalid: its proxy cannot be reached: {closed}: Connection refused");
    found.says("graph", &expected);
    assert!(found.said("graph").contains("HTTPS_PROXY"), "{}", found.said("graph"));
    assert!(!found.printed.to_string().contains("hunter2"), "{:#}", found.printed);

    let socks = "socks5://me:hunter2@127.0.0.1:1080";
    let found = Found::by(doctor(&house, &[]).env("ALL_PROXY", socks)).await;
    found.says(
        "graph",
        "failed: nobody.invalid: its proxy is of a kind that presenced cannot use: 127.0.0.1:1080: socks5",
    );
    found.says(
        "proxy",
        "failed: ALL_PROXY: nobody.invalid is reached through 127.0.0.1:1080, 127.0.0.1 is reached directly, which presenced",
    );
    assert!(!found.printed.to_string().contains("hunter2"), "{:#}", found.printed);
}

/// GNOME sets this for a SOCKS proxy. The HTTP library passes over it.
#[tokio::test]
async fn a_proxy_that_is_ignored_is_reported() {
    let house = House::new().await;
    house.write("config.toml", house.configuration());
    let found = Found::by(doctor(&house, &[]).env("all_proxy", "socks://127.0.0.1:1080/")).await;
    found.says(
        "proxy",
        "warning: ALL_PROXY: 127.0.0.1 is reached directly; ALL_PROXY is not the address of a proxy that",
    );
    let found = Found::by(doctor(&house, &[]).env("all_proxy", "127.0.0.1:1080")).await;
    found.says("proxy", "ok: ALL_PROXY: 127.0.0.1 is reached directly");
}

#[tokio::test]
async fn a_refusal_that_is_not_about_the_tenant_is_not_taken_for_one() {
    for (number, found, hint) in [
        (500_014, "refuses: Microsoft Graph is disabled in the tenant (AADSTS500014)", "check `tenant`"),
        (1_234_567, "refuses (AADSTS1234567)", "https://login.microsoftonline.com/error?code=1234567"),
    ] {
        let body = format!(r#"{{"error": "x", "error_description": "x", "error_codes": [{number}]}}"#);
        let login = canned::Server::start([answer(400, "", &body)]).await;
        let house = House::new().await;
        let right = format!("login = \"http://{}\"", house.address);
        let other = format!("login = \"{}\"", login.url.as_str().trim_end_matches('/'));
        house.write("config.toml", house.configuration().replace(&right, &other));
        let said = Found::of(&house).await;
        said.says("login", &format!("failed: 127.0.0.1 answers, but {found}"));
        assert!(said.said("login").contains(hint), "{}", said.said("login"));
    }
}
