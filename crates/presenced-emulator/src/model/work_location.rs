//! Where a user works: a manual location beats an automatic one. The emulator has no schedule, which would come last.
//!
//! Source: Graph API reference, `userWorkLocation`. Inferred: that a location stays until it is cleared. The reference says only
//! that `clearLocation` is about the current date.

use serde::{Deserialize, Serialize};

/// What kind of place it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum WorkLocationType {
    #[default]
    Unspecified,
    Office,
    Remote,
    TimeOff,
}

/// A location that somebody set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkLocation {
    pub(crate) kind: WorkLocationType,
    pub(crate) place: Option<String>,
}

/// Who set a location.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LocationSource {
    #[default]
    None,
    Manual,
    Automatic,
}

/// A user's locations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkLocations {
    pub(crate) manual: Option<WorkLocation>,
    pub(crate) automatic: Option<WorkLocation>,
}

impl WorkLocations {
    /// The location that wins, and who set it.
    pub(crate) fn winner(&self) -> (LocationSource, WorkLocation) {
        match (&self.manual, &self.automatic) {
            (Some(manual), _) => (LocationSource::Manual, manual.clone()),
            (None, Some(automatic)) => (LocationSource::Automatic, automatic.clone()),
            (None, None) => (LocationSource::None, WorkLocation::default()),
        }
    }
}
