//! `auth = { method = … }`: how an account gets its tokens, and where its secret is. The secret itself is never in the file.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeString;

use super::section::{Section, kind};
use super::{Reader, Value};
use crate::config::{Auth, SecretSource};
use crate::suggest;

#[derive(Clone, Copy)]
pub(super) enum Method {
    DeviceCode,
    ClientSecret,
    TokenCommand,
}

const METHODS: [(&str, Method); 3] = [
    ("device-code", Method::DeviceCode),
    ("client-secret", Method::ClientSecret),
    ("token-command", Method::TokenCommand),
];
/// People know these from other programs, so they are told apart from misspellings.
const METHODS_ELSEWHERE: [&str; 3] = ["browser", "client-certificate", "federated"];
const SECRET_FORMS: &str = "write { file = \"…\" }, { credential = \"…\" } (systemd's), { env = \"…\" }, { command = [\"…\"] } or { keyring = { … } }";

impl Reader<'_> {
    /// The method, also when something else is wrong with its table.
    pub(super) fn auth(&mut self, value: &Value<'_>) -> (Option<Method>, Option<Auth>) {
        let example = "write auth = { method = \"device-code\" }, or another method";
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(value.span(), format!("`auth` is a table, and here is {}", kind(value)), example);
            return (None, None);
        };
        let mut section = Section::new("`auth`", value.span(), table);
        let method = self.required(&mut section, "method", example).and_then(|value| self.method(value));
        let auth = match method {
            // Which other keys belong there depends on the method.
            None => return (None, None),
            Some(Method::DeviceCode) => Some(Auth::DeviceCode),
            Some(Method::ClientSecret) => {
                let secret = self.required(&mut section, "secret", SECRET_FORMS);
                secret.and_then(|value| self.secret(value)).map(|secret| Auth::ClientSecret { secret })
            }
            Some(Method::TokenCommand) => {
                let help = "write command = [\"program\", \"argument\"]; it prints an access token for Graph";
                let command = self.required(&mut section, "command", help);
                command.and_then(|value| self.command(value)).map(|command| Auth::TokenCommand { command })
            }
        };
        self.finish(&section);
        (method, auth)
    }

    fn method(&mut self, value: &Value<'_>) -> Option<Method> {
        let text = self.text("method", value)?;
        if METHODS_ELSEWHERE.contains(&text) {
            let available = suggest::list(METHODS.iter().map(|(word, _)| *word), "and");
            let message = format!("presenced cannot sign in by `{text}` in this version");
            self.wrong(value.span(), message, format!("the methods are {available}"));
            return None;
        }
        self.word("method", value, &METHODS)
    }

    /// Where a secret is. No message repeats what was written: it may be the secret.
    fn secret(&mut self, value: &Value<'_>) -> Option<SecretSource> {
        let Some(table) = value.get_ref().as_table() else {
            let message = "a secret does not belong in the configuration; say where it is";
            self.wrong(value.span(), message, SECRET_FORMS);
            return None;
        };
        let mut section = Section::new("`secret`", value.span(), table);
        let file = section.get("file");
        let credential = section.get("credential");
        let env = section.get("env");
        let command = section.get("command");
        let keyring = section.get("keyring");
        if section.unknown().next().is_some() {
            self.wrong(value.span(), "`secret` has a key that is no place of a secret", SECRET_FORMS);
            return None;
        }
        match (file, credential, env, command, keyring) {
            (Some(file), None, None, None, None) => {
                let path = self.path("file", file)?;
                self.secret_files.push((path.clone(), file.span()));
                Some(SecretSource::File(path))
            }
            (None, Some(credential), None, None, None) => {
                let help = "it is the name that `LoadCredential=` of the systemd unit gives it: credential = \"client-secret\"";
                self.plain_name(credential, b"_-.", help).map(SecretSource::Credential)
            }
            (None, None, Some(env), None, None) => {
                let help = "write the name of the environment variable, not its value: env = \"CLIENT_SECRET\"";
                self.plain_name(env, b"_", help).map(SecretSource::Env)
            }
            (None, None, None, Some(command), None) => self.command(command).map(SecretSource::Command),
            (None, None, None, None, Some(keyring)) => self.attributes(keyring).map(SecretSource::Keyring),
            _ => {
                self.wrong(value.span(), "a secret is in exactly one place", SECRET_FORMS);
                None
            }
        }
    }

    /// The name of a variable or a credential: letters, digits and `also`.
    fn plain_name(&mut self, value: &Value<'_>, also: &[u8], help: &str) -> Option<String> {
        let name = value.get_ref().as_str().filter(|name| {
            !name.is_empty()
                && !name.starts_with(['.', '-'])
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
        });
        if name.is_none() {
            self.wrong(value.span(), "this is not the name of a secret's place", help);
        }
        name.map(str::to_owned)
    }

    /// By what the keyring finds a secret. No message repeats any of it: it may be the secret.
    fn attributes(&mut self, value: &Value<'_>) -> Option<BTreeMap<String, String>> {
        let texts = value.get_ref().as_table().and_then(|table| {
            let text = |(key, value): (&Spanned<DeString<'_>>, &Value<'_>)| {
                let value = value.get_ref().as_str().filter(|value| !value.is_empty())?;
                let is_plain = !key.get_ref().chars().chain(value.chars()).any(char::is_control);
                is_plain.then(|| (key.get_ref().to_string(), value.to_owned()))
            };
            table.iter().map(text).collect::<Option<BTreeMap<_, _>>>()
        });
        let attributes = texts.filter(|attributes| !attributes.is_empty());
        if attributes.is_none() {
            let help = "write the attributes that `secret-tool store` was given: \
                        keyring = { service = \"presenced\", key = \"client-secret\" }";
            self.wrong(value.span(), "these are not the attributes of a secret in the keyring", help);
        }
        attributes
    }

    /// A program and its arguments. A program with a `/` in its name is a path, and expanded like every other.
    fn command(&mut self, value: &Value<'_>) -> Option<Vec<String>> {
        let mut command = self.texts("command", value, "command = [\"program\", \"argument\"]")?;
        let program = value.get_ref().as_array().and_then(|list| list.first())?;
        if let Some(name) = command.first_mut().filter(|name| name.contains('/')) {
            self.path("command", program)?.to_str()?.clone_into(name);
        }
        Some(command)
    }
}
