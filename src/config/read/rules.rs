//! `[[rules]]`: what to claim when.

use std::collections::{BTreeMap, BTreeSet};

use super::section::Section;
use super::{Reader, Value};
use crate::calendar::BusyClass;
use crate::policy::{CallState, Claim, Hours, Idle, Is, Lock, Rule, Sleep, When};
use crate::presence::Presence;
use crate::suggest;

impl Reader<'_> {
    pub(super) fn rules(&mut self, value: &Value<'_>) -> Vec<Rule> {
        let Some(tables) = value.get_ref().as_array() else {
            self.wrong(value.span(), "`rules` is a list of tables", "start each rule with `[[rules]]`");
            return Vec::new();
        };
        if tables.is_empty() {
            let help = "leave out `rules` to use the default rules, or start one with `[[rules]]`";
            self.wrong(value.span(), "without a rule presenced claims nothing", help);
        }
        let mut rules: Vec<Rule> = Vec::new();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for value in tables {
            let Some(mut section) = self.table("[[rules]]", value) else { continue };
            let help = "give each rule its own name, like name = \"in a meeting\"; `presenced status` shows it";
            let name = self.required(&mut section, "name", help).and_then(|value| {
                let name = self.text("name", value)?;
                if !names.insert(name) {
                    self.wrong(
                        value.span(),
                        format!("there is already a rule `{name}`"),
                        "give each rule its own name",
                    );
                }
                Some(name)
            });
            rules.extend(self.rule(section, name));
        }
        rules
    }

    fn rule(&mut self, mut section: Section<'_, '_>, name: Option<&str>) -> Option<Rule> {
        let when = self.section(&mut section, "when", "`when`").map(|section| self.when(section)).unwrap_or_default();
        let help = format!("write set = \"Busy/InACall\", or another of {}", claims());
        let set = self.required(&mut section, "set", &help).and_then(|value| self.claim(value));
        let expiration = section.get("expiration").and_then(|value| self.expiration(value));
        let prefer_given = section.get("prefer");
        let prefer = prefer_given.and_then(|value| self.boolean("prefer", value)).unwrap_or_default();
        self.finish(&section);
        if let (Some(value), true, Some(Claim::Nothing)) = (prefer_given, prefer, set) {
            let message = "`prefer` sets the preferred presence that matches `set`, and nothing matches \"nothing\"";
            self.wrong(
                value.span(),
                message,
                "set a presence, or leave out `prefer`: then a preferred presence is cleared",
            );
        }
        if let (Some(value), true, Some(account)) = (prefer_given, prefer, self.accounts.of_many.first()) {
            let message = format!("presenced cannot prefer a presence for the many users of [accounts.{account}]");
            self.wrong(value.span(), message, "leave out `prefer`, or give the account one `user` instead of `users`");
        }
        Some(Rule { name: name?.to_owned(), when, set: set?, expiration, prefer })
    }

    fn claim(&mut self, value: &Value<'_>) -> Option<Claim> {
        let text = self.text("set", value)?;
        if text == "nothing" {
            return Some(Claim::Nothing);
        }
        if let Ok(presence) = text.parse() {
            return Some(Claim::Hold(presence));
        }
        let message = format!("`{text}` is not a presence that Microsoft Graph accepts from an application");
        let pairs = Presence::ALL.map(|presence| presence.to_string());
        let help = match suggest::nearest(text, pairs.iter().map(String::as_str).chain(["nothing"])) {
            Some(meant) => format!("did you mean `{meant}`? The choices are {}", claims()),
            None => format!("the choices are {}", claims()),
        };
        self.wrong(value.span(), message, help);
        None
    }

    fn when(&mut self, mut section: Section<'_, '_>) -> When {
        let when = When {
            account: self.accounts_of_rule(&mut section),
            lock: self.states(&mut section, "lock", Lock::ALL, Lock::as_str),
            sleep: self.states(&mut section, "sleep", Sleep::ALL, Sleep::as_str),
            call: self.states(&mut section, "call", CallState::ALL, CallState::as_str),
            idle: self.states(&mut section, "idle", Idle::ALL, Idle::as_str),
            calendar: self.states(&mut section, "calendar", BusyClass::ALL, BusyClass::as_str),
            online: section.get("online").and_then(|value| self.boolean("online", value)),
            within: self.hours(&mut section, "within"),
            outside: self.hours(&mut section, "outside"),
            signal: self.named_signals(&mut section),
        };
        self.finish(&section);
        when
    }

    /// The accounts that a rule is for.
    fn accounts_of_rule(&mut self, when: &mut Section<'_, '_>) -> Vec<String> {
        let Some(value) = when.get("account") else { return Vec::new() };
        let mut accounts = Vec::new();
        for value in self.one_or_more("account", value) {
            let Some(name) = self.text("account", value) else { continue };
            if self.accounts.all.iter().any(|known| known == name) {
                accounts.push(name.to_owned());
                continue;
            }
            let known = self.accounts.all.iter().map(String::as_str);
            let help = match suggest::nearest(name, known.clone()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the accounts are {}", suggest::list(known, "and")),
            };
            self.wrong(value.span(), format!("there is no account `{name}`"), help);
        }
        accounts
    }

    /// The values that a condition can have: those of the signal, and `off`.
    fn states<T: Copy>(
        &mut self,
        when: &mut Section<'_, '_>,
        key: &'static str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Vec<Is<T>> {
        let Some(value) = when.get(key) else { return Vec::new() };
        let choices: Vec<(&str, Is<T>)> =
            all.iter().map(|state| (word(*state), Is::Value(*state))).chain([("off", Is::Off)]).collect();
        self.one_or_more(key, value).iter().filter_map(|value| self.word(key, value, &choices)).collect()
    }

    fn hours(&mut self, when: &mut Section<'_, '_>, key: &'static str) -> Vec<Hours> {
        let Some(value) = when.get(key) else { return Vec::new() };
        let mut hours = Vec::new();
        for value in self.one_or_more(key, value) {
            match self.text(key, value).map(str::parse) {
                Some(Ok(span)) => hours.push(span),
                Some(Err(error)) => {
                    self.wrong(
                        value.span(),
                        format!("`{key}`: {error}"),
                        "write days and times like \"Mon..Fri 08:30-18:00\", or with a zone \"Mon..Fri 08:30-18:00 Europe/Berlin\"",
                    );
                }
                None => {}
            }
        }
        hours
    }

    fn named_signals(&mut self, when: &mut Section<'_, '_>) -> BTreeMap<String, Vec<String>> {
        let Some(value) = when.get("signal") else { return BTreeMap::new() };
        let Some(section) = self.table("`signal`", value) else { return BTreeMap::new() };
        let mut signals = BTreeMap::new();
        for (key, value) in section.entries() {
            let name = self.name("a signal", key);
            let values = self.one_or_more(&name, value).iter().filter_map(|value| self.text(&name, value));
            let values = values.map(str::to_owned).collect();
            signals.insert(name, values);
        }
        signals
    }
}

fn claims() -> String {
    let pairs = Presence::ALL.map(|presence| presence.to_string());
    suggest::list(pairs.iter().map(String::as_str).chain(["nothing"]), "and")
}
