//! Which user `--user` means. An object id is one without asking anybody; a name has the daemon, or else the configuration.

use crate::cli::context::Context;
use crate::cli::daemon_client::request;
use crate::cli::error::{Error, Exit};
use crate::config::{Account, UserEntry, Users, is_object_id, users_file};
use crate::regular_file;

/// The object id of this user, in lower case.
pub(super) fn object_id(user: &str, context: &Context) -> Result<String, Error> {
    if is_object_id(user) {
        return Ok(user.to_ascii_lowercase());
    }
    match request(context, async |mut client| client.user(user).await) {
        Ok(row) => Ok(row.user),
        Err(error) if error.exit == Exit::NotRunning => configured(user, context),
        Err(error) => {
            Err(error.with_hint("a user who has left is found by the object id; `presenced users` has the others"))
        }
    }
}

fn configured(user: &str, context: &Context) -> Result<String, Error> {
    for account in context.load_config()?.accounts.values() {
        if let Some(entry) = entries(account)?.into_iter().find(|entry| entry.name.as_deref() == Some(user)) {
            return Ok(entry.id);
        }
    }
    let error = Error::new(Exit::Failed, format!("no account names the user `{user}`, and presenced is not running"));
    Err(error.with_hint("give the object id"))
}

fn entries(account: &Account) -> Result<Vec<UserEntry>, Error> {
    match &account.users {
        Some(Users::Listed(users)) => Ok(users.clone()),
        Some(Users::File(path)) => match regular_file::read(path, users_file::MAX_FILE_BYTES) {
            Ok(text) => Ok(users_file::parse(&text).users),
            Err(unfit) => {
                let text = format!("the users file {} cannot be read: {unfit}", path.display());
                Err(Error::new(Exit::Failed, text).with_hint("give the object id"))
            }
        },
        Some(Users::Signalled) | None => Ok(Vec::new()),
    }
}
