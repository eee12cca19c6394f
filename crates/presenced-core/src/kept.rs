//! Kept: what was set through the socket, and what of it still holds after a restart of presenced.
//!
//! - After a restart in the same login, everything holds that has not ended. The ends are on the clock that counts suspend, so
//!   time asleep and time without presenced count, and setting the wall clock changes nothing.
//! - After a reboot or a new login, signals do not hold. The programs that set them ended with the old login, so nobody knows
//!   whether they are still true.
//! - An override still holds after a reboot, because a person set it. The clock that counts suspend has started again, so the
//!   wall clock says how much time has passed. If that was set back, no time counts as passed. So nothing ever gets more time
//!   than it had left, whatever somebody does to the wall clock. The file is written again then, on the new clock: otherwise each
//!   restart would give the same time again.
//!
//! Leaves to others: which file this is in, and whose boot and login it is (`daemon/kept`).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use crate::policy::Claim;
use crate::time::{Instant, Now};

/// Something that was set, for some time or until it is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lasting<T> {
    /// What was set.
    pub value: T,
    /// When it ends; `None`: it does not end by itself.
    pub until: Option<Instant>,
}

impl<T> Lasting<T> {
    /// It is set now and lasts for `ttl`.
    pub fn new(value: T, ttl: Option<Duration>, now: &Now) -> Self {
        Self { value, until: ttl.map(|ttl| now.instant + ttl) }
    }

    /// Whether it has not ended.
    pub fn is_in_force(&self, now: &Now) -> bool {
        self.until.is_none_or(|until| now.instant < until)
    }

    /// When it ends in wall time: in whole seconds, so that this does not change from turn to turn; rounded up, because it must not
    /// come before the real end.
    pub fn ends_at(&self, now: &Now) -> Option<Timestamp> {
        let up = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
        let until = now.wall_at(self.until?);
        Some(until.round(up).unwrap_or(until))
    }

    /// The same on the clock of `now`, with as much time as `left` makes of its end.
    fn ending_in(self, left: impl FnOnce(Instant) -> Duration, now: &Now) -> Self {
        Self { until: self.until.map(|until| now.instant + left(until)), ..self }
    }
}

/// Which boot of the machine and which login of the user a process belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// The boot's id; `None`: unknown.
    pub boot: Option<String>,
    /// When the user's runtime folder was made, which is at the first login after a logout; `None`: unknown, or there is none.
    pub login: Option<Timestamp>,
}

impl Life {
    fn is_same_boot(&self, other: &Self) -> bool {
        self.boot.is_some() && self.boot == other.boot
    }
}

/// What was set when it was last written down. `V` is a signal's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<V> {
    /// The life of the process that wrote it.
    pub life: Life,
    /// When it was written, on the clock that counts suspend. The ends are on the same clock.
    pub instant: Instant,
    /// The same in wall time.
    pub wall: Timestamp,
    /// The override.
    pub manual: Option<Lasting<Claim>>,
    /// The signals by name.
    pub signals: BTreeMap<String, Lasting<V>>,
}

/// What still holds, with ends on the clock of the process that reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored<V> {
    /// The override.
    pub manual: Option<Lasting<Claim>>,
    /// The signals by name.
    pub signals: BTreeMap<String, Lasting<V>>,
    /// The names of signals from before a reboot or a login. Nobody knows whether they are still true.
    pub outdated: Vec<String>,
    /// Whether it must be written again: what was read uses the clock of another boot, or says more than what holds.
    pub differs: bool,
}

impl<V> Kept<V> {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.manual.is_none() && self.signals.is_empty()
    }

    /// What still holds at `now` for a process with this `life`.
    pub fn restore(self, life: &Life, now: &Now) -> Restored<V> {
        // A clock that went back is not the same one, whatever the boot's id says.
        let same_clock = self.life.is_same_boot(life) && self.instant <= now.instant;
        let same_life = same_clock && self.life.login == life.login;
        let (instant, wall, count) = (self.instant, self.wall, usize::from(self.manual.is_some()) + self.signals.len());
        let manual = self.manual.map(|manual| {
            if same_clock {
                return manual;
            }
            let passed = Duration::try_from(now.wall.duration_since(wall)).unwrap_or_default();
            manual.ending_in(|until| until.saturating_since(instant).saturating_sub(passed), now)
        });
        let (mut signals, mut outdated) = (self.signals, Vec::new());
        if !same_life {
            outdated = std::mem::take(&mut signals).into_keys().collect();
        }
        signals.retain(|_, signal| signal.is_in_force(now));
        let manual = manual.filter(|manual| manual.is_in_force(now));
        let differs = !same_clock || count > usize::from(manual.is_some()) + signals.len();
        Restored { manual, signals, outdated, differs }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::presence::Presence;

    const BUSY: Claim = Claim::Hold(Presence::InACall);

    /// A time on both clocks: seconds since the boot, and seconds by which the wall clock was moved since then.
    fn at(second: u64, moved: i64) -> Now {
        let wall = Timestamp::UNIX_EPOCH + Duration::from_hours(24 * 365) + Duration::from_secs(second);
        let wall = wall + SignedDuration::from_secs(moved);
        Now { instant: Instant::from_origin(Duration::from_secs(second)), wall, zone: TimeZone::UTC }
    }

    fn life(boot: &str, login: i64) -> Life {
        Life { boot: Some(boot.to_owned()), login: Timestamp::from_second(login).ok() }
    }

    /// An override and a signal, each for this many seconds, and a signal without an end.
    fn kept(seconds: u64, now: &Now) -> Kept<&'static str> {
        let ttl = Some(Duration::from_secs(seconds));
        let signals = [("focus", Lasting::new("deep", ttl, now)), ("door", Lasting::new("closed", None, now))];
        Kept {
            life: life("a", 1),
            instant: now.instant,
            wall: now.wall,
            manual: Some(Lasting::new(BUSY, ttl, now)),
            signals: signals.map(|(name, signal)| (name.to_owned(), signal)).into(),
        }
    }

    fn left<T>(of: Option<&Lasting<T>>, now: &Now) -> Option<u64> {
        of.map(|of| of.until.expect("an end").saturating_since(now.instant).as_secs())
    }

    #[test]
    fn after_a_restart_the_time_that_is_left_is_left_whatever_the_wall_clock_does() {
        for moved in [0, 3600, -3600, 1_000_000_000] {
            let now = at(1040, moved);
            let restored = kept(60, &at(1000, 0)).restore(&life("a", 1), &now);
            let found = (left(restored.manual.as_ref(), &now), left(restored.signals.get("focus"), &now));
            assert_eq!(found, (Some(20), Some(20)), "moved by {moved} s");
            assert_eq!(restored.signals["door"], Lasting { value: "closed", until: None });
            assert!(restored.outdated.is_empty() && !restored.differs);
        }
    }

    #[test]
    fn what_ended_meanwhile_is_gone() {
        let restored = kept(60, &at(1000, 0)).restore(&life("a", 1), &at(1060, -3600));
        assert_eq!((restored.manual, restored.signals.len()), (None, 1));
        assert!(restored.signals.contains_key("door") && restored.outdated.is_empty() && restored.differs);
    }

    #[test]
    fn after_a_reboot_the_override_holds_by_the_wall_clock_and_no_signal_does() {
        // The second boot began an hour after the first one, and the wall clock knows.
        for (second, moved, expected) in [(10, 3600, None), (10, 1010, Some(40)), (10, -5_000_000, Some(60))] {
            let now = at(second, moved);
            let restored = kept(60, &at(1000, 0)).restore(&life("b", 1), &now);
            assert_eq!(left(restored.manual.as_ref(), &now), expected, "moved by {moved} s");
            assert_eq!(
                (restored.signals.len(), restored.outdated.as_slice()),
                (0, &["door".into(), "focus".into()][..])
            );
        }
        let endless = Kept { manual: Some(Lasting { value: BUSY, until: None }), ..kept(60, &at(1000, 0)) };
        let restored = endless.restore(&life("b", 2), &at(5, 1_000_000_000));
        assert_eq!(restored.manual, Some(Lasting { value: BUSY, until: None }), "until somebody unsets it");
        assert!(restored.differs, "the clock is another one");
    }

    #[test]
    fn after_a_new_login_the_override_holds_and_no_signal_does() {
        let now = at(1040, -3600);
        let restored = kept(60, &at(1000, 0)).restore(&life("a", 2), &now);
        assert_eq!((left(restored.manual.as_ref(), &now), restored.signals.len()), (Some(20), 0));
        assert_eq!(restored.outdated.len(), 2);
    }

    #[test]
    fn a_signal_of_an_unknown_boot_is_not_believed() {
        let unknown = Life::default();
        let restored = Kept { life: unknown.clone(), ..kept(60, &at(1000, 0)) }.restore(&unknown, &at(1010, 0));
        assert_eq!((restored.manual.is_some(), restored.signals.len()), (true, 0));
        // Nor is the id of a boot whose clock went back.
        let restored = kept(60, &at(1000, 0)).restore(&life("a", 1), &at(900, 110));
        assert_eq!((restored.manual.is_some(), restored.signals.len()), (true, 0));
    }

    proptest! {
        #[test]
        fn nothing_gets_more_time_than_it_had_left(
            ttl in 1_u64..100_000, start in 0_u64..100_000, end in 0_u64..200_000,
            moved in -1_000_000_i64..1_000_000, boot in "[ab]", login in 1_i64..3,
        ) {
            let now = at(end, moved);
            let Restored { manual, signals, .. } = kept(ttl, &at(start, 0)).restore(&life(&boot, login), &now);
            for left in [left(manual.as_ref(), &now), left(signals.get("focus"), &now)].into_iter().flatten() {
                prop_assert!((1..=ttl).contains(&left), "{left} of {ttl}");
            }
            if boot == "a" && end >= start {
                let rest = ttl.saturating_sub(end - start);
                prop_assert_eq!(left(manual.as_ref(), &now), (rest > 0).then_some(rest));
            }
        }
    }
}
