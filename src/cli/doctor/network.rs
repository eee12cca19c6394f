//! Whether Graph and the sign-in service can be reached, by which proxy, and what answers there.
//!
//! Asked without a token: an answer that refuses is an answer. How far a request came is what is told.

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde::Deserialize;
use url::Url;

use super::check::{Check, Group};
use super::text::{Kind, Part, Text, foreign, private, text};
use super::{Scene, bounded};
use crate::config::{Account, Cloud, Endpoints};
use crate::http::{self, Answer, Stage, Timeouts, Unreached};
use crate::loopback::is_loopback;

const GROUP: Group = Group::Network;

/// The variables that name a proxy, or what needs none; each also in lower case.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Service {
    Graph,
    Login,
}

/// A service and what came of asking it.
struct Asked {
    service: Service,
    url: Url,
    outcome: Result<Answer, Unreached>,
    /// How far ahead of this machine's its clock is, where it says.
    ahead: Option<SignedDuration>,
}

/// All checks of it; and how far ahead of this machine's the services' clocks are.
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

/// What is asked for: what everybody may ask, and every service of the kind answers.
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
    let late = || Err(Unreached { stage: Stage::Answer, reason: "nothing came within 10 s".to_owned() });
    let outcome = bounded(http::probe(&url, Timeouts::default())).await.unwrap_or_else(late);
    let answered_at = scene.clock.now().wall;
    let date = outcome.as_ref().ok().and_then(|answer| answer.date);
    Asked { service, url, outcome, ahead: date.map(|date| date.duration_since(answered_at)) }
}

/// The host, which everybody may know where it is Microsoft's, or this machine itself.
fn host(url: &Url) -> Part {
    let host = url.host_str().unwrap_or_default();
    let public = Cloud::ALL.iter().copied().map(Endpoints::of).flat_map(|Endpoints { graph, login }| [graph, login]);
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
        (_, 407) => failed(": a proxy wants a password", "put the user and password into the address in HTTPS_PROXY"),
        (_, 429) => warning(": too many requests", "it passes by itself"),
        (_, 500..) => failed(": it does not work now", "it passes by itself; presenced goes on trying"),
        (Service::Graph, 401 | 403) => {
            Check::ok(GROUP, name, text![host(url), " answers; it wants a token, as it should"])
        }
        (Service::Login, 200) if is_configuration(&answer.body) => {
            Check::ok(GROUP, name, text![host(url), " answers, and knows the tenant"])
        }
        (Service::Login, 400) => match refusal(&answer.body) {
            Some(number) => {
                let found = text![host(url), " answers, and does not know the tenant (AADSTS", number, ")"];
                Check::failed(GROUP, name, found).with_hint("check `tenant` in the account, and `cloud`")
            }
            None => warning(", as no sign-in service does", ELSEWHERE),
        },
        (Service::Login, 404) => {
            Check::ok(GROUP, name, text![host(url), " answers; it does not describe itself, as an emulator"])
        }
        (..) => warning(", as this service does not", ELSEWHERE),
    }
}

const ELSEWHERE: &str = "something else may answer in its place, such as the sign-in page of a network: open a web page in a \
                         browser; or check `endpoints` in the account";

/// How far a request came, and what mends that it came no further.
fn explain(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Setup => ("TLS cannot be set up", "install the system's root certificates (`ca-certificates`)"),
        Stage::Name => (
            "the name has no address",
            "look whether this machine is online and resolves names: `resolvectl status`; behind a proxy set HTTPS_PROXY",
        ),
        Stage::Connection => (
            "no connection",
            "look whether this machine is online, and whether a firewall lets it through; behind a proxy set HTTPS_PROXY",
        ),
        Stage::Proxy => ("the proxy does not connect further", "check the address and the password in HTTPS_PROXY"),
        Stage::Tls => (
            "no agreement on encryption",
            "where a proxy opens connections, add its certificate to the system's: `update-ca-certificates`",
        ),
        Stage::Answer => ("a connection, and no answer", "it passes by itself; presenced goes on trying"),
    }
}

/// Whether this is what `OpenID` Connect Discovery 1.0, 4.2, has there.
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

/// The number of Entra's refusal.
fn refusal(body: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    struct Refusal {
        error_codes: Vec<u32>,
    }
    serde_json::from_slice::<Refusal>(body).ok()?.error_codes.first().copied()
}

/// Which proxies are used. Their addresses are shown without the password that may be in them.
fn proxies(asked: &[Asked], scene: &Scene<'_>) -> Check {
    let name = "proxy";
    let set: Vec<Part> = VARIABLES
        .into_iter()
        .filter(|name| scene.is_set(name) || scene.environment.var(&name.to_ascii_lowercase()).is_some())
        .map(Part::from)
        .collect();
    if set.is_empty() {
        return Check::ok(GROUP, name, "none is set");
    }
    let mut used: Vec<Text> = Vec::new();
    for asked in asked {
        let by = match http::proxy(&asked.url) {
            Some(proxy) => text!["by ", private(Kind::Host, proxy)],
            None => text!["without one"],
        };
        let line = text![host(&asked.url), " is reached "].join(by);
        if !used.contains(&line) {
            used.push(line);
        }
    }
    let mut found = Text::list(set).then(if used.is_empty() { " is set" } else { ": " });
    for (number, line) in used.into_iter().enumerate() {
        found = if number == 0 { found.join(line) } else { found.then(", ").join(line) };
    }
    Check::ok(GROUP, name, found)
}
