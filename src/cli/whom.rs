//! `--user` and `--account`: for whom something is set.

use super::terminal::text::printable;
use crate::status::users::Whom;

/// For whom. Without either, for the machine and so for everybody.
#[derive(Debug, clap::Args)]
pub(super) struct WhomArgs {
    /// For this user alone, by object id or by name; left out: for this machine
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// For this account alone, or for the user of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

impl WhomArgs {
    /// The user or the account; `None`: the machine.
    pub(super) fn some(&self) -> Option<Whom> {
        let Self { user, account } = self;
        (user.is_some() || account.is_some()).then(|| Whom { user: user.clone(), account: account.clone() })
    }

    /// For people, after what was done: ` for anna`, ` for the account work`, or nothing.
    pub(super) fn shown(&self) -> String {
        match (&self.user, &self.account) {
            (Some(user), _) => format!(" for {}", printable(user)),
            (None, Some(account)) => format!(" for the account {}", printable(account)),
            (None, None) => String::new(),
        }
    }

    /// The same options on another command line.
    pub(super) fn as_typed(&self) -> String {
        let option = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!(" --{name} {}", quoted(&printable(value)))).unwrap_or_default()
        };
        option("user", &self.user) + &option("account", &self.account)
    }
}

/// A name as one word of a shell command: in quotes if it has characters with a meaning there.
fn quoted(name: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | '.' | '@');
    if name.chars().all(is_plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_space_can_be_typed() {
        assert_eq!(quoted("agent-7"), "agent-7");
        assert_eq!(quoted("Anna Arendt"), "'Anna Arendt'");
        assert_eq!(quoted("Flann O'Brien"), r"'Flann O'\''Brien'");
        let whom = WhomArgs { user: Some("Anna Arendt".to_owned()), account: Some("bots".to_owned()) };
        assert_eq!(whom.as_typed(), " --user 'Anna Arendt' --account bots");
    }
}
