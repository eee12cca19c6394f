//! A table that is being read: returns its values by key and remembers which keys were asked for. The rest are unknown keys, so
//! that the code that reads the keys needs no list of them.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{Reader, Value};

pub(super) struct Section<'t, 'i> {
    /// Its name in messages: `[session]`.
    pub(super) name: String,
    /// Its name in the file; empty for the document itself.
    pub(super) span: Range<usize>,
    table: &'t DeTable<'i>,
    asked: Vec<&'static str>,
}

impl<'t, 'i> Section<'t, 'i> {
    /// The document itself.
    pub(super) fn root(table: &'t DeTable<'i>) -> Self {
        Self::new("the configuration", 0..0, table)
    }

    pub(super) fn new(name: impl Into<String>, span: Range<usize>, table: &'t DeTable<'i>) -> Self {
        Self { name: name.into(), span, table, asked: Vec::new() }
    }

    pub(super) fn get(&mut self, key: &'static str) -> Option<&'t Value<'i>> {
        self.asked.push(key);
        self.table.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// All keys and values, for tables whose keys are names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t Spanned<DeString<'i>>, &'t Value<'i>)> + use<'t, 'i> {
        self.table.iter()
    }

    pub(super) fn asked(&self) -> impl Iterator<Item = &'static str> {
        self.asked.iter().copied()
    }

    /// The keys that were not asked for.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &'t Spanned<DeString<'i>>> {
        self.table.keys().filter(|key| !self.asked.iter().any(|asked| *asked == key.get_ref().as_ref()))
    }
}

impl Reader<'_> {
    /// The table `key` of `parent`, with the name `name` in messages; `None` also if it does not exist.
    pub(super) fn section<'t, 'i>(
        &mut self,
        parent: &mut Section<'t, 'i>,
        key: &'static str,
        name: impl Into<String>,
    ) -> Option<Section<'t, 'i>> {
        let value = parent.get(key)?;
        self.table(name, value)
    }

    /// `value` as a table with the name `name` in messages.
    pub(super) fn table<'t, 'i>(&mut self, name: impl Into<String>, value: &'t Value<'i>) -> Option<Section<'t, 'i>> {
        let name = name.into();
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Section::new(name, value.span(), table));
        }
        let help = if name.starts_with('[') {
            format!("begin it with a line `{name}`, and write its keys on the lines below")
        } else {
            "write a table: { key = value }".to_owned()
        };
        self.wrong(value.span(), format!("{name} must be a table, but this is {}", kind(value)), help);
        None
    }

    /// The value of a required key; `help` says what to write.
    pub(super) fn required<'t, 'i>(
        &mut self,
        section: &mut Section<'t, 'i>,
        key: &'static str,
        help: &str,
    ) -> Option<&'t Value<'i>> {
        let value = section.get(key);
        if value.is_none() {
            self.wrong(section.span.clone(), format!("{} has no `{key}`", section.name), help);
        }
        value
    }
}

/// The kind of a value in plain words, with its article.
pub(super) fn kind(value: &Value<'_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
