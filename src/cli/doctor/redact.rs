//! Replaces what is private in a text by placeholders. The same thing has the same placeholder throughout a report, so that the
//! report can still be followed.
//!
//! Private parts are marked as private. Foreign parts are searched, first for what is known to be private here, then for what
//! looks private: addresses, paths, hosts, ids, tokens, and quoted text that is not one of presenced's own words. When in doubt,
//! it is replaced.

use std::collections::{BTreeMap, BTreeSet};

use super::Scene;
use super::check::Check;
use super::commands::is_command;
use super::config_words;
use super::suspect::suspect;
use super::text::{Kind, Part, Text};
use crate::config::{Auth, CalendarPlace, Config, OwnersPath, SecretSource, Users};
use crate::loopback::is_loopback_host;

/// They enclose the number of a placeholder during the work. No text contains them, because they are removed first.
const OPEN: char = '\u{f8f0}';
const CLOSE: char = '\u{f8f1}';

/// Names that are never private, even if a user or a host has them.
const COMMON: [&str; 8] = ["auto", "global", "localhost", "presenced", "root", "systemd", "true", "user"];

/// Graph's names of the permissions that matter.
const PERMISSIONS: [&str; 4] = ["Presence.Read", "Presence.Read.All", "Presence.ReadWrite", "Presence.ReadWrite.All"];

/// The placeholders of one report, and what they stand for.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    /// In lower case, the longest first.
    known: Vec<(String, Kind)>,
    numbers: BTreeMap<(Kind, String), usize>,
    used: BTreeMap<Kind, usize>,
    /// The placeholders in order, as they are shown.
    shown: Vec<String>,
}

impl Redactor {
    /// Collects what is private in this scene and in its checks.
    pub(super) fn of(scene: &Scene<'_>, checks: &[Check]) -> Self {
        let mut known = BTreeSet::new();
        let mut note = |kind: Kind, text: &str| {
            let text = text.trim().to_ascii_lowercase();
            if text.chars().count() > 1 && !COMMON.contains(&text.as_str()) && !is_loopback_host(&text) {
                known.insert((text, kind));
            }
        };
        note_machine(scene, &mut note);
        match &scene.config {
            Ok(config) => note_config(config, &mut note),
            Err(_) => note_all(&config_words::values(&scene.context.config), &mut note),
        }
        let texts = checks.iter().flat_map(|check| check.details.iter().chain([&check.found]).chain(&check.hint));
        let subjects = checks.iter().filter_map(|check| check.subject.as_ref());
        for part in texts.flat_map(Text::parts).chain(subjects) {
            if let Part::Private(kind, text) = part
                && *kind != Kind::Words
            {
                note(*kind, text);
            }
        }
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Self { known, ..Self::default() }
    }

    /// A text as others may read it, in one line.
    pub(super) fn text(&mut self, text: &Text) -> String {
        text.parts().iter().map(|part| self.part(part)).collect()
    }

    /// One part of a text.
    pub(super) fn part(&mut self, part: &Part) -> String {
        match part {
            Part::Plain(text) => text.clone().into_owned(),
            Part::Private(kind, text) => self.placeholder(*kind, text),
            Part::Foreign(text) => self.foreign(text),
        }
    }

    /// The placeholder for something private: `[account 1]`.
    pub(super) fn placeholder(&mut self, kind: Kind, text: &str) -> String {
        let number = self.number(kind, text);
        self.shown[number].clone()
    }

    fn number(&mut self, kind: Kind, text: &str) -> usize {
        let key = (kind, text.trim().to_ascii_lowercase());
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let used = self.used.entry(kind).or_default();
        *used += 1;
        self.shown.push(format!("[{} {used}]", kind.as_str()));
        let number = self.shown.len() - 1;
        self.numbers.insert(key, number);
        number
    }

    /// The mark for something private during the work.
    fn mark(&mut self, kind: Kind, text: &str) -> String {
        format!("{OPEN}{}{CLOSE}", self.number(kind, text))
    }

    fn foreign(&mut self, text: &str) -> String {
        let printable = |char: char| if char.is_control() || matches!(char, OPEN | CLOSE) { ' ' } else { char };
        let text: String = text.chars().map(printable).collect();
        let text = self.without_known(&text);
        let text = self.without_quoted(&text);
        let text = self.without_suspects(&text);
        self.written_out(&text)
    }

    /// Replaces what is known to be private, if it is a whole word.
    fn without_known(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (needle, kind) in self.known.clone() {
            let lowered = text.to_ascii_lowercase();
            let mut clean = String::new();
            let mut copied = 0;
            for (start, found) in lowered.match_indices(&needle) {
                let end = start + found.len();
                if start < copied || !is_apart(&text, start, end) {
                    continue;
                }
                clean.push_str(&text[copied..start]);
                clean.push_str(&self.mark(kind, &needle));
                copied = end;
            }
            clean.push_str(&text[copied..]);
            text = clean;
        }
        text
    }

    /// Replaces quoted text, unless it is presenced's own.
    fn without_quoted(&mut self, text: &str) -> String {
        let mut clean = String::new();
        let mut rest = text;
        while let Some((start, quote)) = rest.char_indices().find(|(at, char)| opens(rest, *at, *char)) {
            let inside = start + quote.len_utf8();
            let Some(length) = rest[inside..].find(quote) else { break };
            let quoted = &rest[inside..inside + length];
            clean.push_str(&rest[..inside]);
            if is_own(quoted) {
                clean.push_str(quoted);
            } else {
                clean.push_str(&self.mark(Kind::Name, quoted));
            }
            clean.push(quote);
            rest = &rest[inside + length + quote.len_utf8()..];
        }
        clean + rest
    }

    /// Replaces words that look private.
    fn without_suspects(&mut self, text: &str) -> String {
        let mut clean = String::new();
        for word in text.split_inclusive(' ') {
            let is_around =
                |char: char| matches!(char, ' ' | ',' | ';' | ':' | '(' | ')' | '[' | ']' | '"' | '\'' | '`' | '.');
            let core = word.trim_start_matches(is_around).trim_end_matches(is_around);
            match suspect(core).filter(|_| !core.contains([OPEN, CLOSE])) {
                Some(kind) => clean.push_str(&word.replacen(core, &self.mark(kind, core), 1)),
                None => clean.push_str(word),
            }
        }
        clean
    }

    /// Replaces the marks by their placeholders.
    fn written_out(&self, text: &str) -> String {
        let mut written = String::new();
        let mut parts = text.split(OPEN);
        written.extend(parts.next());
        for part in parts {
            let (number, rest) = part.split_once(CLOSE).unwrap_or((part, ""));
            let shown = number.parse().ok().and_then(|number: usize| self.shown.get(number));
            written.push_str(shown.map_or("[…]", String::as_str));
            written.push_str(rest);
        }
        written
    }
}

fn note_machine(scene: &Scene<'_>, note: &mut impl FnMut(Kind, &str)) {
    let environment = &scene.environment;
    let folders = [&environment.config_dir, &environment.state_dir, &environment.cache_dir, &environment.home];
    for folder in folders.into_iter().chain(&environment.runtime_dir).chain([&scene.context.config]) {
        note(Kind::Path, &folder.to_string_lossy());
    }
    note(Kind::Path, &scene.context.socket.as_deref().unwrap_or(std::path::Path::new("")).to_string_lossy());
    if let Some(name) = environment.home.file_name() {
        note(Kind::Person, &name.to_string_lossy());
    }
    for name in ["USER", "LOGNAME", "SUDO_USER"] {
        note(Kind::Person, &environment.var(name).unwrap_or_default());
    }
    note(Kind::Host, &rustix::system::uname().nodename().to_string_lossy());
    note(Kind::Host, &environment.var("HOSTNAME").unwrap_or_default());
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"] {
        let Some(address) = environment.var(name) else { continue };
        note(Kind::Address, &address);
        if let Ok(url) = address.parse::<url::Url>() {
            note(Kind::Host, url.host_str().unwrap_or_default());
            note(Kind::Name, url.username());
            note(Kind::Token, url.password().unwrap_or_default());
        }
    }
}

fn note_config(config: &Config, note: &mut impl FnMut(Kind, &str)) {
    for (name, account) in &config.accounts {
        note(Kind::Account, name);
        note(Kind::Tenant, &account.tenant);
        note(Kind::Id, &account.client_id);
        note(Kind::Id, account.user.as_deref().unwrap_or_default());
        match &account.users {
            Some(Users::Listed(users)) => {
                for user in users {
                    note(Kind::Id, &user.id);
                    note(Kind::Person, user.name.as_deref().unwrap_or_default());
                }
            }
            Some(Users::File(path)) => note(Kind::Path, &path.to_string_lossy()),
            Some(Users::Signalled) | None => {}
        }
        for url in [&account.endpoints.graph, &account.endpoints.login] {
            note(Kind::Host, url.host_str().unwrap_or_default());
        }
        if let Auth::TokenCommand { command } = &account.auth {
            note_all(command, note);
        }
        match account.auth.secret() {
            Some(SecretSource::Command(command)) => note_all(command, note),
            Some(SecretSource::Keyring(attributes)) => {
                note_all(attributes.iter().flat_map(|(name, value)| [name, value]), note);
            }
            Some(SecretSource::Credential(name) | SecretSource::Env(name)) => note(Kind::Name, name),
            Some(SecretSource::File(path)) => note(Kind::Path, &path.to_string_lossy()),
            None => {}
        }
    }
    for source in config.signals.calendar.iter().flat_map(|calendar| &calendar.sources) {
        match &source.place {
            CalendarPlace::Path(path) | CalendarPlace::Owners(OwnersPath { path, .. }) => {
                note(Kind::Path, &path.to_string_lossy());
            }
            CalendarPlace::Subscription(subscription) => note(Kind::Host, &subscription.url.to_string()),
        }
    }
    config.signals.calendar.iter().flat_map(|calendar| &calendar.identity).for_each(|mail| note(Kind::Mail, mail));
    config.rules.iter().flat_map(|rule| &rule.when.signal).for_each(|(name, _)| note(Kind::Name, name.as_ref()));
}

fn note_all<'a>(words: impl IntoIterator<Item = &'a String>, note: &mut impl FnMut(Kind, &str)) {
    for word in words {
        note(Kind::Name, word);
    }
}

/// Whether the text at `start..end` is not part of a longer word.
fn is_apart(text: &str, start: usize, end: usize) -> bool {
    let is_word = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
    let (before, after) = (text[..start].chars().next_back(), text[end..].chars().next());
    let (first, last) = (text[start..end].chars().next(), text[start..end].chars().next_back());
    let is_continued = is_word(before) && is_word(first) || is_word(last) && is_word(after);
    !is_continued
}

/// Whether the character at `at` opens a quote: an apostrophe within a word does not.
fn opens(text: &str, at: usize, char: char) -> bool {
    match char {
        '`' | '"' => true,
        '\'' => !text[..at].chars().next_back().is_some_and(char::is_alphanumeric),
        _ => false,
    }
}

/// Whether a quoted text is public: a command, a permission, or words of the configuration.
fn is_own(quoted: &str) -> bool {
    let separates = |char: char| matches!(char, ' ' | '=' | ',' | '"' | '[' | ']' | '{' | '}' | '.');
    let mut words = quoted.split(separates).filter(|word| !word.is_empty());
    is_command(quoted)
        || PERMISSIONS.contains(&quoted)
        || words.all(|word| config_words::is_own_word(word) || word.starts_with(OPEN))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor(known: &[(&str, Kind)]) -> Redactor {
        let known = known.iter().map(|(text, kind)| ((*text).to_owned(), *kind)).collect();
        Redactor { known, ..Redactor::default() }
    }

    #[test]
    fn words_that_look_private_are_replaced() {
        let clean = |text: &str| redactor(&[]).foreign(text);
        for (text, expected) in [
            ("The calendar /home/me/work.ics does not exist.", "The calendar [path 1] does not exist."),
            (
                "no connection to graph.contoso.example: Connection refused (os error 111)",
                "no connection to [host 1]: Connection refused (os error 111)",
            ),
            ("signed in as boss@contoso.com, by 10.1.2.3:8080", "signed in as [mail 1], by [host 1]"),
            ("user fa8bf3dc-eca7-46b7-bad1-db199b62afc3", "user [id 1]"),
            ("https://cal.example/private-8fJ2k1?x", "[address 1]"),
            ("token eyJhbGciOiJSUzI1NiJ9.e30.x", "token [token 1]"),
            (
                "`hunter2` is not a method; it is `device-code` or \"client-secret\"",
                "`[name 1]` is not a method; it is `device-code` or \"client-secret\"",
            ),
            ("run `presenced login`, it isn't 'Takeover of Fabrikam'", "run `presenced login`, it isn't '[name 1]'"),
            ("C:\\Users\\me and ~/x", "[path 1] and [path 2]"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn useful_words_stay() {
        for text in [
            "the sign-in service refuses: the sign-in was revoked (AADSTS50173, 400 invalid_grant)",
            "logind (org.freedesktop.login1) is not running",
            "the sign-in lacks `Presence.ReadWrite`: add it to the app registration",
            "set Busy/InACall at 127.0.0.1:8765 within 5 s",
            "see docs/desktops.md and `systemctl --user restart presenced`",
        ] {
            assert_eq!(redactor(&[]).foreign(text), text);
        }
    }

    #[test]
    fn known_words_are_replaced_and_keep_their_number() {
        let mut redactor = redactor(&[("work", Kind::Account), ("me", Kind::Person)]);
        assert_eq!(
            redactor.foreign("account WORK of me: network time"),
            "account [account 1] of [person 1]: network time"
        );
        assert_eq!(redactor.placeholder(Kind::Account, "other"), "[account 2]");
        assert_eq!(redactor.part(&Part::Private(Kind::Account, "work".to_owned())), "[account 1]");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_known_word_is_replaced_in_any_context(before in "\\PC{0,12}", after in "\\PC{0,12}", upper: bool) {
            let word = if upper { "HUNTER2X" } else { "hunter2x" };
            let text = format!("{before} {word} {after}");
            let clean = redactor(&[("hunter2x", Kind::Token)]).foreign(&text);
            prop_assert!(!clean.to_lowercase().contains("hunter2x"), "{clean}");
        }
    }
}
