//! `presenced login --status`: shows who is signed in to each account. It asks a running daemon, or reads the stored sign-ins if
//! none is running.
//!
//! With `--json` it prints one object:
//!
//! ```json
//! {"version": 1, "running": true, "accounts": {"work": {
//!    "signed_in": true, "sign_in": {"method": "device-code", "username": "me@contoso.com", …}, "error": null}}}
//! ```
//!
//! `running` says whether a daemon was asked. `signed_in` is null if that is unknown: for an account that needs no user, while no
//! daemon is running. `sign_in` is the same as in `GET /v1/status`, with null for facts that only a token shows. `error` is
//! `{"text": …, "hint": …}`, or null if nothing is wrong.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::auth::{self, SignedIn};
use crate::cli::accounts::choose;
use crate::cli::context::Context;
use crate::cli::daemon_client::request;
use crate::cli::error::{Error, Exit};
use crate::cli::runtime::block_on;
use crate::cli::sign_in::{permissions, who};
use crate::cli::terminal::output::print;
use crate::cli::terminal::screen;
use crate::cli::terminal::text::{cut_end, pad, printable, wrap};
use crate::cli::terminal::times::{clock, relative};
use crate::config::{self, Config, Environment};
use crate::failure::{Failure, FailureKind};
use crate::fill::Fill as _;
use crate::status::report::{self, Report, SignIn, State};

/// The columns for the names of facts.
const LABEL_COLUMNS: usize = 12;

#[derive(Debug, Serialize)]
struct SignInStatus {
    version: u32,
    running: bool,
    accounts: BTreeMap<String, AccountStatus>,
}

#[derive(Debug, Serialize)]
struct AccountStatus {
    /// Whether a user must sign in.
    #[serde(skip)]
    is_interactive: bool,
    signed_in: Option<bool>,
    sign_in: SignIn,
    error: Option<AccountError>,
}

#[derive(Debug, Serialize)]
struct AccountError {
    text: String,
    hint: Option<String>,
}

/// Shows one account, or all accounts.
pub(super) fn run(account: Option<String>, json: bool, config: &Config, context: &Context) -> Result<Exit, Error> {
    let accounts = match account {
        Some(name) => BTreeMap::from([choose(Some(name), config)?]),
        None => config.accounts.clone(),
    };
    let report = running(context)?;
    let add_status = |(name, account): (String, config::Account)| {
        let reported = report.as_ref().and_then(|report| report.accounts.get(&name));
        let status = account_status(&name, &account, reported, &context.environment);
        (name, status)
    };
    let status =
        SignInStatus { version: 1, running: report.is_some(), accounts: accounts.into_iter().map(add_status).fill() };
    let text = if json {
        serde_json::to_string(&status).map_err(|error| Error::new(Exit::Failed, error.to_string()))? + "\n"
    } else {
        render(&status, Context::now(), &TimeZone::system(), screen::width())
    };
    print(&text)?;
    Ok(exit(&status))
}

/// The report of a running daemon; `None` if none is running.
fn running(context: &Context) -> Result<Option<Report>, Error> {
    if context.socket.is_none() {
        return Ok(None);
    }
    match request(context, async |mut daemon| daemon.status().await) {
        Ok(report) => Ok(Some(report)),
        Err(error) if error.exit == Exit::NotRunning => Ok(None),
        Err(error) => Err(error),
    }
}

/// The status of an account. `reported` is what a running daemon reports about it.
fn account_status(
    name: &str,
    config: &config::Account,
    reported: Option<&report::Account>,
    environment: &Environment,
) -> AccountStatus {
    let is_interactive = config.auth.is_interactive();
    let state = reported.map(|account| account.state);
    let sign_in = reported.and_then(|account| account.sign_in.clone()).filter(|_| state != Some(State::SignInNeeded));
    // If there is a token, the last error is about Graph, unless it is about renewing that token.
    let failed = reported
        .and_then(|account| account.last_error.as_ref())
        .filter(|error| sign_in.as_ref().is_none_or(|sign_in| sign_in.renewal_error.as_ref() == Some(&error.text)));
    let error = failed.map(|error| AccountError { text: error.text.clone(), hint: error.hint.clone() });
    if let Some(sign_in) = sign_in {
        return AccountStatus { is_interactive, signed_in: Some(true), sign_in, error };
    }
    let no_user = sign_in_without_token(config, SignedIn::default());
    match state {
        Some(State::SignInNeeded) => AccountStatus { is_interactive, signed_in: Some(false), sign_in: no_user, error },
        Some(State::Refused) if !is_interactive => {
            AccountStatus { is_interactive, signed_in: Some(false), sign_in: no_user, error }
        }
        _ if !is_interactive => AccountStatus { is_interactive, signed_in: None, sign_in: no_user, error },
        _ => match block_on(auth::stored(name, config, environment)) {
            Ok(Ok(who)) => AccountStatus {
                is_interactive,
                signed_in: Some(true),
                sign_in: sign_in_without_token(config, who),
                error,
            },
            Err(Error { text, hint, .. }) => AccountStatus {
                is_interactive,
                signed_in: None,
                sign_in: no_user,
                error: Some(AccountError { text, hint }),
            },
            Ok(Err(Failure { kind, text, hint, .. })) => {
                let signed_in = (kind == FailureKind::SignInNeeded).then_some(false);
                AccountStatus { is_interactive, signed_in, sign_in: no_user, error: Some(AccountError { text, hint }) }
            }
        },
    }
}

/// A sign-in without a token to read.
fn sign_in_without_token(config: &config::Account, SignedIn { user, tenant, username }: SignedIn) -> SignIn {
    SignIn {
        method: config.auth.method().to_owned(),
        user,
        username,
        tenant,
        permissions: Vec::new(),
        kind: None,
        token_expires_at: None,
        renewal_error: None,
    }
}

/// The status as text, at `now`, in lines of at most `width` columns.
fn render(status: &SignInStatus, now: Timestamp, zone: &TimeZone, width: usize) -> String {
    let bold = anstyle::Style::new().bold();
    let mut lines = Vec::new();
    for (name, account) in &status.accounts {
        let name = cut_end(&printable(name), width / 3);
        lines.push(format!("{bold}{name}{bold:#}: {}", headline(account)));
        for (label, fact) in facts(account, now, zone) {
            for (number, line) in wrap(&fact, width.saturating_sub(2 + LABEL_COLUMNS)).iter().enumerate() {
                lines.push(format!("  {}{line}", pad(if number == 0 { label } else { "" }, LABEL_COLUMNS)));
            }
        }
        lines.push(String::new());
    }
    if status.running {
        lines.pop();
    } else {
        let note = "presenced is not running, so this shows the stored sign-ins. Whether the sign-in service still accepts them is \
                    unknown until presenced runs.";
        lines.extend(wrap(note, width));
    }
    lines.join("\n") + "\n"
}

fn headline(account: &AccountStatus) -> &'static str {
    match (account.signed_in, account.is_interactive) {
        (Some(true), _) => "signed in",
        (Some(false), true) => "sign-in needed",
        (Some(false), false) => "refused",
        (None, true) => "unknown",
        (None, false) => "does not need a sign-in",
    }
}

/// The known facts, each with its label.
fn facts(account: &AccountStatus, now: Timestamp, zone: &TimeZone) -> Vec<(&'static str, String)> {
    let AccountStatus { signed_in, sign_in, error, .. } = account;
    let mut facts = Vec::new();
    if *signed_in == Some(true) {
        let tenant = sign_in.tenant.as_ref().map(|tenant| format!(", tenant {tenant}"));
        facts.push(("who", who(sign_in) + &tenant.unwrap_or_default()));
    }
    facts.push(("method", sign_in.method.clone()));
    facts.extend(permissions(sign_in).map(|permits| ("permits", permits)));
    if let Some(at) = sign_in.token_expires_at {
        let renewal = match &sign_in.renewal_error {
            None => "it will be renewed before then".to_owned(),
            Some(error) => format!("it could not be renewed: {error}"),
        };
        let verb = if at > now { "ends" } else { "ended" };
        facts.push(("token", format!("{verb} {}, {}; {renewal}", clock(at, now, zone), relative(at, now))));
    }
    if let Some(AccountError { text, hint }) = error {
        // For a token that could not be renewed, this was shown above.
        if sign_in.renewal_error.as_ref() != Some(text) {
            facts.push(("error", text.clone()));
        }
        facts.extend(hint.clone().map(|hint| ("hint", hint)));
    }
    facts
}

/// The exit code for scripts.
fn exit(status: &SignInStatus) -> Exit {
    let is_needed = |account: &AccountStatus| account.is_interactive && account.signed_in == Some(false);
    if status.accounts.values().any(is_needed) {
        Exit::SignInNeeded
    } else if status.accounts.values().any(|account| account.error.is_some()) {
        Exit::Failed
    } else {
        Exit::Ok
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;
    use crate::status::report::PermissionKind;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-23T{text}Z").parse().unwrap()
    }

    fn person() -> SignIn {
        SignIn {
            method: "device-code".to_owned(),
            user: Some("fa8bf3dc-eca7-46b7-bad1-db199b62afc3".to_owned()),
            username: Some("me@contoso.com".to_owned()),
            tenant: Some("dcd219dd-bc68-4b9b-bf0b-4a33a796be35".to_owned()),
            permissions: vec!["openid".to_owned(), "Presence.ReadWrite".to_owned()],
            kind: Some(PermissionKind::Delegated),
            token_expires_at: Some(at("14:02:00")),
            renewal_error: None,
        }
    }

    fn without_token(sign_in: SignIn) -> SignIn {
        SignIn { permissions: Vec::new(), kind: None, token_expires_at: None, ..sign_in }
    }

    fn bot() -> SignIn {
        without_token(SignIn {
            method: "client-secret".to_owned(),
            user: None,
            username: None,
            tenant: None,
            ..person()
        })
    }

    fn account_error(text: &str, hint: &str) -> AccountError {
        AccountError { text: text.to_owned(), hint: Some(hint.to_owned()) }
    }

    fn shown(running: bool, accounts: impl IntoIterator<Item = (&'static str, AccountStatus)>) -> (String, Exit) {
        let accounts = accounts.into_iter().map(|(name, account)| (name.to_owned(), account)).collect();
        let status = SignInStatus { version: 1, running, accounts };
        let text = render(&status, at("13:10:48"), &TimeZone::fixed(Offset::constant(1)), 80);
        (anstream::adapter::strip_str(&text).to_string(), exit(&status))
    }

    #[test]
    fn each_account_as_a_running_daemon_reports_it() {
        let revoked = "the sign-in service refuses: the sign-in was revoked, as a changed password does (AADSTS50173, 400 \
                    invalid_grant)";
        let secret = "the sign-in service refuses: the client secret has expired (AADSTS7000222, 401 invalid_client)";
        let of_person = |signed_in, sign_in, error| AccountStatus { is_interactive: true, signed_in, sign_in, error };
        let of_bot = |signed_in, error| AccountStatus { is_interactive: false, signed_in, sign_in: bot(), error };
        let late = SignIn { renewal_error: Some("the connection broke off".to_owned()), ..person() };
        let (text, exit) = shown(
            true,
            [
                ("1", of_person(Some(true), person(), None)),
                ("2", of_person(Some(true), late, None)),
                (
                    "3",
                    of_person(
                        Some(false),
                        without_token(person()),
                        Some(account_error(revoked, "run `presenced login 3`")),
                    ),
                ),
                ("4", of_bot(Some(false), Some(account_error(secret, "create a new one")))),
                ("5", of_bot(None, None)),
            ],
        );
        insta::assert_snapshot!(text);
        assert_eq!(exit, Exit::SignInNeeded);
    }

    #[test]
    fn without_a_daemon_the_stored_sign_ins_are_shown() {
        let stored = AccountStatus {
            is_interactive: true,
            signed_in: Some(true),
            sign_in: without_token(person()),
            error: None,
        };
        let bot = AccountStatus { is_interactive: false, signed_in: None, sign_in: bot(), error: None };
        let (text, exit) = shown(false, [("work", stored), ("bot", bot)]);
        insta::assert_snapshot!(text);
        assert_eq!(exit, Exit::Ok);
    }

    #[test]
    fn an_application_that_is_refused_needs_no_sign_in() {
        let refused = AccountStatus {
            is_interactive: false,
            signed_in: Some(false),
            sign_in: bot(),
            error: Some(account_error("no", "fix it")),
        };
        assert_eq!(shown(true, [("bot", refused)]).1, Exit::Failed);
    }
}
