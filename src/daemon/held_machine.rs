//! The machine's readings for many users. A source that they share may be away for a moment, and nobody's presence should change
//! because of that. So what it said before counts until the sessions expire.

use std::time::Duration;

use crate::policy::{Reading, Snapshot};
use crate::time::{Instant, Now};

/// The machine's readings for many users: while a source is away, what it said before counts.
#[derive(Debug, Default)]
pub(super) struct HeldMachine {
    last: Snapshot,
    /// Since when the lock, calls, input and the calendar are away.
    until: [Option<Instant>; 4],
}

impl HeldMachine {
    /// The readings that count now. `hold`: for how long one counts after its source is away.
    pub(super) fn of(&mut self, machine: &Snapshot, hold: Duration, now: &Now) -> &Snapshot {
        let [lock, call, idle, calendar] = &mut self.until;
        let end = now.instant + hold;
        let last = std::mem::take(&mut self.last);
        self.last = Snapshot {
            lock: held(last.lock, &machine.lock, lock, end, now),
            call: held(last.call, &machine.call, call, end, now),
            idle: held(last.idle, &machine.idle, idle, end, now),
            calendar: held(last.calendar, &machine.calendar, calendar, end, now),
            ..machine.clone()
        };
        &self.last
    }

    /// When one ends to count.
    pub(super) fn next_end(&self, now: &Now) -> Option<Instant> {
        self.until.iter().flatten().copied().filter(|until| *until > now.instant).min()
    }
}

fn held<T: Clone>(
    last: Reading<T>,
    reading: &Reading<T>,
    until: &mut Option<Instant>,
    end: Instant,
    now: &Now,
) -> Reading<T> {
    match (last, reading) {
        (last @ Reading::Known(_), Reading::Unknown) if *until.get_or_insert(end) > now.instant => last,
        (_, Reading::Unknown) => Reading::Unknown,
        (_, Reading::Off | Reading::Known(_)) => {
            *until = None;
            reading.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::policy::Lock;

    fn at(seconds: u64) -> Now {
        let after = Duration::from_secs(seconds);
        Now { instant: Instant::from_origin(after), wall: Timestamp::UNIX_EPOCH + after, zone: TimeZone::UTC }
    }

    #[test]
    fn a_reading_counts_for_a_while_after_its_source_is_away() {
        let hold = Duration::from_mins(5);
        let snapshot = |lock| Snapshot { lock, ..Snapshot::default() };
        let (known, unknown) = (snapshot(Reading::Known(Lock::Unlocked)), snapshot(Reading::Unknown));
        let mut machine = HeldMachine::default();
        assert_eq!(*machine.of(&unknown, hold, &at(0)), unknown, "nothing was known before");
        assert_eq!(*machine.of(&known, hold, &at(10)), known);
        assert_eq!(
            (machine.of(&unknown, hold, &at(20)).clone(), machine.next_end(&at(20))),
            (known.clone(), Some(at(320).instant))
        );
        assert_eq!(*machine.of(&unknown, hold, &at(319)), known);
        assert_eq!((machine.of(&unknown, hold, &at(320)).clone(), machine.next_end(&at(320))), (unknown.clone(), None));
        assert_eq!(*machine.of(&known, hold, &at(330)), known);
        assert_eq!(*machine.of(&unknown, hold, &at(340)), known, "each absence counts alone");
    }
}
