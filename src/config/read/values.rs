//! The kinds of values that several parts of the configuration share: texts, words of a list, names, paths, durations.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use toml::Spanned;
use toml::de::{DeString, DeValue};
use tracing_subscriber::filter::Targets;

use super::section::kind;
use super::{Reader, Value};
use crate::config::{Environment, NAME_RULE, is_name};
use crate::presence::Expiration;
use crate::suggest;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Reader<'_> {
    /// A non-empty text.
    pub(super) fn text<'t>(&mut self, key: &str, value: &'t Value<'_>) -> Option<&'t str> {
        let text = value.get_ref().as_str();
        match text.map(str::trim) {
            None => {
                self.wrong(
                    value.span(),
                    format!("`{key}` must be a text, but this is {}", kind(value)),
                    format!("write {key} = \"…\""),
                );
                None
            }
            Some("") => {
                self.wrong(value.span(), format!("`{key}` is empty"), "write a value, or remove the key");
                None
            }
            Some(_) => text,
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str, value: &Value<'_>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            let message = format!("`{key}` must be true or false, but this is {}", kind(value));
            self.wrong(value.span(), message, format!("write {key} = true or {key} = false, without quotes"));
        }
        boolean
    }

    /// A non-empty list.
    pub(super) fn list<'t, 'i>(&mut self, key: &str, value: &'t Value<'i>, example: &str) -> Option<&'t [Value<'i>]> {
        let message = match value.get_ref().as_array() {
            None => format!("`{key}` must be a list, but this is {}", kind(value)),
            Some(list) if list.is_empty() => format!("`{key}` is an empty list"),
            Some(list) => return Some(list),
        };
        self.wrong(value.span(), message, format!("write {example}"));
        None
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &str, value: &Value<'_>, example: &str) -> Option<Vec<String>> {
        let list = self.list(key, value, example)?;
        list.iter().map(|item| Some(self.text(key, item)?.to_owned())).collect()
    }

    /// One value, or a list of them.
    pub(super) fn one_or_more<'t, 'i>(&mut self, key: &str, value: &'t Value<'i>) -> &'t [Value<'i>] {
        match value.get_ref().as_array() {
            None => std::slice::from_ref(value),
            Some(list) if list.is_empty() => {
                self.wrong(
                    value.span(),
                    format!("`{key}` is an empty list"),
                    "leave out the key if it is not a condition",
                );
                &[]
            }
            Some(list) => list,
        }
    }

    /// One word of a closed list.
    pub(super) fn word<T: Copy>(&mut self, key: &str, value: &Value<'_>, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key, value)?;
        let found = choices.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words = || choices.iter().map(|(word, _)| *word);
            let help = match suggest::nearest(text, words()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("use {}", suggest::list(words(), "or")),
            };
            self.wrong(value.span(), format!("`{text}` is not a valid value for `{key}`"), help);
        }
        found.map(|(_, choice)| *choice)
    }

    /// A name that the user chooses for an account or a signal.
    pub(super) fn name(&mut self, what: &str, name: &Spanned<DeString<'_>>) -> String {
        let text = name.get_ref();
        if !is_name(text) {
            self.wrong(name.span(), format!("`{text}` is not a valid name for {what}"), NAME_RULE);
        }
        text.to_string()
    }

    /// A path: `~` and variables are expanded, and a relative path starts from the configuration's folder.
    pub(super) fn path(&mut self, key: &str, value: &Value<'_>) -> Option<PathBuf> {
        let text = self.text(key, value)?;
        match expand(text, self.environment) {
            Ok(path) => Some(self.folder.join(path)),
            Err((message, help)) => {
                self.wrong(value.span(), message, help);
                None
            }
        }
    }

    /// A duration of any length and sign, and its text; `example` says what to write.
    pub(super) fn duration<'t>(&mut self, value: &'t Value<'_>, example: &str) -> Option<(SignedDuration, &'t str)> {
        let message = match value.get_ref() {
            DeValue::Integer(number) => format!("`{number}` needs a unit"),
            DeValue::Float(number) => format!("`{number}` needs a unit"),
            DeValue::String(text) if text.trim().parse::<f64>().is_ok() => format!("`{text}` needs a unit"),
            DeValue::String(text) => match duration(text.trim()) {
                Some(duration) => return Some((duration, text)),
                None => format!("`{text}` is not a duration"),
            },
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                format!("a duration must be a text, but this is {}", kind(value))
            }
        };
        self.wrong(value.span(), message, example);
        None
    }

    /// A duration that Graph accepts as an expiration.
    pub(super) fn expiration(&mut self, value: &Value<'_>) -> Option<Expiration> {
        let example = "write 5 minutes to 4 hours, like \"15m\", \"1h 30m\" or \"PT15M\"";
        let (duration, text) = self.duration(value, example)?;
        let message = match Duration::try_from(duration).ok().and_then(|d| Expiration::try_from(d).ok()) {
            Some(expiration) => return Some(expiration),
            None if duration < signed(Expiration::MIN) => {
                format!("`{text}` is shorter than the 5 minutes Microsoft Graph accepts as an expiration")
            }
            None if duration > signed(Expiration::MAX) => {
                format!("`{text}` is longer than the 4 hours Microsoft Graph accepts as an expiration")
            }
            None => format!("`{text}` is not a number of whole seconds"),
        };
        self.wrong(value.span(), message, example);
        None
    }

    /// An address of this machine with a port. Names are not resolved: their address may change.
    pub(super) fn address(&mut self, key: &str, value: &Value<'_>) -> Option<SocketAddr> {
        let text = self.text(key, value)?;
        let address = text.parse().ok();
        if address.is_none() {
            let help =
                "write \"127.0.0.1:9464\", for this machine only, or \"0.0.0.0:9464\", for anyone who can reach it";
            self.wrong(value.span(), format!("`{text}` is not an IP address with a port"), help);
        }
        address
    }

    /// A filter of log lines in `tracing`'s syntax.
    pub(super) fn level(&mut self, value: &Value<'_>) -> Option<String> {
        let text = self.text("level", value)?;
        let is_one_word = text.chars().all(|c| c.is_ascii_alphanumeric());
        let is_level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text));
        if is_level || (!is_one_word && text.parse::<Targets>().is_ok()) {
            return Some(text.to_owned());
        }
        let help = match suggest::nearest(text, LEVELS) {
            Some(meant) if is_one_word => format!("did you mean `{meant}`?"),
            Some(_) | None => format!("use {}, or a filter like `presenced=debug`", suggest::list(LEVELS, "or")),
        };
        self.wrong(value.span(), format!("`{text}` is not a log level"), help);
        None
    }
}

/// `text` with `~`, `$NAME` and `${NAME}` replaced; otherwise what is wrong and how to fix it.
pub(crate) fn expand(text: &str, environment: &Environment) -> Result<String, (String, String)> {
    let mut path = String::new();
    let mut rest = text;
    if let Some(behind) = rest.strip_prefix('~') {
        if !behind.is_empty() && !behind.starts_with('/') {
            let message = format!("`{text}` names another user's home folder");
            return Err((message, "write the whole path; only `~/` is expanded".to_owned()));
        }
        path.push_str(&variable("HOME", environment).ok_or_else(|| {
            ("`~` stands for the home folder, but this user has none".to_owned(), "write the whole path".to_owned())
        })?);
        rest = behind;
    }
    while let Some((before, behind)) = rest.split_once('$') {
        path.push_str(before);
        let (name, behind) = if let Some(braced) = behind.strip_prefix('{') {
            braced.split_once('}').ok_or_else(|| {
                (format!("`${{` is not closed in `{text}`"), "write a variable as `$NAME` or `${NAME}`".to_owned())
            })?
        } else {
            behind.split_at(behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(behind.len()))
        };
        let value = variable(name, environment).ok_or_else(|| {
            let message = format!("the environment variable `{name}` of `{text}` is not set");
            (message, "set it for presenced (in a systemd unit: `Environment=`), or write the whole path".to_owned())
        })?;
        path.push_str(&value);
        rest = behind;
    }
    path.push_str(rest);
    if path.contains('\0') {
        return Err(("a path cannot contain a NUL character".to_owned(), "remove `\\u0000`".to_owned()));
    }
    Ok(path)
}

fn variable(name: &str, environment: &Environment) -> Option<String> {
    let folder = match name {
        "HOME" => Some(environment.home.clone()),
        "XDG_RUNTIME_DIR" => environment.runtime_dir.clone(),
        _ => None,
    };
    let folder =
        folder.filter(|folder| !folder.as_os_str().is_empty()).and_then(|folder| folder.to_str().map(str::to_owned));
    folder.or_else(|| environment.var(name))
}

fn signed(expiration: Expiration) -> SignedDuration {
    SignedDuration::try_from(expiration.as_duration()).unwrap_or(SignedDuration::MAX)
}

/// Reads `15m`, `1h 30m`, `PT15M`, and also days of 24 hours, so that the message can say that they are too long.
fn duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}
