//! `auth = { method = … }`: how an account gets its tokens, and where its secret is. The secret itself is never in the file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeString;

use super::section::{Section, kind};
use super::{Reader, Value};
use crate::config::{Auth, SecretSource};
use crate::fill::Fill as _;

#[derive(Clone, Copy)]
pub(super) enum Method {
    DeviceCode,
    Browser,
    ClientSecret,
    ClientCertificate,
    Federated,
    TokenCommand,
}

const METHODS: [(&str, Method); 6] = [
    ("device-code", Method::DeviceCode),
    ("browser", Method::Browser),
    ("client-secret", Method::ClientSecret),
    ("client-certificate", Method::ClientCertificate),
    ("federated", Method::Federated),
    ("token-command", Method::TokenCommand),
];
const SECRET_FORMS: &str = "write { file = \"…\" }, { credential = \"…\" } (systemd's), { env = \"…\" }, { command = [\"…\"] } or { keyring = { … } }";

/// Who may read a secret's file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// Only its owner.
    Owner,
    /// Anyone whom its writer allows: another program renews it, with a mode of its own.
    Anyone,
}

impl Reader<'_> {
    /// The method, even if something else is wrong with its table.
    pub(super) fn auth(&mut self, value: &Value<'_>) -> (Option<Method>, Option<Auth>) {
        let example = "write auth = { method = \"device-code\" }, or another method";
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(value.span(), format!("`auth` must be a table, but this is {}", kind(value)), example);
            return (None, None);
        };
        let mut section = Section::new("`auth`", value.span(), table);
        let method = self.required(&mut section, "method", example).and_then(|value| self.method(value));
        let auth = match method {
            // Which other keys are allowed depends on the method.
            None => return (None, None),
            Some(Method::DeviceCode) => Some(Auth::DeviceCode),
            Some(Method::Browser) => Some(Auth::Browser),
            Some(Method::ClientSecret) => {
                let secret = self.required(&mut section, "secret", SECRET_FORMS);
                let secret = secret.and_then(|value| self.secret("secret", value, Readers::Owner));
                secret.map(|secret| Auth::ClientSecret { secret })
            }
            Some(Method::ClientCertificate) => self.client_certificate(&mut section),
            Some(Method::Federated) => {
                let help = "write assertion = { file = \"$AZURE_FEDERATED_TOKEN_FILE\" } or { command = [\"…\"] }";
                let assertion = self.required(&mut section, "assertion", help);
                let assertion = assertion.and_then(|value| self.secret("assertion", value, Readers::Anyone));
                assertion.map(|assertion| Auth::Federated { assertion })
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

    fn client_certificate(&mut self, section: &mut Section<'_, '_>) -> Option<Auth> {
        let help = "write certificate = \"…\", the PEM file with the app registration's certificate";
        let given = self.required(section, "certificate", help);
        let certificate = given.and_then(|value| self.certificate(value, help));
        let key_given = section.get("key");
        let key = key_given.map(|value| self.secret("key", value, Readers::Owner));
        if let (Some(given), Some(path)) = (given, &certificate) {
            let files = if key_given.is_none() { &mut self.secret_files } else { &mut self.public_files };
            files.push((path.clone(), given.span()));
        }
        // A wrong key is not a missing key.
        let key = key.map_or(Some(None), |key| key.map(Some));
        Some(Auth::ClientCertificate { certificate: certificate?, key: key? })
    }

    /// The certificate's path. Never the certificate itself: its key may be next to it.
    fn certificate(&mut self, value: &Value<'_>, help: &str) -> Option<PathBuf> {
        if value.get_ref().as_str().is_some_and(|text| text.contains("-----BEGIN")) {
            self.wrong(value.span(), "a certificate does not belong in the configuration; say where it is", help);
            return None;
        }
        self.path("certificate", value)
    }

    fn method(&mut self, value: &Value<'_>) -> Option<Method> {
        self.word("method", value, &METHODS)
    }

    /// The place of a secret. No message repeats the text: it may be the secret.
    fn secret(&mut self, key: &str, value: &Value<'_>, readers: Readers) -> Option<SecretSource> {
        let Some(table) = value.get_ref().as_table() else {
            let message = "a secret does not belong in the configuration; say where it is";
            self.wrong(value.span(), message, SECRET_FORMS);
            return None;
        };
        let mut section = Section::new(format!("`{key}`"), value.span(), table);
        let file = section.get("file");
        let credential = section.get("credential");
        let env = section.get("env");
        let command = section.get("command");
        let keyring = section.get("keyring");
        if section.unknown().next().is_some() {
            self.wrong(value.span(), format!("`{key}` has a key that does not say where a secret is"), SECRET_FORMS);
            return None;
        }
        match (file, credential, env, command, keyring) {
            (Some(file), None, None, None, None) => {
                let path = self.path("file", file)?;
                if readers == Readers::Owner {
                    self.secret_files.push((path.clone(), file.span()));
                }
                Some(SecretSource::File(path))
            }
            (None, Some(credential), None, None, None) => {
                let help =
                    "write the name that the systemd unit's `LoadCredential=` gives it: credential = \"client-secret\"";
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

    /// The name of a variable or a credential: letters, digits, and the characters in `also`.
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

    /// The attributes of a secret in the keyring. No message repeats them: one may be the secret.
    fn attributes(&mut self, value: &Value<'_>) -> Option<BTreeMap<String, String>> {
        let texts = value.get_ref().as_table().and_then(|table| {
            let text = |(key, value): (&Spanned<DeString<'_>>, &Value<'_>)| {
                let value = value.get_ref().as_str().filter(|value| !value.is_empty())?;
                let is_plain = !key.get_ref().chars().chain(value.chars()).any(char::is_control);
                is_plain.then(|| (key.get_ref().to_string(), value.to_owned()))
            };
            table.iter().map(text).collect::<Option<Vec<_>>>()
        });
        let attributes = texts.filter(|texts| !texts.is_empty()).map(|texts| texts.into_iter().fill());
        if attributes.is_none() {
            let help = "write the attributes that you gave to `secret-tool store`: \
                        keyring = { service = \"presenced\", key = \"client-secret\" }";
            self.wrong(value.span(), "these are not the attributes of a secret in the keyring", help);
        }
        attributes
    }

    /// A program and its arguments. A program with a `/` in its name is a path, and is expanded like any other.
    fn command(&mut self, value: &Value<'_>) -> Option<Vec<String>> {
        let mut command = self.texts("command", value, "command = [\"program\", \"argument\"]")?;
        let program = value.get_ref().as_array().and_then(|list| list.first())?;
        if let Some(name) = command.first_mut().filter(|name| name.contains('/')) {
            self.path("command", program)?.to_str()?.clone_into(name);
        }
        Some(command)
    }
}
