//! `presenced emulator`: serves Microsoft Graph on loopback and prints the requests.

mod authority;
mod introduction;

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;

use self::introduction::{Addresses, configuration, introduction};
use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::fast_clock::{fast_clock, speed};
use super::runtime::block_on;
use crate::certificate::{Certificate, pem};
use crate::config::{NAME_RULE, Problems, is_name};
use crate::daemon::clock::SystemClock;
use crate::local_request;
use crate::time::Clock;
use presenced_emulator::{Consent, Emulator, Fault, Host, Options, Outcome, RequestRecord, Tls, User};

/// The arguments of `emulator`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced emulator                           Serve on 127.0.0.1:8765"
    "presenced emulator --listen 127.0.0.1:0      Serve on a free port"
    "presenced emulator --speed 60                Run an hour in a minute"
    "presenced emulator --plan faults.toml        Inject faults from a plan"
    "presenced emulator --users 12000             Serve a large directory"
    "presenced emulator --setup emulator.toml     Serve your own users"
    "presenced emulator --print-config test       Print an account to paste"
    "presenced emulator --tls --host graph.test   Also serve https, by one more name";
    "A plan is a list of [[fault]] tables: at = \"1h\", for = \"10m\", call = \"token\", then = \"reset\". The emulator's own page \
     lists the keys and their values: curl http://127.0.0.1:8765/";
    "It prints an account for your configuration, and where to look.";
    "With --tls it keeps a CA of its own, and prints the path. A client must trust it: set `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` or \
     `NODE_EXTRA_CA_CERTS` to the path, or give it to `curl --cacert`."
))]
pub(super) struct Args {
    /// Address to serve http on; port 0 picks a free one. Without --host, it must be a loopback address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8765")]
    listen: SocketAddr,

    /// Also serve https, with a CA that is created at the first start
    #[arg(long)]
    tls: bool,

    /// Address to serve https on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8766", requires = "tls")]
    tls_listen: SocketAddr,

    /// Another host name or IP address by which clients reach it; may be repeated
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<Host>,

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

    /// Print what to paste into presenced's configuration for an account of this name, and exit
    #[arg(long, value_name = "ACCOUNT")]
    print_config: Option<String>,

    /// What it contains: a TOML file of users, applications and agents
    #[arg(long, value_name = "FILE", conflicts_with_all = ["users", "certificate"])]
    setup: Option<PathBuf>,

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
pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Error> {
    check_addresses(&args)?;
    let plan = args.plan.as_deref().map_or(Ok(Vec::new()), plan)?;
    let contents = match &args.setup {
        Some(file) => setup(file)?,
        None => Options { users: (1..=args.users).map(User::numbered).collect(), ..Options::default() },
    };
    // A user is there to approve the sign-in.
    let consent = Consent::ByHand;
    let mut options = Options { consent, any_session: args.any_session, hosts: args.hosts.clone(), ..contents };
    if let (Some(file), Some(app)) = (&args.certificate, options.apps.first_mut()) {
        app.certificates = certificates(file)?;
    }
    let tls = if args.tls { Some(tls(&context.environment.state_dir, &args.hosts)?) } else { None };
    if let Some(name) = &args.print_config {
        return print_config(name, &args, &options, tls.map(|(_, ca)| ca));
    }
    block_on(serve(&args, plan, options, tls))?
}

/// Prints an account for a configuration. `ca` is the path of the CA's certificate with TLS.
fn print_config(name: &str, args: &Args, options: &Options, ca: Option<PathBuf>) -> Result<Exit, Error> {
    if !is_name(name) {
        let text = format!("`{name}` is not a valid name for an account");
        return Err(Error::new(Exit::Usage, text).with_hint(NAME_RULE));
    }
    let addresses = Addresses { http: args.listen, https: ca.map(|ca| (args.tls_listen, ca)), hosts: &args.hosts };
    let used = addresses.https.as_ref().map_or(args.listen, |(address, _)| *address);
    if used.port() == 0 {
        let text = "`--print-config` does not know which port a later start will pick";
        return Err(Error::new(Exit::Usage, text).with_hint("give the port instead of 0"));
    }
    let app = options.apps.first();
    let app = app.ok_or_else(|| Error::new(Exit::Usage, "the setup has no application, so nobody can sign in"))?;
    anstream::print!("{}", configuration(name, &addresses, app, options));
    Ok(Exit::Ok)
}

/// Without a name for other machines, only this machine may reach it: whoever does can sign in.
fn check_addresses(args: &Args) -> Result<(), Error> {
    let addresses = [("--listen", Some(args.listen)), ("--tls-listen", args.tls.then_some(args.tls_listen))];
    for (option, address) in addresses {
        let Some(address) = address.filter(|address| !local_request::is_loopback(address.ip())) else { continue };
        if args.hosts.is_empty() {
            let text = format!("`{option} {address}` is not a loopback address");
            return Err(Error::new(Exit::Usage, text).with_hint(
                "use 127.0.0.1 or [::1] with a port; or add `--host NAME` with the name by which other machines reach it, if \
                 everybody who can reach it may sign in",
            ));
        }
    }
    Ok(())
}

/// What it needs to serve https, and the path of the CA's certificate.
fn tls(state_dir: &Path, hosts: &[Host]) -> Result<(Tls, PathBuf), Error> {
    let now = Context::now();
    let (authority, path) = authority::authority(state_dir, now)?;
    let tls = authority.tls(hosts, now);
    let tls = tls.map_err(|error| Error::new(Exit::Failed, format!("no certificate can be made: {error}")))?;
    Ok((tls, path))
}

/// Reads a fault plan.
fn plan(file: &Path) -> Result<Vec<Fault>, Error> {
    let text = text("plan", file)?;
    Ok(Fault::plan(&text).map_err(|error| Problems::new(file, &text, error.findings))?)
}

/// Reads what the emulator contains.
fn setup(file: &Path) -> Result<Options, Error> {
    let text = text("setup", file)?;
    Ok(Options::setup(&text).map_err(|error| Problems::new(file, &text, error.findings))?)
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

async fn serve(args: &Args, plan: Vec<Fault>, options: Options, tls: Option<(Tls, PathBuf)>) -> Result<Exit, Error> {
    let (listener, address) = listen("--listen", args.listen).await?;
    let mut addresses = Addresses { http: address, https: None, hosts: &args.hosts };
    let mut tls_listener = None;
    if let Some((tls, ca)) = tls {
        let (listener, address) = listen("--tls-listen", args.tls_listen).await?;
        addresses.https = Some((address, ca));
        tls_listener = Some((listener, tls));
    }
    let failed = |error: io::Error| Error::new(Exit::Failed, format!("the emulator on {address} failed: {error}"));
    let introduction = introduction(&addresses, args.speed, &options);
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
    let serving = async {
        let Some((tls_listener, tls)) = tls_listener else { return emulator.serve(listener).await };
        tokio::select! {
            served = emulator.serve(listener) => served,
            served = emulator.serve_tls(tls_listener, tls) => served,
        }
    };
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

/// Listens on `address`, which `option` gives.
async fn listen(option: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let cannot = |error: io::Error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            let text = format!("another program is already listening on {address}");
            let hint = format!("choose another port, or a free one with `{option} 127.0.0.1:0`");
            return Error::new(Exit::Failed, text).with_hint(hint);
        }
        Error::new(Exit::Failed, format!("the emulator cannot listen on {address}: {error}"))
    };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    Ok((listener, address))
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
