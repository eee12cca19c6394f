//! The decision log: numbers each decision. The log shows that number with the signals that changed, with the decision, with each
//! request that was sent for it, and with the answer. So a decision can be followed by its number alone.

use std::collections::BTreeMap;

use crate::fill::Fill as _;
use crate::status::report::Signal;

/// Numbers the decisions.
#[derive(Debug, Default)]
pub(super) struct DecisionLog {
    /// The number of the last decision; the first is 1.
    number: u64,
    /// The values of the signals at that decision.
    values: BTreeMap<String, String>,
}

impl DecisionLog {
    /// The number of the last decision.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Numbers a new decision, and logs which of its `signals` have changed.
    pub(super) fn begin(&mut self, signals: &BTreeMap<String, Signal>) {
        self.number += 1;
        let values = signals.iter().map(|(name, signal)| (name.clone(), signal.value.clone())).fill();
        let before = std::mem::replace(&mut self.values, values);
        for (name, was, value) in changes(&before, &self.values) {
            tracing::info!(decision = self.number, signal = name, was, "{name} is {value}");
        }
    }
}

/// The signals whose value has changed: name, old value, new value. A new signal that is off does not count.
fn changes<'a>(
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
    fn only_changed_signals_are_listed() {
        let values = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let before = values(&[("call", "idle"), ("lock", "unlocked"), ("signal.door", "open")]);
        let after = values(&[("call", "in-call"), ("idle", "off"), ("lock", "unlocked"), ("sleep", "awake")]);
        assert_eq!(
            changes(&before, &after).collect::<Vec<_>>(),
            [("call", Some("idle"), "in-call"), ("sleep", None, "awake"), ("signal.door", Some("open"), "unset")]
        );
    }
}
