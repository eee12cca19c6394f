//! Checks whether Graph and the sign-in service can be reached, through which proxy, and what answers there.
//!
//! The requests have no token: a refusal shows that the service answers. Otherwise the check says how far a request came.

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde::Deserialize;
use url::Url;

use super::check::{Check, Group};
use super::text::{Kind, Part, Text, foreign, private, text};
use super::{Scene, bounded};
use crate::auth::aadsts;
use crate::config::{Account, Cloud, Endpoints};
use crate::http::{self, Answer, Proxy, Stage, Timeouts, Unreached};
use crate::loopback::is_loopback;

const GROUP: Group = Group::Network;

/// The variables that name a proxy, or the hosts that need no proxy. Each also works in lower case.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];

/// One of the two services.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Service {
    Graph,
    Login,
}

/// A service and its answer.
struct Asked {
    service: Service,
    url: Url,
    outcome: Result<Answer, Unreached>,
    /// How far its clock is ahead of this machine's, if it reports its time.
    ahead: Option<SignedDuration>,
}

/// All checks of the network, and how far the services' clocks are ahead of this machine's.
pub(super) async fn checks(scene: &Scene<'_>) -> (Vec<Check>, Option<SignedDuration>) {
    let Ok(config) = &scene.config else {
        let why = "the configuration cannot be read";
        return (vec![Check::skipped(GROUP, "graph", why), Check::skipped(GROUP, "login", why)], None);
    };
    let mut targets: Vec<(Service, Url)> = config.accounts.values().flat_map(targets).collect();
    targets.sort();
    targets.dedup();
    let asked = join_all(targets.into_iter().map(|(service, url)| ask(service, url, scene))).await;
    let ahead = asked.iter().filter_map(|asked| asked.ahead).max_by_key(|ahead| ahead.unsigned_abs());
    let mut checks: Vec<Check> = asked.iter().map(judge).collect();
    checks.push(proxies(&asked, scene));
    (checks, ahead)
}

/// The URLs to request: every such service answers these, to anyone.
fn targets(account: &Account) -> [(Service, Url); 2] {
    let below = |base: &Url, segments: &[&str]| {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    };
    let Endpoints { graph, login } = &account.endpoints;
    let configuration = [account.tenant.as_str(), "v2.0", ".well-known", "openid-configuration"];
    [(Service::Graph, below(graph, &["me", "presence"])), (Service::Login, below(login, &configuration))]
}

async fn ask(service: Service, url: Url, scene: &Scene<'_>) -> Asked {
    let late = || Err(Unreached { stage: Stage::Answer, reason: "there was no answer within 10 s".to_owned() });
    let outcome = bounded(http::probe(&url, Timeouts::default())).await.unwrap_or_else(late);
    let answered_at = scene.clock.now().wall;
    let date = outcome.as_ref().ok().and_then(|answer| answer.date);
    Asked { service, url, outcome, ahead: date.map(|date| date.duration_since(answered_at)) }
}

/// The host. It is public if it is Microsoft's or this machine itself.
fn host(url: &Url) -> Part {
    let host = url.host_str().unwrap_or_default();
    let public = Cloud::ALL.iter().flat_map(|cloud| cloud.graph().into_iter().chain([cloud.login()]));
    if is_loopback(url) || public.into_iter().any(|known| known.host_str() == Some(host)) {
        Part::Plain(host.to_owned().into())
    } else {
        private(Kind::Host, host)
    }
}

fn judge(Asked { service, url, outcome, .. }: &Asked) -> Check {
    let name = match service {
        Service::Graph => "graph",
        Service::Login => "login",
    };
    let answer = match outcome {
        Ok(answer) => answer,
        Err(Unreached { stage, reason }) => {
            let (far, hint) = explain(*stage);
            let found = text![host(url), ": ", far, ": ", foreign(reason)];
            return Check::failed(GROUP, name, found).with_hint(hint);
        }
    };
    let said = |what: &'static str| text![host(url), " answers ", answer.status, what];
    let failed = |what, hint: &'static str| Check::failed(GROUP, name, said(what)).with_hint(hint);
    let warning = |what, hint: &'static str| Check::warning(GROUP, name, said(what)).with_hint(hint);
    match (service, answer.status) {
        (_, 407) => {
            failed(": a proxy requires a password", "put the user and password into the address in HTTPS_PROXY")
        }
        (_, 429) => warning(": too many requests", "wait; this usually ends without a change"),
        (_, 500..) => failed(": it does not work now", "wait; presenced keeps trying"),
        (Service::Graph, 401 | 403) => {
            Check::ok(GROUP, name, text![host(url), " answers; it requires a token, as expected"])
        }
        (Service::Login, 200) if is_configuration(&answer.body) => {
            Check::ok(GROUP, name, text![host(url), " answers, and knows the tenant"])
        }
        (Service::Login, 400) => match refusal(&answer.body) {
            Some(number) => refused(host(url), number),
            None => warning(", which a sign-in service would not", WRONG_SERVICE),
        },
        (Service::Login, 404) => Check::ok(GROUP, name, text![host(url), " answers, without a configuration document"]),
        (..) => warning(", which this service would not", WRONG_SERVICE),
    }
}

const WRONG_SERVICE: &str = "something else may answer instead, like the sign-in page of a network: open a web page in a \
                         browser; or check `endpoints` in the account";

const HTTP_PROXIES_ONLY: &str = "set HTTPS_PROXY to the http:// address of a proxy; or set NO_PROXY, if none is needed";

/// How far a request came, and how to fix what stopped it.
fn explain(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Setup => ("TLS cannot be set up", "install the system's root certificates (`ca-certificates`)"),
        Stage::Name => (
            "the name has no address",
            "check that this machine is online and resolves names: `resolvectl status`; behind a proxy, set HTTPS_PROXY",
        ),
        Stage::Connection => (
            "no connection",
            "check that this machine is online, and that no firewall blocks it; behind a proxy, set HTTPS_PROXY",
        ),
        Stage::ProxyUnsupported => ("its proxy is of a kind that presenced cannot use", HTTP_PROXIES_ONLY),
        Stage::ProxyUnreachable => (
            "its proxy cannot be reached",
            "check the proxy's address in HTTPS_PROXY or ALL_PROXY, and whether the proxy runs",
        ),
        Stage::Proxy => {
            ("its proxy does not connect to it", "check the address and the password in HTTPS_PROXY or ALL_PROXY")
        }
        Stage::Tls => (
            "no encrypted connection",
            "if your company or a proxy has its own certificate authority, copy its certificate to \
             /usr/local/share/ca-certificates/NAME.crt and run `update-ca-certificates`, or name its file in `SSL_CERT_FILE`",
        ),
        Stage::Answer => ("connected, but no answer", "wait; presenced keeps trying"),
    }
}

/// Whether this is a configuration document (`OpenID` Connect Discovery 1.0, 4.2).
fn is_configuration(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Configuration {
        #[serde(rename = "issuer")]
        _issuer: String,
        #[serde(rename = "token_endpoint")]
        _token_endpoint: String,
    }
    serde_json::from_slice::<Configuration>(body).is_ok()
}

/// The sign-in service does not return its configuration for this tenant, with this number.
fn refused(host: Part, number: u32) -> Check {
    let found = text![host, " answers, but refuses"];
    let found = match aadsts::meaning(number) {
        Some(wrong) => found.then(": ").then(wrong),
        None => found,
    };
    let check = Check::failed(GROUP, "login", found.then(" (AADSTS").then(number).then(")"));
    let hint = "check `tenant` in the account, and `cloud`";
    match aadsts::meaning(number) {
        Some(_) => check.with_hint(hint),
        None => check.with_hint(text![
            hint,
            "; Microsoft explains the number at ",
            Part::Plain(aadsts::page(number).into())
        ]),
    }
}

/// Entra's error number (AADSTS).
fn refusal(body: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    struct Refusal {
        error_codes: Vec<u32>,
    }
    serde_json::from_slice::<Refusal>(body).ok()?.error_codes.first().copied()
}

/// Which proxies are used. Their addresses are shown without a password.
fn proxies(asked: &[Asked], scene: &Scene<'_>) -> Check {
    let name = "proxy";
    let value = |name: &str| {
        scene
            .environment
            .var(name)
            .or_else(|| scene.environment.var(&name.to_ascii_lowercase()))
            .filter(|v| !v.is_empty())
    };
    let set: Vec<(&'static str, String)> =
        PROXY_VARIABLES.into_iter().filter_map(|name| Some((name, value(name)?))).collect();
    if set.is_empty() {
        return Check::ok(GROUP, name, "none is set");
    }
    let mut used: Vec<Text> = Vec::new();
    let mut is_usable = true;
    for asked in asked {
        let by = match Proxy::of(&asked.url) {
            Some(proxy) => {
                is_usable &= proxy.unsupported_scheme().is_none();
                text!["through ", private(Kind::Host, proxy.address())]
            }
            None => text!["directly"],
        };
        let line = text![host(&asked.url), " is reached "].join(by);
        if !used.contains(&line) {
            used.push(line);
        }
    }
    let mut found = Text::list(set.iter().map(|(name, _)| Part::from(*name)));
    found = found.then(if used.is_empty() { " is set" } else { ": " });
    for (number, line) in used.into_iter().enumerate() {
        found = if number == 0 { found.join(line) } else { found.then(", ").join(line) };
    }
    // The HTTP library passes over what it does not know.
    match set.iter().find(|(name, value)| *name != "NO_PROXY" && !is_proxy(value)) {
        Some((variable, _)) => Check::warning(
            GROUP,
            name,
            found
                .then("; ")
                .then(*variable)
                .then(" is not the address of a proxy that presenced can use, so it is ignored"),
        )
        .with_hint(HTTP_PROXIES_ONLY),
        None if !is_usable => {
            Check::failed(GROUP, name, found.then(", which presenced cannot use")).with_hint(HTTP_PROXIES_ONLY)
        }
        None => Check::ok(GROUP, name, found),
    }
}

/// Whether the HTTP library takes this for a proxy, which it may still be unable to use. Without a scheme, it is an http proxy.
fn is_proxy(value: &str) -> bool {
    let scheme = value.split_once("://").map_or("http", |(scheme, _)| scheme).to_ascii_lowercase();
    matches!(&*scheme, "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h")
}
