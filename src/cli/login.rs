//! `presenced login`: signs a person in to an account, or shows that an account that needs no person gets its token.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::ask::ask;
use super::run::load;
use super::runtime::block_on;
use super::{Context, Error, Exit, examples};
use crate::auth::{self, Authenticator, DevicePrompt, SignedIn};
use crate::config::{self, Auth, Config};
use crate::session::{Failure, FailureKind};
use crate::time::{Instant, Now};

/// The arguments of `login`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced login              Sign in to the only account"
    "presenced login contoso      Sign in to one of several";
    "An account with a client secret or a token command needs nobody: `login` then\nshows that it gets its token."
))]
pub(super) struct Args {
    /// The account of the configuration; may be left out when there is only one
    account: Option<String>,
}

/// Runs it.
pub(super) fn run(Args { account }: Args, context: &Context) -> Result<Exit, Error> {
    let config = load(context)?;
    let (name, account) = choose(account, &config)?;
    match &account.auth {
        Auth::DeviceCode => {
            block_on(auth::make_room(&name, &account, &context.environment, tell_locked))??;
            let show = |prompt: &DevicePrompt| anstream::println!("{}", instructions(&name, prompt));
            let signed_in = block_on(auth::login(&name, &account, &context.environment, config.session.verify, show))??;
            anstream::println!("{}", welcome(&name, &signed_in));
            check_user(&account, &signed_in)?;
        }
        Auth::ClientSecret { .. } | Auth::TokenCommand { .. } => {
            let authenticator = Authenticator::new(&name, &account, &context.environment);
            block_on(async {
                while let Err(failure) = authenticator.token(&now(), true).await {
                    auth::unlock(failure, tell_locked).await?;
                }
                Ok::<_, Failure>(())
            })??;
            anstream::println!(
                "There is nobody to sign in: account `{name}` gets its tokens by itself, and that works."
            );
        }
    }
    reload_daemon(context);
    Ok(Exit::Ok)
}

/// Why nothing goes on for now. The keyring asks by itself where there is a screen.
pub(super) fn tell_locked() {
    anstream::println!("The keyring is locked. Unlock it, or give up with Ctrl-C. Waiting …");
}

/// Has a running daemon go on with what is on disk now; that none runs is as well.
pub(super) fn reload_daemon(context: &Context) {
    if context.socket.is_none() {
        return;
    }
    let reloaded = ask(context, async |mut daemon| daemon.reload().await);
    if let Err(error) = reloaded
        && error.exit != Exit::NotRunning
    {
        anstream::eprintln!("The running daemon did not take it over: {}", error.text);
    }
}

/// The account that is meant: the one of that name, or the only one.
pub(super) fn choose(name: Option<String>, config: &Config) -> Result<(String, config::Account), Error> {
    let names: Vec<_> = config.accounts.keys().map(|name| format!("`{name}`")).collect();
    let hint = format!("the configuration has {}", names.join(", "));
    match (name, config.accounts.first_key_value()) {
        (Some(name), _) => match config.accounts.get(&name) {
            Some(account) => Ok((name, account.clone())),
            None => Err(Error::new(Exit::Usage, format!("there is no account `{name}`")).with_hint(hint)),
        },
        (None, Some((name, account))) if names.len() == 1 => Ok((name.clone(), account.clone())),
        (None, _) => Err(Error::new(Exit::Usage, "there are several accounts: say which one").with_hint(hint)),
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let exit = match failure.kind {
            FailureKind::SignInNeeded => Exit::SignInNeeded,
            FailureKind::Passing | FailureKind::Throttled | FailureKind::TokenRefused | FailureKind::Refused => {
                Exit::Failed
            }
        };
        Self { exit, text: failure.text, hint: failure.hint }
    }
}

fn instructions(account: &str, prompt: &DevicePrompt) -> String {
    let bold = anstyle::Style::new().bold();
    format!(
        "To sign in to `{account}`, open this page on any device\n\n    {bold}{}{bold:#}\n\nand type the code\n\n    \
         {bold}{}{bold:#}\n\nIt is good for {} minutes. Waiting …",
        prompt.verification_uri,
        prompt.user_code,
        prompt.expires_in.as_secs() / 60,
    )
}

fn welcome(account: &str, signed_in: &SignedIn) -> String {
    let who = signed_in.username.as_deref().or(signed_in.user.as_deref()).unwrap_or("a user who was not named");
    let tenant = signed_in.tenant.as_deref().map(|tenant| format!(", tenant {tenant}")).unwrap_or_default();
    format!("Signed in to `{account}` as {who}{tenant}.")
}

/// A sign-in can only set its own presence.
fn check_user(account: &config::Account, signed_in: &SignedIn) -> Result<(), Error> {
    let Some(user) = &account.user else { return Ok(()) };
    let mut names = signed_in.user.iter().chain(&signed_in.username).peekable();
    if names.peek().is_none() || names.any(|name| name.eq_ignore_ascii_case(user)) {
        return Ok(());
    }
    let text = format!("the account is for user {user}, and somebody else signed in");
    Err(Error::new(Exit::Failed, text).with_hint("sign in as that user, or leave `user` out of the account"))
}

#[expect(clippy::disallowed_methods, reason = "the roof reads the clock; a command has no daemon to ask")]
fn now() -> Now {
    Now { instant: Instant::default(), wall: Timestamp::now(), zone: TimeZone::system() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn config(names: &[&str]) -> Config {
        let account = config::Account {
            tenant: "contoso.onmicrosoft.com".to_owned(),
            client_id: "22553876-f5ab-4529-bffb-cfe50aa89f87".to_owned(),
            user: None,
            cloud: config::Cloud::Global,
            auth: Auth::DeviceCode,
            tokens: config::TokenStore::File,
            endpoints: config::Endpoints {
                graph: "http://127.0.0.1:1/v1.0".parse().unwrap(),
                login: "http://127.0.0.1:1".parse().unwrap(),
            },
        };
        Config {
            accounts: names.iter().map(|name| ((*name).to_owned(), account.clone())).collect::<BTreeMap<_, _>>(),
            session: config::Session::default(),
            signals: config::Signals::default(),
            rules: Vec::new(),
            log: config::Log::default(),
        }
    }

    #[test]
    fn the_only_account_needs_no_name() {
        let name = |named: Option<&str>, names: &[&str]| {
            choose(named.map(ToOwned::to_owned), &config(names)).map(|(name, _)| name)
        };
        assert_eq!(name(None, &["work"]).as_deref(), Ok("work"));
        assert_eq!(name(Some("b"), &["a", "b"]).as_deref(), Ok("b"));
        let several = name(None, &["a", "b"]).unwrap_err();
        assert_eq!((several.exit, several.hint.as_deref()), (Exit::Usage, Some("the configuration has `a`, `b`")));
        let unknown = name(Some("c"), &["a", "b"]).unwrap_err();
        assert_eq!(unknown.text, "there is no account `c`");
        assert_eq!((unknown.exit, unknown.hint.as_deref()), (Exit::Usage, Some("the configuration has `a`, `b`")));
    }

    #[test]
    fn the_code_and_the_page_stand_out() {
        let prompt = DevicePrompt {
            user_code: "ABCD-1234".to_owned(),
            verification_uri: "https://microsoft.com/devicelogin".to_owned(),
            expires_in: Duration::from_mins(15),
        };
        let plain = anstream::adapter::strip_str(&instructions("work", &prompt)).to_string();
        insta::assert_snapshot!(plain, @r"
        To sign in to `work`, open this page on any device

            https://microsoft.com/devicelogin

        and type the code

            ABCD-1234

        It is good for 15 minutes. Waiting …
        ");
    }

    #[test]
    fn who_signed_in_must_be_the_accounts_user() {
        let signed_in = SignedIn {
            user: Some("fa8bf3dc".to_owned()),
            tenant: Some("dcd219dd".to_owned()),
            username: Some("me@contoso.com".to_owned()),
        };
        assert_eq!(welcome("work", &signed_in), "Signed in to `work` as me@contoso.com, tenant dcd219dd.");
        assert_eq!(welcome("work", &SignedIn::default()), "Signed in to `work` as a user who was not named.");
        let check = |user: Option<&str>, signed_in: &SignedIn| {
            let account = config(&["work"]).accounts.remove("work").unwrap();
            check_user(&config::Account { user: user.map(ToOwned::to_owned), ..account }, signed_in)
        };
        for well in [None, Some("FA8BF3DC"), Some("Me@Contoso.com")] {
            assert_eq!(check(well, &signed_in), Ok(()));
        }
        assert_eq!(check(Some("fa8bf3dc"), &SignedIn::default()), Ok(()));
        for known in [signed_in.clone(), SignedIn { username: None, ..signed_in.clone() }] {
            assert!(check(Some("somebody-else"), &known).unwrap_err().text.contains("somebody else signed in"));
        }
    }
}
