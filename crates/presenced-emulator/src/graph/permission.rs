//! Whether a token permits a call about a user, and whose place in the directory that is.

use super::Graph;
use super::behaviour;
use super::error::GraphError;
use crate::entra::{Access, Subject};
use crate::route::Whose;

/// What a call does with a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It reads a presence.
    ReadPresence,
    /// It changes a presence.
    WritePresence,
    /// It changes a work location, which no application permission allows.
    WriteLocation,
    /// It reads who the user is.
    ReadUser,
}

/// The user whom a permitted call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Concerned {
    /// The place in the directory.
    pub(super) place: usize,
    /// Whether it is the user of the token.
    pub(super) own: bool,
}

impl Purpose {
    fn writes(self) -> bool {
        matches!(self, Self::WritePresence | Self::WriteLocation)
    }

    /// The permissions of an application that are sufficient. The permission to write a presence includes reading it.
    fn of_application(self) -> &'static [&'static str] {
        match self {
            Self::ReadPresence => &["Presence.Read.All", "Presence.ReadWrite.All"],
            Self::WritePresence => &["Presence.ReadWrite.All"],
            Self::WriteLocation => &[],
            Self::ReadUser => &["User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All"],
        }
    }

    /// The delegated permissions that are sufficient, for the user's own things or another's.
    fn of_user(self, own: bool) -> &'static [&'static str] {
        match (self, own) {
            (Self::ReadPresence, true) => &["Presence.Read", "Presence.Read.All"],
            (Self::ReadPresence, false) => &["Presence.Read.All"],
            (Self::WritePresence | Self::WriteLocation, _) => &["Presence.ReadWrite"],
            (Self::ReadUser, true) => {
                &["User.Read", "User.ReadWrite", "User.ReadBasic.All", "User.Read.All", "Directory.Read.All"]
            }
            (Self::ReadUser, false) => &["User.ReadBasic.All", "User.Read.All", "Directory.Read.All"],
        }
    }
}

/// Whether an application or a user may do this with anybody's things.
pub(super) fn permits_all(purpose: Purpose, access: &Access) -> bool {
    match &access.subject {
        Subject::Application { roles } => has_one(roles, purpose.of_application()),
        Subject::User { scopes, .. } => has_one(scopes, purpose.of_user(false)),
    }
}

fn has_one(granted: &[String], sufficient: &[&str]) -> bool {
    granted.iter().any(|permission| sufficient.contains(&permission.as_str()))
}

impl Graph {
    /// The user whom the call is about, if the token permits it.
    pub(super) fn permit(&self, purpose: Purpose, whose: &Whose, access: &Access) -> Result<Concerned, GraphError> {
        let known = |id: &str| self.directory.place(id).ok_or_else(|| GraphError::unknown_user(id));
        match (&access.subject, whose) {
            (Subject::Application { .. }, Whose::Me) => Err(GraphError::bad_request(
                "/me request is only valid with delegated authentication flow.",
                behaviour::ME_OF_APPLICATION,
            )),
            (Subject::Application { .. }, Whose::User(id)) => {
                if !permits_all(purpose, access) {
                    return Err(GraphError::forbidden());
                }
                Ok(Concerned { place: known(id)?, own: false })
            }
            (Subject::User { id: user, scopes }, whose) => {
                let own = match whose {
                    Whose::Me => true,
                    // Users report that Graph refuses to write with a principal name, even the user's own.
                    Whose::User(id) if purpose.writes() => id.eq_ignore_ascii_case(user),
                    Whose::User(id) => self.directory.user(id).is_some_and(|known| known.id == *user),
                };
                if !has_one(scopes, purpose.of_user(own)) {
                    return Err(GraphError::forbidden());
                }
                if purpose.writes() && !own {
                    return Err(GraphError::another_user());
                }
                let id = match whose {
                    Whose::Me => user,
                    Whose::User(id) => id,
                };
                Ok(Concerned { place: known(id)?, own })
            }
        }
    }
}
