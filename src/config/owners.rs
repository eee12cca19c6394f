//! Paths that stand for many: `{user}` for each user of the accounts with many, `{account}` for each account.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::users::Fault;
use crate::fill::Fill as _;

const USER: &str = "{user}";
const ACCOUNT: &str = "{account}";

/// What may follow the placeholder in the last part of a calendar's path.
const ICS: &str = ".ics";

/// A path of which each owner has one: a user, or an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnersPath {
    /// As configured.
    pub path: PathBuf,
    /// What follows the owner's name in the name of an entry: nothing, or `.ics`.
    pub suffix: &'static str,
    /// The folders with the entries, by whose entries they have.
    pub folders: BTreeMap<Owners, PathBuf>,
}

/// Whose the entries of a folder are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owners {
    /// Those of all users. An entry is named by the object id or by the name in the users file.
    Users,
    /// Those of the users of this account.
    UsersOf(String),
    /// Those of accounts.
    Accounts,
}

/// What the paths of signals may stand for: the names of all accounts, and of those with many users.
#[derive(Debug, Default)]
pub(super) struct AccountNames {
    pub(super) all: Vec<String>,
    pub(super) of_many: Vec<String>,
}

/// What the last part of a path may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The owner's name.
    Bare,
    /// That, or `.ics` after it.
    Calendar,
}

impl OwnersPath {
    /// `None`: the path has no placeholder, so it is everybody's.
    pub(super) fn of(path: &Path, entry: Entry, accounts: &AccountNames) -> Result<Option<Self>, Fault> {
        let has = |part: &OsStr, placeholder| part.to_str().is_some_and(|part| part.contains(placeholder));
        let count = |placeholder| path.iter().filter(|part| has(part, placeholder)).count();
        let (users, names) = (count(USER), count(ACCOUNT));
        if users + names == 0 {
            return Ok(None);
        }
        let (last, folder) = (path.file_name().unwrap_or_default(), path.parent().unwrap_or(Path::new("/")));
        let suffix = |placeholder| match last.to_str()?.strip_prefix(placeholder)? {
            "" => Some(""),
            ICS if entry == Entry::Calendar => Some(ICS),
            _ => None,
        };
        let is_whole = folder.iter().all(|part| !has(part, ACCOUNT) || part == ACCOUNT);
        if users > 0 {
            let Some(suffix) = suffix(USER).filter(|_| users == 1) else {
                let help = match entry {
                    Entry::Bare => "write path = \"/run/presenced/calls/{user}\": a file for each user",
                    Entry::Calendar => {
                        "write path = \"/srv/calendars/{user}\", a file or folder for each user, or \"/srv/calendars/{user}.ics\""
                    }
                };
                return Err(Fault::new("`{user}` must be the last part of the path", help));
            };
            if names > 1 || !is_whole {
                let help = "write path = \"/run/presenced/{account}/{user}\"";
                return Err(Fault::new("`{account}` must be one whole part of the path", help));
            }
            if accounts.of_many.is_empty() {
                let message = "`{user}` stands for the users of an account with `users`, and there is none";
                return Err(Fault::new(message, "write a path without {user}, or give an account `users`"));
            }
            let folders = if names == 0 {
                BTreeMap::from([(Owners::Users, folder.to_owned())])
            } else {
                let of = |name: &String| (Owners::UsersOf(name.clone()), with_account(folder, name));
                accounts.of_many.iter().map(of).fill()
            };
            return Ok(Some(Self { path: path.to_owned(), suffix, folders }));
        }
        let Some(suffix) = suffix(ACCOUNT).filter(|_| names == 1) else {
            let message = "`{account}` must be the last part of the path, or come before `/{user}`";
            return Err(Fault::new(
                message,
                "write path = \"/run/presenced/calls/{account}\": a file for each account",
            ));
        };
        let folders = BTreeMap::from([(Owners::Accounts, folder.to_owned())]);
        Ok(Some(Self { path: path.to_owned(), suffix, folders }))
    }
}

impl OwnersPath {
    /// Whether each user has one. Otherwise each account has.
    pub fn is_of_users(&self) -> bool {
        !self.folders.contains_key(&Owners::Accounts)
    }

    /// Where the entries of an account, or of the user of these names, may be. `None`: that depends on who it is.
    pub fn entries_of(&self, account: Option<&str>, user: Option<&[&str]>) -> Option<Vec<PathBuf>> {
        let entry = |folder: &Path, name: &str| folder.join(format!("{name}{}", self.suffix));
        if let Some(folder) = self.folders.get(&Owners::Accounts) {
            return Some(vec![entry(folder, account?)]);
        }
        let user = user?;
        let is_theirs = |owners: &Owners| match owners {
            Owners::Users | Owners::Accounts => true,
            Owners::UsersOf(name) => account.is_some_and(|account| account == name),
        };
        let folders = self.folders.iter().filter(|(owners, _)| is_theirs(owners));
        Some(folders.flat_map(|(_, folder)| user.iter().map(move |name| entry(folder, name))).collect())
    }
}

fn with_account(folder: &Path, name: &str) -> PathBuf {
    folder.iter().map(|part| if part == ACCOUNT { OsStr::new(name) } else { part }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, entry: Entry) -> Result<Option<OwnersPath>, String> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let accounts = AccountNames { all: names(&["agents", "bots", "me"]), of_many: names(&["agents", "bots"]) };
        OwnersPath::of(Path::new(path), entry, &accounts).map_err(|fault| fault.message)
    }

    fn folders(path: &str) -> (Vec<(Owners, String)>, &'static str) {
        let OwnersPath { folders, suffix, .. } = of(path, Entry::Calendar).unwrap().unwrap();
        (folders.into_iter().map(|(owners, folder)| (owners, folder.display().to_string())).collect(), suffix)
    }

    #[test]
    fn a_path_stands_for_users_or_accounts() {
        assert_eq!(of("/run/calls", Entry::Bare), Ok(None));
        assert_eq!(folders("/run/calls/{user}"), (vec![(Owners::Users, "/run/calls".to_owned())], ""));
        assert_eq!(folders("/run/{account}.ics"), (vec![(Owners::Accounts, "/run".to_owned())], ".ics"));
        let of_both = ["agents", "bots"].map(|name| (Owners::UsersOf(name.to_owned()), format!("/run/{name}/calls")));
        assert_eq!(folders("/run/{account}/calls/{user}"), (of_both.to_vec(), ""));
    }

    #[test]
    fn an_entry_is_named_after_its_owner() {
        let entries = |path: &str, account: Option<&str>, user: Option<&[&str]>| {
            let entries = of(path, Entry::Calendar).unwrap().unwrap().entries_of(account, user)?;
            Some(entries.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
        };
        let some = |paths: &[&str]| Some(paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
        assert_eq!(entries("/c/{user}.ics", None, Some(&["aa", "ada"])), some(&["/c/aa.ics", "/c/ada.ics"]));
        assert_eq!(entries("/c/{account}/{user}", Some("bots"), Some(&["aa"])), some(&["/c/bots/aa"]));
        assert_eq!(entries("/c/{account}", Some("me"), None), some(&["/c/me"]));
        assert_eq!((entries("/c/{user}", Some("bots"), None), entries("/c/{account}", None, None)), (None, None));
    }

    #[test]
    fn a_placeholder_elsewhere_is_refused() {
        let user = Err("`{user}` must be the last part of the path".to_owned());
        for path in ["/run/{user}/calls", "/run/x{user}", "/run/{user}{user}", "/{user}/{user}", "/run/{user}.ics"] {
            assert_eq!(of(path, Entry::Bare), user, "{path}");
        }
        let account = Err("`{account}` must be the last part of the path, or come before `/{user}`".to_owned());
        for path in ["/run/{account}/calls", "/run/{account}.txt", "/{account}/{account}"] {
            assert_eq!(of(path, Entry::Calendar), account, "{path}");
        }
        let part = Err("`{account}` must be one whole part of the path".to_owned());
        for path in ["/run/x-{account}/{user}", "/{account}/{account}/{user}"] {
            assert_eq!(of(path, Entry::Calendar), part, "{path}");
        }
    }
}
