//! `presenced set`: sets a presence by hand.

use std::ffi::OsStr;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use jiff::SignedDuration;

use super::context::{Context, examples};
use super::daemon_client::request;
use super::error::{Error, Exit};
use super::terminal::output::print;
use super::terminal::times::exact_span;
use super::whom::WhomArgs;
use crate::policy::Claim;
use crate::presence::Presence;
use crate::status::parse_ttl;
use crate::status::users::UserChange;

/// The arguments of `set`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced set call --for 30m        Show as in a call for half an hour"
    "presenced set dnd                   Do not disturb, until `presenced unset`"
    "presenced set Busy/InACall          Microsoft Graph's own names also work"
    "presenced set nothing --for 1h      Claim nothing and let Teams decide"
    "presenced set away --user anna      For one of many users"
    "presenced set away --account work   For one of several accounts";
    "It survives a restart of presenced, a logout and a reboot; the time goes on."
))]
pub(super) struct Args {
    /// The presence to set
    #[arg(value_parser = ChoiceParser)]
    presence: Claim,

    /// How long, like 30m, 1h30m or PT15M; left out: until `presenced unset`
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_ttl)]
    duration: Option<Duration>,

    #[command(flatten)]
    whom: WhomArgs,
}

/// A claim and its names.
struct Choice {
    claim: Claim,
    /// The name that help and completions show.
    name: &'static str,
    /// What it sets, in Graph's words. This is also a name.
    pair: &'static str,
    /// Other names.
    also: &'static [&'static str],
}

/// The choices: the five pairs that Graph accepts, and nothing.
const CHOICES: [Choice; 6] = [
    Choice { claim: Claim::Hold(Presence::Available), name: "available", pair: "Available/Available", also: &[] },
    Choice { claim: Claim::Hold(Presence::InACall), name: "call", pair: "Busy/InACall", also: &["busy"] },
    Choice {
        claim: Claim::Hold(Presence::InAConferenceCall),
        name: "conference",
        pair: "Busy/InAConferenceCall",
        also: &["meeting"],
    },
    Choice { claim: Claim::Hold(Presence::Away), name: "away", pair: "Away/Away", also: &[] },
    Choice {
        claim: Claim::Hold(Presence::Presenting),
        name: "dnd",
        pair: "DoNotDisturb/Presenting",
        also: &["presenting"],
    },
    Choice { claim: Claim::Nothing, name: "nothing", pair: "nothing", also: &[] },
];

impl Choice {
    fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [self.name, self.pair].into_iter().chain(self.also.iter().copied())
    }

    fn is_called(&self, text: &str) -> bool {
        self.names().any(|name| name.eq_ignore_ascii_case(text))
    }

    fn help(&self) -> String {
        let sets = match self.claim {
            Claim::Hold(_) => self.pair,
            Claim::Nothing => "Clear the session",
        };
        self.also.iter().fold(sets.to_owned(), |help, other| format!("{help}; also `{other}`"))
    }
}

/// Reads a choice by any of its names, ignoring ASCII case. The error suggests the nearest name.
#[derive(Clone, Debug)]
struct ChoiceParser;

impl TypedValueParser for ChoiceParser {
    type Value = Claim;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Claim, clap::Error> {
        let text = value.to_string_lossy();
        if let Some(choice) = CHOICES.iter().find(|choice| choice.is_called(&text)) {
            return Ok(choice.claim);
        }
        let mut error = clap::Error::new(ErrorKind::InvalidValue).with_cmd(command);
        let arg = arg.map(ToString::to_string).unwrap_or_default();
        let names = CHOICES.map(|choice| choice.name.to_owned()).to_vec();
        error.insert(ContextKind::InvalidArg, ContextValue::String(arg));
        error.insert(ContextKind::InvalidValue, ContextValue::String(text.clone().into_owned()));
        error.insert(ContextKind::ValidValue, ContextValue::Strings(names));
        if let Some(nearest) = nearest(&text) {
            error.insert(ContextKind::SuggestedValue, ContextValue::String(nearest.to_owned()));
        }
        Err(error)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(CHOICES.iter().map(|choice| PossibleValue::new(choice.name).help(choice.help()))))
    }
}

/// The name most similar to `text`, if any is similar enough.
fn nearest(text: &str) -> Option<&'static str> {
    let similarity = |name: &str| strsim::jaro_winkler(&name.to_ascii_lowercase(), &text.to_ascii_lowercase());
    let names = CHOICES.iter().flat_map(Choice::names);
    let (nearest, similarity) =
        names.map(|name| (name, similarity(name))).max_by(|one, other| one.1.total_cmp(&other.1))?;
    (similarity > 0.8).then_some(nearest)
}

/// Runs it.
pub(super) fn run(Args { presence, duration, whom }: Args, context: &Context) -> Result<Exit, Error> {
    request(context, async |mut client| match whom.some() {
        None => client.set_override(presence, duration).await,
        Some(whom) => client.change(&whom, &UserChange::SetOverride(presence, duration)).await,
    })?;
    let claim = match presence {
        Claim::Hold(presence) => format!("claiming {presence}"),
        Claim::Nothing => "claiming nothing".to_owned(),
    };
    let (claim, unset) = (claim + &whom.shown(), format!("presenced unset{}", whom.as_typed()));
    let length = duration.and_then(|duration| SignedDuration::try_from(duration).ok()).map(exact_span);
    print(&match length {
        Some(length) => format!("{claim} for {length}, or until `{unset}`\n"),
        None => format!("{claim} until `{unset}`\n"),
    })?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_claim_can_be_chosen_by_its_name_in_configuration_files() {
        for choice in CHOICES {
            assert_eq!(choice.pair, choice.claim.to_string());
        }
        for presence in Presence::ALL {
            assert!(CHOICES.iter().any(|choice| choice.claim == Claim::Hold(presence)), "{presence}");
        }
    }

    #[test]
    fn a_typo_gets_a_suggestion_and_nonsense_does_not() {
        assert_eq!(nearest("bussy"), Some("busy"));
        assert_eq!(nearest("Busy/InACal"), Some("Busy/InACall"));
        assert_eq!(nearest("avaliable"), Some("available"));
        assert_eq!(nearest("qqq"), None);
        assert_eq!(nearest(""), None);
    }
}
