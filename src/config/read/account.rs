//! `[accounts.NAME]`: who signs in, where, and whose presence is held. Several users are in `users`.

use std::collections::BTreeMap;

use url::Url;

use super::auth::Method;
use super::section::Section;
use super::{Reader, Value};
use crate::config::same_session::shared_sessions;
use crate::config::users::is_object_id;
use crate::config::{Account, Cloud, Endpoints, TokenStore};
use crate::loopback::is_loopback;

impl Reader<'_> {
    pub(super) fn accounts(&mut self, root: &mut Section<'_, '_>) -> BTreeMap<String, Account> {
        let is_there = root.get("accounts").is_some();
        let section = self.section(root, "accounts", "[accounts]");
        let entries = section.iter().flat_map(Section::entries).collect::<Vec<_>>();
        if entries.is_empty() && (section.is_some() || !is_there) {
            let span = section.map_or(0..0, |section| section.span);
            let help = "start one with `[accounts.work]` and give it `tenant`, `client_id` and `auth`";
            self.wrong(span, "the configuration has no account", help);
        }
        let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
        let mut places = Vec::new();
        for (key, value) in entries {
            let name = self.name("an account", key);
            self.accounts.all.push(name.clone());
            let Some(mut section) = self.table(format!("[accounts.{name}]"), value) else { continue };
            if section.has("users") {
                self.accounts.of_many.push(name.clone());
            }
            section.span = key.span();
            let Some(account) = self.account(section) else { continue };
            accounts.insert(name.clone(), account);
            places.push((name, key.span()));
        }
        let shared = shared_sessions(&accounts);
        for (name, span) in places {
            let Some((other, user)) = shared.get(name.as_str()) else { continue };
            let is_one_of_many = accounts.get(&name).is_some_and(|account| account.users.is_some());
            let user = user.as_ref().filter(|_| is_one_of_many).map(|id| format!(": that of {id}")).unwrap_or_default();
            let message = format!("[accounts.{name}] holds the same session as [accounts.{other}]{user}");
            let help = "one `client_id` has one session for each user; two accounts would fight over it";
            self.wrong(span, message, help);
        }
        accounts
    }

    fn account(&mut self, mut section: Section<'_, '_>) -> Option<Account> {
        let help = "the tenant is a domain name (contoso.onmicrosoft.com) or the Directory (tenant) id of Entra's overview page";
        let tenant = self.required(&mut section, "tenant", help).and_then(|value| self.tenant(value, help));
        let help = "the client id is the Application (client) id on the app registration's overview page in Entra";
        let client_id =
            self.required(&mut section, "client_id", help).and_then(|value| self.guid("client_id", value, help));
        let user_given = section.get("user");
        let user = user_given.and_then(|value| self.user(value));
        let many_given = section.get("users");
        let many = many_given.map(|value| self.users(value));
        let rate = self.rate(&mut section);
        let clouds: Vec<_> = Cloud::ALL.iter().map(|cloud| (cloud.as_str(), *cloud)).collect();
        let cloud = section.get("cloud");
        let cloud = cloud.and_then(|value| self.word("cloud", value, &clouds)).unwrap_or_default();
        let help = "write auth = { method = \"device-code\" }, or another method";
        let auth_given = self.required(&mut section, "auth", help);
        let (method, auth) = auth_given.map(|value| self.auth(value)).unwrap_or_default();
        let endpoints = self.endpoints(&mut section, cloud);
        self.finish(&section);

        let needs_user = match method {
            Some(Method::ClientSecret | Method::ClientCertificate | Method::Federated) => {
                Some("an application's own token has no user, so Graph's `/me` does not work")
            }
            Some(Method::TokenCommand) => Some("the command's token does not say whose it is"),
            Some(Method::DeviceCode | Method::Browser) | None => None,
        };
        match (needs_user, user_given, many_given) {
            (_, Some(_), Some(value)) => {
                let message = format!("{} has both `user` and `users`", section.name);
                self.wrong(value.span(), message, "remove one of them; `users` can also hold a single user");
            }
            (None, None, Some(value)) if method.is_some() => {
                let message = "`users` needs an application's own permission, but here a person signs in";
                let help = "use another method: client-secret, client-certificate, federated or token-command";
                self.wrong(value.span(), message, help);
            }
            (Some(why), None, None) => {
                let message = format!("{} has no `user`: {why}", section.name);
                let help =
                    "write the object id of the user whose presence is held: user = \"…\"; for many, write `users`";
                self.wrong(section.span, message, help);
            }
            _ => {}
        }
        // `[tokens]` applies to all accounts and is read after them.
        let tokens = TokenStore::default();
        Some(Account {
            tenant: tenant?,
            client_id: client_id?,
            user,
            // Wrong users are not the same as none.
            users: many.map_or(Some(None), |users| users.map(Some))?,
            rate: rate?,
            cloud,
            auth: auth?,
            tokens,
            endpoints: endpoints?,
        })
    }

    fn tenant(&mut self, value: &Value<'_>, help: &str) -> Option<String> {
        let text = self.text("tenant", value)?;
        let is_domain = text.contains('.')
            && text
                .split('.')
                .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        if is_domain || is_object_id(text) {
            return Some(text.to_owned());
        }
        let message = match text {
            "common" | "organizations" | "consumers" => {
                format!("`{text}` means many tenants, but an account has one")
            }
            _ => "`tenant` is neither a domain name nor a directory id".to_owned(),
        };
        self.wrong(value.span(), message, help);
        None
    }

    fn user(&mut self, value: &Value<'_>) -> Option<String> {
        let help = "the object id is on the user's page in Entra (Users, the user, Object ID), or: az ad user show --id NAME --query id";
        if value.get_ref().as_str().is_some_and(|text| text.contains('@')) {
            let message = "`user` is a sign-in name, which Graph may mistake for another user's: use the object id";
            self.wrong(value.span(), message, help);
            return None;
        }
        self.guid("user", value, help)
    }

    fn guid(&mut self, key: &str, value: &Value<'_>, help: &str) -> Option<String> {
        let text = self.text(key, value)?;
        if !is_object_id(text) {
            let message = format!("`{key}` is not an id; an id looks like 22553876-f5ab-4529-bffb-cfe50aa89f87");
            self.wrong(value.span(), message, help);
            return None;
        }
        Some(text.to_owned())
    }

    fn endpoints(&mut self, account: &mut Section<'_, '_>, cloud: Cloud) -> Option<Endpoints> {
        let (mut graph, mut login) = (cloud.graph(), cloud.login());
        let mut is_given = false;
        if let Some(mut section) = self.section(account, "endpoints", "`endpoints`") {
            if let Some(value) = section.get("graph") {
                is_given = true;
                graph = self.endpoint("graph", value).or(graph);
            }
            login = section.get("login").and_then(|value| self.endpoint("login", value)).unwrap_or(login);
            self.finish(&section);
        }
        if let (None, false, Some(value)) = (&graph, is_given, account.get("cloud")) {
            let message = format!("the address of Microsoft Graph in the cloud `{}` is not published", cloud.as_str());
            let help = "ask the operator of the cloud for it, and write endpoints = { graph = \"https://…/v1.0\" } in the account";
            self.wrong(value.span(), message, help);
        }
        Some(Endpoints { graph: graph?, login })
    }

    /// Tokens are sent there, and never leave this machine unencrypted.
    fn endpoint(&mut self, key: &str, value: &Value<'_>) -> Option<Url> {
        let text = self.text(key, value)?;
        let example = "write an address like https://graph.microsoft.com/v1.0";
        let mut url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => {
                self.wrong(value.span(), format!("`{key}` is not a valid address: {error}"), example);
                return None;
            }
        };
        if !matches!(url.scheme(), "https" | "http") {
            self.wrong(value.span(), format!("`{key}` must use https, not {}", url.scheme()), example);
        } else if !url.username().is_empty() || url.password().is_some() {
            self.wrong(
                value.span(),
                format!("`{key}` contains a user name or a password"),
                "remove the part before the `@`",
            );
        } else if url.scheme() == "http" && !is_loopback(&url) {
            let host = url.host_str().unwrap_or_default();
            let message = format!("plain http would send tokens unencrypted to {host}");
            self.wrong(
                value.span(),
                message,
                "use https; plain http goes only to loopback: 127.0.0.0/8, [::1] or localhost",
            );
        } else if url.query().is_some() || url.fragment().is_some() {
            self.wrong(
                value.span(),
                format!("`{key}` contains a query or a fragment"),
                "remove the part that begins with `?` or `#`",
            );
        } else {
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&path);
            return Some(url);
        }
        None
    }
}
