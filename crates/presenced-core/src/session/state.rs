//! The words for what a session is doing and what it waits for, as `status` shows them. What they follow from is
//! [`super::Session`]'s.

use serde::{Deserialize, Serialize};

use crate::words;

words! {
    /// What a session waits for, so that `status` can say why it will wake.
    pub enum Why {
        /// To set again what is held, ahead of its fade or expiry.
        Keepalive = "keepalive",
        /// To try again after a failure.
        Retry = "retry",
        /// To try again as soon as the service's `Retry-After` allows.
        RetryAfter = "retry-after",
        /// To send the newest of many changes.
        Coalesce = "coalesce",
        /// To look whether the service still refuses.
        LookAgain = "look-again",
    }
}

words! {
    /// What a session is doing; `status` shows the same words.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum State {
        /// Nothing was confirmed yet.
        Starting = "starting",
        /// A presence is held.
        Holding = "holding",
        /// Nothing is claimed, as wished.
        Released = "released",
        /// The last request failed for a passing reason.
        Retrying = "retrying",
        /// The service asked to wait.
        Throttled = "throttled",
        /// Somebody must sign in.
        SignInNeeded = "sign-in-needed",
        /// The service refuses; something must be changed.
        Refused = "refused",
        /// Leaving.
        Stopping = "stopping",
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn a_state_has_the_same_word_in_json() {
        for state in State::ALL {
            let word: StrDeserializer<'_, Error> = state.as_str().into_deserializer();
            assert_eq!(State::deserialize(word), Ok(*state));
        }
    }
}
