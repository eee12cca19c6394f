//! `presenced signal`: sets a custom signal, which rules can use. Prints nothing on success, because scripts call it.

use std::time::Duration;

use super::context::{Context, examples};
use super::daemon_client::request;
use super::error::{Error, Exit};
use super::whom::WhomArgs;
use crate::status::users::UserChange;
use crate::status::{Invalid, SignalName, SignalValue, parse_ttl};

/// The arguments of `signal`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "presenced signal <NAME> <VALUE> [OPTIONS]\n       presenced signal <NAME> --unset [OPTIONS]"
)]
#[command(after_help = examples!(
    "presenced signal door closed               Keep it until it changes"
    "presenced signal recording on --ttl 2m     Let it expire after two minutes"
    "presenced signal door --unset              Clear it"
    "presenced signal call idle --user anna     The call of one of many users";
    "A rule matches it with `when = { signal = { door = \"closed\" } }`.";
    "With --user or --account, the name `call` is the call state: idle, in-call, conference or presenting.";
    "It survives a restart of presenced, but not a logout or a reboot."
))]
pub(super) struct Args {
    /// The signal's name: letters, digits, `-` and `_`
    name: SignalName,

    /// Its value: any text of up to 256 characters
    #[arg(required_unless_present = "unset", conflicts_with = "unset", allow_negative_numbers = true)]
    value: Option<SignalValue>,

    /// Time until the value becomes unknown, like 2m or PT90S; left out: never
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl, conflicts_with = "unset")]
    ttl: Option<Duration>,

    /// Clear the signal
    #[arg(long)]
    unset: bool,

    #[command(flatten)]
    whom: WhomArgs,
}

/// Runs it.
pub(super) fn run(Args { name, value, ttl, unset: _, whom }: Args, context: &Context) -> Result<Exit, Error> {
    if let Some(whom) = whom.some() {
        let change = match value {
            Some(value) => UserChange::signal(name.as_str(), value.as_str(), ttl),
            None => UserChange::clear(name.as_str()),
        };
        let change =
            change.map_err(|Invalid { message, hint, .. }| Error::new(Exit::Usage, message).with_hint(hint))?;
        request(context, async |mut client| client.change(&whom, &change).await)?;
        return Ok(Exit::Ok);
    }
    request(context, async |mut client| match value {
        Some(value) => client.set_signal(&name, &value, ttl).await,
        None => client.clear_signal(&name).await,
    })?;
    Ok(Exit::Ok)
}
