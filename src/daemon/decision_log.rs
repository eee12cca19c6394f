//! The trail of a decision: each has a number, which the log gives with the signals that were news to it, with what was
//! decided, with each request that was sent for it and with the answer. So one can be followed by its number alone.

use std::collections::BTreeMap;

use crate::status::report::Signal;

/// Numbers the decisions.
#[derive(Debug, Default)]
pub(super) struct DecisionLog {
    /// Of the last decision; counts from 1.
    number: u64,
    /// What the signals were then.
    values: BTreeMap<String, String>,
}

impl DecisionLog {
    /// The number of the last decision.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Numbers a new decision, by `signals`, and tells what is new of them.
    pub(super) fn begin(&mut self, signals: &BTreeMap<String, Signal>) {
        self.number += 1;
        let values = signals.iter().map(|(name, signal)| (name.clone(), signal.value.clone())).collect();
        let before = std::mem::replace(&mut self.values, values);
        for (name, was, value) in news(&before, &self.values) {
            tracing::info!(decision = self.number, signal = name, was, "{name} is {value}");
        }
    }
}

/// The signals that have another value than before: their names, what they were and what they are. One that was never
/// heard of and is off is no news.
fn news<'a>(
    before: &'a BTreeMap<String, String>,
    values: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = (&'a str, Option<&'a str>, &'a str)> {
    let changed = values.iter().filter_map(|(name, value)| {
        let was = before.get(name).map(String::as_str);
        (was.unwrap_or("off") != value).then_some((name.as_str(), was, value.as_str()))
    });
    let gone = before.iter().filter(|(name, _)| !values.contains_key(*name));
    changed.chain(gone.map(|(name, was)| (name.as_str(), Some(was.as_str()), "unset")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_told_and_nothing_else() {
        let values = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let before = values(&[("call", "idle"), ("lock", "unlocked"), ("signal.door", "open")]);
        let after = values(&[("call", "in-call"), ("idle", "off"), ("lock", "unlocked"), ("sleep", "awake")]);
        assert_eq!(
            news(&before, &after).collect::<Vec<_>>(),
            [("call", Some("idle"), "in-call"), ("sleep", None, "awake"), ("signal.door", Some("open"), "unset")]
        );
    }
}
