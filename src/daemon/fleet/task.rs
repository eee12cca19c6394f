//! The tasks of a fleet, and how they end.

use std::collections::HashMap;

use crate::failure::Failure;
use crate::pacer::{ReadIndex, Ticket, UserIndex};
use crate::session::Seen;

use super::super::account::AccountId;
use super::users_file::Followed;

/// A task of a fleet has ended.
#[derive(Debug)]
pub(in crate::daemon) struct Done {
    pub(in crate::daemon) fleet: AccountId,
    pub(super) ended: Ended,
}

/// Which task it was. The outer error of a result says that nothing was sent.
#[derive(Debug)]
pub(super) enum Ended {
    Token(Result<(), Failure>),
    Writes(Vec<(UserIndex, Ticket)>, Result<Vec<Result<(), Failure>>, Failure>),
    Read(Ticket, ReadIndex, Result<Result<HashMap<String, Seen>, Failure>, Failure>),
    Roster(Box<Followed>),
}
