//! The kinds of values that several tables share, as schemas.

use serde_json::{Value, json};

use presenced_core::words as closed_list;

/// The keyword for what a text is, for `Vocabulary`. Editors do not get it: some reject keywords they do not know.
pub(super) const MEANING: &str = "x-meaning";

closed_list! {
    /// What a text is that is not one of presenced's own words.
    pub(crate) enum Meaning {
        /// A URL.
        Address = "address",
        /// A length of time.
        Duration = "duration",
        /// Hours of the week.
        Hours = "hours",
        /// The id of an application or a user.
        Id = "id",
        /// An e-mail address.
        Mail = "mail",
        /// A file or a folder.
        Path = "path",
        /// A number of bytes.
        Size = "size",
        /// A tenant's name or id.
        Tenant = "tenant",
    }
}

/// The schema with a note of what its texts are. A text without one is free text, which `doctor` never shows.
pub(super) fn with_meaning(mut schema: Value, meaning: Meaning) -> Value {
    schema[MEANING] = meaning.as_str().into();
    schema
}

/// Anything but an empty text.
pub(super) const SOMETHING: &str = r"\S";
/// An id in the form with hyphens, as Entra shows it.
pub(super) const ID: &str = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$";
/// A name that the user chooses.
pub(super) const NAME: &str = "^[A-Za-z0-9_-]{1,64}$";

/// A table with only these keys.
pub(super) fn table(description: &str, required: &[&str], properties: Value) -> Value {
    let mut table = json!({
        "type": "object",
        "description": description,
        "additionalProperties": false,
    });
    table["properties"] = properties;
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}

/// A table whose keys are names.
pub(super) fn named(description: &str, value: &Value) -> Value {
    json!({
        "type": "object",
        "description": description,
        "patternProperties": { NAME: value },
        "additionalProperties": false,
    })
}

pub(super) fn boolean(description: &str, default: Option<bool>) -> Value {
    with_default(json!({ "type": "boolean", "description": description }), default)
}

/// A text that matches `pattern` somewhere.
pub(super) fn text(description: &str, pattern: &str) -> Value {
    json!({ "type": "string", "description": description, "pattern": pattern })
}

/// A non-empty list of texts.
pub(super) fn texts(description: &str, pattern: &str) -> Value {
    list(description, &json!({ "type": "string", "pattern": pattern }))
}

/// An id of an application or a user.
pub(super) fn id(description: &str) -> Value {
    with_meaning(text(description, ID), Meaning::Id)
}

pub(super) fn path(description: &str, default: Option<&str>) -> Value {
    with_default(with_meaning(text(description, SOMETHING), Meaning::Path), default)
}

/// A number with its unit, in one of the many accepted forms.
pub(super) fn duration(description: &str, default: Option<&str>) -> Value {
    with_default(with_meaning(text(description, r"[0-9]\s*[A-Za-zµ:]"), Meaning::Duration), default)
}

/// A number of bytes with its unit.
pub(super) fn size(description: &str) -> Value {
    with_meaning(text(description, r"^\s*[0-9]+\s*[KkMmGg][Bb]\s*$"), Meaning::Size)
}

/// One word of a closed list.
pub(super) fn words(description: &str, words: &[&str], default: Option<&str>) -> Value {
    with_default(json!({ "description": description, "enum": words }), default)
}

/// A non-empty list.
pub(super) fn list(description: &str, item: &Value) -> Value {
    json!({ "type": "array", "description": description, "items": item, "minItems": 1 })
}

/// One value, or a list of them.
pub(super) fn one_or_more(description: &str, item: &Value) -> Value {
    json!({ "description": description, "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
}

/// A rule for some of a table's keys, in addition to the whole table. tombi has to be told that there are other keys.
pub(super) fn part(required: &[&str], properties: &Value) -> Value {
    json!({ "required": required, "properties": properties, "additionalProperties": true })
}

pub(super) fn with_default<D: Into<Value>>(mut schema: Value, default: Option<D>) -> Value {
    if let Some(default) = default {
        schema["default"] = default.into();
    }
    schema
}
