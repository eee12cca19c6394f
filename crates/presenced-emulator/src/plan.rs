//! A fault plan: a TOML file that says what goes wrong when, so that a whole day of trouble can be lived again.
//!
//! ```toml
//! [[fault]]
//! at   = "1h"      # after the emulator's start, or a time: "2026-11-24T09:10:00Z"
//! for  = "10m"
//! call = "token"
//! then = { respond = { status = 503 } }
//! ```
//!
//! Leaves to others: what a fault is and does (`faults`), reading the file.

use presenced_core::finding::Finding;
use serde::Deserialize;
use toml::Spanned;

use super::faults::{CAPACITY, Fault};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    fault: Vec<Spanned<Fault>>,
}

impl Fault {
    /// Reads a plan: the text of a TOML file with one fault or more.
    ///
    /// # Errors
    /// Everything that is wrong with it. For text that is not TOML, or has a key that does not exist, only the first such place.
    pub fn plan(text: &str) -> Result<Vec<Self>, Vec<Finding>> {
        let Document { fault: faults } = toml::from_str(text).map_err(|error| vec![unreadable(&error, text)])?;
        let findings: Vec<Finding> = faults
            .iter()
            .filter_map(|fault| {
                let message = fault.get_ref().check().err()?;
                Some(Finding { span: Some(fault.span()), message, help: None })
            })
            .collect();
        if !findings.is_empty() {
            return Err(findings);
        }
        match faults.len() {
            0 => Err(vec![Finding::whole("there is no fault in it", "begin each with [[fault]]")]),
            1..=CAPACITY => Ok(faults.into_iter().map(Spanned::into_inner).collect()),
            _ => {
                let message = format!("there are more than {CAPACITY} faults in it");
                Err(vec![Finding::whole(message, "leave some out, or let one last longer with `for` and `times`")])
            }
        }
    }
}

fn unreadable(error: &toml::de::Error, text: &str) -> Finding {
    Finding {
        span: Some(error.span().unwrap_or(text.len()..text.len())),
        message: error.message().to_owned(),
        help: Some(
            "the emulator's page (curl http://127.0.0.1:8765/) lists the keys of a fault and their values".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a plan: the text concerned, the message, the help.
    fn refused(text: &str) -> String {
        let findings = Fault::plan(text).expect_err(text);
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
    fn what_is_wrong_is_shown_where_it_is() {
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
    fn a_plan_holds_no_more_faults_than_may_stand() {
        let plan = "[[fault]]\nthen = \"reset\"\n".repeat(CAPACITY);
        assert_eq!(Fault::plan(&plan).unwrap().len(), CAPACITY);
        assert!(refused(&(plan + "[[fault]]\n")).contains("more than 100 faults"));
    }
}
