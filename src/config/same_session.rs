//! Which accounts hold the same session in Graph: that of one application, for one user, in one cloud. Two accounts would fight over
//! it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use super::{Account, Users};

/// Whose session it is, as far as the configuration tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    /// This user's, by object id in lower case.
    User(String),
    /// That of everyone in this file.
    File(PathBuf),
    /// That of everyone whom a signal names.
    Signalled,
}

impl Account {
    /// Whether both are known to hold the same session.
    pub fn is_same_session(&self, other: &Self) -> bool {
        if self.application() != other.application() {
            return false;
        }
        let own: HashSet<Whose> = self.whose().collect();
        other.whose().any(|whose| own.contains(&whose))
    }

    /// The application and the Graph.
    fn application(&self) -> (&str, String) {
        (self.endpoints.graph.as_str(), self.client_id.to_ascii_lowercase())
    }

    /// Empty if it is whoever signs in.
    fn whose(&self) -> impl Iterator<Item = Whose> {
        let (listed, other) = match &self.users {
            Some(Users::Listed(users)) => (users.as_slice(), None),
            Some(Users::File(path)) => ([].as_slice(), Some(Whose::File(path.clone()))),
            Some(Users::Signalled) => ([].as_slice(), Some(Whose::Signalled)),
            None => ([].as_slice(), None),
        };
        let user = self.user.iter().map(|user| Whose::User(user.to_ascii_lowercase()));
        user.chain(other).chain(listed.iter().map(|user| Whose::User(user.id.clone())))
    }
}

/// The first user that each account has in common with an earlier one, or `None` in its place if that is not one user: by the
/// name of the account, with the name of the earlier one.
pub(crate) fn shared_sessions(accounts: &BTreeMap<String, Account>) -> BTreeMap<&str, (&str, Option<String>)> {
    let mut holders: HashMap<(&str, String), HashMap<Whose, &str>> = HashMap::new();
    let mut shared = BTreeMap::new();
    for (name, account) in accounts {
        let holders = holders.entry(account.application()).or_default();
        for whose in account.whose() {
            let holder = *holders.entry(whose.clone()).or_insert(name);
            if holder != name {
                let user = if let Whose::User(id) = whose { Some(id) } else { None };
                shared.entry(name.as_str()).or_insert((holder, user));
            }
        }
    }
    shared
}
