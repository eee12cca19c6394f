//! A template for a line of the status: text with fields of a closed list, `{availability} {rule}`.

use std::str::FromStr;

use super::facts::Facts;
use super::view;
use crate::cli::terminal::text::printable;
use crate::cli::terminal::times::clock;
use crate::status::report::{Account, Pair, Report, word};
use crate::suggest;

/// The text between two accounts.
const ACCOUNT_SEPARATOR: &str = " | ";

/// What the marked fields say while the daemon is not running.
const OFF: &str = "off";

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Field(&'static str),
}

/// One account, with the facts for its fields.
struct Line<'a> {
    name: &'a str,
    account: &'a Account,
    report: &'a Report,
    facts: &'a Facts<'a>,
}

type Write = fn(&Line<'_>) -> String;

/// The fields: the name, whether it says `off` while the daemon is not running, and its value for an account.
const FIELDS: [(&str, bool, Write); 13] = [
    ("account", false, |line| line.name.to_owned()),
    ("presence", true, |line| match &line.account.users {
        Some(users) => view::presences(users),
        None => line.desired(|pair| format!("{}/{}", pair.availability, pair.activity), "nothing"),
    }),
    ("availability", true, |line| match &line.account.users {
        Some(users) => view::count(users.count),
        None => line.desired(|pair| pair.availability.clone(), "nothing"),
    }),
    ("activity", false, |line| line.desired(|pair| pair.activity.clone(), "")),
    ("state", true, |line| word(line.account.state)),
    ("health", true, |line| word(line.report.health)),
    ("rule", false, |line| line.account.rule.clone().unwrap_or_default()),
    ("because", false, |line| line.account.because.clone()),
    ("since", false, |line| line.clock(line.account.since)),
    ("until", false, |line| line.clock(line.account.until)),
    ("seen", false, |line| {
        line.account.seen.as_ref().map(|seen| format!("{}/{}", seen.availability, seen.activity)).unwrap_or_default()
    }),
    ("warning", false, |line| view::worst(line.report).map(|worst| worst.text.clone()).unwrap_or_default()),
    ("hint", false, |line| view::worst(line.report).map(|worst| worst.hint.clone()).unwrap_or_default()),
];

impl Line<'_> {
    fn desired(&self, show: impl Fn(&Pair) -> String, nothing: &str) -> String {
        self.account.desired.as_ref().map_or_else(|| nothing.to_owned(), show)
    }

    fn clock(&self, at: Option<jiff::Timestamp>) -> String {
        at.map(|at| clock(at, self.facts.now, &self.facts.zone)).unwrap_or_default()
    }
}

impl Template {
    /// The line with each account in turn, without a line break. The values have no control characters.
    pub(super) fn render(&self, facts: &Facts<'_>) -> String {
        if facts.absence().is_some() {
            return self.fill(|field| if is_off_without_daemon(field) { OFF.to_owned() } else { String::new() });
        }
        let Ok(report) = facts.report else { return String::new() };
        let accounts = facts.accounts().into_iter();
        let lines = accounts.map(|(name, account)| {
            let line = Line { name, account, report, facts };
            self.fill(|field| {
                FIELDS.iter().find(|(name, ..)| *name == field).map_or_else(String::new, |field| field.2(&line))
            })
        });
        lines.collect::<Vec<_>>().join(ACCOUNT_SEPARATOR)
    }

    fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(field) => printable(&value(field)),
        };
        self.0.iter().map(part).collect()
    }
}

fn is_off_without_daemon(field: &str) -> bool {
    FIELDS.iter().any(|(name, off, _)| *name == field && *off)
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let closed = rest.split_once('}').filter(|(name, _)| brace == "{" && !name.contains('{'));
            let (name, after) = closed.ok_or_else(|| {
                format!("a `{brace}` has no matching brace; write `{brace}{brace}` for the character itself")
            })?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Field(field(name)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }
}

fn field(written: &str) -> Result<&'static str, String> {
    let names = FIELDS.map(|(name, ..)| name);
    if let Some(name) = names.iter().find(|name| **name == written) {
        return Ok(name);
    }
    Err(match suggest::nearest(written, names) {
        Some(nearest) => format!("there is no field `{written}`; did you mean `{nearest}`?"),
        None => format!("there is no field `{written}`; the fields are {}", suggest::list(names, "and")),
    })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::cli::status::view::many::tests::report_of_many;
    use crate::cli::status::view::tests::{at, failing_report, healthy_report};
    use crate::status::ClientError;

    fn facts(report: Result<&Report, &ClientError>, template: &str) -> String {
        let facts = Facts { report, only: None, now: at("13:10:48"), zone: TimeZone::UTC };
        template.parse::<Template>().unwrap().render(&facts)
    }

    #[test]
    fn every_field_describes_an_account() {
        let report = healthy_report();
        for (template, expected) in [
            ("{availability} {rule}", "Busy call"),
            ("{presence}{{x}}", "Busy/InACall{x}"),
            ("{account}: {activity}, {state}, {health}", "work: InACall, holding, ok"),
            ("{because}", "call is in-call (baresip)"),
            ("{since}-{until}|{seen}|{warning}|{hint}", "12:58-|||"),
        ] {
            assert_eq!(facts(Ok(&report), template), expected);
        }
        let two = Report { accounts: failing_report().accounts.into_iter().take(2).collect(), ..failing_report() };
        assert_eq!(facts(Ok(&two), "{state} {until}"), "retrying 16:00 | sign-in-needed ");
        assert_eq!(facts(Ok(&two), "{hint}"), "presenced login fabrikam | presenced login fabrikam");
    }

    #[test]
    fn many_users_are_counted() {
        let report = report_of_many(0);
        assert_eq!(facts(Ok(&report), "{availability} {state}|{activity}|{rule}"), "12000 users holding||");
        assert_eq!(facts(Ok(&report), "{presence}"), "9590 Available/Available, 2400 Away/Away, 10 Busy/InACall");
    }

    #[test]
    fn fields_are_off_or_empty_without_a_daemon() {
        let all = FIELDS.map(|(name, ..)| format!("{name}={{{name}}} ")).concat();
        assert_eq!(
            facts(Err(&ClientError::Stopping), &all),
            "account= presence=off availability=off activity= state=off health=off rule= because= since= until= seen= \
             warning= hint= "
        );
    }

    #[test]
    fn one_account_can_be_selected() {
        let report = failing_report();
        let template: Template = "{account} {state}".parse().unwrap();
        let only = |only| {
            let facts = Facts { report: Ok(&report), only: Some(only), now: at("13:10:48"), zone: TimeZone::UTC };
            template.render(&facts)
        };
        assert_eq!(only("slow"), "slow throttled");
        assert_eq!(only("nobody"), " off");
    }

    #[test]
    fn unknown_fields_and_unmatched_braces_are_refused() {
        let error = |template: &str| template.parse::<Template>().unwrap_err();
        assert_eq!(error("{availabilty}"), "there is no field `availabilty`; did you mean `availability`?");
        assert!(error("{}").contains("the fields are `account`, `presence`"));
        assert!(error("{rule").starts_with("a `{` has no matching brace"));
        assert!(error("rule}").starts_with("a `}` has no matching brace"));
        assert!(error("{rule {state}").starts_with("a `{` has no matching brace"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[{}a-z日 ]{0,40}") {
            let _ = text.parse::<Template>();
        }
    }
}
