//! From TOML text to a [`Config`]: walks the document with its spans by hand, so that it finds all problems in one run and knows
//! the place of each.
//!
//! Pure: uses no files and no clock. `load` reads the file and checks the files that the configuration names.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::owners::AccountNames;
use super::problems::{MAX_KEPT, Problems};
use super::{Config, Environment, Log, OnExit, Session, Status, TokenStore};
use crate::policy::default_rules;
use crate::suggest;
pub(crate) use history::size;
use presenced_core::finding::Finding;
use section::Section;
pub(super) use users::MAX_REQUESTS;
pub(crate) use values::expand;

mod account;
mod auth;
mod history;
mod microphone;
mod rules;
mod section;
mod signals;
mod sources;
mod users;
mod values;

/// A value with its place in the file.
type Value<'i> = Spanned<DeValue<'i>>;

/// A configuration that was read, with the files that still have to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The secret files it names, and where in the text it names them.
    pub secret_files: Vec<(PathBuf, Range<usize>)>,
    /// The same for certificates, which anyone may read.
    pub public_files: Vec<(PathBuf, Range<usize>)>,
}

impl Config {
    /// Reads `text`, the content of `file`: the name is used in reports, and its folder for relative paths.
    ///
    /// # Errors
    /// All problems with it.
    pub fn parse(text: &str, file: &Path, environment: &Environment) -> Result<Loaded, Problems> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let syntax: Vec<Finding> = errors.iter().map(|error| not_toml(error, text)).collect();
        // The parser recovers from a word without quotes, and the rest of the document can still be trusted. After any
        // other error it cannot: what follows may be in the wrong table.
        if syntax.len() > MAX_KEPT || !syntax.iter().all(|error| is_value(document.get_ref(), error.span.as_ref())) {
            return Err(Problems::new(file, text, first_of_each_line(syntax, text)));
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        let (findings, secret_files, public_files) = (Vec::new(), Vec::new(), Vec::new());
        let mut reader =
            Reader { environment, folder, findings, secret_files, public_files, accounts: AccountNames::default() };
        let config = reader.config(document.get_ref());
        // A word without quotes that would also be wrong with quotes needs only one finding.
        let is_told =
            |finding: &Finding| finding.span.is_some() && syntax.iter().any(|error| error.span == finding.span);
        let mut findings: Vec<Finding> = reader.findings.into_iter().filter(|finding| !is_told(finding)).collect();
        findings.extend(syntax);
        if findings.is_empty() {
            Ok(Loaded { config, secret_files: reader.secret_files, public_files: reader.public_files })
        } else {
            Err(Problems::new(file, text, findings))
        }
    }
}

/// What was read so far. A function that returns an `Option` has added a finding whenever it returns `None`.
struct Reader<'a> {
    environment: &'a Environment,
    /// The folder that relative paths start from.
    folder: &'a Path,
    findings: Vec<Finding>,
    secret_files: Vec<(PathBuf, Range<usize>)>,
    public_files: Vec<(PathBuf, Range<usize>)>,
    accounts: AccountNames,
}

impl Reader<'_> {
    fn config(&mut self, document: &DeTable<'_>) -> Config {
        let mut root = Section::root(document);
        let mut accounts = self.accounts(&mut root);
        let tokens = self.tokens(&mut root);
        for account in accounts.values_mut() {
            account.tokens = tokens;
        }
        let session = self.session(&mut root);
        let signals = self.signals(&mut root);
        let rules = root.get("rules").map(|value| self.rules(value));
        let status = self.status(&mut root);
        let log = self.log(&mut root);
        let history = self.history(&mut root, accounts.values().any(|account| account.users.is_some()));
        self.finish(&root);
        Config { accounts, session, signals, rules: rules.unwrap_or_else(default_rules), status, log, history }
    }

    fn session(&mut self, root: &mut Section<'_, '_>) -> Session {
        let Some(mut section) = self.section(root, "session", "[session]") else { return Session::default() };
        let expiration = section.get("expiration").and_then(|value| self.expiration(value));
        let choices = [("clear", OnExit::Clear), ("keep", OnExit::Keep)];
        let on_exit = section.get("on_exit").and_then(|value| self.word("on_exit", value, &choices));
        let verify = section.get("verify").and_then(|value| self.boolean("verify", value));
        self.finish(&section);
        Session {
            expiration: expiration.unwrap_or_default(),
            on_exit: on_exit.unwrap_or_default(),
            verify: verify.unwrap_or_default(),
        }
    }

    fn tokens(&mut self, root: &mut Section<'_, '_>) -> TokenStore {
        let Some(mut section) = self.section(root, "tokens", "[tokens]") else { return TokenStore::default() };
        let choices = [("auto", TokenStore::Auto), ("keyring", TokenStore::Keyring), ("file", TokenStore::File)];
        let store = section.get("store").and_then(|value| self.word("store", value, &choices));
        self.finish(&section);
        store.unwrap_or_default()
    }

    fn status(&mut self, root: &mut Section<'_, '_>) -> Status {
        let Some(mut section) = self.section(root, "status", "[status]") else { return Status::default() };
        let listen = section.get("listen").and_then(|value| self.address("listen", value));
        self.finish(&section);
        Status { listen }
    }

    fn log(&mut self, root: &mut Section<'_, '_>) -> Log {
        let Some(mut section) = self.section(root, "log", "[log]") else { return Log::default() };
        let level = section.get("level").and_then(|value| self.level(value));
        let dir = section.get("dir").and_then(|value| self.path("dir", value));
        self.finish(&section);
        Log { level, dir }
    }

    /// Adds a finding.
    fn wrong(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let span = (span.end > 0).then_some(span);
        self.findings.push(Finding { span, message: message.into(), help: Some(help.into()) });
    }

    /// Adds a finding for each key that the code never asked for.
    fn finish(&mut self, section: &Section<'_, '_>) {
        for key in section.unknown() {
            let help = match suggest::nearest(key.get_ref(), section.asked()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the valid keys are {}", suggest::list(section.asked(), "and")),
            };
            self.wrong(key.span(), format!("{} has no key `{}`", section.name, key.get_ref()), help);
        }
    }
}

fn not_toml(error: &toml::de::Error, text: &str) -> Finding {
    let span = error.span().unwrap_or(text.len()..text.len());
    let is_bare = error.message().contains("must be quoted");
    let (message, help) = match error.message() {
        _ if is_bare && span.is_empty() => ("a value is missing", "write a value after the `=`"),
        _ if is_bare => ("a text without quotes", "put the value in double quotes"),
        other => (other, "the configuration is TOML: `[tables]`, and below them one `key = value` per line"),
    };
    Finding { span: Some(span), message: format!("not valid TOML: {message}"), help: Some(help.to_owned()) }
}

/// Whether the document has a text at exactly this span.
fn is_value(table: &DeTable<'_>, span: Option<&Range<usize>>) -> bool {
    fn holds(value: &Value<'_>, span: &Range<usize>) -> bool {
        match value.get_ref() {
            DeValue::String(_) => value.span() == *span && !span.is_empty(),
            DeValue::Array(values) => values.iter().any(|value| holds(value, span)),
            DeValue::Table(table) => table.values().any(|value| holds(value, span)),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => false,
        }
    }
    span.is_some_and(|span| table.values().any(|value| holds(value, span)))
}

/// A syntax error causes others after it on the same line.
fn first_of_each_line(findings: Vec<Finding>, text: &str) -> Vec<Finding> {
    let mut last: Option<usize> = None;
    let mut is_first = |finding: &Finding| {
        let start = finding.span.as_ref().map_or(0, |span| span.start.min(text.len()));
        let before = last.replace(start);
        before.is_none_or(|before| text.as_bytes()[before.min(start)..before.max(start)].contains(&b'\n'))
    };
    findings.into_iter().filter(|finding| is_first(finding)).collect()
}
