//! When to ask whether announced sleep is over.
//!
//! logind announces sleep, and announces its end. The second announcement may never come: after hibernation, some versions of
//! logind do not send it (<https://github.com/systemd/systemd/issues/30666>). A state that one message ends must also have another
//! way to end, so while the machine counts as asleep, logind is asked: whenever something suggests that the machine is running,
//! and otherwise every 10 s. This is the one place where presenced asks again and again, because there is no event to wait for;
//! it stops with the first answer that the machine is awake.
//!
//! The caller passes in what logind says and what it notices, and then asks when [`SleepWatch::next_question`] says so. Leaves to
//! others: asking (`signals/sleep`), and noticing that the screen is unlocked or that there is input (`daemon/`).

use std::time::Duration;

use crate::time::Instant;

/// How long logind is believed without being asked again. On a clock that counts suspend, so after a suspend that took longer,
/// the question is due at once.
const BELIEVED_FOR: Duration = Duration::from_secs(10);

/// Follows what logind says about sleep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SleepWatch {
    /// When to ask; `None`: the machine is awake.
    ask_at: Option<Instant>,
}

impl SleepWatch {
    /// logind says whether the machine is going to sleep or asleep: it announced that, or it answered the question.
    pub fn handle_word(&mut self, asleep: bool, now: Instant) {
        self.ask_at = asleep.then(|| now + BELIEVED_FOR);
    }

    /// Something suggests that the machine is running: the clocks, an unlock or input. That alone proves nothing, because all of
    /// it may also happen just before the machine sleeps.
    pub fn handle_sign_of_life(&mut self, now: Instant) {
        self.ask_at = self.ask_at.map(|at| at.min(now));
    }

    /// When to ask logind; `None`: there is nothing to ask, because the machine is awake.
    pub const fn next_question(&self) -> Option<Instant> {
        self.ask_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(second))
    }

    #[test]
    fn logind_is_asked_every_10_s_for_as_long_as_it_says_asleep() {
        let mut watch = SleepWatch::default();
        assert_eq!(watch.next_question(), None);
        watch.handle_word(true, at(0));
        assert_eq!(watch.next_question(), Some(at(10)));
        watch.handle_word(true, at(10));
        assert_eq!(watch.next_question(), Some(at(20)));
        watch.handle_word(false, at(20));
        assert_eq!(watch.next_question(), None);
    }

    #[test]
    fn a_sign_of_life_asks_at_once_and_only_while_asleep() {
        let mut watch = SleepWatch::default();
        watch.handle_sign_of_life(at(0));
        assert_eq!(watch.next_question(), None);
        watch.handle_word(true, at(1));
        watch.handle_sign_of_life(at(3));
        assert_eq!(watch.next_question(), Some(at(3)));
        // The answer begins a new wait.
        watch.handle_word(true, at(4));
        assert_eq!(watch.next_question(), Some(at(14)));
        // A question that is overdue stays due.
        watch.handle_sign_of_life(at(20));
        assert_eq!(watch.next_question(), Some(at(14)));
    }
}
