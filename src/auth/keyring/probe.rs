//! What can be said of the keyring without reading a secret, asking a person or changing anything: for whoever wants to know
//! what stands in the way. Tokens need none of it.

use crate::config::Environment;

use super::{Keyring, Trouble};

/// How the keyring stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyringState {
    /// It is open, and new secrets have a place.
    Open,
    /// Its default collection is locked.
    Locked,
    /// It has no default collection to put new secrets into.
    NoCollection,
    /// Nobody on the session bus is a keyring.
    Absent,
    /// There is no session bus to find it on; why.
    NoBus(String),
    /// It does not answer as it should; why.
    Failing(String),
}

/// Asks the keyring of this session how it stands. One that can be started is, as for any secret.
pub async fn keyring_state(environment: &Environment) -> KeyringState {
    let asked = async { Keyring::open(environment).await?.has_room().await };
    match asked.await {
        Ok(true) => KeyringState::Open,
        Ok(false) => KeyringState::NoCollection,
        Err(Trouble::Locked(_)) => KeyringState::Locked,
        Err(Trouble::Absent) => KeyringState::Absent,
        Err(Trouble::NoBus(reason)) => KeyringState::NoBus(reason),
        Err(Trouble::Failed(reason)) => KeyringState::Failing(reason),
    }
}
