//! `presenced login`: signs a person in to an account, or shows that an account that needs no person gets its token; with
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
    "presenced login --status     Who is signed in, and until when";
    "Exit codes of --status: 0 signed in; 1 refused; 4 sign-in needed.\n\nAn account with a client secret, a certificate, a federated identity or a token\ncommand needs nobody: `login` then shows that it gets its token."
))]
pub(super) struct Args {
    /// The account of the configuration; may be left out when there is only one
    account: Option<String>,

    /// Show who is signed in, by which method, and what that permits; sign nobody in
    #[arg(long)]
    status: bool,

    /// Print that as JSON
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
    permitted.map(|()| Exit::Ok)
}

/// Signs somebody in to an account, or shows that it needs nobody. Inside of it: whether the sign-in, which is stored then,
/// permits what it must.
pub(super) fn sign_in_account(
    name: &str,
    account: &config::Account,
    config: &Config,
    context: &Context,
) -> Result<Result<(), Error>, Error> {
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
            anstream::println!(
                "There is nobody to sign in: account `{name}` gets its tokens by itself, and that works."
            );
            Ok(Ok(()))
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
        cancelled().map_err(|error| Error::new(Exit::Failed, format!("Ctrl-C cannot be listened for: {error}")))?;
    // Once the person has something to do, it is the person who is waited for, and that is told.
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

/// Ends when the person, or the system, wants an end. It listens from the call on.
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
        .map(|uri| format!("or open this page, which has the code already\n\n    {bold}{uri}{bold:#}\n\n"));
    format!(
        "To sign in to `{account}`, open this page on any device\n\n    {bold}{}{bold:#}\n\nand type the code\n\n    \
         {bold}{}{bold:#}\n\n{}It is good for {} minutes. Waiting … (Ctrl-C cancels it)",
        prompt.verification_uri,
        prompt.user_code,
        complete.unwrap_or_default(),
        prompt.expires_in.as_secs() / 60,
    )
}

fn browser_instructions(account: &str, BrowserPrompt { url, port, expires_in }: &BrowserPrompt) -> String {
    let bold = anstyle::Style::new().bold();
    format!(
        "To sign in to `{account}`, open this page in a browser on this machine, where it has not opened by itself\n\n    \
         {bold}{url}{bold:#}\n\nIs the browser on another machine? There, first run\n\n    ssh -L {port}:localhost:{port} \
         THIS-MACHINE\n\nOr copy the address that it cannot open at the end, and here, in another shell, run\n\n    \
         curl 'http://localhost:{port}/?…'\n\nThe browser has {} minutes to come back. Waiting … (Ctrl-C cancels it)",
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
    let who = username.as_deref().or(user.as_deref()).unwrap_or("a user who was not named");
    let tenant = match tenant {
        Some(id) if id.eq_ignore_ascii_case(&account.tenant) => id.clone(),
        Some(id) => format!("{id} ({})", account.tenant),
        None => account.tenant.clone(),
    };
    let permissions = match permissions.map(Permissions::names) {
        Some([]) => "none".to_owned(),
        Some(names) => names.join(", "),
        None => "not said".to_owned(),
    };
    let user = user.as_deref().unwrap_or("not said");
    // They come from outside, and this is a terminal.
    let [who, user, tenant, permissions] = [who, user, &tenant, &permissions].map(printable);
    format!(
        "Signed in to `{name}` as {who}.\n  user         {user}\n  tenant       {tenant}\n  permissions  {permissions}"
    )
}

/// Whether the sign-in permits what presenced will ask Graph for.
fn check_permissions(account: &str, permissions: Option<&Permissions>, reads: bool) -> Result<(), Error> {
    let needed = [Permission::Write].into_iter().chain(reads.then_some(Permission::Read));
    // Where nobody said what they are, Graph will tell.
    let Some(permissions) = permissions else { return Ok(()) };
    let Some(lacking) = needed.into_iter().find(|needed| permissions.lacks(*needed)) else { return Ok(()) };
    let done = match lacking {
        Permission::Write => "set the presence",
        Permission::Read => "read presences",
    };
    Err(Error::new(Exit::Failed, format!("the sign-in to `{account}` is stored, but it may not {done}"))
        .with_hint(permissions.remedy(lacking, &format!("run `presenced login {account}`"))))
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

        and type the code

            ABCD-1234

        It is good for 15 minutes. Waiting … (Ctrl-C cancels it)
        ");
        let uri = "https://microsoft.com/devicelogin?code=ABCD-1234";
        let plain = shown(&DevicePrompt { verification_uri_complete: Some(uri.to_owned()), ..prompt });
        assert!(
            plain.contains(&format!("or open this page, which has the code already\n\n    {uri}\n\nIt is")),
            "{plain}"
        );
    }

    #[test]
    fn the_page_to_open_stands_out_and_the_way_from_another_machine_is_told() {
        let url = "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/authorize?client_id=a".parse().unwrap();
        let prompt = BrowserPrompt { url, port: 43210, expires_in: Duration::from_mins(10) };
        let plain = anstream::adapter::strip_str(&browser_instructions("work", &prompt)).to_string();
        insta::assert_snapshot!(plain, @"
        To sign in to `work`, open this page in a browser on this machine, where it has not opened by itself

            https://login.microsoftonline.com/contoso.com/oauth2/v2.0/authorize?client_id=a

        Is the browser on another machine? There, first run

            ssh -L 43210:localhost:43210 THIS-MACHINE

        Or copy the address that it cannot open at the end, and here, in another shell, run

            curl 'http://localhost:43210/?…'

        The browser has 10 minutes to come back. Waiting … (Ctrl-C cancels it)
        ");
    }

    #[test]
    fn who_signed_in_where_and_with_what_is_told() {
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
        Signed in to `work` as a user who was not named.
          user         not said
          tenant       contoso.onmicrosoft.com
          permissions  none
        ");
        let account = config::Account { tenant: "DCD219DD".to_owned(), ..account };
        let hostile = SignedIn { username: Some("a\u{1b}[2Jb\n".to_owned()), ..SignedIn::default() };
        assert!(
            signed_in_text("work", &account, &hostile, None)
                .starts_with("Signed in to `work` as a\u{fffd}[2Jb\u{fffd}.\n")
        );
        let told = signed_in_text("work", &account, &signed_in, None);
        assert!(told.contains("tenant       dcd219dd\n") && told.ends_with("not said"), "{told}");
    }

    #[test]
    fn a_permission_that_is_missing_is_named_with_its_mend() {
        let check = |granted: &[&str], reads| {
            let granted = granted.iter().map(|name| (*name).to_owned()).collect();
            check_permissions("work", Some(&Permissions::Delegated(granted)), reads)
        };
        assert_eq!(check_permissions("work", None, true), Ok(()));
        assert_eq!(check(&["Presence.ReadWrite"], false), Ok(()));
        assert_eq!(check(&["Presence.ReadWrite", "Presence.Read"], true), Ok(()));
        for (granted, reads, text, hint) in [
            (&["User.Read"][..], true, "may not set the presence", "lacks `Presence.ReadWrite`"),
            (&["Presence.ReadWrite"][..], true, "may not read presences", "lacks `Presence.Read`"),
        ] {
            let error = check(granted, reads).unwrap_err();
            assert!(error.exit == Exit::Failed && error.text.contains(text), "{error:?}");
            assert!(error.hint.unwrap().contains(hint));
        }
    }
}
