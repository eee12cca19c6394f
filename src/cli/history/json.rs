//! The history as JSON. [`super`] describes its shape. It is a contract: fields may be added, but never changed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::History;
use super::timeline::{Span, SpanKind};
use crate::fill::Fill as _;
use crate::session::State;

#[derive(Serialize)]
struct JsonHistory<'a> {
    version: u32,
    from: Timestamp,
    to: Timestamp,
    skipped_lines: usize,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    accounts_with_users: &'a BTreeSet<String>,
    accounts: BTreeMap<&'a str, JsonAccount<'a>>,
}

#[derive(Serialize)]
struct JsonAccount<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    held_seconds: i64,
    unconfirmed_seconds: i64,
    spans: Vec<JsonSpan<'a>>,
}

#[derive(Serialize)]
struct JsonSpan<'a> {
    from: Timestamp,
    to: Timestamp,
    kind: &'static str,
    #[serde(flatten)]
    held: Option<JsonHeld<'a>>,
}

#[derive(Serialize)]
struct JsonHeld<'a> {
    presence: Option<&'a str>,
    rule: Option<&'a str>,
    because: &'a str,
    unconfirmed: Vec<JsonPart>,
}

#[derive(Serialize)]
struct JsonPart {
    from: Timestamp,
    to: Timestamp,
    state: State,
}

/// One object, with a line break.
pub(super) fn render(history: &History) -> String {
    let accounts = history.accounts.iter().map(|(name, timeline)| {
        let (held, unconfirmed) = timeline.sums();
        let spans = timeline.spans.iter().map(span).collect();
        let user = history.user_id.as_deref();
        let (held_seconds, unconfirmed_seconds) = (held.as_secs(), unconfirmed.as_secs());
        (name.as_str(), JsonAccount { user, held_seconds, unconfirmed_seconds, spans })
    });
    let document = JsonHistory {
        version: 1,
        from: history.window.0,
        to: history.window.1,
        skipped_lines: history.skipped,
        accounts_with_users: &history.of_many,
        accounts: accounts.fill(),
    };
    serde_json::to_string(&document).expect("the keys are strings") + "\n"
}

fn span(span: &Span) -> JsonSpan<'_> {
    let (kind, held) = match &span.kind {
        SpanKind::Held { presence, rule, because } => {
            let parts =
                span.unconfirmed.iter().map(|part| JsonPart { from: part.from, to: part.to, state: part.state });
            let unconfirmed = parts.collect();
            let held = JsonHeld { presence: presence.as_deref(), rule: rule.as_deref(), because, unconfirmed };
            ("held", Some(held))
        }
        SpanKind::Starting => ("starting", None),
        SpanKind::Asleep => ("asleep", None),
        SpanKind::NotRunning => ("not-running", None),
    };
    JsonSpan { from: span.from, to: span.to, kind, held }
}
