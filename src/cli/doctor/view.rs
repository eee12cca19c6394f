//! The checks as a person reads them: one line each under the title of their group, more only if there is something to fix, and the
//! verdict last.

use anstyle::{AnsiColor, Style};

use super::check::{Check, Group, Verdict};
use super::commands::is_command;
use super::text::{Kind, Part};
use crate::cli::terminal::text::{columns, cut_end, cut_start, pad, printable, wrap};
use crate::config::Environment;

const BOLD: Style = Style::new().bold();

/// Names are cut to this width, so that what was found has most of the line.
const MAX_NAME_COLUMNS: usize = 26;

/// Below this width, what was found is shown under the name.
const MIN_COLUMNS_FOR_TWO: usize = 60;

/// The marks of verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    Unicode,
    /// For a terminal or a file without Unicode.
    Ascii,
}

impl Marks {
    /// The marks for the locale (POSIX, 8.2: the first variable that is set counts).
    pub(super) fn of(environment: &Environment) -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| environment.var(name));
        let charset = locale.unwrap_or_default().to_ascii_lowercase().replace('-', "");
        if charset.contains("utf8") { Self::Unicode } else { Self::Ascii }
    }

    /// The mark itself.
    pub(super) const fn mark(self, verdict: Verdict) -> &'static str {
        match (self, verdict) {
            (Self::Unicode, Verdict::Ok) => "✓",
            (Self::Unicode, Verdict::Failed) => "✗",
            (Self::Unicode, Verdict::Skipped) => "–",
            (_, Verdict::Warning) => "!",
            (Self::Ascii, Verdict::Ok) => "+",
            (Self::Ascii, Verdict::Failed) => "x",
            (Self::Ascii, Verdict::Skipped) => "-",
        }
    }

    /// A text without characters that cannot be shown.
    fn fit(self, text: &str) -> String {
        match self {
            Self::Unicode => text.to_owned(),
            Self::Ascii => text.replace('…', "..."),
        }
    }
}

/// All checks, in lines of at most `width` columns.
pub(super) fn render(checks: &[Check], width: usize, marks: Marks) -> String {
    let mut lines = Vec::new();
    for group in Group::ALL {
        let members: Vec<&Check> = checks.iter().filter(|check| check.group == group).collect();
        if members.is_empty() {
            continue;
        }
        lines.push(format!("{BOLD}{}{BOLD:#}", group.title()));
        let room = if width < MIN_COLUMNS_FOR_TWO { width - 2 } else { MAX_NAME_COLUMNS.min(width / 3) };
        let names: Vec<String> = members.iter().map(|check| name(check, room, marks)).collect();
        let column = names.iter().map(|name| columns(name)).max().unwrap_or(0);
        for (check, name) in members.into_iter().zip(names) {
            draw(&mut lines, check, &name, column, width, marks);
        }
        lines.push(String::new());
    }
    lines.extend(verdict(checks).into_iter().flat_map(|line| wrap(&marks.fit(&line), width)));
    lines.join("\n") + "\n"
}

/// The shown name of a check. A calendar is shown without `calendar`, because its path or host says enough.
fn name(check: &Check, room: usize, marks: Marks) -> String {
    let name = match &check.subject {
        None => check.name.to_owned(),
        Some(part @ Part::Private(Kind::Path, _)) => cut_start(&printable(part.as_str()), room),
        Some(part @ Part::Private(Kind::Account, _)) => {
            cut_end(&printable(&format!("{} of {}", check.name, part.as_str())), room)
        }
        Some(part) => cut_end(&printable(part.as_str()), room),
    };
    match marks {
        Marks::Unicode => name,
        Marks::Ascii => name.replace('…', "~"),
    }
}

fn draw(lines: &mut Vec<String>, check: &Check, name: &str, column: usize, width: usize, marks: Marks) {
    let style = match check.verdict {
        Verdict::Ok => AnsiColor::Green.on_default(),
        Verdict::Warning => AnsiColor::Yellow.on_default().bold(),
        Verdict::Failed => AnsiColor::Red.on_default().bold(),
        Verdict::Skipped => Style::new().dimmed(),
    };
    let mark = marks.mark(check.verdict);
    let found = marks.fit(&check.found.to_string());
    if width < MIN_COLUMNS_FOR_TWO {
        lines.push(format!("{style}{mark}{style:#} {name}"));
        lines.extend(wrap(&found, width - 4).into_iter().map(|line| format!("    {line}")));
    } else {
        let indent = 2 + column + 2;
        for (number, line) in wrap(&found, width - indent).into_iter().enumerate() {
            if number == 0 {
                lines.push(format!("{style}{mark}{style:#} {}  {line}", pad(name, column)));
            } else {
                lines.push(format!("{}{line}", " ".repeat(indent)));
            }
        }
    }
    if !check.is_trouble() {
        return;
    }
    let hint = check.hint.as_ref().map(|hint| format!("hint: {hint}"));
    for text in check.details.iter().map(ToString::to_string).chain(hint) {
        lines.extend(wrap(&marks.fit(&text), width - 4).into_iter().map(|line| format!("    {line}")));
    }
}

/// The summary, and what to do first.
fn verdict(checks: &[Check]) -> Vec<String> {
    let of = |verdict| checks.iter().filter(move |check| check.verdict == verdict);
    let (failed, warned, skipped) =
        (of(Verdict::Failed).count(), of(Verdict::Warning).count(), of(Verdict::Skipped).count());
    let counted = |number, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let looked = counted(checks.len() - skipped, "check", "checks");
    if failed + warned == 0 {
        return vec![format!("Everything is ok: {looked}, and {skipped} skipped.")];
    }
    let (problems, warnings) = (counted(failed, "problem", "problems"), counted(warned, "warning", "warnings"));
    let sum = match (failed, warned) {
        (0, _) => warnings,
        (_, 0) => problems,
        (..) => format!("{problems} and {warnings}"),
    };
    let names: Vec<String> = of(Verdict::Failed).chain(of(Verdict::Warning)).map(called).collect();
    let mut lines = vec![format!("{sum} in {looked}: {}.", names.join(", "))];
    let first = of(Verdict::Failed).chain(of(Verdict::Warning)).find_map(|check| check.hint.as_ref());
    lines.extend(first.map(|hint| {
        let hint = hint.to_string();
        format!("First: {}", command(&hint).unwrap_or(&hint))
    }));
    lines
}

/// The name of a check in a sentence.
fn called(check: &Check) -> String {
    match &check.subject {
        None => check.name.to_owned(),
        Some(Part::Private(Kind::Account, account)) => format!("{} of {}", check.name, printable(account)),
        Some(subject) => format!("{} {}", check.name, printable(subject.as_str())),
    }
}

/// The first command in a hint.
fn command(hint: &str) -> Option<&str> {
    let mut quoted = hint.split('`').skip(1).step_by(2);
    quoted.find(|text| is_command(text))
}

#[cfg(test)]
mod tests {
    use super::super::text::{account, foreign, path, text};
    use super::*;

    fn checks() -> Vec<Check> {
        let home = std::path::Path::new("/home/me/.calendars/work");
        vec![
            Check::ok(
                Group::Configuration,
                "configuration",
                text![path(std::path::Path::new("/home/me/c.toml")), ": 1 account"],
            ),
            Check::warning(Group::Calendars, "calendar", "3 files, 120 events; 1 part is skipped")
                .of(path(home))
                .with_details([text![path(home), ", line ", 12_u32, ": ", foreign("the event has no start")]])
                .with_hint("the rest is used; `presenced agenda` shows all skipped parts"),
            Check::skipped(Group::Desktop, "idle", "it is off in the configuration"),
            Check::failed(
                Group::SignIn,
                "sign-in",
                "no one is signed in to account `work`, or the keyring that has it is locked",
            )
            .of(account("work"))
            .with_hint("where `store` is auto, run `presenced login work` once"),
        ]
    }

    fn shown(checks: &[Check], width: usize, marks: Marks) -> String {
        let text = anstream::adapter::strip_str(&render(checks, width, marks)).to_string();
        assert!(text.lines().all(|line| columns(line) <= width), "{text}");
        text
    }

    #[test]
    fn each_verdict_is_on_one_line_with_a_fix_if_needed() {
        insta::assert_snapshot!(shown(&checks(), 80, Marks::Unicode));
    }

    #[test]
    fn a_narrow_terminal_without_unicode_works() {
        let text = shown(&checks(), 40, Marks::Ascii);
        assert!(text.is_ascii(), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn everything_ok_is_one_line() {
        let ok = [checks().swap_remove(0), checks().swap_remove(2)];
        assert!(shown(&ok, 80, Marks::Ascii).ends_with("\n\nEverything is ok: 1 check, and 1 skipped.\n"));
    }

    #[test]
    fn the_first_thing_to_do_is_a_command_if_there_is_one() {
        for (hint, expected) in [
            ("set `store = \"file\"`, then run `presenced login work`", Some("presenced login work")),
            ("set `store`", None),
            ("run `chmod 600 x`", Some("chmod 600 x")),
            ("no `end", None),
        ] {
            assert_eq!(command(hint), expected, "{hint}");
        }
    }
}
