//! Shared by the commands that work on one account: choosing the account, and the message shown while the keyring is locked.

use super::error::{Error, Exit};
use crate::config::{self, Config};

/// The account with this name or, without a name, the only account.
pub(super) fn choose(name: Option<String>, config: &Config) -> Result<(String, config::Account), Error> {
    let names: Vec<_> = config.accounts.keys().map(|name| format!("`{name}`")).collect();
    let hint = format!("the configuration has {}", names.join(", "));
    match (name, config.accounts.first_key_value()) {
        (Some(name), _) => match config.accounts.get(&name) {
            Some(account) => Ok((name, account.clone())),
            None => Err(Error::new(Exit::Usage, format!("there is no account `{name}`")).with_hint(hint)),
        },
        (None, Some((name, account))) if names.len() == 1 => Ok((name.clone(), account.clone())),
        (None, _) => Err(Error::new(Exit::Usage, "there are several accounts: name one of them").with_hint(hint)),
    }
}

/// Explains the wait. In a graphical session the keyring shows its own prompt.
pub(super) fn tell_locked() {
    anstream::println!("The keyring is locked. Unlock it, or press Ctrl-C to give up. Waiting …");
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Auth;

    pub(in crate::cli) fn config(names: &[&str]) -> Config {
        let account = config::Account {
            tenant: "contoso.onmicrosoft.com".to_owned(),
            client_id: "22553876-f5ab-4529-bffb-cfe50aa89f87".to_owned(),
            user: None,
            users: None,
            rate: crate::pacer::Rate::default(),
            cloud: config::Cloud::Global,
            auth: Auth::DeviceCode,
            tokens: config::TokenStore::File,
            endpoints: config::Endpoints {
                graph: "http://127.0.0.1:1/v1.0".parse().unwrap(),
                login: "http://127.0.0.1:1".parse().unwrap(),
            },
        };
        Config {
            accounts: names.iter().map(|name| ((*name).to_owned(), account.clone())).collect::<BTreeMap<_, _>>(),
            session: config::Session::default(),
            signals: config::Signals::default(),
            rules: Vec::new(),
            status: config::Status::default(),
            log: config::Log::default(),
            history: config::History::default(),
        }
    }

    #[test]
    fn the_only_account_needs_no_name() {
        let name = |named: Option<&str>, names: &[&str]| {
            choose(named.map(ToOwned::to_owned), &config(names)).map(|(name, _)| name)
        };
        assert_eq!(name(None, &["work"]).as_deref(), Ok("work"));
        assert_eq!(name(Some("b"), &["a", "b"]).as_deref(), Ok("b"));
        let several = name(None, &["a", "b"]).unwrap_err();
        assert_eq!((several.exit, several.hint.as_deref()), (Exit::Usage, Some("the configuration has `a`, `b`")));
        let unknown = name(Some("c"), &["a", "b"]).unwrap_err();
        assert_eq!(unknown.text, "there is no account `c`");
        assert_eq!((unknown.exit, unknown.hint.as_deref()), (Exit::Usage, Some("the configuration has `a`, `b`")));
    }
}
