//! Whose calendar a file or folder is part of.

use std::sync::Arc;

/// Whose calendar something is part of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    /// The one of all who follow this configuration.
    Everybody,
    /// It is a folder, and each entry is another owner's: one whose name, without this suffix, is the entry's name.
    Each(&'static str),
    /// That of the owner of this name.
    Owner(Arc<str>),
}
