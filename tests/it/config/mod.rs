//! The configuration: what it reads, what it refuses and with which words, and `presenced check`.

mod accounts;
mod check;
mod cookbook;
// What the documents show needs what is built by default.
#[cfg(feature = "pulse")]
mod examples;
mod load;
#[cfg(feature = "pulse")]
mod microphone;
#[cfg(feature = "pulse")]
mod reference;
mod reports;
#[cfg(feature = "pulse")]
mod schema;
mod subscriptions;
mod users;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use presenced::config::{Config, Environment, Problems};

const CLIENT: &str = "22553876-f5ab-4529-bffb-cfe50aa89f87";
const USER: &str = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3";

/// An account that nothing is wrong with, to put a snippet behind.
const ACCOUNT: &str = r#"[accounts.work]
tenant = "contoso.onmicrosoft.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f87"
auth = { method = "device-code" }
"#;

/// Somebody with a home and a login session, and some variables.
fn environment() -> Environment {
    Environment {
        runtime_dir: Some(PathBuf::from("/run/user/1000")),
        config_dir: PathBuf::from("/home/me/.config/presenced"),
        state_dir: PathBuf::from("/home/me/.local/state/presenced"),
        cache_dir: PathBuf::from("/home/me/.cache/presenced"),
        lookup: Arc::new(|name| match name {
            "CALENDARS" => Some("/srv/calendars".to_owned()),
            "AZURE_FEDERATED_TOKEN_FILE" => Some("/var/run/secrets/azure/tokens/azure-identity-token".to_owned()),
            "TEAM" => Some("red".to_owned()),
            _ => None,
        }),
        ..Environment::bare("/home/me")
    }
}

fn parse_in(text: &str, environment: &Environment) -> Result<Config, Problems> {
    Config::parse(text, Path::new("/etc/presenced/config.toml"), environment).map(|loaded| loaded.config)
}

fn parse(text: &str) -> Result<Config, Problems> {
    parse_in(text, &environment())
}

/// The configuration of `snippet` behind a good account.
fn good(snippet: &str) -> Config {
    parse(&format!("{ACCOUNT}{snippet}")).unwrap_or_else(|problems| panic!("{}", problems.render(100, false)))
}

/// The message of the one problem of `text`.
fn problem(text: &str) -> String {
    let problems = parse(text).expect_err(text);
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages.len(), 1, "{text}\n{messages:#?}");
    messages[0].to_owned()
}

/// The message of the one problem of `snippet` behind a good account.
fn bad(snippet: &str) -> String {
    problem(&format!("{ACCOUNT}{snippet}"))
}
