//! The lock set through the socket: the hook of a screen locker runs `presenced signal lock locked` if no desktop reports the lock.
//!
//! "locked" always counts, because nobody says so about an open screen. "unlocked" counts only if nothing else is known: it does
//! not unlock a screen that logind knows to be locked. After its time to live, the word no longer counts.

use crate::policy::{Lock, Reading};

/// The name of the signal.
pub(super) const NAME: &str = "lock";

/// What a value means; `None`: nothing.
pub(super) fn read(word: &str) -> Option<Lock> {
    [Lock::Locked, Lock::Unlocked].into_iter().find(|lock| lock.as_str() == word)
}

/// What a word and the reading of the sources mean together.
pub(super) fn join(word: Option<Lock>, sources: Reading<Lock>) -> Reading<Lock> {
    match (word, sources) {
        (Some(Lock::Locked), _) | (_, Reading::Known(Lock::Locked)) => Reading::Known(Lock::Locked),
        (Some(Lock::Unlocked), _) => Reading::Known(Lock::Unlocked),
        (None, sources) => sources,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_a_word_and_a_reading() {
        use Lock::{Locked, Unlocked};
        use Reading::{Known, Off, Unknown};
        for (sources, without, unlocked) in [
            (Off, Off, Known(Unlocked)),
            (Unknown, Unknown, Known(Unlocked)),
            (Known(Unlocked), Known(Unlocked), Known(Unlocked)),
            (Known(Locked), Known(Locked), Known(Locked)),
        ] {
            assert_eq!(join(None, sources.clone()), without);
            assert_eq!(join(Some(Unlocked), sources.clone()), unlocked, "{sources:?}");
            assert_eq!(join(Some(Locked), sources.clone()), Known(Locked), "{sources:?}");
        }
    }

    #[test]
    fn there_are_two_words() {
        assert_eq!((read("locked"), read("unlocked")), (Some(Lock::Locked), Some(Lock::Unlocked)));
        assert_eq!((read("Locked"), read("off")), (None, None));
    }
}
