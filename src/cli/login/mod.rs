//! `presenced login`: signs a user in to an account or, if the account does not need a user, checks that it gets its token. With
//! `--status` it shows who is signed in ([`status`]).

mod status;

use std::cell::Cell;
use std::io;

use jiff::tz::TimeZone;
use tokio::signal::unix::{SignalKind, signal};

use super::accounts::{choose, tell_locked};
use super::browser;
use super::context::{Context, examples};
use super::daemon_client::reload_daemon;
use super::error::{Error, Exit};
use super::runtime::block_on;
use super::terminal::progress::Progress;
use super::terminal::text::printable;
use crate::auth::{self, Authenticator, BrowserPrompt, DevicePrompt, Permissions, Prompt, SignedIn};
use crate::config::{self, Auth, Config, Environment};
use crate::failure::{Failure, Permission};
use crate::time::{Instant, Now};

/// The arguments of `login`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced login              Sign in to the only account"
    "presenced login contoso      Sign in to one of several"
    "presenced login --status     Show who is signed in, and until when";
    "An account with a client secret, a certificate, a federated identity or a token command needs no sign-in: `login` checks \
     that it gets its token.";
    "Exit codes of --status: 0 signed in; 1 refused; 4 sign-in needed."
))]
pub(super) struct Args {
    /// The account; may be left out if there is only one
    account: Option<String>,

    /// Show who is signed in, how, and with which permissions, without signing in
    #[arg(long)]
    status: bool,

    /// Print the status as JSON
    #[arg(long, requires = "status")]
    json: bool,
}

/// Runs it.
pub(super) fn run(Args { account, status, json }: Args, context: &Context) -> Result<Exit, Error> {
    let config = context.load_config()?;
    if status {
        return status::run(account, json, &config, context);
    }
    let (name, account) = choose(account, &config)?;
    let permitted = sign_in_account(&name, &account, &config, context)?;
    reload_daemon(context);
    permitted.map(|_| Exit::Ok)
}

/// A sign-in that has the necessary permissions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Permitted {
    /// Whether it may also read presences, although `verify` is off.
    pub(super) may_verify: bool,
}

/// Signs a user in to an account, or checks that it does not need one. The inner result says whether the sign-in, which is
/// stored then, has the necessary permissions.
pub(super) fn sign_in_account(
    name: &str,
    account: &config::Account,
    config: &Config,
    context: &Context,
) -> Result<Result<Permitted, Error>, Error> {
    let environment = context.environment.clone().hiding_secrets_of(config);
    match &account.auth {
        Auth::DeviceCode | Auth::Browser => {
            let reads = config.session.verify;
            block_on(auth::ensure_storable(name, account, &environment, tell_locked))??;
            let (signed_in, permissions) = block_on(sign_in(name, account, reads, &environment))??;
            anstream::println!("{}", signed_in_text(name, account, &signed_in, permissions.as_ref()));
            Ok(check_permissions(name, permissions.as_ref(), reads))
        }
        Auth::ClientSecret { .. }
        | Auth::ClientCertificate { .. }
        | Auth::Federated { .. }
        | Auth::TokenCommand { .. } => {
            let now = Now { instant: Instant::default(), wall: Context::now(), zone: TimeZone::system() };
            let authenticator = Authenticator::new(name, account, &environment);
            block_on(async {
                loop {
                    let progress = Progress::new("Getting a token");
                    let token = authenticator.token(&now, true).await;
                    drop(progress);
                    match token {
                        Ok(_) => break,
                        Err(failure) => auth::unlock(failure, tell_locked).await?,
                    }
                }
                Ok::<_, Failure>(())
            })??;
            anstream::println!("Account `{name}` does not need a sign-in: it gets its own tokens, and that works.");
            Ok(Ok(Permitted { may_verify: false }))
        }
    }
}

async fn sign_in(
    name: &str,
    account: &config::Account,
    reads: bool,
    environment: &Environment,
) -> Result<(SignedIn, Option<Permissions>), Error> {
    let cancelled =
        cancelled().map_err(|error| Error::new(Exit::Failed, format!("cannot listen for Ctrl-C: {error}")))?;
    // Once the user has something to do, the wait is for the user, and the prompt says so.
    let progress = Cell::new(Some(Progress::new("Asking the sign-in service")));
    let show = |prompt: &Prompt| {
        drop(progress.take());
        match prompt {
            Prompt::Code(prompt) => anstream::println!("{}", instructions(name, prompt)),
            Prompt::Browser(prompt) => {
                anstream::println!("{}", browser_instructions(name, prompt));
                browser::open(prompt.url.as_str(), environment);
            }
        }
    };
    Ok(auth::login(name, account, environment, reads, show, cancelled).await?)
}

/// Completes when the user or the system ends the program. It listens from the moment of the call.
fn cancelled() -> io::Result<impl Future<Output = ()>> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

fn instructions(account: &str, prompt: &DevicePrompt) -> String {
    let bold = anstyle::Style::new().bold();
    let complete = prompt
        .verification_uri_complete
        .as_ref()
        .map(|uri| format!("or open this page, which already includes the code\n\n    {bold}{uri}{bold:#}\n\n"));
    format!(
        "To sign in to `{account}`, open this page on any device\n\n    {bold}{}{bold:#}\n\nand enter the code\n\n    \
         {bold}{}{bold:#}\n\n{}The code is valid for {} minutes. Waiting … (Ctrl-C cancels)",
        prompt.verification_uri,
        prompt.user_code,
        complete.unwrap_or_default(),
        prompt.expires_in.as_secs() / 60,
    )
}

fn browser_instructions(account: &str, BrowserPrompt { url, port, expires_in }: &BrowserPrompt) -> String {
    let bold = anstyle::Style::new().bold();
    format!(
        "To sign in to `{account}`, open this page in a browser on this machine, if it has not opened by itself\n\n    \
         {bold}{url}{bold:#}\n\nIf the browser is on another machine, first run this there\n\n    ssh -L {port}:localhost:{port} \
         THIS-MACHINE\n\nOr copy the address that the browser cannot open at the end, and run this here, in another shell\n\n    \
         curl 'http://localhost:{port}/?…'\n\nThe browser must come back within {} minutes. Waiting … (Ctrl-C cancels)",
        expires_in.as_secs() / 60,
    )
}

fn signed_in_text(
    name: &str,
    account: &config::Account,
    signed_in: &SignedIn,
    permissions: Option<&Permissions>,
) -> String {
    let SignedIn { user, tenant, username } = signed_in;
    let who = username.as_deref().or(user.as_deref()).unwrap_or("an unnamed user");
    let tenant = match tenant {
        Some(id) if id.eq_ignore_ascii_case(&account.tenant) => id.clone(),
        Some(id) => format!("{id} ({})", account.tenant),
        None => account.tenant.clone(),
    };
    let permissions = match permissions.map(Permissions::names) {
        Some([]) => "none".to_owned(),
        Some(names) => names.join(", "),
        None => "unknown".to_owned(),
    };
    let user = user.as_deref().unwrap_or("unknown");
    // They come from the sign-in service, so they must not control the terminal.
    let [who, user, tenant, permissions] = [who, user, &tenant, &permissions].map(printable);
    format!(
        "Signed in to `{name}` as {who}.\n  user         {user}\n  tenant       {tenant}\n  permissions  {permissions}"
    )
}

/// Checks that the sign-in has the permissions that presenced needs in Graph.
fn check_permissions(account: &str, permissions: Option<&Permissions>, reads: bool) -> Result<Permitted, Error> {
    let needed = [Permission::Write].into_iter().chain(reads.then_some(Permission::Read));
    // If they are unknown, Graph will refuse what is not permitted.
    let Some(permissions) = permissions else { return Ok(Permitted { may_verify: false }) };
    let Some(missing) = needed.into_iter().find(|needed| permissions.lacks(*needed)) else {
        return Ok(Permitted { may_verify: !reads && !permissions.lacks(Permission::Read) });
    };
    let done = match missing {
        Permission::Write => "set the presence",
        Permission::Read => "read presences",
    };
    Err(Error::new(Exit::Failed, format!("the sign-in to `{account}` is stored, but it is not allowed to {done}"))
        .with_hint(permissions.remedy(missing, &format!("run `presenced login {account}`"))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::accounts::tests::config;

    #[test]
    fn the_code_and_the_page_stand_out() {
        let prompt = DevicePrompt {
            user_code: "ABCD-1234".to_owned(),
            verification_uri: "https://microsoft.com/devicelogin".to_owned(),
            verification_uri_complete: None,
            expires_in: Duration::from_mins(15),
        };
        let shown = |prompt: &DevicePrompt| anstream::adapter::strip_str(&instructions("work", prompt)).to_string();
        let plain = shown(&prompt);
        insta::assert_snapshot!(plain, @r"
        To sign in to `work`, open this page on any device

            https://microsoft.com/devicelogin

        and enter the code

            ABCD-1234

        The code is valid for 15 minutes. Waiting … (Ctrl-C cancels)
        ");
        let uri = "https://microsoft.com/devicelogin?code=ABCD-1234";
        let plain = shown(&DevicePrompt { verification_uri_complete: Some(uri.to_owned()), ..prompt });
        assert!(
            plain.contains(&format!("or open this page, which already includes the code\n\n    {uri}\n\nThe code is")),
            "{plain}"
        );
    }

    #[test]
    fn the_page_to_open_stands_out_and_another_machine_is_explained() {
        let url = "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/authorize?client_id=a".parse().unwrap();
        let prompt = BrowserPrompt { url, port: 43210, expires_in: Duration::from_mins(10) };
        let plain = anstream::adapter::strip_str(&browser_instructions("work", &prompt)).to_string();
        insta::assert_snapshot!(plain, @"
        To sign in to `work`, open this page in a browser on this machine, if it has not opened by itself

            https://login.microsoftonline.com/contoso.com/oauth2/v2.0/authorize?client_id=a

        If the browser is on another machine, first run this there

            ssh -L 43210:localhost:43210 THIS-MACHINE

        Or copy the address that the browser cannot open at the end, and run this here, in another shell

            curl 'http://localhost:43210/?…'

        The browser must come back within 10 minutes. Waiting … (Ctrl-C cancels)
        ");
    }

    #[test]
    fn the_user_the_tenant_and_the_permissions_are_shown() {
        let account = config(&["work"]).accounts.remove("work").unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let signed_in = SignedIn {
            user: Some("fa8bf3dc".to_owned()),
            tenant: Some("dcd219dd".to_owned()),
            username: Some("me@contoso.com".to_owned()),
        };
        let permissions = Permissions::Delegated(names(&["Presence.ReadWrite", "Presence.Read"]));
        insta::assert_snapshot!(signed_in_text("work", &account, &signed_in, Some(&permissions)), @"
        Signed in to `work` as me@contoso.com.
          user         fa8bf3dc
          tenant       dcd219dd (contoso.onmicrosoft.com)
          permissions  Presence.ReadWrite, Presence.Read
        ");
        let nothing = Permissions::Delegated(Vec::new());
        insta::assert_snapshot!(signed_in_text("work", &account, &SignedIn::default(), Some(&nothing)), @"
        Signed in to `work` as an unnamed user.
          user         unknown
          tenant       contoso.onmicrosoft.com
          permissions  none
        ");
        let account = config::Account { tenant: "DCD219DD".to_owned(), ..account };
        let hostile = SignedIn { username: Some("a\u{1b}[2Jb\n".to_owned()), ..SignedIn::default() };
        assert!(
            signed_in_text("work", &account, &hostile, None)
                .starts_with("Signed in to `work` as a\u{fffd}[2Jb\u{fffd}.\n")
        );
        let text = signed_in_text("work", &account, &signed_in, None);
        assert!(text.contains("tenant       dcd219dd\n") && text.ends_with("unknown"), "{text}");
    }

    #[test]
    fn a_missing_permission_is_named_with_its_fix() {
        let check = |granted: &[&str], reads| {
            let granted = granted.iter().map(|name| (*name).to_owned()).collect();
            check_permissions("work", Some(&Permissions::Delegated(granted)), reads)
        };
        let may = |may_verify| Ok(Permitted { may_verify });
        assert_eq!(check_permissions("work", None, true), may(false));
        assert_eq!(check(&["Presence.ReadWrite"], false), may(false));
        let both = ["Presence.ReadWrite", "Presence.Read"];
        assert_eq!((check(&both, false), check(&both, true)), (may(true), may(false)));
        for (granted, reads, text, hint) in [
            (&["User.Read"][..], true, "is not allowed to set the presence", "lacks `Presence.ReadWrite`"),
            (&["Presence.ReadWrite"][..], true, "is not allowed to read presences", "lacks `Presence.Read`"),
        ] {
            let error = check(granted, reads).unwrap_err();
            assert!(error.exit == Exit::Failed && error.text.contains(text), "{error:?}");
            assert!(error.hint.unwrap().contains(hint));
        }
    }
}
