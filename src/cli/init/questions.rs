//! The three questions: the tenant, the application, the calendar. An answer comes from a flag or from the user. The configuration's
//! own reader checks both.

use std::cell::Cell;
use std::path::Path;

use super::Args;
use super::find::{Find, Findings, Search};
use super::source::Source;
use super::template::Answers;
use super::terminal::{InvalidAnswer, Terminal};
use crate::cli::error::{Error, Exit};
use crate::cli::terminal::text::{cut_start, printable};
use crate::config::{CalendarPlace, Environment};
use crate::signals::calendar::extent::{Extent, extent};
use crate::suggest;

/// All answers. `terminal` is for what no flag says.
pub(super) fn answers(
    args: &Args,
    terminal: Option<&Terminal>,
    folder: &Path,
    environment: &Environment,
) -> Result<Answers, Error> {
    let given = flags(args, folder, environment)?;
    let missing = [("--tenant", &args.tenant), ("--client-id", &args.client_id)];
    let missing: Vec<_> = missing.into_iter().filter(|(_, value)| value.is_none()).map(|(flag, _)| flag).collect();
    let Some(terminal) = terminal else {
        if !missing.is_empty() {
            let why = if args.yes { "`--yes` asks nothing" } else { "there is no terminal for questions" };
            let text = format!("{why}, so give {}", suggest::list(missing.iter().copied(), "and"));
            let hint = "presenced init --tenant contoso.onmicrosoft.com --client-id ID [--calendar PATH]";
            return Err(Error::new(Exit::Usage, text).with_hint(hint));
        }
        if args.yes && args.leaves_calendar_open() {
            return Ok(with_all_found(given, &Search::start(environment).wait(|| {}).calendars));
        }
        return Ok(given);
    };
    // The search runs while the user types.
    let search = args.leaves_calendar_open().then(|| Search::start(environment));
    let questions = match missing.len() + usize::from(search.is_some()) {
        0 => "",
        1 => "One question",
        2 => "Two questions",
        _ => "Three questions",
    };
    if !questions.is_empty() {
        terminal.say(&format!("{questions}. Nothing is written before the last answer; Ctrl-C cancels."));
    }
    let mut answers = given;
    if args.tenant.is_none() {
        terminal.title("The tenant", TENANT);
        answers.tenant = terminal.ask("Tenant", |answer| {
            let answers = Answers { tenant: required(answer)?, ..Answers::example() };
            check(answers, environment).map(|answers| answers.tenant)
        })?;
    }
    if args.client_id.is_none() {
        terminal.title("The application", CLIENT_ID);
        answers.client_id = terminal.ask("Application (client) ID", |answer| {
            let answers = Answers { client_id: required(answer)?, ..Answers::example() };
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

const TENANT: &str = "Your organization in Microsoft Entra: its domain name, like contoso.onmicrosoft.com, or the Directory \
    (tenant) ID from the Overview of your app registration in https://entra.microsoft.com.";
const CLIENT_ID: &str = "The Application (client) ID from the same Overview. Not registered yet? Choose New registration \
    there, under App registrations; README.md has each step. Use one registration per machine; Graph then combines them.";
const CALENDAR: &str = "It shows when you are busy.";
const CHOICE: &str =
    "Numbers from the list, a file or a folder, the address (https://…) of a published calendar, or `none`.";
const IDENTITY: &str =
    "Your e-mail address in invitations, so that one you declined does not make you busy. Press Enter to skip this.";

/// The answers from the flags. The rest is as in the example.
fn flags(args: &Args, folder: &Path, environment: &Environment) -> Result<Answers, Error> {
    let mut answers = Answers { method: args.method.unwrap_or_default(), ..Answers::example() };
    // One at a time, so that an error names its flag.
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

/// The calendars from the flags.
pub(super) fn sources(args: &Args, folder: &Path, environment: &Environment) -> Result<Vec<Source>, Error> {
    let source = |text: &String| {
        if text.contains("://") {
            // Other users can see the arguments of a program.
            let hint = "enter it when asked, or write it into the configuration: { url = \"https://…\" }";
            return Err(InvalidAnswer::new("an address of a calendar is a secret, so it cannot be an argument", hint));
        }
        Source::written(text, folder, environment)
    };
    args.calendars.iter().map(|text| source(text).map_err(|wrong| wrong.of_flag("--calendar"))).collect()
}

fn required(answer: &str) -> Result<String, InvalidAnswer> {
    let empty = || InvalidAnswer { message: "this answer cannot be empty".to_owned(), hint: None };
    Some(answer.to_owned()).filter(|answer| !answer.is_empty()).ok_or_else(empty)
}

fn check(answers: Answers, environment: &Environment) -> Result<Answers, InvalidAnswer> {
    answers.read(environment).map(|_| answers)
}

/// The reader checks addresses only if there is a calendar.
fn one_identity(address: &str, environment: &Environment) -> Result<String, InvalidAnswer> {
    let address = address.trim().to_owned();
    let sources = vec!["{ path = \"~/.calendars/work\" }".to_owned()];
    let answers = Answers { sources, identity: vec![address.clone()], ..Answers::example() };
    check(answers, environment).map(|_| address)
}

/// A chosen calendar, and the addresses of its owner.
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
    let preselected: Vec<&Find> = found.iter().filter(|find| is_preselected(find)).collect();
    let sources = preselected.iter().map(|find| find.source.toml.clone()).collect();
    let identity = if answers.identity.is_empty() {
        distinct(preselected.iter().flat_map(|find| &find.identity))
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

/// Whether a calendar is chosen by default: all except those known to be empty.
fn is_preselected(find: &Find) -> bool {
    find.extent.as_ref().is_none_or(|extent| extent.events > 0 || !extent.is_whole)
}

/// The third question.
fn calendars(
    search: Search,
    terminal: &Terminal,
    folder: &Path,
    environment: &Environment,
) -> Result<Vec<Chosen>, Error> {
    terminal.title("The calendar", CALENDAR);
    let findings = search.wait(|| terminal.explain("Searching for calendars on this machine …"));
    for line in listed(&findings, terminal.width(), environment) {
        terminal.explain(&line);
    }
    let Findings { calendars: found, .. } = findings;
    let usual: Vec<_> = (1..).zip(&found).filter(|(_, find)| is_preselected(find)).map(|(number, _)| number).collect();
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

/// The lines that list what was found.
fn listed(findings: &Findings, width: usize, environment: &Environment) -> Vec<String> {
    let mut lines = Vec::new();
    if findings.calendars.is_empty() && findings.unread.is_empty() {
        lines.push("No calendar was found on this machine.".to_owned());
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
            "{program} has {count} more {calendars} in a format that presenced cannot read; docs/calendar.md says how to use \
             {them}."
        ));
    }
    if findings.is_cut {
        lines.push("There may be more: the search took too long.".to_owned());
    }
    lines
}

fn described(extent: &Extent) -> String {
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let at_least = if extent.is_whole { "" } else { "more than " };
    let unread = if extent.unread.is_empty() { String::new() } else { format!(", {} unreadable", extent.unread.len()) };
    format!("{at_least}{} in {}{unread}", plural(extent.events, "event"), plural(extent.files, "file"))
}

/// The calendars that an answer to the third question chooses.
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
                    "write numbers from the list, like: 1 2",
                )
            })?;
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        return Ok(numbers.into_iter().map(|number| Chosen::from(&found[number - 1])).collect());
    }
    let source = Source::written(answer, folder, environment)?;
    if let CalendarPlace::Path(path) = &source.means
        && let Some(wrong) = trouble(path)
    {
        return Err(InvalidAnswer::new(wrong, "enter an .ics file, a folder of .ics files, or `none`"));
    }
    Ok(vec![Chosen { source, identity: Vec::new() }])
}

/// Why `path` is not a calendar, as far as a quick check can tell.
pub(super) fn trouble(path: &Path) -> Option<String> {
    let steps = Cell::new(1_000_u32);
    let may_continue = || {
        steps.set(steps.get().saturating_sub(1));
        steps.get() > 0
    };
    let Extent { events, is_whole, unread, .. } = extent(path, &may_continue);
    let is_odd = path.is_file() && !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ics"));
    match unread.first() {
        _ if events > 0 => None,
        Some(unread) => Some(format!("the calendar {} {}", unread.path.display(), unread.reason)),
        None if is_odd && is_whole => Some(format!("{} has no events", path.display())),
        None => None,
    }
}

/// The user's addresses: from the programs that have the calendars, otherwise from the user.
fn identity(calendars: &[Chosen], terminal: &Terminal, environment: &Environment) -> Result<Vec<String>, Error> {
    let known = distinct(calendars.iter().flat_map(|calendar| &calendar.identity));
    if !known.is_empty() {
        let addresses = printable(&suggest::join(&known, "and"));
        terminal.explain(&format!(
            "Your address in invitations: {addresses}. To change that, edit `identity` in the file."
        ));
        return Ok(known);
    }
    terminal.explain(IDENTITY);
    terminal.ask("E-mail address", |answer| {
        let addresses = answer.split([' ', ',']).filter(|address| !address.is_empty());
        addresses.map(|address| one_identity(address, environment)).collect()
    })
}
