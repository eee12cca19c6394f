//! The state of the keyring, found out without reading a secret, asking a person or changing anything. It is for diagnosis:
//! tokens do not need it.

use crate::config::Environment;

use super::{Keyring, Trouble};

/// The state of the keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyringState {
    /// It is unlocked, and new secrets have a place.
    Open,
    /// Its default collection is locked.
    Locked,
    /// It has no default collection for new secrets.
    NoCollection,
    /// There is no keyring on the session bus.
    Absent,
    /// There is no session bus; the reason.
    NoBus(String),
    /// It does not answer as it should; the reason.
    Failing(String),
}

/// Asks the keyring of this session for its state. It is started if possible, as for any secret.
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
