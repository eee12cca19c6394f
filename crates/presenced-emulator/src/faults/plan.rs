//! A fault plan: a TOML file that says what goes wrong and when, so that a bad day can be repeated.
//!
//! ```toml
//! [[fault]]
//! at   = "1h"      # after the emulator's start, or a time: "2026-11-24T09:10:00Z"
//! for  = "10m"
//! call = "token"
//! then = { respond = { status = 503 } }
//! ```
//!
//! What a fault is, is in `fault`. The caller reads the file.

use std::fmt;
use std::ops::Range;

use presenced_core::finding::Finding;
use serde::Deserialize;
use toml::Spanned;

use super::{Fault, MAX_FAULTS};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    fault: Vec<Spanned<Fault>>,
}

impl Fault {
    /// Reads a fault plan: TOML text with one to 100 `[[fault]]` tables. The keys are those of the fields of [`Fault`], except that
    /// [`lasts`](Fault::lasts) is called `for`. Durations are written like `"10m"` or `"PT10M"`, times like
    /// `"2026-11-24T09:10:00Z"`.
    ///
    /// ```
    /// # use presenced_emulator::Fault;
    /// let faults = Fault::plan("[[fault]]\nat = '1h'\nfor = '10m'\ncall = 'token'\nthen = 'reset'\n")?;
    /// assert_eq!(faults.len(), 1);
    /// # Ok::<(), presenced_emulator::PlanError>(())
    /// ```
    ///
    /// # Errors
    /// The plan is invalid. The error has all values that are out of range. If the text is not TOML, or a key or a value cannot be
    /// read, it has only the first of these.
    pub fn plan(text: &str) -> Result<Vec<Self>, PlanError> {
        read(text).map_err(|findings| PlanError::new(text, findings))
    }
}

fn read(text: &str) -> Result<Vec<Fault>, Vec<Finding>> {
    let Document { fault: faults } = toml::from_str(text).map_err(|error| vec![unreadable(&error, text)])?;
    let findings: Vec<Finding> = faults
        .iter()
        .filter_map(|fault| {
            let message = fault.get_ref().check().err()?.to_string();
            Some(Finding { span: Some(fault.span()), message, help: None })
        })
        .collect();
    if !findings.is_empty() {
        return Err(findings);
    }
    match faults.len() {
        0 => Err(vec![Finding::whole("it has no faults", "start each one with [[fault]]")]),
        1..=MAX_FAULTS => Ok(faults.into_iter().map(Spanned::into_inner).collect()),
        _ => {
            let message = format!("it has more than {MAX_FAULTS} faults");
            Err(vec![Finding::whole(message, "remove some, or make one last longer with `for` and `times`")])
        }
    }
}

/// Why a fault plan was refused. It displays as one line: each finding with its line number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// What is wrong, and where in the text. Never empty.
    pub findings: Vec<Finding>,
    summary: String,
}

impl PlanError {
    fn new(text: &str, findings: Vec<Finding>) -> Self {
        let line = |span: &Range<usize>| 1 + text[..span.start].matches('\n').count();
        let lines: Vec<String> = findings
            .iter()
            .map(|finding| match &finding.span {
                Some(span) => format!("line {}: {}", line(span), finding.message),
                None => finding.message.clone(),
            })
            .collect();
        Self { summary: format!("invalid fault plan: {}", lines.join("; ")), findings }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

impl std::error::Error for PlanError {}

fn unreadable(error: &toml::de::Error, text: &str) -> Finding {
    Finding {
        span: Some(error.span().unwrap_or(text.len()..text.len())),
        message: error.message().to_owned(),
        help: Some(
            "the emulator's help page (curl http://127.0.0.1:8765/) lists the keys of a fault and their values"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings of an invalid plan: the text in question, the message, the help.
    fn refused(text: &str) -> String {
        let findings = Fault::plan(text).expect_err(text).findings;
        let lines = findings.into_iter().map(|Finding { span, message, help }| {
            format!("{:?}: {message}\n  {}", span.map(|span| &text[span]), help.unwrap_or_default())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_plan_is_a_list_of_faults() {
        let text = r#"
            [[fault]]
            at   = "1h"
            for  = "10m"
            call = "token"
            then = { respond = { status = 503, headers = { Retry-After = "2.128" } } }

            [[fault]]
            at    = "2026-11-24T09:10:00+01:00"
            times = 2
            call  = "set"
            then  = "reset"

            [[fault]]
            call = "token"
            then = { aadsts = 53003 }
        "#;
        let faults = Fault::plan(text).unwrap();
        let as_json: Vec<Fault> = serde_json::from_str(
            r#"[{"at": "1h", "for": "10m", "call": "token",
                 "then": {"respond": {"status": 503, "headers": {"Retry-After": "2.128"}}}},
                {"at": "2026-11-24T08:10:00Z", "times": 2, "call": "set", "then": "reset"},
                {"call": "token", "then": {"aadsts": 53003}}]"#,
        )
        .unwrap();
        assert_eq!(faults, as_json);
    }

    #[test]
    fn each_finding_has_its_place() {
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

    #[test]
    fn an_error_displays_each_finding_with_its_line() {
        let text = "[[fault]]\nfor = \"-1s\"\n[[fault]]\nthen = { respond = { status = 42 } }\n";
        assert_eq!(
            Fault::plan(text).unwrap_err().to_string(),
            "invalid fault plan: line 1: `for` must be longer than zero; line 3: `status` must be from 200 to 599, not 42"
        );
        assert_eq!(Fault::plan("").unwrap_err().to_string(), "invalid fault plan: it has no faults");
        assert!(Fault::plan("[[fault").unwrap_err().to_string().starts_with("invalid fault plan: line 1: unclosed"));
    }

    #[test]
    fn a_plan_has_no_more_faults_than_can_be_active() {
        let plan = "[[fault]]\nthen = \"reset\"\n".repeat(MAX_FAULTS);
        assert_eq!(Fault::plan(&plan).unwrap().len(), MAX_FAULTS);
        assert!(refused(&(plan + "[[fault]]\n")).contains("more than 100 faults"));
    }
}
