//! The session: holds one presence in Graph for one (account, user), timed to the session's two clocks.
mod failure;

pub use failure::{Applied, Failure, FailureKind};
