//! The table of signals, one row each. With its row, a signal is configured, heard, forgotten, waited for and reported. Then the
//! compiler asks for its name in `Board::snapshot`, which says what rules learn from it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::calendar::Schedule;
use crate::config;
use crate::policy::{Call, Idle, Lock, Reading, Sleep};
use crate::signals::Update;
use crate::time::Now;

use super::slot::{AnySlot, Signal, Slot, Word};

/// Makes a slot of each row: its name in the report, the [`Update`] that it hears, the type of its values, and what sets it
/// apart.
macro_rules! slots {
    ($($name:ident: $update:ident($value:ty) = $signal:expr;)+) => {
        /// The slots of all signals.
        #[derive(Debug)]
        pub(super) struct Slots {
            $(pub(super) $name: Slot<$value>,)+
        }

        impl Default for Slots {
            fn default() -> Self {
                Self { $($name: Slot::new($signal),)+ }
            }
        }

        impl Slots {
            /// All of them, by name.
            pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &dyn AnySlot)> {
                let all: [(&'static str, &dyn AnySlot); _] = [$((stringify!($name), &self.$name),)+];
                all.into_iter()
            }

            /// All of them, to be changed.
            pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut dyn AnySlot> {
                let all: [&mut dyn AnySlot; _] = [$(&mut self.$name,)+];
                all.into_iter()
            }

            /// Gives `update` to the slot that it is for.
            pub(super) fn hear(&mut self, update: Update, now: &Now) {
                match update {
                    $(Update::$update(observation) => self.$name.hear(observation, now),)+
                    // These carry no reading of the machine.
                    Update::SleepHold(_)
                    | Update::NetworkBack
                    | Update::OwnersCalls(_)
                    | Update::OwnersCalendars(_) => {}
                }
            }

            /// Whether `update` still counts if the machine slept after it was sent.
            pub(super) fn survives_suspend(&self, update: &Update) -> bool {
                match update {
                    $(Update::$update(_) => self.$name.survives_suspend(),)+
                    Update::SleepHold(_) | Update::NetworkBack => true,
                    Update::OwnersCalls(_) | Update::OwnersCalendars(_) => false,
                }
            }
        }
    };
}

slots! {
    lock: Lock(Lock) = Signal::new(|on| on.lock.is_some());
    // The task that reports a suspend also reports its end, so it is not started again after one.
    sleep: Sleep(Sleep) = Signal::new(|on| on.lock.is_some()).surviving_suspend();
    // A call-state file has its own grace period.
    call: Call(Call) = Signal::new(|on| on.call.as_ref().is_some_and(|call| call.owners.is_none())).without_hold();
    // Part of the call signal, so it is shown only to those who use it. Sound servers restart.
    microphone: Microphone(Call) =
        Signal::new(|on| on.microphone.is_some()).hidden_when_off().with_hold(Duration::from_mins(1));
    idle: Idle(Idle) = Signal::new(|on| on.idle.is_some());
    calendar: Calendar(Arc<Schedule>) = Signal::with_word(|on| on.calendar.as_ref().is_some_and(config::Calendar::is_shared), busy_word);
}

/// What a schedule means at a time: unknown outside of its window.
fn busy_word(schedule: &Arc<Schedule>, at: Timestamp) -> Reading<Word> {
    schedule.at(at).map_or(Reading::Unknown, |busy| Reading::Known((busy.to_string(), busy.until)))
}
