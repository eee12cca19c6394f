//! Which words of a configuration are presenced's own, and which the user chose.

use std::path::Path;

use toml::Value;

use crate::config::{MAX_FILE_BYTES, Vocabulary};
use crate::presence::Presence;
use crate::regular_file;

/// Whether it is a word of the configuration, as a key or as a value.
pub(super) fn is_own_word(word: &str) -> bool {
    Vocabulary::own().has(word) || word.parse::<Presence>().is_ok()
}

/// Everything that the user chose in an invalid configuration, if it is at least TOML.
pub(super) fn values(file: &Path) -> Vec<String> {
    let bytes = regular_file::read(file, MAX_FILE_BYTES).unwrap_or_default();
    let mut waiting = vec![Value::Table(String::from_utf8_lossy(&bytes).parse().unwrap_or_default())];
    let mut chosen = Vec::new();
    while let Some(value) = waiting.pop() {
        match value {
            Value::Table(table) => {
                for (key, value) in table {
                    chosen.push(key);
                    waiting.push(value);
                }
            }
            Value::Array(values) => waiting.extend(values),
            Value::String(text) => chosen.push(text),
            Value::Boolean(_) | Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => {}
        }
    }
    chosen.retain(|text| !is_own_word(text));
    chosen
}
