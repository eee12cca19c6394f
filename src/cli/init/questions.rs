//! The three questions: the tenant, the application, the calendar. An answer comes from a flag or from the person; either way the
//! configuration's own reader says whether it is well.

use std::cell::Cell;
use std::path::Path;

use super::Args;
use super::find::{Find, Findings, Search};
use super::source::Source;
use super::template::Answers;
use super::terminal::{InvalidAnswer, Terminal};
use crate::cli::error::{Error, Exit};
use crate::cli::terminal::text::{cut_start, printable};
use crate::config::{CalendarSource, Environment};
use crate::signals::calendar::extent::{Extent, extent};
use crate::suggest;

/// All answers, in the order of the questions. `terminal`: somebody who can be asked for what no flag says.
pub(super) fn answers(
    args: &Args,
    terminal: Option<&Terminal>,
    folder: &Path,
    environment: &Environment,
) -> Result<Answers, Error> {
    let given = flags(args, folder, environment)?;
    let lacking = [("--tenant", &args.tenant), ("--client-id", &args.client_id)];
    let lacking: Vec<_> = lacking.into_iter().filter(|(_, value)| value.is_none()).map(|(flag, _)| flag).collect();
    let Some(terminal) = terminal else {
        if !lacking.is_empty() {
            let why = if args.yes { "with `--yes` nothing is asked" } else { "there is no terminal to ask on" };
            let text = format!("{why}, and {} must be given", suggest::list(lacking.iter().copied(), "and"));
            let hint = "presenced init --tenant contoso.onmicrosoft.com --client-id ID [--calendar PATH]";
            return Err(Error::new(Exit::Usage, text).with_hint(hint));
        }
        if args.yes && args.leaves_calendar_open() {
            return Ok(with_all_found(given, &Search::start(environment).wait(|| {}).calendars));
        }
        return Ok(given);
    };
    // While somebody types, there is time to look.
    let search = args.leaves_calendar_open().then(|| Search::start(environment));
    let questions = match lacking.len() + usize::from(search.is_some()) {
        0 => "",
        1 => "One question",
        2 => "Two questions",
        _ => "Three questions",
    };
    if !questions.is_empty() {
        terminal.say(&format!("{questions}. Nothing is written before the last answer; Ctrl-C ends this."));
    }
    let mut answers = given;
    if args.tenant.is_none() {
        terminal.head("The tenant", TENANT);
        answers.tenant = terminal.ask("Tenant", |answer| {
            let answers = Answers { tenant: needed(answer)?, ..Answers::example() };
            check(answers, environment).map(|answers| answers.tenant)
        })?;
    }
    if args.client_id.is_none() {
        terminal.head("The application", CLIENT_ID);
        answers.client_id = terminal.ask("Application (client) ID", |answer| {
            let answers = Answers { client_id: needed(answer)?, ..Answers::example() };
            check(answers, environment).map(|answers| answers.client_id)
        })?;
    }
    if let Some(search) = search {
        let calendars = calendars(search, terminal, folder, environment)?;
        answers.sources = calendars.iter().map(|calendar| calendar.source.toml.clone()).collect();
        if answers.identity.is_empty() && !calendars.is_empty() {
            answers.identity = identity(&calendars, terminal, environment)?;
        }
    }
    Ok(answers)
}

const TENANT: &str = "Your organization in Microsoft Entra: its domain name, such as contoso.onmicrosoft.com, or the Directory \
    (tenant) ID from the Overview of your app registration in https://entra.microsoft.com.";
const CLIENT_ID: &str = "The Application (client) ID from the same Overview. Not registered yet? There, under App \
    registrations, choose New registration; README.md has each step.";
const CALENDAR: &str = "It says when you are busy.";
const CHOICE: &str =
    "Numbers from the list, a file or a folder, an address (https://…) that a calendar is published at, or `none`.";
const IDENTITY: &str =
    "Your e-mail address in invitations, so that one you declined does not make you busy. Enter leaves it out.";

/// What the flags say; the rest is as in the example.
fn flags(args: &Args, folder: &Path, environment: &Environment) -> Result<Answers, Error> {
    let mut answers = Answers { method: args.method.unwrap_or_default(), ..Answers::example() };
    // One at a time, so that what is wrong is said of its flag.
    if let Some(account) = &args.account {
        let named = Answers { account: account.clone(), ..Answers::example() };
        answers.account = check(named, environment).map_err(|wrong| wrong.of_flag("--account"))?.account;
    }
    if let Some(tenant) = &args.tenant {
        let named = Answers { tenant: tenant.trim().to_owned(), ..Answers::example() };
        answers.tenant = check(named, environment).map_err(|wrong| wrong.of_flag("--tenant"))?.tenant;
    }
    if let Some(client_id) = &args.client_id {
        let named = Answers { client_id: client_id.trim().to_owned(), ..Answers::example() };
        answers.client_id = check(named, environment).map_err(|wrong| wrong.of_flag("--client-id"))?.client_id;
    }
    for address in &args.identity {
        answers.identity.push(one_identity(address, environment).map_err(|wrong| wrong.of_flag("--identity"))?);
    }
    for source in sources(args, folder, environment)? {
        answers.sources.push(source.toml);
    }
    Ok(answers)
}

/// The calendars that flags name.
pub(super) fn sources(args: &Args, folder: &Path, environment: &Environment) -> Result<Vec<Source>, Error> {
    let source = |text: &String| {
        if text.contains("://") {
            // Others can see the arguments of a program.
            let hint = "give it when asked, or write it into the configuration: { url = \"https://…\" }";
            return Err(InvalidAnswer::new("an address of a calendar is a secret, and no argument", hint));
        }
        Source::written(text, folder, environment)
    };
    args.calendars.iter().map(|text| source(text).map_err(|wrong| wrong.of_flag("--calendar"))).collect()
}

fn needed(answer: &str) -> Result<String, InvalidAnswer> {
    let nothing = || InvalidAnswer { message: "nothing can stand for this one".to_owned(), hint: None };
    Some(answer.to_owned()).filter(|answer| !answer.is_empty()).ok_or_else(nothing)
}

fn check(answers: Answers, environment: &Environment) -> Result<Answers, InvalidAnswer> {
    answers.read(environment).map(|_| answers)
}

/// The reader looks at addresses only where there is a calendar.
fn one_identity(address: &str, environment: &Environment) -> Result<String, InvalidAnswer> {
    let address = address.trim().to_owned();
    let sources = vec!["{ path = \"~/.calendars/work\" }".to_owned()];
    let answers = Answers { sources, identity: vec![address.clone()], ..Answers::example() };
    check(answers, environment).map(|_| address)
}

/// A calendar that was chosen, and whose it is.
struct Chosen {
    source: Source,
    identity: Vec<String>,
}

impl From<&Find> for Chosen {
    fn from(find: &Find) -> Self {
        Self { source: find.source.clone(), identity: find.identity.clone() }
    }
}

fn with_all_found(answers: Answers, found: &[Find]) -> Answers {
    let worth: Vec<&Find> = found.iter().filter(|find| is_worth_it(find)).collect();
    let sources = worth.iter().map(|find| find.source.toml.clone()).collect();
    let identity = if answers.identity.is_empty() {
        distinct(worth.iter().flat_map(|find| &find.identity))
    } else {
        answers.identity
    };
    Answers { sources, identity, ..answers }
}

/// Each address once.
fn distinct<'a>(addresses: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for address in addresses {
        if !all.iter().any(|known| known.eq_ignore_ascii_case(address)) {
            all.push(address.clone());
        }
    }
    all
}

/// Whether a calendar is chosen where nobody says otherwise: one that is known to be empty is not.
fn is_worth_it(find: &Find) -> bool {
    find.extent.as_ref().is_none_or(|extent| extent.events > 0 || !extent.is_whole)
}

/// The third question.
fn calendars(
    search: Search,
    terminal: &Terminal,
    folder: &Path,
    environment: &Environment,
) -> Result<Vec<Chosen>, Error> {
    terminal.head("The calendar", CALENDAR);
    let findings = search.wait(|| terminal.explain("Looking for calendars on this machine …"));
    for line in listed(&findings, terminal.width(), environment) {
        terminal.explain(&line);
    }
    let Findings { calendars: found, .. } = findings;
    let usual: Vec<_> = (1..).zip(&found).filter(|(_, find)| is_worth_it(find)).map(|(number, _)| number).collect();
    let usual = if usual.is_empty() {
        "none".to_owned()
    } else {
        usual.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    terminal.explain(CHOICE);
    terminal.ask(&format!("Calendar [{usual}]"), |answer| {
        chosen(if answer.is_empty() { &usual } else { answer }, &found, folder, environment)
    })
}

/// What was found, in lines.
fn listed(findings: &Findings, width: usize, environment: &Environment) -> Vec<String> {
    let mut lines = Vec::new();
    if findings.calendars.is_empty() && findings.unread.is_empty() {
        lines.push("None was found on this machine.".to_owned());
    }
    for (number, find) in (1..).zip(&findings.calendars) {
        let shown = printable(&find.source.shown(environment));
        lines.push(format!("{number:>3}  {}", cut_start(&shown, width.saturating_sub(5))));
        let extent = find.extent.as_ref().map(|extent| format!(": {}", described(extent))).unwrap_or_default();
        lines.push(format!("     {}{extent}", suggest::join(&find.programs, "and")));
    }
    for (program, count) in &findings.unread {
        let (calendars, them) = if *count == 1 { ("calendar", "it") } else { ("calendars", "them") };
        lines.push(format!(
            "{program} has {count} {calendars} more in a form that presenced cannot read; docs/calendar.md says how to get \
             at {them}."
        ));
    }
    if findings.is_cut {
        lines.push("There may be more: this machine's disk did not answer in time.".to_owned());
    }
    lines
}

fn described(extent: &Extent) -> String {
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let at_least = if extent.is_whole { "" } else { "more than " };
    let unread = if extent.unread.is_empty() { String::new() } else { format!(", {} unreadable", extent.unread.len()) };
    format!("{at_least}{} in {}{unread}", plural(extent.events, "event"), plural(extent.files, "file"))
}

/// What an answer to the third question means.
fn chosen(
    answer: &str,
    found: &[Find],
    folder: &Path,
    environment: &Environment,
) -> Result<Vec<Chosen>, InvalidAnswer> {
    if answer.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    let words: Vec<&str> = answer.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    if !words.is_empty() && words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
        let mut numbers: Vec<usize> = Vec::new();
        for word in words {
            let number = word.parse().ok().filter(|number| (1..=found.len()).contains(number));
            let number = number.ok_or_else(|| {
                InvalidAnswer::new(
                    format!("there is no calendar {word} in the list"),
                    "write numbers that are, like: 1 2",
                )
            })?;
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        return Ok(numbers.into_iter().map(|number| Chosen::from(&found[number - 1])).collect());
    }
    let source = Source::written(answer, folder, environment)?;
    if let CalendarSource::Path(path) = &source.means
        && let Some(wrong) = trouble(path)
    {
        return Err(InvalidAnswer::new(wrong, "name a .ics file, or a folder of them; or answer `none`"));
    }
    Ok(vec![Chosen { source, identity: Vec::new() }])
}

/// Why `path` is no calendar, as far as a short look tells.
pub(super) fn trouble(path: &Path) -> Option<String> {
    let looks = Cell::new(1_000_u32);
    let go_on = || {
        looks.set(looks.get().saturating_sub(1));
        looks.get() > 0
    };
    let Extent { events, is_whole, unread, .. } = extent(path, &go_on);
    let is_odd = path.is_file() && !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ics"));
    match unread.first() {
        _ if events > 0 => None,
        Some(unread) => Some(format!("the calendar {} {}", unread.path.display(), unread.reason)),
        None if is_odd && is_whole => Some(format!("{} has no events", path.display())),
        None => None,
    }
}

/// Whose the calendars are: what the programs say, else what the person says.
fn identity(calendars: &[Chosen], terminal: &Terminal, environment: &Environment) -> Result<Vec<String>, Error> {
    let known = distinct(calendars.iter().flat_map(|calendar| &calendar.identity));
    if !known.is_empty() {
        let addresses = printable(&suggest::join(&known, "and"));
        terminal.explain(&format!("Your address in invitations: {addresses}. `identity` in the file changes that."));
        return Ok(known);
    }
    terminal.explain(IDENTITY);
    terminal.ask("E-mail address", |answer| {
        let addresses = answer.split([' ', ',']).filter(|address| !address.is_empty());
        addresses.map(|address| one_identity(address, environment)).collect()
    })
}
