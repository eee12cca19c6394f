//! Reads the values of a TOML document by hand, so that every problem is found in one run, each with its place.

use std::ops::Range;

use presenced_core::finding::Finding;
use presenced_core::suggest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with its place in the text.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A table that is being read. Keys that nothing asked for are unknown keys.
pub(super) struct Section<'t, 'i> {
    /// Its name in messages.
    name: &'static str,
    span: Range<usize>,
    table: &'t DeTable<'i>,
    asked: Vec<&'static str>,
}

impl<'t, 'i> Section<'t, 'i> {
    pub(super) fn new(name: &'static str, span: Range<usize>, table: &'t DeTable<'i>) -> Self {
        Self { name, span, table, asked: Vec::new() }
    }

    pub(super) fn get(&mut self, key: &'static str) -> Option<&'t Value<'i>> {
        self.asked.push(key);
        self.table.get(key)
    }
}

/// The problems found so far. A function that returns an `Option` has added one whenever it returns `None` for a value that exists.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) findings: Vec<Finding>,
}

impl Reader {
    pub(super) fn wrong(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding { span: Some(span), message: message.into(), help: Some(help.into()) });
    }

    /// The keys of `section` that nothing asked for are wrong.
    pub(super) fn finish(&mut self, section: &Section<'_, '_>) {
        for key in section.table.keys() {
            let written: &str = key.get_ref().as_ref();
            if section.asked.contains(&written) {
                continue;
            }
            let help = match suggest::nearest(written, section.asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write {}", suggest::list(section.asked.iter().copied(), "or")),
            };
            self.wrong(key.span(), format!("{} has no key `{written}`", section.name), help);
        }
    }

    /// The tables of `[[key]]`; none if the key does not exist.
    pub(super) fn tables<'t, 'i>(
        &mut self,
        root: &mut Section<'t, 'i>,
        key: &'static str,
        name: &'static str,
    ) -> Option<Vec<Section<'t, 'i>>> {
        let value = root.get(key)?;
        let help = format!("begin each one with a line `{name}`");
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(value.span(), format!("`{key}` must be a list of tables, but this is {}", kind(value)), help);
            return None;
        };
        let mut sections = Vec::new();
        for item in items {
            if let DeValue::Table(table) = item.get_ref() {
                sections.push(Section::new(name, item.span(), table));
            } else {
                self.wrong(item.span(), format!("{name} must be a table, but this is {}", kind(item)), &*help);
            }
        }
        Some(sections)
    }

    /// The table `key` of `section`.
    pub(super) fn table<'t, 'i>(
        &mut self,
        section: &mut Section<'t, 'i>,
        key: &'static str,
        help: &str,
    ) -> Option<Section<'t, 'i>> {
        let value = section.get(key)?;
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Section::new(key, value.span(), table));
        }
        self.wrong(value.span(), format!("`{key}` must be a table, but this is {}", kind(value)), help);
        None
    }

    /// A text with at least one character.
    pub(super) fn text(&mut self, section: &mut Section<'_, '_>, key: &'static str) -> Option<(String, Range<usize>)> {
        let value = section.get(key)?;
        self.as_text(key, value).map(|text| (text, value.span()))
    }

    /// The same for a key that must be there. `help` says what to write.
    pub(super) fn required(
        &mut self,
        section: &mut Section<'_, '_>,
        key: &'static str,
        help: &str,
    ) -> Option<(String, Range<usize>)> {
        if section.get(key).is_none() {
            self.wrong(section.span.clone(), format!("{} has no `{key}`", section.name), help);
        }
        self.text(section, key)
    }

    /// A list of texts; empty if the key does not exist.
    pub(super) fn texts(&mut self, section: &mut Section<'_, '_>, key: &'static str) -> Vec<(String, Range<usize>)> {
        let Some(value) = section.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            let message = format!("`{key}` must be a list of texts, but this is {}", kind(value));
            self.wrong(value.span(), message, format!("write {key} = [\"…\"]"));
            return Vec::new();
        };
        items.iter().filter_map(|item| self.as_text(key, item).map(|text| (text, item.span()))).collect()
    }

    /// `true` or `false`; `default` if the key does not exist.
    pub(super) fn boolean(&mut self, section: &mut Section<'_, '_>, key: &'static str, default: bool) -> bool {
        let Some(value) = section.get(key) else { return default };
        if let DeValue::Boolean(value) = value.get_ref() {
            return *value;
        }
        let message = format!("`{key}` must be true or false, but this is {}", kind(value));
        self.wrong(value.span(), message, "write it without quotes");
        default
    }

    fn as_text(&mut self, key: &str, value: &Value<'_>) -> Option<String> {
        let DeValue::String(text) = value.get_ref() else {
            let message = format!("`{key}` must be a text, but this is {}", kind(value));
            self.wrong(value.span(), message, "write it in quotes");
            return None;
        };
        if text.trim().is_empty() {
            self.wrong(value.span(), format!("`{key}` is empty"), "write a text, or remove the key");
            return None;
        }
        Some(text.to_string())
    }
}

/// What a value is, for messages.
fn kind(value: &Value<'_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
