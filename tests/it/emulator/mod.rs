//! The emulator over loopback, as a client of Graph and Entra sees it, in a time that only moves when a test moves it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod agents;
mod assertion;
mod authorize;
mod bad_input;
mod batch;
#[cfg(feature = "emulator")]
mod binary;
mod control;
mod faults;
mod graph;
mod openid;
mod page;
mod personal;
mod read_many;
mod resources;
mod schema;
#[cfg(feature = "emulator")]
mod setup;
mod sign_in;
mod summary;
#[cfg(feature = "emulator")]
mod tls;

use crate::stage::http_client::http_client;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use presenced::time::{Clock, Instant, Now};
use presenced_emulator::{Emulator, Options};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const USER: &str = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3";
const APP: &str = "22553876-f5ab-4529-bffb-cfe50aa89f87";
const SECRET: &str = "emulator-secret";

/// The longest any test waits for what must come: a guard against hanging, not a measure.
const GUARD: Duration = Duration::from_secs(30);

/// A clock that stands still until it is moved.
struct ManualClock {
    elapsed: watch::Sender<Duration>,
}

impl ManualClock {
    fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        let elapsed = *self.elapsed.borrow();
        let start: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        Now { instant: Instant::from_origin(elapsed), wall: start + elapsed, zone: TimeZone::UTC }
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut elapsed = self.elapsed.subscribe();
        Box::pin(async move {
            elapsed
                .wait_for(|elapsed| *elapsed >= deadline.since_origin())
                .await
                .expect("the clock outlives its waits");
        })
    }

    fn sleep_until_wall(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.sleep_until(self.now().instant_at(deadline))
    }
}

/// An emulator that serves, and a client for it.
struct Rig {
    emulator: Emulator,
    clock: Arc<ManualClock>,
    base: String,
    client: reqwest::Client,
    serving: JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Rig {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let clock = Arc::new(ManualClock { elapsed: watch::Sender::new(Duration::from_secs(1_000)) });
        let emulator = Emulator::new(options, clock.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let served = emulator.clone();
        let serving = tokio::spawn(async move {
            match served.serve(listener).await {
                Ok(never) => match never {},
                Err(error) => panic!("the emulator stopped serving: {error}"),
            }
        });
        let client = http_client().no_proxy().timeout(GUARD).build().unwrap();
        Self { emulator, clock, base, client, serving }
    }

    fn advance(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    fn visible(&self) -> String {
        self.emulator.visible(USER).unwrap().to_string()
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// `POST` of a form to a sign-in endpoint of tenant `contoso.onmicrosoft.com`.
    async fn sign_in(&self, endpoint: &str, form: &[(&str, &str)]) -> Answer {
        let path = format!("/contoso.onmicrosoft.com/oauth2/v2.0/{endpoint}");
        Answer::of(self.request(Method::POST, &path).form(form)).await
    }

    /// A token of the application itself.
    async fn app_token(&self) -> String {
        self.sign_in("token", &client_credentials()).await.text("access_token")
    }

    /// What a device code sign-in with these scopes gives.
    async fn device_sign_in(&self, scope: &str) -> Answer {
        let started = self.sign_in("devicecode", &[("client_id", APP), ("scope", scope)]).await;
        let code = started.text("device_code");
        let form = poll(&code);
        let mut answer = self.sign_in("token", &form).await;
        while answer.text("error") == "authorization_pending" {
            self.advance(5);
            answer = self.sign_in("token", &form).await;
        }
        answer
    }

    /// A token of the user.
    async fn user_token(&self) -> String {
        self.device_sign_in("Presence.ReadWrite Presence.Read").await.text("access_token")
    }

    async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).bearer_auth(token).json(&body)).await
    }

    async fn set(&self, token: &str, availability: &str, activity: &str, expires: &str) -> Answer {
        let body = json!({"sessionId": APP, "availability": availability, "activity": activity,
            "expirationDuration": expires});
        self.post(token, &action("setPresence"), body).await
    }

    async fn get(&self, token: &str, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).bearer_auth(token)).await
    }

    async fn fault(&self, fault: Value) {
        let answer = Answer::of(self.request(Method::POST, "/_emulator/faults").json(&fault)).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
}

/// An answer, read whole.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    body: String,
}

impl Answer {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self { status: response.status(), headers: response.headers().clone(), body: response.text().await.unwrap() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text at `name`; empty if it does not exist.
    fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Checks an error in Graph's shape, with all that goes with one.
    #[track_caller]
    fn is_graph_error(&self, status: u16, code: &str, message: &str) {
        let error = &self.json()["error"];
        assert_eq!(
            (self.status.as_u16(), error["code"].as_str(), error["message"].as_str()),
            (status, Some(code), Some(message)),
            "{self:?}"
        );
        let inner = &error["innerError"];
        assert_eq!(inner["request-id"].as_str(), Some(self.header("request-id")));
        assert_eq!(inner["client-request-id"].as_str(), Some(self.header("client-request-id")));
        inner["date"].as_str().unwrap().parse::<jiff::civil::DateTime>().unwrap();
        assert!(self.header("x-ms-ags-diagnostic").contains("ServerInfo"));
    }

    /// Checks an error in Entra's shape.
    #[track_caller]
    fn is_entra_error(&self, status: u16, error: &str, code: u32) {
        assert_eq!((self.status.as_u16(), self.text("error").as_str()), (status, error), "{self:?}");
        let body = self.json();
        if code == 0 {
            assert_eq!(body["error_codes"], json!([]));
        } else {
            assert_eq!(body["error_codes"], json!([code]));
            assert!(self.text("error_description").starts_with(&format!("AADSTS{code}: ")), "{self:?}");
        }
        for name in ["timestamp", "trace_id", "correlation_id"] {
            assert!(!self.text(name).is_empty(), "{name} in {self:?}");
        }
    }
}

fn action(name: &str) -> String {
    format!("/v1.0/users/{USER}/presence/{name}")
}

fn client_credentials<'a>() -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "client_credentials"),
        ("client_id", APP),
        ("client_secret", SECRET),
        ("scope", "https://graph.microsoft.com/.default"),
    ]
}

fn poll(code: &str) -> [(&str, &str); 3] {
    [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("client_id", APP), ("device_code", code)]
}

/// The claims of a JWT.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
