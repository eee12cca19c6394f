//! `presenced login --status`: who is signed in to each account. A running daemon is asked; without one, what is stored tells.
//!
//! With `--json` it prints one object:
//!
//! ```json
//! {"version": 1, "running": true, "accounts": {"work": {
//!    "signed_in": true, "sign_in": {"method": "device-code", "username": "me@contoso.com", …}, "error": null}}}
//! ```
//!
//! `running`: whether a daemon was asked. `signed_in` is null where that is not known: for an account without a person while no
//! daemon runs. `sign_in` is what `GET /v1/status` has under this name, with null for what only a token tells. `error` is
//! `{"text": …, "hint": …}`, or null where nothing is wrong.

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
use crate::status::report::{self, Report, SignIn, State};

/// The columns that the names of facts take.
const LABEL_COLUMNS: usize = 12;

#[derive(Debug, Serialize)]
struct SignInStatus {
    version: u32,
    running: bool,
    accounts: BTreeMap<String, AccountStatus>,
}

#[derive(Debug, Serialize)]
struct AccountStatus {
    /// Whether a person must sign in.
    #[serde(skip)]
    by_person: bool,
    signed_in: Option<bool>,
    sign_in: SignIn,
    error: Option<AccountError>,
}

#[derive(Debug, Serialize)]
struct AccountError {
    text: String,
    hint: Option<String>,
}

/// Shows one account, or all.
pub(super) fn run(account: Option<String>, json: bool, config: &Config, context: &Context) -> Result<Exit, Error> {
    let accounts = match account {
        Some(name) => BTreeMap::from([choose(Some(name), config)?]),
        None => config.accounts.clone(),
    };
    let report = running(context)?;
    let look = |(name, account): (String, config::Account)| {
        let told = report.as_ref().and_then(|report| report.accounts.get(&name));
        let looked = look(&name, &account, told, &context.environment);
        (name, looked)
    };
    let status =
        SignInStatus { version: 1, running: report.is_some(), accounts: accounts.into_iter().map(look).collect() };
    let text = if json {
        serde_json::to_string(&status).map_err(|error| Error::new(Exit::Failed, error.to_string()))? + "\n"
    } else {
        render(&status, Context::now(), &TimeZone::system(), screen::width())
    };
    print(&text)?;
    Ok(exit(&status))
}

/// What a running daemon reports; `None`: none runs.
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

/// How it stands with an account, of which a running daemon told this.
fn look(
    name: &str,
    config: &config::Account,
    told: Option<&report::Account>,
    environment: &Environment,
) -> AccountStatus {
    let by_person = config.auth.is_interactive();
    let state = told.map(|told| told.state);
    let sign_in = told.and_then(|told| told.sign_in.clone()).filter(|_| state != Some(State::SignInNeeded));
    // What went wrong with a token in hand has to do with Graph, unless it is that there is no newer one.
    let failed = told
        .and_then(|told| told.last_error.as_ref())
        .filter(|error| sign_in.as_ref().is_none_or(|sign_in| sign_in.renewal_error.as_ref() == Some(&error.text)));
    let error = failed.map(|error| AccountError { text: error.text.clone(), hint: error.hint.clone() });
    if let Some(sign_in) = sign_in {
        return AccountStatus { by_person, signed_in: Some(true), sign_in, error };
    }
    let nobody = known(config, SignedIn::default());
    match state {
        Some(State::SignInNeeded) => AccountStatus { by_person, signed_in: Some(false), sign_in: nobody, error },
        Some(State::Refused) if !by_person => {
            AccountStatus { by_person, signed_in: Some(false), sign_in: nobody, error }
        }
        _ if !by_person => AccountStatus { by_person, signed_in: None, sign_in: nobody, error },
        _ => match block_on(auth::stored(name, config, environment)) {
            Ok(Ok(who)) => AccountStatus { by_person, signed_in: Some(true), sign_in: known(config, who), error },
            Err(Error { text, hint, .. }) => {
                AccountStatus { by_person, signed_in: None, sign_in: nobody, error: Some(AccountError { text, hint }) }
            }
            Ok(Err(Failure { kind, text, hint, .. })) => {
                let signed_in = (kind == FailureKind::SignInNeeded).then_some(false);
                AccountStatus { by_person, signed_in, sign_in: nobody, error: Some(AccountError { text, hint }) }
            }
        },
    }
}

/// A sign-in of which there is no token to look at.
fn known(config: &config::Account, SignedIn { user, tenant, username }: SignedIn) -> SignIn {
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

/// As people read it, at `now`, in lines of at most `width` columns.
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
        let note = "presenced is not running, so this is what is stored; whether the sign-in service still takes it shows once \
                    it runs.";
        lines.extend(wrap(note, width));
    }
    lines.join("\n") + "\n"
}

fn headline(account: &AccountStatus) -> &'static str {
    match (account.signed_in, account.by_person) {
        (Some(true), _) => "signed in",
        (Some(false), true) => "sign-in needed",
        (Some(false), false) => "refused",
        (None, true) => "not known",
        (None, false) => "nobody needs to sign in",
    }
}

/// What is known, each with its label.
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
            None => "it is renewed before that".to_owned(),
            Some(error) => format!("it could not be renewed: {error}"),
        };
        let verb = if at > now { "ends" } else { "ended" };
        facts.push(("token", format!("{verb} {}, {}; {renewal}", clock(at, now, zone), relative(at, now))));
    }
    if let Some(AccountError { text, hint }) = error {
        // Said already of a token that could not be renewed.
        if sign_in.renewal_error.as_ref() != Some(text) {
            facts.push(("trouble", text.clone()));
        }
        facts.extend(hint.clone().map(|hint| ("hint", hint)));
    }
    facts
}

/// What a script learns.
fn exit(status: &SignInStatus) -> Exit {
    let is_needed = |account: &AccountStatus| account.by_person && account.signed_in == Some(false);
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

    fn trouble(text: &str, hint: &str) -> AccountError {
        AccountError { text: text.to_owned(), hint: Some(hint.to_owned()) }
    }

    fn shown(running: bool, accounts: impl IntoIterator<Item = (&'static str, AccountStatus)>) -> (String, Exit) {
        let accounts = accounts.into_iter().map(|(name, account)| (name.to_owned(), account)).collect();
        let status = SignInStatus { version: 1, running, accounts };
        let text = render(&status, at("13:10:48"), &TimeZone::fixed(Offset::constant(1)), 80);
        (anstream::adapter::strip_str(&text).to_string(), exit(&status))
    }

    #[test]
    fn each_account_as_a_running_daemon_tells_it() {
        let over = "the sign-in service refuses: the sign-in was revoked, as a changed password does (AADSTS50173, 400 \
                    invalid_grant)";
        let secret = "the sign-in service refuses: the client secret has expired (AADSTS7000222, 401 invalid_client)";
        let of_person = |signed_in, sign_in, error| AccountStatus { by_person: true, signed_in, sign_in, error };
        let of_bot = |signed_in, error| AccountStatus { by_person: false, signed_in, sign_in: bot(), error };
        let late = SignIn { renewal_error: Some("the connection broke off".to_owned()), ..person() };
        let (text, exit) = shown(
            true,
            [
                ("1", of_person(Some(true), person(), None)),
                ("2", of_person(Some(true), late, None)),
                ("3", of_person(Some(false), without_token(person()), Some(trouble(over, "run `presenced login 3`")))),
                ("4", of_bot(Some(false), Some(trouble(secret, "create a new one")))),
                ("5", of_bot(None, None)),
            ],
        );
        insta::assert_snapshot!(text);
        assert_eq!(exit, Exit::SignInNeeded);
    }

    #[test]
    fn without_a_daemon_what_is_stored_tells() {
        let stored =
            AccountStatus { by_person: true, signed_in: Some(true), sign_in: without_token(person()), error: None };
        let bot = AccountStatus { by_person: false, signed_in: None, sign_in: bot(), error: None };
        let (text, exit) = shown(false, [("work", stored), ("bot", bot)]);
        insta::assert_snapshot!(text);
        assert_eq!(exit, Exit::Ok);
    }

    #[test]
    fn who_cannot_sign_in_is_no_sign_in_needed() {
        let refused = AccountStatus {
            by_person: false,
            signed_in: Some(false),
            sign_in: bot(),
            error: Some(trouble("no", "mend it")),
        };
        assert_eq!(shown(true, [("bot", refused)]).1, Exit::Failed);
    }
}
