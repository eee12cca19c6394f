//! The text of a rule: its UNTIL, which needs a zone, and the parts that are left when those that cannot be read are dropped.
//!
//! A bad part costs that part, not the rule: Simple Calendar writes COUNT=-1, others INTERVAL=0, an empty UNTIL or an escaped
//! semicolon. Leaves to others: what the parts mean (`parts`).

use ical::recur::{IcalRecurRule, IcalRecurRuleError};

use super::super::value::{self, Written};

/// The UNTIL of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Until {
    /// There is none.
    Never,
    At(Written),
    /// There is one, but it is not a date or time.
    Unreadable,
}

/// The value of an RRULE or EXRULE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct RuleText {
    /// The parts without UNTIL.
    pub(in super::super) parts: String,
    pub(in super::super) until: Until,
    /// What is wrong with it, for people, although it can be read.
    pub(in super::super) problem: Option<&'static str>,
}

impl RuleText {
    /// Splits the text of a rule.
    pub(in super::super) fn read(text: &str) -> Self {
        // Some programs escape the separators, as in a text. A backslash has no other place in a rule.
        let problem = text.contains("\\;").then_some("its semicolons are escaped; they are read as if they were not");
        let mut rule = Self { parts: String::with_capacity(text.len()), until: Until::Never, problem };
        for part in text.split(';').map(|part| part.trim().trim_end_matches('\\')) {
            match part.split_once('=') {
                Some((name, date)) if name.trim().eq_ignore_ascii_case("UNTIL") => {
                    rule.until = match date.trim() {
                        "" => {
                            rule.problem = Some("its UNTIL is empty, so the event repeats without end");
                            Until::Never
                        }
                        date => value::date_or_time(date.as_bytes()).map_or(Until::Unreadable, Until::At),
                    };
                }
                _ => {
                    rule.parts.extend(part.chars().filter(|character| *character != '\\'));
                    rule.parts.push(';');
                }
            }
        }
        rule
    }
}

/// The parts that can be read, and what is wrong with the others, for people. The error says why none can be used.
pub(super) fn readable_parts(parts: &str) -> Result<(String, Vec<String>), String> {
    let (mut readable, mut problems) = (String::with_capacity(parts.len()), Vec::new());
    let mut keep = |part: &str| {
        readable.push_str(part);
        readable.push(';');
    };
    let mut has_freq = false;
    for part in parts.split(';').filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=').map(|(name, value)| (name.trim(), value.trim())) else {
            continue;
        };
        if name.eq_ignore_ascii_case("FREQ") {
            IcalRecurRule::parse(part).map_err(|_| "its FREQ is not known".to_owned())?;
            has_freq = true;
            keep(part);
        } else if let Some(error) = problem_of(name, value) {
            problems.push(format!("its {} is left out: {error}", name.to_ascii_uppercase()));
            let values: Vec<&str> = value.split(',').filter(|value| problem_of(name, value).is_none()).collect();
            if name.len() > 2
                && name.as_bytes()[..2].eq_ignore_ascii_case(b"BY")
                && values.iter().any(|value| !value.trim().is_empty())
            {
                problems.pop();
                problems.push(format!("a value of its {} is left out: {error}", name.to_ascii_uppercase()));
                keep(&format!("{name}={}", values.join(",")));
            }
        } else {
            keep(part);
        }
    }
    if has_freq { Ok((readable, problems)) } else { Err("it has no FREQ".to_owned()) }
}

/// What is wrong with a part; `None` if it can be read.
fn problem_of(name: &str, value: &str) -> Option<&'static str> {
    match IcalRecurRule::parse(&format!("FREQ=DAILY;{name}={value}")) {
        Ok(rule) => (rule.count == Some(0)).then_some("it is not a positive number"),
        Err(error) => Some(match error {
            IcalRecurRuleError::Count(_) | IcalRecurRuleError::Interval(_) | IcalRecurRuleError::IntervalZero => {
                "it is not a positive number"
            }
            IcalRecurRuleError::Weekday | IcalRecurRuleError::Ordinal(_) => "it is not a weekday",
            IcalRecurRuleError::Number(_) => "it is not a number",
            IcalRecurRuleError::Range => "the number is out of range",
            IcalRecurRuleError::Skip => "the word is not known",
            IcalRecurRuleError::Freq | IcalRecurRuleError::FreqMissing | IcalRecurRuleError::DateTime => {
                "it cannot be read"
            }
        }),
    }
}
