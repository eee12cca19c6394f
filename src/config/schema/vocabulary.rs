//! The words of the configuration, taken from the schema: its keys, and for each key what its values can be. `doctor` uses it
//! to decide which parts of a configuration others may read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::annotated;
use super::value::{MEANING, Meaning};

/// What the values of a key can be. A key that several tables have allows what any of them allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The words that have a meaning for presenced.
    pub(crate) words: BTreeSet<String>,
    /// What texts are, other than such words. A free text has no meaning.
    pub(crate) meanings: BTreeSet<Meaning>,
    /// Whether it holds a table whose keys the user chooses.
    pub(crate) has_chosen_keys: bool,
}

/// All keys and words.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    keys: BTreeMap<String, Usage>,
}

impl Vocabulary {
    /// Presenced's own.
    pub(crate) fn own() -> &'static Self {
        static OWN: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::of(&annotated()));
        &OWN
    }

    /// That of a schema.
    pub(crate) fn of(schema: &Value) -> Self {
        let mut vocabulary = Self::default();
        vocabulary.read(schema, None);
        vocabulary
    }

    /// The keys.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// What a key's values can be; `None`: the schema does not have this key.
    pub(crate) fn usage(&self, key: &str) -> Option<&Usage> {
        self.keys.get(key)
    }

    /// Whether it is a word of the configuration, as a key or as a value.
    pub(crate) fn has(&self, word: &str) -> bool {
        matches!(word, "true" | "false")
            || self.keys.contains_key(word)
            || self.keys.values().any(|usage| usage.words.contains(word))
    }

    /// `key`: the key whose values this part of the schema describes.
    fn read(&mut self, schema: &Value, key: Option<&str>) {
        let table = |name: &str| schema.get(name).and_then(Value::as_object).into_iter().flat_map(Map::iter);
        let list = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
        for (name, value) in table("properties") {
            self.keys.entry(name.clone()).or_default();
            self.read(value, Some(name));
        }
        let chosen = table("patternProperties").map(|(_, value)| value);
        for value in chosen.chain(schema.get("additionalProperties").filter(|value| value.is_object())) {
            if let Some(key) = key {
                self.keys.entry(key.to_owned()).or_default().has_chosen_keys = true;
            }
            self.read(value, None);
        }
        for value in list("anyOf").chain(schema.get("items")) {
            self.read(value, key);
        }
        if let Some(key) = key {
            let usage = self.keys.entry(key.to_owned()).or_default();
            usage.words.extend(list("enum").filter_map(Value::as_str).map(str::to_owned));
            usage
                .meanings
                .extend(schema.get(MEANING).and_then(Value::as_str).and_then(|word| word.parse::<Meaning>().ok()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_takes_is_found_in_all_tables_that_have_it() {
        let call = Vocabulary::own().usage("call").unwrap();
        assert!(call.words.contains("in-call") && !call.words.contains("busy"), "{call:?}");
        let of = |key| Vocabulary::own().usage(key).unwrap().meanings.iter().copied().collect::<Vec<_>>();
        assert_eq!((of("within"), of("settle")), (vec![Meaning::Hours], vec![Meaning::Duration]));
        assert_eq!((of("user"), of("identity"), of("listen")), (vec![Meaning::Id], vec![Meaning::Mail], vec![]));
        let chosen: Vec<_> =
            Vocabulary::own().keys.iter().filter(|(_, usage)| usage.has_chosen_keys).map(|(key, _)| key).collect();
        assert_eq!(chosen, ["accounts", "keyring", "signal"]);
        assert!(["us-gov-dod", "on_exit", "true"].into_iter().all(|word| Vocabulary::own().has(word)));
        assert!(!Vocabulary::own().has("hunter2"));
    }

    #[test]
    fn editors_get_a_schema_without_meanings() {
        assert!(!super::super::schema().to_string().contains(MEANING));
    }
}
