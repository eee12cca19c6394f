//! The status as waybar's custom modules read it with `"return-type": "json"`: `waybar-custom(5)`.
//!
//! `text` and `tooltip` are Pango markup, so all texts are escaped. `alt` selects an icon, and the classes are for the style
//! sheet: the claimed presence, the state of the session, the health of the daemon.

use serde::Serialize;

use super::facts::Facts;
use super::view::{because, count, headline, presences};
use crate::cli::terminal::text::wrap;
use crate::cli::terminal::times::clock;
use crate::sanitize::{escape_markup, printable};
use crate::status::report::{Account, Health, Report, word};

/// The width of a tooltip, in columns.
const TOOLTIP_COLUMNS: usize = 60;

/// The class and the icon while there is nothing to show.
const OFF: &str = "off";

/// The class and the icon of an account with many users: they have no presence in common.
const USERS: &str = "users";

/// One line for waybar. There is no `percentage`, because a presence has none.
#[derive(Serialize)]
struct Module {
    text: String,
    alt: String,
    class: Vec<String>,
    tooltip: String,
}

/// The line, without a line break.
pub(super) fn render(facts: &Facts<'_>) -> String {
    let module = match (facts.absence(), facts.report) {
        (None, Ok(report)) => present(facts, report),
        (Some((text, hint)), _) => absent(&[text, format!("hint: {hint}")]),
        (None, Err(error)) => absent(&[error.to_string()]),
    };
    serde_json::to_string(&module).expect("strings are JSON")
}

fn absent(tooltip: &[String]) -> Module {
    Module { text: OFF.to_owned(), alt: OFF.to_owned(), class: vec![OFF.to_owned()], tooltip: markup(tooltip) }
}

fn present(facts: &Facts<'_>, report: &Report) -> Module {
    let accounts = facts.accounts();
    let is_one = accounts.len() == 1;
    let text = accounts.iter().map(|(name, account)| {
        let what = match &account.users {
            Some(users) => count(users.count),
            None => teams_name(account).to_owned(),
        };
        if is_one { what } else { format!("{name}: {what}") }
    });
    let mut text = text.collect::<Vec<_>>().join(" | ");
    if report.health != Health::Ok {
        text.push_str(" !");
    }
    // With several accounts, the strongest presence: Teams also aggregates sessions this way.
    let strongest = accounts.iter().max_by_key(|(_, account)| strength(account)).map(|(_, account)| *account);
    let alt = strongest.map_or("nothing", |account| class(account)).to_owned();
    let state = strongest.map(|account| word(account.state));
    let manual = report.manual.as_ref().map(|_| "override".to_owned());
    let class = [alt.clone()].into_iter().chain(state).chain([word(report.health)]).chain(manual).collect();
    Module { text: escape_markup(&printable(&text)), alt, class, tooltip: tooltip(facts, report) }
}

fn tooltip(facts: &Facts<'_>, report: &Report) -> String {
    let mut lines = Vec::new();
    let clock = |at| clock(at, facts.now, &facts.zone);
    for (name, account) in facts.accounts() {
        lines.push(format!("{name}: {}", headline(account).1));
        lines.push(match &account.users {
            Some(users) => presences(users),
            None => because(&account.because, account.rule.as_deref()),
        });
        let since = account.since.map(|at| format!("since {}", clock(at)));
        let until = account.until.map(|at| format!("until {}", clock(at)));
        lines.extend(
            Some(since.into_iter().chain(until).collect::<Vec<_>>().join(", ")).filter(|line| !line.is_empty()),
        );
    }
    for warning in &report.warnings {
        lines.push(format!("! {}", warning.text));
        lines.push(format!("hint: {}", warning.hint));
    }
    markup(&lines)
}

/// What is claimed, in Teams' words.
fn teams_name(account: &Account) -> &str {
    match account.desired.as_ref().map(|pair| pair.availability.as_str()) {
        Some("DoNotDisturb") => "Do not disturb",
        Some(other) => other,
        None => "Nothing",
    }
}

/// What is claimed, as a class for the style sheet.
fn class(account: &Account) -> &'static str {
    if account.users.is_some() {
        return USERS;
    }
    match account.desired.as_ref().map(|pair| pair.availability.as_str()) {
        Some("Available") => "available",
        Some("Busy") => "busy",
        Some("Away") => "away",
        Some("DoNotDisturb") => "do-not-disturb",
        Some(_) | None => "nothing",
    }
}

/// The strength of the presence, compared with other accounts.
fn strength(account: &Account) -> u8 {
    match class(account) {
        "do-not-disturb" => 5,
        "busy" => 4,
        "available" => 3,
        "away" => 2,
        USERS => 0,
        _ => 1,
    }
}

/// Lines as Pango markup, wrapped.
fn markup(lines: &[String]) -> String {
    let wrapped: Vec<_> =
        lines.iter().flat_map(|line| wrap(line, TOOLTIP_COLUMNS)).map(|line| escape_markup(&line)).collect();
    wrapped.join("\n")
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::cli::status::view::many::tests::report_of_many;
    use crate::cli::status::view::tests::{at, failing_report, healthy_report};
    use crate::status::ClientError;

    fn shown(report: Result<&Report, &ClientError>) -> String {
        let line = render(&Facts { report, only: None, now: at("13:10:48"), zone: TimeZone::UTC });
        assert!(!line.contains('\n'), "one line: {line}");
        let module: serde_json::Value = serde_json::from_str(&line).unwrap();
        format!("{module:#}")
    }

    #[test]
    fn a_module_for_waybar() {
        let mut odd = healthy_report();
        let account = odd.accounts.get_mut("work").unwrap();
        account.because = "call is in-call (<b>R&D</b> \"x\" 'y' \u{1b}[2J)".to_owned();
        let two = Report { accounts: failing_report().accounts.into_iter().take(2).collect(), ..failing_report() };
        let all = [
            ("healthy, with hostile names shown as they are", shown(Ok(&odd))),
            ("failing, with two accounts", shown(Ok(&two))),
            ("many users", shown(Ok(&report_of_many(0)))),
            ("many users beside a person", {
                let mut both = report_of_many(12);
                both.accounts.extend(healthy_report().accounts);
                shown(Ok(&both))
            }),
            ("the daemon is not running", shown(Err(&ClientError::Stopping))),
        ];
        insta::assert_snapshot!(all.map(|(title, module)| format!("{title}\n{module}")).join("\n\n"));
    }
}
