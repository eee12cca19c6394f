//! Whose agenda it is: an account's, or that of one of its many users.

use std::path::Path;

use crate::cli::error::{Error, Exit};
use crate::config::{CalendarPlace, CalendarSource, Config, UserEntry, Users, is_object_id, users_file};
use crate::regular_file;
use crate::signals::calendar::once::{self, Source};

/// An account, and one of its users if it has many.
#[derive(Debug, Default)]
pub(super) struct Owner {
    /// `None`: several accounts have the same agenda.
    pub(super) account: Option<String>,
    user: Option<UserEntry>,
}

impl Owner {
    /// The one that the command names, or the only one that there is.
    pub(super) fn of(account: Option<&str>, user: Option<&str>, config: &Config) -> Result<Self, Error> {
        if let Some(unknown) = account.filter(|name| !config.accounts.contains_key(*name)) {
            let names = crate::suggest::list(config.accounts.keys().map(String::as_str), "and");
            return Err(Error::new(Exit::Usage, format!("there is no account `{unknown}`"))
                .with_hint(format!("the accounts are {names}")));
        }
        let Some(user) = user else {
            let mut names = config.accounts.keys();
            let only = names.next().filter(|_| names.next().is_none()).cloned();
            return Ok(Self { account: account.map(str::to_owned).or(only), user: None });
        };
        for (name, configured) in &config.accounts {
            if account.is_some_and(|account| account != name) {
                continue;
            }
            let found = match &configured.users {
                None => None,
                Some(Users::Listed(users)) => find(users, user),
                Some(Users::File(path)) => find(&in_file(path)?, user),
                Some(Users::Signalled) => {
                    is_object_id(user).then(|| UserEntry { id: user.to_ascii_lowercase(), name: None })
                }
            };
            if let Some(found) = found {
                return Ok(Self { account: Some(name.clone()), user: Some(found) });
            }
        }
        let text = format!("no account with `users` has a user `{user}`");
        Err(Error::new(Exit::Usage, text).with_hint("write an object id, or the name in the users file"))
    }

    /// Where the calendar of this source is.
    pub(super) fn places(&self, source: &CalendarSource, cache_dir: &Path) -> Result<Vec<Source>, Error> {
        let CalendarPlace::Owners(path) = &source.place else { return Ok(once::places(source, cache_dir)) };
        let names: Option<Vec<&str>> = self
            .user
            .as_ref()
            .map(|user| [Some(user.id.as_str()), user.name.as_deref()].into_iter().flatten().collect());
        let Some(entries) = path.entries_of(self.account.as_deref(), names.as_deref()) else {
            let each = if path.is_of_users() { "user" } else { "account" };
            let text = format!("each {each} has a calendar of their own ({})", path.path.display());
            return Err(
                Error::new(Exit::Usage, text).with_hint(format!("say whose you mean: `presenced agenda --{each} …`"))
            );
        };
        // Whoever has no entry is free.
        let there = entries.into_iter().filter(|entry| entry.symlink_metadata().is_ok());
        Ok(there.map(|entry| Source::shared(entry, source.optional)).collect())
    }
}

fn find(users: &[UserEntry], user: &str) -> Option<UserEntry> {
    users.iter().find(|entry| entry.id.eq_ignore_ascii_case(user) || entry.name.as_deref() == Some(user)).cloned()
}

fn in_file(path: &Path) -> Result<Vec<UserEntry>, Error> {
    let text = regular_file::read(path, users_file::MAX_FILE_BYTES).map_err(|unfit| {
        Error::new(Exit::Usage, format!("the users file {} cannot be read: {unfit}", path.display()))
            .with_hint("`presenced check` checks the whole configuration")
    })?;
    Ok(users_file::parse(&text).users)
}
