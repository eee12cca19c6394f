//! Checks who is signed in, where the sign-in is stored, and what it permits.
//!
//! A running daemon knows all of this. Without one, a person's stored sign-in is read but never renewed, because each use replaces
//! the refresh token, and this command changes nothing. For an application, a token is requested: that changes nothing either,
//! and shows that the secret is valid.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use jiff::Timestamp;

use super::check::{Check, Group};
use super::text::{Kind, Part, Text, account as named, foreign, path, private, text};
use super::{Scene, bounded, modes};
use crate::auth::{self, Authenticator, Expiry, KeyringState, Permissions, SignedIn, TokenStatus};
use crate::cli::sign_in::who;
use crate::cli::terminal::times::relative;
use crate::config::{Account, Auth, SecretSource, TokenStore};
use crate::failure::{Failure, FailureKind, Permission};
use crate::status::report::{self, PermissionKind, SignIn, State};

const GROUP: Group = Group::SignIn;

/// How much the keyring is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Nothing is stored in it.
    None,
    /// Something may be stored in it, but a file also works.
    Some,
    /// The configuration stores something in it.
    All,
}

/// All checks of the sign-ins.
pub(super) async fn checks(scene: &Scene<'_>) -> Vec<Check> {
    let Ok(config) = &scene.config else {
        let why = "the configuration cannot be read";
        return vec![Check::skipped(GROUP, "keyring", why), Check::skipped(GROUP, "sign-in", why)];
    };
    let accounts = config.accounts.iter().map(|(name, account)| async move {
        let late = || vec![Check::failed(GROUP, "sign-in", "there was no result within 10 s").of(named(name))];
        bounded(Box::pin(of_account(name, account, config.session.verify, scene))).await.unwrap_or_else(late)
    });
    let accounts = futures_util::future::join_all(accounts);
    let (keyring, accounts) = tokio::join!(keyring(config.accounts.values().map(need).max(), scene), accounts);
    std::iter::once(keyring).chain(accounts.into_iter().flatten()).collect()
}

/// How much this account needs the keyring.
pub(super) fn need(account: &Account) -> Need {
    let secret = account.auth.secret().is_some_and(|secret| matches!(secret, SecretSource::Keyring(_)));
    match (secret, account.auth.is_interactive(), account.tokens) {
        (true, ..) | (_, true, TokenStore::Keyring) => Need::All,
        (_, true, TokenStore::Auto) => Need::Some,
        (..) => Need::None,
    }
}

async fn keyring(need: Option<Need>, scene: &Scene<'_>) -> Check {
    let need = need.unwrap_or(Need::None);
    if need == Need::None {
        return Check::skipped(GROUP, "keyring", "no account stores anything in it");
    }
    let standing = bounded(auth::keyring_state(&scene.environment)).await;
    let standing = standing.unwrap_or_else(|| KeyringState::Failing("no answer within 10 s".to_owned()));
    let (found, hint): (Text, &'static str) = match standing {
        KeyringState::Open => return Check::ok(GROUP, "keyring", "it is available and unlocked"),
        KeyringState::Locked => {
            let check = Check::failed(GROUP, "keyring", "it is locked");
            return check.with_hint("unlock it, for example by signing in to the desktop; presenced then continues");
        }
        KeyringState::NoCollection => (
            "it has no default collection to store a sign-in in".into(),
            "create one, for example with `seahorse`; or set `store = \"file\"` in [tokens]",
        ),
        KeyringState::Absent => (
            "there is no keyring on the session bus".into(),
            "start one, for example gnome-keyring, KWallet or KeePassXC; or set `store = \"file\"` in [tokens]",
        ),
        KeyringState::NoBus(reason) => (
            text!["the session bus, which it is on, cannot be reached: ", foreign(reason)],
            "run this in the desktop session; or set `store = \"file\"` in [tokens]",
        ),
        KeyringState::Failing(reason) => (
            text!["it does not answer correctly: ", foreign(reason)],
            "restart it, or set `store = \"file\"` in [tokens] and run `presenced login`",
        ),
    };
    if need == Need::All {
        return Check::failed(GROUP, "keyring", found).with_hint(hint);
    }
    // With `auto`, a file is used if there is no keyring.
    Check::ok(GROUP, "keyring", found.then("; sign-ins are stored in a file"))
}

async fn of_account(name: &str, account: &Account, reads: bool, scene: &Scene<'_>) -> Vec<Check> {
    let reported = scene.report().and_then(|report| report.accounts.get(name));
    let mut checks = match reported {
        Some(reported) => by_daemon(name, account, reported, reads, scene.now.wall),
        None if account.auth.is_interactive() => vec![stored(name, account, scene).await],
        None => by_token(name, account, reads, scene).await,
    };
    checks.extend(token_file(name, account, scene));
    checks.extend(account.auth.is_interactive().then(session));
    checks.into_iter().map(|check| check.of(named(name))).collect()
}

/// Says how two machines work together. Whether another one writes this session cannot be seen from here.
fn session() -> Check {
    let found = "use one registration per machine; Graph then combines them";
    Check::ok(GROUP, "session", found)
}

/// Checks an account with the daemon's report.
fn by_daemon(name: &str, account: &Account, reported: &report::Account, reads: bool, now: Timestamp) -> Vec<Check> {
    let trouble = reported.last_error.as_ref().map(|error| (trouble_of(account, &error.text), error.hint.clone()));
    let hinted = |check: Check, hint: Option<String>| {
        let fallback = || text!["run `presenced login ", named(name), "`"];
        check.with_hint(hint.map_or_else(fallback, |hint| foreign(hint).into()))
    };
    let (why, hint) = trouble.map_or_else(|| (Part::from("the reason is unknown"), None), |(why, hint)| (why, hint));
    match (reported.state, &reported.sign_in) {
        (State::SignInNeeded, _) => {
            let check = Check::failed(GROUP, "sign-in", text!["you must sign in: ", why]);
            return vec![Check { needs_sign_in: true, ..hinted(check, hint) }];
        }
        (_, None) if reported.last_error.is_some() => {
            return vec![hinted(Check::failed(GROUP, "sign-in", text!["there is no token: ", why]), hint)];
        }
        (_, None) => return vec![Check::skipped(GROUP, "sign-in", "the daemon has not requested a token yet")],
        (_, Some(_)) => {}
    }
    let Some(sign_in) = &reported.sign_in else { return Vec::new() };
    vec![
        token(account, sign_in, now),
        permission(name, account, kind_of(sign_in), reads),
        presence(reported, why, hint),
    ]
}

/// Whether the presence was set.
fn presence(reported: &report::Account, why: Part, hint: Option<String>) -> Check {
    let hint = hint.map_or(Part::from("see `presenced status`"), foreign);
    let hinted = |check: Check| check.with_hint(hint);
    let name = "presence";
    match reported.state {
        State::Holding => Check::ok(GROUP, name, "Graph has confirmed the presence that the rules set"),
        State::Released => Check::ok(GROUP, name, "no presence is set, as the rules say"),
        State::Starting | State::Stopping => Check::skipped(GROUP, name, "the daemon is starting or stopping"),
        State::Throttled => Check::warning(GROUP, name, text!["Graph asks to wait: ", why])
            .with_hint("presenced waits as long as Graph asks; other programs of the same app registration also count"),
        State::Retrying => hinted(Check::failed(GROUP, name, text!["presenced is retrying: ", why])),
        State::Refused | State::SignInNeeded => {
            hinted(Check::failed(GROUP, name, text!["Graph refuses the request: ", why]))
        }
    }
}

fn token(account: &Account, sign_in: &SignIn, now: Timestamp) -> Check {
    let mut found = text![private(Kind::Person, who(sign_in)), ", by ", Part::Plain(sign_in.method.clone().into())];
    if let Some(at) = sign_in.token_expires_at {
        let verb = if at > now { "; the token expires " } else { "; the token expired " };
        found = found.then(verb).then(Part::Plain(relative(at, now).into()));
    }
    match &sign_in.renewal_error {
        None => Check::ok(GROUP, "sign-in", found),
        Some(error) => Check::warning(GROUP, "sign-in", found.then(", but it could not be renewed"))
            .with_details([trouble_of(account, error).into()])
            .with_hint("presenced keeps trying; `presenced status` shows whether that works"),
    }
}

/// A token's permissions, as the daemon reports them.
fn kind_of(sign_in: &SignIn) -> Option<Permissions> {
    let names = sign_in.permissions.clone();
    sign_in.kind.map(|kind| match kind {
        PermissionKind::Delegated => Permissions::Delegated(names),
        PermissionKind::Application => Permissions::Application(names),
    })
}

/// Whether the token permits the requests to Graph.
fn permission(name: &str, account: &Account, permissions: Option<Permissions>, reads: bool) -> Check {
    let Some(permissions) = permissions else {
        return Check::skipped(GROUP, "permission", "the token does not say what it permits");
    };
    let by_person = account.auth.is_interactive();
    let again = if by_person { format!("run `presenced login {name}`") } else { "try again".to_owned() };
    if permissions.lacks(Permission::Write) {
        Check::failed(GROUP, "permission", "the token does not permit setting a presence")
            .with_hint(foreign(permissions.remedy(Permission::Write, &again)))
    } else if reads && permissions.lacks(Permission::Read) {
        Check::warning(GROUP, "permission", "the token permits setting a presence, but not reading one for `verify`")
            .with_hint(foreign(permissions.remedy(Permission::Read, &again)))
    } else {
        let kind = match permissions {
            Permissions::Delegated(_) => "Presence.ReadWrite, for the person",
            Permissions::Application(_) => "Presence.ReadWrite.All, for the application",
        };
        Check::ok(GROUP, "permission", kind)
    }
}

/// Checks a person's stored sign-in.
async fn stored(name: &str, account: &Account, scene: &Scene<'_>) -> Check {
    match auth::stored(name, account, &scene.environment).await {
        Ok(signed_in) => {
            let found = text![
                private(Kind::Person, person(signed_in)),
                " is stored; presenced finds out whether it is still accepted when it runs"
            ];
            Check::ok(GROUP, "sign-in", found)
        }
        Err(failure) => refused(account, &failure),
    }
}

fn person(SignedIn { user, username, .. }: SignedIn) -> String {
    username.or(user).unwrap_or_else(|| "a person".to_owned())
}

/// Checks an application by requesting a token.
async fn by_token(name: &str, account: &Account, reads: bool, scene: &Scene<'_>) -> Vec<Check> {
    let authenticator = Authenticator::new(name, account, &scene.environment);
    let mut checks = match authenticator.token(&scene.now, false).await {
        Err(failure) => vec![refused(account, &failure)],
        Ok(token) => {
            let ends = authenticator.status().map(|status: TokenStatus| status.expires_at);
            let ends = ends.map(|at| Part::Plain(relative(at, scene.now.wall).into()));
            let method = Part::Plain(account.auth.method().into());
            let found = text!["received a token by ", method];
            let found = ends.map_or(found.clone(), |ends| found.then("; it expires ").then(ends));
            vec![Check::ok(GROUP, "sign-in", found), permission(name, account, token.permissions, reads)]
        }
    };
    checks.extend(authenticator.certificate().and_then(|expiry| certificate(&expiry, scene.now.wall)));
    checks
}

fn certificate(expiry: &Expiry, now: Timestamp) -> Option<Check> {
    (expiry.notice_at() <= now).then(|| {
        let found = text!["it expires ", Part::Plain(relative(expiry.at, now).into()), ": ", path(&expiry.file)];
        Check::warning(GROUP, "certificate", found).with_hint(Expiry::RENEW)
    })
}

fn refused(account: &Account, failure: &Failure) -> Check {
    let needs_sign_in = failure.kind == FailureKind::SignInNeeded;
    let hint = failure.hint.clone();
    let check = Check { needs_sign_in, ..Check::failed(GROUP, "sign-in", trouble_of(account, &failure.text)) };
    match hint {
        Some(hint) => check.with_hint(foreign(hint)),
        None => check.with_hint("see the network checks above; presenced keeps trying"),
    }
}

/// What went wrong with a token. If one of the user's commands took part, the text may contain its output.
fn trouble_of(account: &Account, text: &str) -> Part {
    let runs_command = matches!(account.auth, Auth::TokenCommand { .. })
        || matches!(account.auth.secret(), Some(SecretSource::Command(_)));
    if runs_command { private(Kind::Words, text) } else { foreign(text) }
}

/// Whether others may read the file of a sign-in.
fn token_file(name: &str, account: &Account, scene: &Scene<'_>) -> Option<Check> {
    if !account.auth.is_interactive() || account.tokens == TokenStore::Keyring {
        return None;
    }
    let file = auth::sign_in_file(name, &scene.environment);
    let mode = fs::metadata(&file).ok()?.mode();
    Some(if mode & 0o777 == mode & 0o700 {
        Check::ok(GROUP, "sign-in file", text!["no other user may read it (mode ", modes(mode), ")"])
    } else {
        Check::failed(GROUP, "sign-in file", text!["others may read it (mode ", modes(mode), ")"]).with_hint(text![
            "run `chmod 600 ",
            path(&file),
            "`, and sign in again if others may have read it"
        ])
    })
}
