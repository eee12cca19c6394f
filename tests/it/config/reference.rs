//! `docs/configuration.md` and `config/presenced.toml` are whole: each key of the schema is there, and no other.

use std::collections::BTreeMap;

use presenced::config::schema;
use serde_json::Value;

use super::schema::keys;

const DOCUMENT: &str = include_str!("../../../docs/configuration.md");

/// The document's rows by their heading and key: value, default, meaning.
fn rows() -> BTreeMap<(String, String), [String; 3]> {
    let mut heading = "";
    let mut rows = BTreeMap::new();
    for line in DOCUMENT.lines() {
        if let Some(title) = line.strip_prefix("##") {
            heading = title.trim_matches(['#', ' ', '`', '[', ']']);
        }
        let Some(cells) = line.strip_prefix("| `").and_then(|line| line.strip_suffix(" |")) else { continue };
        let cells: Vec<&str> = cells.split(" | ").collect();
        let [key, value, default, meaning] = cells[..] else { panic!("four cells: {line}") };
        let row = [value, default, meaning].map(|cell| cell.trim().to_owned());
        let before = rows.insert((heading.to_owned(), key.trim_end_matches('`').to_owned()), row);
        assert_eq!(before, None, "{heading} has two rows for {key}");
    }
    rows
}

/// The words of which a key's value is one.
fn words(schema: &Value) -> Vec<&str> {
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    let lists = [schema].into_iter().chain(alternatives).filter_map(|schema| schema["enum"].as_array());
    lists.flatten().filter_map(Value::as_str).collect()
}

#[test]
fn the_document_says_of_each_key_what_the_schema_says() {
    let schema = schema();
    let mut rows = rows();
    for (name, key) in keys(&schema) {
        let (table, last) = name.rsplit_once('.').unwrap_or(("", &name));
        if table.is_empty() || last == "NAME" || table == "signals" {
            let heading = format!("[{name}");
            assert!(last == "NAME" || DOCUMENT.contains(&heading), "the document has no heading {heading}]");
            continue;
        }
        let found = rows.keys().find(|(heading, key)| {
            let is_there = table == heading || table.ends_with(&format!(".{heading}"));
            is_there && key == last
        });
        let found = found.unwrap_or_else(|| panic!("the document has no row for {name}")).clone();
        let [value, default, meaning] = rows.remove(&found).expect("it was just found");
        assert_eq!(meaning, key["description"], "{name}");
        for word in words(key) {
            assert!(value.contains(&format!("`\"{word}\"`")), "{name} may be {word}: {value}");
        }
        if let Some(expected) = key.get("default") {
            assert_eq!(default, format!("`{expected}`"), "{name}");
        } else {
            assert!(["", "**needed**"].contains(&default.as_str()), "{name} has no default");
        }
    }
    assert!(rows.is_empty(), "the document has rows for keys that do not exist: {:?}", rows.keys());
}

#[test]
fn the_reference_file_shows_each_key() {
    let reference = include_str!("../../../config/presenced.toml");
    let words: Vec<&str> = reference.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    for name in keys(&schema()).into_keys() {
        let key = name.rsplit('.').next().expect("a name has a last part");
        assert!(key == "NAME" || words.contains(&key), "config/presenced.toml does not show {name}");
    }
}
