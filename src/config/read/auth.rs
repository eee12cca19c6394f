//! `auth = { method = … }`: how an account gets its tokens, and where its secret is. The secret itself is never in the file.

use super::section::{Section, kind};
use super::{Reader, Value};
use crate::config::{Auth, SecretSource};
use crate::suggest;

#[derive(Clone, Copy)]
pub(super) enum Method {
    DeviceCode,
    Browser,
    ClientSecret,
    TokenCommand,
}

const METHODS: [(&str, Method); 4] = [
    ("device-code", Method::DeviceCode),
    ("browser", Method::Browser),
    ("client-secret", Method::ClientSecret),
    ("token-command", Method::TokenCommand),
];
/// People know these from other programs, so they are told apart from misspellings.
const METHODS_ELSEWHERE: [&str; 2] = ["client-certificate", "federated"];
const SECRET_FORMS: &str =
    "write { file = \"…\" }, { credential = \"…\" } (systemd's), { env = \"…\" } or { command = [\"…\"] }";

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
            Some(Method::Browser) => Some(Auth::Browser),
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
        if let Some((key, _)) = section.entries().find(|(key, _)| key.get_ref() == "keyring") {
            self.wrong(key.span(), "presenced cannot read a keyring in this version", SECRET_FORMS);
            return None;
        }
        if section.unknown().next().is_some() {
            self.wrong(value.span(), "`secret` has a key that is no place of a secret", SECRET_FORMS);
            return None;
        }
        match (file, credential, env, command) {
            (Some(file), None, None, None) => {
                let path = self.path("file", file)?;
                self.secret_files.push((path.clone(), file.span()));
                Some(SecretSource::File(path))
            }
            (None, Some(credential), None, None) => {
                let help = "it is the name that `LoadCredential=` of the systemd unit gives it: credential = \"client-secret\"";
                self.plain_name(credential, b"_-.", help).map(SecretSource::Credential)
            }
            (None, None, Some(env), None) => {
                let help = "write the name of the environment variable, not its value: env = \"CLIENT_SECRET\"";
                self.plain_name(env, b"_", help).map(SecretSource::Env)
            }
            (None, None, None, Some(command)) => self.command(command).map(SecretSource::Command),
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
