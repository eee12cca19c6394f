//! `[history]`: whether a history is kept, for how long, and how large it may become.

use jiff::SignedDuration;
use toml::de::DeValue;

use super::section::{Section, kind};
use super::{Reader, Value};
use crate::config::History;

/// A kilobyte, as in the units of disks.
const KB: u64 = 1000;

/// The units of a size.
const UNITS: [(&str, u64); 3] = [("kb", KB), ("mb", KB * KB), ("gb", KB * KB * KB)];

impl Reader<'_> {
    /// `of_many`: whether an account has many users, for whom there is more to keep.
    pub(super) fn history(&mut self, root: &mut Section<'_, '_>, of_many: bool) -> History {
        let default = if of_many { History::of_many() } else { History::default() };
        let Some(mut section) = self.section(root, "history", "[history]") else { return default };
        let enabled = section.get("enabled").and_then(|value| self.boolean("enabled", value));
        let keep = section.get("keep").and_then(|value| self.keep(value));
        let max_size = section.get("max_size").and_then(|value| self.max_size(value));
        self.finish(&section);
        History {
            enabled: enabled.unwrap_or(default.enabled),
            keep: keep.unwrap_or(default.keep),
            max_size: max_size.unwrap_or(default.max_size),
        }
    }

    fn keep(&mut self, value: &Value<'_>) -> Option<SignedDuration> {
        let example = "write 1 hour to 365 days, like \"2d\" or \"12h\"";
        let (keep, text) = self.duration(value, example)?;
        let message = if keep > History::KEEP_MAX {
            format!("`{text}` is longer than 365 days")
        } else if keep < History::KEEP_MIN {
            format!("`{text}` is shorter than an hour")
        } else {
            return Some(keep);
        };
        self.wrong(value.span(), message, example);
        None
    }

    fn max_size(&mut self, value: &Value<'_>) -> Option<u64> {
        let example = "write 100 kB to 1 GB, like \"10MB\"";
        let message = match value.get_ref() {
            DeValue::Integer(number) => format!("`{number}` needs a unit"),
            DeValue::Float(number) => format!("`{number}` needs a unit"),
            DeValue::String(text) if text.trim().parse::<f64>().is_ok() => format!("`{text}` needs a unit"),
            DeValue::String(text) => match size(text) {
                Some(size) if size > History::MAX_SIZE_MAX => format!("`{text}` is more than 1 GB"),
                Some(size) if size < History::MAX_SIZE_MIN => format!("`{text}` is less than 100 kB"),
                Some(size) => return Some(size),
                None => format!("`{text}` is not a size"),
            },
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                format!("a size must be a text, but this is {}", kind(value))
            }
        };
        self.wrong(value.span(), message, example);
        None
    }
}

/// Reads `1MB`, `1 MB` or `500kb`, in bytes.
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, bytes) = UNITS.iter().find(|(name, _)| unit.trim_start().eq_ignore_ascii_case(name))?;
    // A number that is too large for this type is also too large as a size.
    (!number.is_empty()).then(|| number.parse().map_or(u64::MAX, |number: u64| number.saturating_mul(*bytes)))
}
