//! `presenced init`: the first run. Three questions, a configuration, then the sign-in and the service.
//!
//! Each step is done only if it is not done yet, so that another run continues where the last one ended: an existing configuration
//! and existing sign-ins stay. All questions are asked before anything is done. Leaves to others: the questions (`questions`), the
//! calendars of other programs (`find`), the configuration's text (`template`) and its file (`config_file`), an existing
//! configuration (`existing`), signing in (`login`), and the service (`service`).

mod config_file;
mod existing;
mod find;
mod questions;
mod source;
mod template;
mod terminal;

use std::path::{self, Path};

use super::accounts::tell_locked;
use super::context::{Context, examples};
use super::daemon_client::reload_running;
use super::error::{Error, Exit};
use super::runtime::block_on;
use super::systemd::systemctl;
use super::terminal::output::print;
use super::terminal::text::{columns, pad, printable};
use super::{check, login, service};
use crate::auth;
use crate::config::{Account, CalendarPlace, Config, Environment};
use crate::suggest;
use template::Method;
use terminal::{InvalidAnswer, Terminal};

/// The arguments of `init`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate flag")]
#[command(after_help = examples!(
    "presenced init                    Answer three questions"
    "presenced init --tenant contoso.onmicrosoft.com \\\n    \
         --client-id 22553876-f5ab-4529-bffb-cfe50aa89f87 \\\n    \
         --calendar ~/.calendars/work    Without questions";
    "Run it again to continue where it ended. An existing configuration or sign-in\nstays as it is.";
    "Without a terminal it asks nothing and does only what the flags say: give\n--tenant and --client-id, and also --login or --service if you want these.\nWith --yes it does everything that it would offer.";
    "Exit codes: 0 done; 1 failed; 2 usage or configuration; 4 sign-in needed."
))]
pub(super) struct Args {
    /// The tenant: its domain name, or its Directory (tenant) ID
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,

    /// The app registration: its Application (client) ID
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// A calendar: an .ics file, or a folder of them; may be repeated
    #[arg(long = "calendar", value_name = "PATH", conflicts_with = "no_calendar")]
    calendars: Vec<String>,

    /// Watch no calendar
    #[arg(long)]
    no_calendar: bool,

    /// Your e-mail address in invitations; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    identity: Vec<String>,

    /// How you sign in: browser or device-code [default: browser]
    #[arg(long, value_name = "METHOD", hide_possible_values = true)]
    method: Option<Method>,

    /// A name for the account [default: work]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// Sign in to each account that has no sign-in
    #[arg(long, overrides_with = "no_login")]
    login: bool,

    /// Do not sign in
    #[arg(long)]
    no_login: bool,

    /// Run presenced as a systemd service, now and at each login
    #[arg(long, overrides_with = "no_service")]
    service: bool,

    /// Do not install the service
    #[arg(long)]
    no_service: bool,

    /// Ask nothing, and do everything: use all calendars found, sign in, install the service
    #[arg(short, long)]
    yes: bool,
}

impl Args {
    /// Whether no flag is about the calendar.
    fn leaves_calendar_open(&self) -> bool {
        self.calendars.is_empty() && !self.no_calendar
    }

    /// Whether to do what `offer` offers: a flag decides, otherwise the user.
    fn wants(&self, [do_it, leave_it]: [bool; 2], terminal: Option<&Terminal>, offer: &str) -> bool {
        match terminal {
            _ if do_it => true,
            _ if leave_it => false,
            Some(terminal) => terminal.offer(offer),
            None => self.yes,
        }
    }
}

/// Runs the command.
#[expect(clippy::needless_pass_by_value, reason = "every subcommand is called alike")]
pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Error> {
    let terminal = if args.yes { None } else { Terminal::new() };
    let terminal = terminal.as_ref();
    let folder = path::absolute(".").map_err(|error| {
        Error::new(Exit::Failed, format!("the current folder does not exist any more: {error}")).with_hint("cd ~")
    })?;
    let config = if config_file::is_taken(&context.config) {
        use_existing(&args, &folder, context)?
    } else {
        set_up(&args, terminal, &folder, context)?
    };

    // Everything is asked before anything is done, because during a sign-in, Ctrl-C cancels the sign-in.
    let mut people = people(&args, &config, terminal.is_some(), context)?;
    for person in people.iter_mut().filter(|person| person.signed_in.is_err()) {
        let offer = format!("Sign in to `{}` now?", person.name);
        person.will_sign_in = args.wants([args.login, args.no_login], terminal, &offer);
    }
    let service_state = ServiceState::look(&context.environment);
    // Without a sign-in, the service could do nothing.
    let is_ready = people.iter().all(|person| person.signed_in.is_ok() || person.will_sign_in);
    let offer = "Start presenced now and at each login, as a systemd user service?";
    let serve = match service_state {
        ServiceState::Absent if is_ready || args.service => {
            args.wants([args.service, args.no_service], terminal, offer)
        }
        ServiceState::Absent => false,
        ServiceState::Installed | ServiceState::Unknown => args.service,
    };

    let mut may_verify = false;
    for person in people.iter().filter(|person| person.will_sign_in) {
        may_verify |= login::sign_in_account(&person.name, &person.account, &config, context)??.may_verify;
    }
    let exit = if serve {
        service::install(false, context)?
    } else {
        if people.iter().any(|person| person.will_sign_in) {
            reload_running(context);
        }
        Exit::Ok
    };
    let service_state = if serve { ServiceState::Installed } else { service_state };
    let people = self::people(&args, &config, false, context)?;
    print(&summary(&people, service_state, &context.config, &context.environment))?;
    if may_verify {
        print(VERIFY)?;
    }
    Ok(exit)
}

/// What to offer to a person whose sign-in may read presences.
const VERIFY: &str = "\nYour sign-in may also read presences. With `verify = true` below [session] in the\nconfiguration, `presenced \
                      status` shows what others see, and presenced notices when\nanother program changes the session.\n";

/// Uses the existing configuration.
fn use_existing(args: &Args, folder: &Path, context: &Context) -> Result<Config, Error> {
    let config = context.load_config()?;
    existing::agree(args, &config, folder, context)?;
    let file = source::shown(&context.config, &context.environment);
    print(&format!("{file} already exists, and stays as it is.\n\n{}", check::overview(&config)))?;
    Ok(config)
}

/// Writes a new configuration from flags and answers.
fn set_up(args: &Args, terminal: Option<&Terminal>, folder: &Path, context: &Context) -> Result<Config, Error> {
    config_file::check(&context.config)?;
    let environment = &context.environment;
    let answers = questions::answers(args, terminal, folder, environment)?;
    let config = answers.read(environment).map_err(InvalidAnswer::error)?;
    config_file::write(&context.config, &answers.render(environment))?;
    print(&format!("\nWrote {}.\n", source::shown(&context.config, environment)))?;
    for source in config.signals.calendar.iter().flat_map(|calendar| &calendar.sources) {
        if let CalendarPlace::Path(path) = &source.place
            && let Some(trouble) = questions::trouble(path)
        {
            let trouble = printable(&trouble);
            anstream::eprintln!("note: {trouble}. Until it can be read, the calendar is unknown.");
        }
    }
    Ok(config)
}

/// An account that a person signs in to.
struct Person {
    name: String,
    account: Account,
    /// Who is signed in, or why no one is.
    signed_in: Result<String, String>,
    /// Whether the person is about to sign in.
    will_sign_in: bool,
}

/// The accounts that a person signs in to, or only the one in `--account`. `waits`: wait until the user unlocks the keyring.
fn people(args: &Args, config: &Config, waits: bool, context: &Context) -> Result<Vec<Person>, Error> {
    let environment = context.environment.clone().hiding_secrets_of(config);
    let is_meant = |name: &String| args.account.as_ref().is_none_or(|named| named == name);
    let accounts = config.accounts.iter().filter(|(name, account)| account.auth.is_interactive() && is_meant(name));
    let person = |(name, account): (&String, &Account)| {
        let signed_in = block_on(signed_in(name, account, waits, &environment))?;
        Ok(Person { name: name.clone(), account: account.clone(), signed_in, will_sign_in: false })
    };
    accounts.map(person).collect()
}

async fn signed_in(name: &str, account: &Account, waits: bool, environment: &Environment) -> Result<String, String> {
    loop {
        let failure = match auth::stored(name, account, environment).await {
            Ok(who) => return Ok(who.username.or(who.user).unwrap_or_else(|| "a person".to_owned())),
            Err(failure) => failure,
        };
        let text = failure.text.clone();
        if !waits || auth::unlock(failure, tell_locked).await.is_err() {
            return Err(text);
        }
    }
}

/// The state of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServiceState {
    /// It starts at each login.
    Installed,
    /// It could be installed.
    Absent,
    /// There is no service manager to ask.
    Unknown,
}

impl ServiceState {
    fn look(environment: &Environment) -> Self {
        match systemctl::show(service::SERVICE, &["UnitFileState"], environment) {
            Ok(unit) if unit.text("UnitFileState") == "enabled" => Self::Installed,
            Ok(_) => Self::Absent,
            Err(_) => Self::Unknown,
        }
    }
}

/// What is done, what is missing, and what to do next.
fn summary(people: &[Person], service_state: ServiceState, file: &Path, environment: &Environment) -> String {
    let (mut rows, mut next) = (vec![("configuration", source::shown(file, environment))], Vec::new());
    for Person { name, signed_in, .. } in people {
        if signed_in.is_err() {
            next.push(format!("presenced login {name}"));
        }
        let state = signed_in.as_ref().map(|who| format!("signed in as {}", printable(who)));
        rows.push((name, state.unwrap_or_else(|why| printable(why))));
    }
    let (state, missing) = match service_state {
        ServiceState::Installed => ("starts at each login", None),
        ServiceState::Absent => ("not installed", Some("presenced service install")),
        ServiceState::Unknown => ("your systemd cannot be reached", Some("presenced run")),
    };
    rows.push(("service", state.to_owned()));
    next.extend(missing.map(ToOwned::to_owned));
    let title = if next.is_empty() { "Everything is set up" } else { "Set up so far" };
    next.push("presenced status".to_owned());
    let width = rows.iter().map(|(label, _)| columns(label)).max().unwrap_or(0);
    let rows: Vec<_> = rows.iter().map(|(label, text)| format!("  {}  {text}\n", pad(label, width))).collect();
    format!("\n{title}:\n{}\nNext: {}\n", rows.concat(), suggest::list(next.iter().map(String::as_str), "then"))
}
