//! `presenced emulator`: serves Microsoft Graph on loopback and prints the requests.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::fast_clock::{fast_clock, speed};
use super::runtime::block_on;
use crate::certificate::{Certificate, pem};
use crate::config::Problems;
use crate::daemon::clock::SystemClock;
use crate::local_request;
use crate::time::Clock;
use presenced_emulator::{App, Consent, Emulator, Fault, Options, Outcome, RequestRecord, User};

/// The arguments of `emulator`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced emulator                           Serve on 127.0.0.1:8765"
    "presenced emulator --listen 127.0.0.1:0      Serve on a free port"
    "presenced emulator --speed 60                Run an hour in a minute"
    "presenced emulator --plan faults.toml        Inject faults from a plan"
    "presenced emulator --certificate bot.pem     Also accept a certificate sign-in"
    "presenced emulator --users 12000             Serve a large directory";
    "A plan is a list of [[fault]] tables: at = \"1h\", for = \"10m\", call = \"token\", then = \"reset\". The emulator's own page \
     lists the keys and their values: curl http://127.0.0.1:8765/";
    "It prints an account for your configuration, and where to look."
))]
pub(super) struct Args {
    /// Loopback address to serve on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8765")]
    listen: SocketAddr,

    /// How many times faster than real time to run; a client running at normal speed will appear slow
    #[arg(long, value_name = "N", default_value = "1", value_parser = speed)]
    speed: f64,

    /// Start time of the fast clock; use the same value for the daemon [default: now]
    #[arg(long, value_name = "TIME", requires = "speed")]
    since: Option<Timestamp>,

    /// Fault plan: a TOML file of faults, with times counted from the start
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,

    /// PEM file with a certificate for `client-certificate` sign-ins; the application's secret still works
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// How many users the directory has, from 1 to 100000
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=MAX_USERS))]
    users: u32,

    /// Accept a `sessionId` that is not the application's id
    #[arg(long)]
    any_session: bool,
}

/// The most users of a directory. Graph's limit serves 12,000 Available users of one application.
const MAX_USERS: i64 = 100_000;

/// The largest file it reads, in bytes. Plans and certificates are much smaller.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Runs it until Ctrl-C or SIGTERM.
#[expect(clippy::needless_pass_by_value, reason = "every subcommand is called alike")]
pub(super) fn run(args: Args, _context: &Context) -> Result<Exit, Error> {
    if !local_request::is_loopback(args.listen.ip()) {
        let text =
            format!("`--listen {}` is not a loopback address, and the emulator only listens on loopback", args.listen);
        return Err(Error::new(Exit::Usage, text).with_hint("use 127.0.0.1 or [::1] with a port"));
    }
    let plan = args.plan.as_deref().map_or(Ok(Vec::new()), plan)?;
    // A user is there to approve the sign-in.
    let users = (1..=args.users).map(User::numbered).collect();
    let mut options = Options { consent: Consent::ByHand, users, any_session: args.any_session, ..Options::default() };
    if let (Some(file), Some(app)) = (&args.certificate, options.apps.first_mut()) {
        app.certificates = certificates(file)?;
    }
    block_on(serve(&args, plan, options))?
}

/// Reads a fault plan.
fn plan(file: &Path) -> Result<Vec<Fault>, Error> {
    let text = text("plan", file)?;
    Ok(Fault::plan(&text).map_err(|error| Problems::new(file, &text, error.findings))?)
}

/// Reads certificates and returns them in DER. A key in the same file is ignored.
fn certificates(file: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let wrong = |why: &str| {
        Error::new(Exit::Usage, format!("there is no valid certificate in {}{why}", file.display()))
            .with_hint("the file must be in PEM format, with -----BEGIN CERTIFICATE-----")
    };
    let blocks = pem::blocks(&text("certificate", file)?).map_err(|error| wrong(&format!(": {error}")))?;
    let certificates = Certificate::all(&blocks).filter(|all| !all.is_empty()).ok_or_else(|| wrong(""))?;
    Ok(certificates.into_iter().map(|certificate| certificate.der).collect())
}

/// Reads a text file. Error messages call it `what`.
fn text(what: &str, file: &Path) -> Result<String, Error> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Error::new(Exit::Usage, format!("the {what} {} cannot be read: {why}", file.display()))
    };
    let mut text = String::new();
    // One more byte is enough to detect a larger file.
    std::fs::File::open(file)
        .and_then(|opened| opened.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| unreadable(&error))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(unreadable(&"it is larger than 1 MB"));
    }
    Ok(text)
}

async fn serve(args: &Args, plan: Vec<Fault>, options: Options) -> Result<Exit, Error> {
    let listener = TcpListener::bind(args.listen).await.map_err(|error| cannot_listen(args.listen, &error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(args.listen, &error))?;
    let failed = |error: io::Error| Error::new(Exit::Failed, format!("the emulator on {address} failed: {error}"));
    let introduction = introduction(address, args.speed, &options);
    let clock: Arc<dyn Clock> = if args.speed.total_cmp(&1.0).is_eq() {
        Arc::new(SystemClock::real())
    } else {
        fast_clock(args.speed, args.since)
    };
    let emulator = Emulator::new(options, clock);
    for fault in plan {
        // The plan was checked when it was read.
        emulator.inject(fault).map_err(|error| Error::new(Exit::Usage, error.to_string()))?;
    }
    let mut records = emulator.subscribe();
    // Before the first line is printed: its reader may stop this program at once.
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    let serving = emulator.serve(listener);
    tokio::pin!(serving);

    anstream::println!("{introduction}");
    loop {
        tokio::select! {
            served = &mut serving => match served.map_err(failed)? {},
            record = records.recv() => match record {
                Ok(record) => anstream::println!("{}", line(&record)),
                Err(RecvError::Lagged(missed)) => anstream::println!("({missed} requests not shown)"),
                Err(RecvError::Closed) => return Ok(Exit::Ok),
            },
            _ = interrupted.recv() => return Ok(Exit::Ok),
            _ = terminated.recv() => return Ok(Exit::Ok),
        }
    }
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::AddrInUse {
        let text = format!("another program is already listening on {address}");
        return Error::new(Exit::Failed, text)
            .with_hint("choose another port, or a free one with `--listen 127.0.0.1:0`");
    }
    Error::new(Exit::Failed, format!("the emulator cannot listen on {address}: {error}"))
}

/// The first output: the address, an account to paste, and where to look.
fn introduction(address: SocketAddr, speed: f64, options: &Options) -> String {
    let pace = if speed.total_cmp(&1.0).is_eq() { String::new() } else { format!(" at {speed} times real time") };
    let heading = format!("Microsoft Graph, emulated on http://{address}{pace}. Ctrl-C stops it.");
    let (Some(app), Some(user)) = (options.apps.first(), options.users.first()) else { return heading };
    let account = account(address, app, &options.users);
    let users_file = if options.users.len() > 1 {
        format!("\nThe users file        curl http://{address}/_emulator/users -o agents")
    } else {
        String::new()
    };
    format!(
        "{heading}

To use it with presenced, add this to the configuration:

{account}
What others see now   curl http://{address}/_emulator/state
What others saw       curl http://{address}/_emulator/users/{}/timeline
Requests received     curl http://{address}/_emulator/requests{users_file}
How to inject faults  curl http://{address}/
",
        user.id
    )
}

/// An account for a configuration file. It signs in to the emulator.
fn account(address: SocketAddr, app: &App, users: &[User]) -> String {
    let auth = match &app.secret {
        Some(secret) => format!("{{ method = \"client-secret\", secret = {{ command = [\"echo\", \"{secret}\"] }} }}"),
        None => "{ method = \"device-code\" }".to_owned(),
    };
    let whose = match users {
        [user] => format!("user      = \"{}\"", user.id),
        _ => "users     = { file = \"agents\" }".to_owned(),
    };
    format!(
        "[accounts.emulator]\n\
         tenant    = \"contoso.onmicrosoft.com\"\n\
         client_id = \"{}\"\n\
         {whose}\n\
         auth      = {auth}\n\
         endpoints = {{ graph = \"http://{address}/v1.0\", login = \"http://{address}\" }}\n",
        app.client_id
    )
}

/// One request: its time, the call, its outcome, and what others see now. The parts of a batch are indented below it.
fn line(record: &RequestRecord) -> String {
    let time = time_of_day(record.at);
    let outcome = match (record.outcome, record.status) {
        (Outcome::Answered, Some(status)) => status.to_string(),
        (Outcome::Reset, _) => "reset".to_owned(),
        (Outcome::Hung, _) => "hung".to_owned(),
        (Outcome::Pending | Outcome::Answered, _) => "…".to_owned(),
    };
    let code = record.code.as_deref().unwrap_or_default();
    let seen = record.visible.as_ref().map(|visible| format!("others see {visible}")).unwrap_or_default();
    let indent = if record.batch.is_some() { "  " } else { "" };
    let call = format!("{indent}{}", record.call);
    format!("{time}  {call:<15} {outcome:<5} {code:<26} {seen}").trim_end().to_owned()
}

fn time_of_day(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The report that a user sees for an invalid plan.
    fn refused(text: &str) -> String {
        let findings = Fault::plan(text).expect_err(text).findings;
        Problems::new(Path::new("plan.toml"), text, findings).render(80, false)
    }

    #[test]
    fn problems_of_a_plan_are_shown_with_their_position() {
        let wrong = [
            "[[fault]]\nat = \"soon\"\nthen = \"reset\"\n",
            "[[fault]]\ncall = \"sett\"\n",
            "[[fault]]\nthen = \"explode\"\n",
            "[[fault]]\nuntil = \"1h\"\n",
            "[[faults]]\ncall = \"set\"\n",
            "[[fault]]\ncall = \"set\"\n[[fault]]\nfor = \"-1s\"\n",
            "[[fault]]\nthen = { respond = { status = 42 } }\n",
            "[[fault\n",
            "",
        ];
        insta::assert_snapshot!(wrong.map(refused).join("\n\n"));
    }
}
