//! The fields of a log line as text. Whatever another program put into a value, the text stays on one line and has no control
//! characters.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{self, Writer};

use crate::sanitize::logged;

/// The fields of a line or a span.
#[derive(Debug, Default)]
pub(super) struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    /// The first field of this name, which is from the innermost span.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.others.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    /// Removes that field.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.others.iter().position(|(other, _)| *other == name)?;
        Some(self.others.remove(at).1)
    }

    /// All fields but the message.
    pub(super) fn others(&self) -> &[(&'static str, String)] {
        &self.others
    }

    /// Adds a field.
    pub(super) fn put(&mut self, name: &'static str, value: String) {
        if name == "message" {
            self.message = value;
        } else {
            self.others.push((name, value));
        }
    }

    /// The message, and the other fields after it.
    pub(super) fn text(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in &self.others {
            append(&mut text, name, value);
        }
        text
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), logged(format_args!("{value}")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), logged(format_args!("{value:?}")));
    }
}

/// Appends ` name=value`, with quotes if the value needs them.
pub(super) fn append(text: &mut String, name: &str, value: &str) {
    let is_plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && c != '"');
    let _ = if is_plain { write!(text, " {name}={value}") } else { write!(text, " {name}={value:?}") };
}

/// How files and standard error show fields: as the library does, but clean.
pub(super) fn clean_fields() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    format::debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        let value = logged(format_args!("{value:?}"));
        match field.name() {
            "message" => writer.write_str(&value),
            // Italic, and then dimmed.
            name if writer.has_ansi_escapes() => {
                write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{value}")
            }
            name => write!(writer, "{name}={value}"),
        }
    })
    .delimited(" ")
}
