//! The content of a call-state file: one bare word (`in-call`), or a JSON object
//! `{"state": "in-call", "app": "baresip", "pid": 4242, "expires_at": "2026-11-23T15:00:00Z"}` in which everything but
//! `state` may be left out. Unknown keys are ignored, so a program may write more than presenced reads.
//!
//! Leaves to others: reading the file (`file`), and what a state means together with others (the parent module).

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::policy::CallState;

/// The longest program name that is kept.
const MAX_APP_CHARS: usize = 64;

/// How much of an unknown word a message quotes.
const MAX_QUOTE_CHARS: usize = 24;

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Statement {
    /// The state.
    #[serde(deserialize_with = "state")]
    pub(super) state: CallState,
    /// The program's name, for people.
    #[serde(default, deserialize_with = "app")]
    pub(super) app: Option<String>,
    /// The state ends when this process does. 1 to `i32::MAX`, the range of process ids.
    #[serde(default, deserialize_with = "pid")]
    pub(super) pid: Option<i32>,
    /// The state ends at this time.
    #[serde(default)]
    pub(super) expires_at: Option<Timestamp>,
}

impl Statement {
    /// What a missing or empty file says.
    pub(super) const IDLE: Self = Self { state: CallState::Idle, app: None, pid: None, expires_at: None };
}

/// Why a content is malformed, and where. Line and column count from 1; the column counts bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) reason: String,
}

/// Parses a content.
pub(super) fn parse(content: &[u8]) -> Result<Statement, Malformed> {
    let text = match std::str::from_utf8(content) {
        Ok(text) => text,
        Err(error) => return Err(malformed(content, error.valid_up_to(), "not UTF-8".to_owned())),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let word = text.trim_ascii();
    let start = text.len() - text.trim_ascii_start().len();
    if word.is_empty() {
        return Ok(Statement::IDLE);
    }
    if word.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| {
            let whole = error.to_string();
            let reason = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(reason, _)| reason).to_owned();
            Malformed { line: error.line().max(1), column: error.column().max(1), reason }
        });
    }
    if let Some(end) = word.find(|c: char| c.is_ascii_whitespace()) {
        let more = end + (word[end..].len() - word[end..].trim_ascii_start().len());
        return Err(malformed(text.as_bytes(), start + more, "more than one word".to_owned()));
    }
    match word.parse() {
        Ok(state) => Ok(Statement { state, ..Statement::IDLE }),
        Err(()) => Err(malformed(text.as_bytes(), start, not_a_state(word))),
    }
}

/// Locates the byte at `offset`.
fn malformed(content: &[u8], offset: usize, reason: String) -> Malformed {
    let before = &content[..offset];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.split(|&byte| byte == b'\n').count();
    Malformed { line, column: offset - line_start + 1, reason }
}

fn not_a_state(word: &str) -> String {
    let quote: String = word.chars().take(MAX_QUOTE_CHARS).flat_map(char::escape_default).collect();
    let known: Vec<&str> = CallState::ALL.iter().map(|state| state.as_str()).collect();
    format!("`{quote}` is not a call state ({})", known.join(", "))
}

fn state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CallState, D::Error> {
    let word = String::deserialize(deserializer)?;
    word.parse().map_err(|()| serde::de::Error::custom(not_a_state(&word)))
}

/// A name that is safe to show: short, and without control characters.
fn app<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(MAX_APP_CHARS).collect();
    Ok((!name.is_empty()).then_some(name))
}

fn pid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    let pid = Option::<i32>::deserialize(deserializer)?;
    match pid {
        Some(..=0) => Err(serde::de::Error::custom("`pid` is not a process id")),
        Some(1..) | None => Ok(pid),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bare(state: CallState) -> Statement {
        Statement { state, ..Statement::IDLE }
    }

    fn error(content: &str) -> (usize, usize, String) {
        let malformed = parse(content.as_bytes()).unwrap_err();
        (malformed.line, malformed.column, malformed.reason)
    }

    #[test]
    fn a_bare_word_is_enough() {
        for &state in CallState::ALL {
            assert_eq!(parse(format!("{state}\n").as_bytes()), Ok(bare(state)));
            assert_eq!(parse(format!("\u{feff}  {state} \r\n\n").as_bytes()), Ok(bare(state)));
        }
    }

    #[test]
    fn an_empty_file_is_idle() {
        for content in ["", "\n", " \t\r\n"] {
            assert_eq!(parse(content.as_bytes()), Ok(Statement::IDLE));
        }
    }

    #[test]
    fn json_can_say_more() {
        let content = r#"{"state": "conference", "app": " bare\u0007sip ", "pid": 4242,
            "expires_at": "2026-11-23T15:00:00+01:00", "room": 7}"#;
        let expected = Statement {
            state: CallState::Conference,
            app: Some("baresip".to_owned()),
            pid: Some(4242),
            expires_at: Some("2026-11-23T14:00:00Z".parse().unwrap()),
        };
        assert_eq!(parse(content.as_bytes()), Ok(expected));
        let nulls = r#"{"state": "idle", "app": null, "pid": null, "expires_at": null}"#;
        assert_eq!(parse(nulls.as_bytes()), Ok(Statement::IDLE));
    }

    #[test]
    fn an_error_says_where() {
        assert_eq!(error("\n  incall\n"), (2, 3, not_a_state("incall")));
        assert_eq!(error("in-call\nbaresip\n"), (2, 1, "more than one word".to_owned()));
        assert_eq!(error("In-Call").0, 1);
        assert_eq!(error("{\"state\": \"in-call\",\n \"pi"), (2, 4, "EOF while parsing a string".to_owned()));
        assert_eq!(error("{\"state\":\n\"ringing\"}").0, 2);
        assert!(error("{\"state\":\n\"ringing\"}").2.contains("`ringing` is not a call state"));
        assert_eq!(error("{}").2, "missing field `state`");
        assert_eq!(error(r#"{"state": "idle", "pid": 0}"#).2, "`pid` is not a process id");
        assert!(parse(br#"{"state": "idle", "expires_at": "tomorrow"}"#).is_err());
        assert!(parse(br#"{"state": "idle"} trailing"#).is_err());
        let malformed = parse(b"in-call\n\xff").unwrap_err();
        assert_eq!((malformed.line, malformed.column), (2, 1));
    }

    #[test]
    fn a_long_or_unprintable_word_is_quoted_briefly() {
        let reason = error(&format!("{}\u{1b}", "x".repeat(10_000))).2;
        assert!(reason.len() < 120 && !reason.contains('\u{1b}'), "{reason}");
        assert!(!error("\0\0\0\0").2.contains('\0'));
    }

    proptest! {
        #[test]
        fn no_content_panics(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(malformed) = parse(&content) {
                prop_assert!(malformed.line >= 1 && malformed.column >= 1);
            }
        }

        #[test]
        fn half_a_statement_is_never_another(cut in 1usize..60) {
            let whole = r#"{"state": "in-call", "app": "baresip", "pid": 42, "x": {}}"#;
            if cut < whole.len() {
                prop_assert!(parse(&whole.as_bytes()[..cut]).is_err());
            }
        }
    }
}
