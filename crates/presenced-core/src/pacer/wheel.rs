//! The wheel: when each user's keepalives are due. Each user has a slot by hash, in whole seconds of wall time, once in each
//! interval. So the load is flat, and it is the same after a restart, without anything stored for a user.
//!
//! The hash is FNV-1a with 64 bits (the IETF draft "The FNV Non-Cryptographic Hash Algorithm" by Fowler, Noll, Vo and Eastlake): a few
//! lines, with published test values, and the same in every version of Rust, which `DefaultHasher` does not promise. An object id
//! is chosen by Entra, so nobody can choose ids that share a slot.
//!
//! Leaves to others: which slots are done, and in what order they are sent ([`super::Pacer`]).

use std::time::Duration;

use jiff::Timestamp;

use crate::session::{Target, timing};

/// A second of wall time: the number since 1970.
pub(super) type Second = i64;

/// The second that `wall` is in.
pub(super) fn second_of(wall: Timestamp) -> Second {
    wall.as_second() - Second::from(wall.subsec_nanosecond() < 0)
}

/// The begin of a second. Saturates.
pub(super) fn begin_of(second: Second) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(if second > 0 { Timestamp::MAX } else { Timestamp::MIN })
}

/// Where a user's slots are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

impl Place {
    /// The place of a user with this object id. ASCII case does not matter, because ids are compared without it.
    pub(super) fn of(id: &str) -> Self {
        Self(fnv_1a(id.bytes().map(|byte| byte.to_ascii_lowercase())))
    }

    /// The first slot at or after `from`, if there is one in every `interval`. A slot of a multiple of the interval is also a slot of
    /// the interval.
    pub(super) fn slot_from(self, from: Second, interval: Interval) -> Second {
        let length = i64::from(interval.0);
        let offset = i64::try_from(self.0 % u64::from(interval.0)).unwrap_or_default();
        from + (offset - from).rem_euclid(length)
    }
}

/// The time between two slots of a user, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval(u32);

impl Interval {
    /// That of an Available user.
    pub(super) const SHORTEST: Self = Self::of_seconds(240);

    pub(super) const fn of_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// The interval of users who hold `target`: 240 s for Available, and 720 s for the others if they expire after 15 minutes.
    pub(super) fn of(target: Target) -> Self {
        let after: Duration = timing::refresh_after(timing::interval(target));
        Self(u32::try_from(after.as_secs()).unwrap_or(u32::MAX).max(1))
    }
}

fn fnv_1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::{Expiration, Presence};

    const AVAILABLE: Interval = Interval(240);
    const QUARTER: Interval = Interval(720);

    #[test]
    fn the_hash_has_its_published_values() {
        // The draft's appendix "FNV-1a Test Vectors".
        assert_eq!(fnv_1a(b"".iter().copied()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv_1a(b"a".iter().copied()), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv_1a(b"foobar".iter().copied()), 0x8594_4171_f739_67e8);
        assert_eq!(Place::of("FA8BF3DC"), Place::of("fa8bf3dc"));
    }

    #[test]
    fn the_intervals_are_those_of_the_session() {
        let interval = |presence| Interval::of(Target { presence, expiration: Expiration::default() });
        assert_eq!(interval(Presence::Available), AVAILABLE);
        assert_eq!(interval(Presence::Away), QUARTER);
        assert_eq!(interval(Presence::InACall), QUARTER);
    }

    #[test]
    fn a_slot_comes_once_in_each_interval() {
        for id in ["a", "b", "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"] {
            let place = Place::of(id);
            let first = place.slot_from(1_795_000_000, AVAILABLE);
            assert!((0..240).contains(&(first - 1_795_000_000)));
            assert_eq!(place.slot_from(first, AVAILABLE), first);
            assert_eq!(place.slot_from(first + 1, AVAILABLE), first + 240);
            assert_eq!(place.slot_from(place.slot_from(-5, QUARTER), AVAILABLE), place.slot_from(-5, QUARTER));
        }
    }

    /// Random ids and ids that are counted up spread evenly: no second has much more than its share of 9,600 users, which is 40.
    #[test]
    fn the_load_is_flat() {
        let mut random = fastrand::Rng::with_seed(1);
        let counted: Vec<_> = (0..9600).map(|n| format!("00000000-0000-4000-8000-{n:012x}")).collect();
        let random: Vec<_> = (0..9600).map(|_| uuid(&mut random)).collect();
        for ids in [counted, random] {
            let mut seconds = [0; 240];
            for id in &ids {
                seconds[usize::try_from(Place::of(id).slot_from(0, AVAILABLE)).expect("a second")] += 1;
            }
            let most = seconds.iter().max().expect("some");
            assert!(*most <= 66, "{most} users in one second");
            let busiest = (0..240).map(|from| (from..from + 30).map(|at| seconds[at % 240]).sum::<u32>()).max();
            assert!(busiest <= Some(1320), "{busiest:?} users in 30 s, on average 1,200");
        }
    }

    fn uuid(random: &mut fastrand::Rng) -> String {
        let digits = format!("{:032x}", random.u128(..));
        format!("{}-{}-4{}-8{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..])
    }

    #[test]
    fn a_second_begins_and_ends_where_the_clock_says() {
        for second in [-3, 0, 1_795_000_000] {
            assert_eq!(second_of(begin_of(second)), second);
            let later = begin_of(second) + Duration::from_millis(999);
            assert_eq!(second_of(later), second);
        }
        assert_eq!((begin_of(i64::MAX), begin_of(i64::MIN)), (Timestamp::MAX, Timestamp::MIN));
    }
}
