//! `presenced check`: reads the configuration like the daemon, and explains it or lists all its problems.
//!
//! With `--json` it prints one object on standard output, valid or not:
//!
//! ```json
//! {"version": 1, "valid": false, "file": "/home/me/.config/presenced/config.toml",
//!  "problems": [{"line": 9, "column": 14, "message": "`15` needs a unit", "help": "write 5 minutes to 4 hours, …"}],
//!  "notes": []}
//! ```
//!
//! `line` and `column` count from 1, the column in characters; both are null for a problem with the file as a whole, and `help` is
//! null if there is none. A problem in a users file has its path as `file`, and no column. `notes` has what is valid but cannot work, each as `{"text": "…"}`. The exit code is 0 for a valid
//! configuration and 2 for an invalid one.
//!
//! With `--schema` it reads nothing and prints the JSON Schema of the configuration, for editors.

mod users;

use std::collections::BTreeMap;
use std::iter;

use serde::Serialize;

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::notes::notes;
use super::terminal::output::print;
use super::terminal::text::{columns, pad, printable};
use crate::calendar::BusyClass;
use crate::config::{
    self, Account, CalendarPlace, CalendarSource, Config, OwnersPath, Problem, Problems, Signals, Users,
};
use crate::pacer::Rate;
use crate::policy::{CallState, Idle, Is, Lock, Rule, Sleep, When, default_rules};
use crate::suggest;
use users::{UsersProblem, UsersReport};

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced check              Explain it, or list all its problems"
    "presenced check --json       Print the result as JSON"
    "presenced check --schema     Print the JSON Schema for editor completion";
    "A line that begins with `note:` says what is valid but cannot work. Notes do not change the exit code.";
    "Exit codes: 0 valid; 2 invalid."
))]
pub(super) struct Args {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    /// Print the JSON Schema of the configuration, for editors
    #[arg(long, conflicts_with = "json")]
    schema: bool,
}

/// Runs it.
pub(super) fn run(Args { json, schema }: Args, context: &Context) -> Result<Exit, Error> {
    if schema {
        print(&format!("{:#}\n", config::schema()))?;
        return Ok(Exit::Ok);
    }
    let loaded = config::load(&context.config, &context.environment);
    let users = loaded.as_ref().map(UsersReport::of).unwrap_or_default();
    if json {
        let problems = loaded.as_ref().err();
        let file = problems.map_or(context.config.as_path(), Problems::file);
        let notes = loaded.as_ref().map(|config| notes(config, &context.environment)).unwrap_or_default();
        let in_config = problems.into_iter().flatten().map(JsonProblem::from);
        let result = JsonReport {
            version: 1,
            valid: problems.is_none() && users.problems.is_empty(),
            file: file.to_string_lossy().into_owned(),
            problems: in_config.chain(users.problems.iter().map(JsonProblem::from)).collect(),
            notes: notes.iter().chain(&users.notes).map(|note| JsonNote { text: note.to_string() }).collect(),
        };
        let json = serde_json::to_string(&result).map_err(|error| Error::new(Exit::Failed, error.to_string()))?;
        anstream::println!("{json}");
        return Ok(if result.valid { Exit::Ok } else { Exit::Usage });
    }
    let config = loaded?;
    if let Some(error) = users.error() {
        return Err(error);
    }
    anstream::print!("{} is valid.\n\n{}", context.config.display(), summary(&config, &users));
    let notes = notes(&config, &context.environment);
    let notes: Vec<_> = notes.iter().chain(&users.notes).collect();
    if !notes.is_empty() {
        anstream::println!();
    }
    for note in notes {
        anstream::println!("note: {}", printable(&note.to_string()));
    }
    Ok(Exit::Ok)
}

#[derive(Serialize)]
struct JsonReport {
    version: u32,
    valid: bool,
    file: String,
    problems: Vec<JsonProblem>,
    notes: Vec<JsonNote>,
}

#[derive(Serialize)]
struct JsonProblem {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    help: Option<String>,
}

#[derive(Serialize)]
struct JsonNote {
    text: String,
}

impl From<&Problem> for JsonProblem {
    fn from(problem: &Problem) -> Self {
        Self {
            file: None,
            line: problem.position.map(|position| position.line),
            column: problem.position.map(|position| position.column),
            message: problem.message.clone(),
            help: problem.help.clone(),
        }
    }
}

impl From<&UsersProblem> for JsonProblem {
    fn from(problem: &UsersProblem) -> Self {
        Self {
            file: problem.file.as_ref().map(|file| file.to_string_lossy().into_owned()),
            line: problem.line,
            column: None,
            message: problem.text.clone(),
            help: None,
        }
    }
}

/// Explains a configuration to the user. Ends with a line break.
fn summary(config: &Config, users: &UsersReport) -> String {
    let rules: Vec<_> = config.rules.iter().map(|rule| (rule.name.clone(), describe_rule(rule))).collect();
    let title = if config.rules == default_rules() { "Default rules" } else { "Rules" };
    [overview_with(config, &users.in_files), table(title, &rules)].join("\n")
}

/// The same without the rules and without a look at users files.
pub(super) fn overview(config: &Config) -> String {
    overview_with(config, &BTreeMap::new())
}

/// `in_files`: how many users each account has whose users are in a file.
fn overview_with(config: &Config, in_files: &BTreeMap<String, usize>) -> String {
    let describe = |(name, account): (&String, _)| (name.clone(), describe_account(account, in_files.get(name)));
    let accounts: Vec<_> = config.accounts.iter().map(describe).collect();
    [table("Accounts", &accounts), table("Signals", &describe_signals(config, followers(config, in_files)))].join("\n")
}

/// For how many users presence is held, as far as the configuration and the users files say.
fn followers(config: &Config, in_files: &BTreeMap<String, usize>) -> usize {
    let users = |(name, account): (&String, &Account)| match &account.users {
        None => 1,
        Some(Users::Listed(users)) => users.len(),
        Some(Users::File(_)) => in_files.get(name).copied().unwrap_or_default(),
        Some(Users::Signalled) => 0,
    };
    config.accounts.iter().map(users).sum()
}

fn table(title: &str, rows: &[(String, String)]) -> String {
    let rows: Vec<_> = rows.iter().map(|(name, text)| (printable(name), printable(text))).collect();
    let width = rows.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
    let lines = rows.iter().map(|(name, text)| format!("  {}  {text}", pad(name, width)));
    iter::once(title.to_owned()).chain(lines).map(|line| line + "\n").collect()
}

fn describe_account(account: &Account, in_file: Option<&usize>) -> String {
    let count = |count: usize| if count == 1 { "1 user".to_owned() } else { format!("{count} users") };
    let whose = match (&account.users, &account.user) {
        (None, None) => "the user who signs in".to_owned(),
        (None, Some(user)) => format!("user {user}"),
        (Some(Users::Listed(users)), _) => count(users.len()),
        (Some(Users::File(path)), _) => {
            format!("{} in {}", in_file.map_or("the users".to_owned(), |users| count(*users)), path.display())
        }
        (Some(Users::Signalled), _) => "everyone whom a signal for one user names".to_owned(),
    };
    let rate = (account.users.is_some() || account.rate != Rate::default()).then(|| {
        let per = jiff::SignedDuration::try_from(account.rate.per()).unwrap_or_default();
        format!(", rate {} per {per:#}", account.rate.requests())
    });
    format!(
        "tenant {}, cloud {}, sign-in by {}, presence of {whose}{}",
        account.tenant,
        account.cloud.as_str(),
        account.auth.method(),
        rate.unwrap_or_default()
    )
}

/// `followers`: for how many users presence is held.
fn describe_signals(config: &Config, followers: usize) -> Vec<(String, String)> {
    let Signals { calendar, lock, call, microphone, idle } = &config.signals;
    let shared = if followers > 1 { format!(" (the same for all {followers} users)") } else { String::new() };
    let each =
        |owners: &OwnersPath| if owners.is_of_users() { " (one for each user)" } else { " (one for each account)" };
    let calendar = calendar.as_ref().map(|calendar| {
        let sources = calendar.sources.iter().map(|CalendarSource { place, optional }| {
            let whose = if let CalendarPlace::Owners(owners) = place { each(owners) } else { &shared };
            format!("{place}{}{whose}", if *optional { " (optional)" } else { "" })
        });
        sources.collect::<Vec<_>>().join(", ")
    });
    let lock = lock.map(|_| format!("on{shared}"));
    let call = call.as_ref().map(|call| {
        let whose = call.owners.as_ref().map_or(shared.as_str(), each);
        format!("{}{whose}", call.path.display())
    });
    let idle =
        idle.map(|idle| format!("after {:#}{shared}", jiff::SignedDuration::try_from(idle.after).unwrap_or_default()));
    let microphone = microphone.as_ref().map(|microphone| format!("{}{shared}", microphone.socket.display()));
    let usual = [("calendar", calendar), ("lock", lock), ("call", call), ("idle", idle)]
        .map(|(name, text)| (name.to_owned(), text.unwrap_or_else(|| "off".to_owned())));
    usual.into_iter().chain(microphone.map(|socket| ("microphone".to_owned(), socket))).collect()
}

fn describe_rule(rule: &Rule) -> String {
    let expiration = rule.expiration.map(|expiration| format!(", expires after {}", expiration.to_iso()));
    format!("{} when {}{}", rule.set, describe_when(&rule.when), expiration.unwrap_or_default())
}

fn describe_when(when: &When) -> String {
    let When { account, lock, sleep, call, idle, calendar, online, within, outside, signal } = when;
    let mut conditions = Vec::new();
    let mut is_one_of = |signal: &str, words: Vec<&str>| {
        if !words.is_empty() {
            conditions.push(format!("{signal} is {}", suggest::join(words, "or")));
        }
    };
    is_one_of("account", account.iter().map(String::as_str).collect());
    is_one_of("call", words(call, CallState::as_str));
    is_one_of("sleep", words(sleep, Sleep::as_str));
    is_one_of("lock", words(lock, Lock::as_str));
    is_one_of("idle", words(idle, Idle::as_str));
    is_one_of("calendar", words(calendar, BusyClass::as_str));
    for (name, values) in signal {
        is_one_of(name, values.iter().map(String::as_str).collect());
    }
    conditions.extend(
        online.map(|online| if online { "the meeting is online" } else { "the meeting is not online" }.to_owned()),
    );
    conditions.extend(within.iter().map(|hours| format!("within {hours}")));
    conditions.extend(outside.iter().map(|hours| format!("outside {hours}")));
    if conditions.is_empty() { "no rule above matches".to_owned() } else { conditions.join(", and ") }
}

fn words<T: Copy>(accepted: &[Is<T>], word: fn(T) -> &'static str) -> Vec<&'static str> {
    accepted
        .iter()
        .map(|is| match is {
            Is::Off => "off",
            Is::Value(value) => word(*value),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_column_and_cannot_control_the_terminal() {
        let row = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let shown = table("Rules", &[row("会議中です", "a"), row("clear\u{1b}[2Jme", "b\u{7}"), row("x", "c")]);
        assert_eq!(shown, "Rules\n  会議中です   a\n  clear\u{fffd}[2Jme  b\u{fffd}\n  x            c\n");
    }
}
