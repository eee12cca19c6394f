//! Injected faults: what goes wrong, with which calls, from when and for how long. Several can be active at once. Each keeps its
//! own count; of those that match a request, the oldest acts.

mod fault;
mod plan;

use std::time::Duration;

pub use self::fault::{At, Fault, FaultError, Matches, Parts, Refusal, Then};
pub use self::plan::PlanError;
use super::route::Call;
use presenced_core::time::{Instant, Now};

/// How many faults can be active at once.
const MAX_FAULTS: usize = 100;

/// One request hit by a fault.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FaultHit {
    /// When the fault began.
    pub(super) began: Instant,
    pub(super) delay: Duration,
    pub(super) then: Then,
    pub(super) applied: bool,
}

#[derive(Clone, Debug)]
struct ActiveFault {
    fault: Fault,
    /// It neither counts nor acts before this.
    active_from: Instant,
    passed: u32,
    hits: u32,
    began: Option<Instant>,
}

impl ActiveFault {
    fn is_over(&self, now: Instant) -> bool {
        let spent = self.fault.times.is_some_and(|times| self.hits >= times);
        let lasts = self.fault.lasts.and_then(|lasts| Duration::try_from(lasts).ok());
        let from = if self.fault.at.is_some() { Some(self.active_from) } else { self.began };
        let late = lasts.zip(from).is_some_and(|(lasts, from)| now >= from + lasts);
        spent || late
    }
}

/// All active faults.
#[derive(Debug, Default)]
pub(super) struct Faults {
    active: Vec<ActiveFault>,
}

impl Faults {
    /// Adds a fault.
    ///
    /// # Errors
    /// It is invalid, or too many are active already.
    pub(super) fn add(&mut self, fault: Fault, now: &Now) -> Result<(), FaultError> {
        fault.check()?;
        self.active.retain(|active| !active.is_over(now.instant));
        if self.active.len() == MAX_FAULTS {
            return Err(FaultError(format!("{MAX_FAULTS} faults are active already; remove some first")));
        }
        let active_from = fault.at.map_or(now.instant, |at| at.instant(now));
        let began = (fault.after == 0).then_some(active_from);
        self.active.push(ActiveFault { fault, active_from, passed: 0, hits: 0, began });
        Ok(())
    }

    /// Removes all faults.
    pub(super) fn clear(&mut self) {
        self.active.clear();
    }

    /// The active faults, oldest first.
    pub(super) fn list(&mut self, now: Instant) -> Vec<Fault> {
        self.active.retain(|active| !active.is_over(now));
        self.active.iter().map(|active| active.fault.clone()).collect()
    }

    /// Counts a call that arrives. Returns what happens to it; `None` if no fault acts.
    pub(super) fn hit(&mut self, call: Call, now: Instant) -> Option<FaultHit> {
        self.hit_if(now, |matches| matches.matches(call))
    }

    /// The same for a call that arrives in a batch.
    pub(super) fn hit_part(&mut self, call: Call, now: Instant) -> Option<FaultHit> {
        self.hit_if(now, |matches| matches.matches_part(call))
    }

    fn hit_if(&mut self, now: Instant, concern: impl Fn(Matches) -> bool) -> Option<FaultHit> {
        let mut hit = None;
        self.active.retain(|active| !active.is_over(now));
        let concerned = |active: &&mut ActiveFault| active.active_from <= now && concern(active.fault.call);
        for active in self.active.iter_mut().filter(concerned) {
            let Some(began) = active.began else {
                active.passed += 1;
                active.began = (active.passed == active.fault.after).then_some(now);
                continue;
            };
            if hit.is_none() {
                active.hits += 1;
                hit = Some(FaultHit {
                    began,
                    delay: active.fault.delay.and_then(|delay| delay.try_into().ok()).unwrap_or_default(),
                    then: active.fault.then.clone(),
                    applied: active.fault.applied,
                });
            }
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    /// The time `secs` seconds after the emulator started at 08:00.
    fn at(secs: u64) -> Now {
        let started: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let passed = Duration::from_secs(secs);
        Now { instant: Instant::from_origin(passed), wall: started + passed, zone: jiff::tz::TimeZone::UTC }
    }

    fn read(json: &str) -> Fault {
        serde_json::from_str(json).unwrap()
    }

    fn strikes(faults: &mut Faults, call: Call, secs: u64) -> Option<Then> {
        faults.hit(call, at(secs).instant).map(|hit| hit.then)
    }

    #[test]
    fn a_fault_lets_calls_pass_then_hits_calls_then_ends() {
        let mut faults = Faults::default();
        faults.add(read(r#"{"call": "set", "after": 2, "times": 2, "then": "reset"}"#), &at(0)).unwrap();
        let hits: Vec<_> = (0..6).map(|secs| strikes(&mut faults, Call::Set, secs)).collect();
        assert_eq!(hits, [None, None, Some(Then::Reset), Some(Then::Reset), None, None]);
        assert!(faults.list(at(6).instant).is_empty());
    }

    #[test]
    fn a_limited_time_counts_from_when_the_fault_begins() {
        let mut faults = Faults::default();
        faults.add(read(r#"{"for": "10s", "then": "hang"}"#), &at(0)).unwrap();
        assert_eq!(strikes(&mut faults, Call::Token, 9), Some(Then::Hang));
        assert_eq!(strikes(&mut faults, Call::Token, 10), None);

        faults.add(read(r#"{"for": "PT10S", "after": 1, "then": "hang"}"#), &at(10)).unwrap();
        assert_eq!(strikes(&mut faults, Call::Set, 100), None, "this call passes");
        assert_eq!(strikes(&mut faults, Call::Set, 109), Some(Then::Hang));
        assert_eq!(strikes(&mut faults, Call::Set, 110), None);
    }

    #[test]
    fn a_fault_with_a_start_time_lets_everything_pass_until_then() {
        let mut faults = Faults::default();
        faults.add(read(r#"{"at": "1h", "for": "10m", "then": "reset"}"#), &at(100)).unwrap();
        assert_eq!(strikes(&mut faults, Call::Set, 3699), None);
        assert_eq!(strikes(&mut faults, Call::Set, 3700), Some(Then::Reset));
        assert_eq!(strikes(&mut faults, Call::Set, 4299), Some(Then::Reset));
        assert_eq!(strikes(&mut faults, Call::Set, 4300), None);

        faults.add(read(r#"{"at": "1m", "after": 1, "times": 1, "then": "hang"}"#), &at(5000)).unwrap();
        let hits: Vec<_> = [5059, 5060, 5061, 5062].map(|secs| strikes(&mut faults, Call::Set, secs)).into();
        assert_eq!(hits, [None, None, Some(Then::Hang), None], "it counts calls only from its start time");
    }

    #[test]
    fn a_fault_can_start_at_a_fixed_time() {
        let mut faults = Faults::default();
        let fault = read(r#"{"at": "2026-11-24T09:10:00Z", "for": "10m", "then": "reset"}"#);
        faults.add(fault.clone(), &at(0)).unwrap();
        let hits: Vec<_> = [4199, 4200, 4799, 4800].map(|secs| strikes(&mut faults, Call::Set, secs).is_some()).into();
        assert_eq!(hits, [false, true, true, false]);
        // The same fault in an emulator that was started later.
        faults.add(fault.clone(), &at(4500)).unwrap();
        let hits: Vec<_> = [4500, 4799, 4800].map(|secs| strikes(&mut faults, Call::Set, secs).is_some()).into();
        assert_eq!(hits, [true, true, false]);
        faults.add(Fault { after: 1, ..fault.clone() }, &at(5000)).unwrap();
        assert!(faults.list(at(5000).instant).is_empty(), "it ended before any call arrived");
        assert_eq!(serde_json::to_value(&fault).unwrap()["at"], "2026-11-24T09:10:00Z");
    }

    #[test]
    fn the_oldest_match_acts_and_each_keeps_its_own_count() {
        let mut faults = Faults::default();
        faults.add(read(r#"{"call": "graph", "times": 1, "then": "reset"}"#), &at(0)).unwrap();
        faults.add(read(r#"{"call": "set", "then": {"respond": {"status": 503}}}"#), &at(0)).unwrap();
        assert_eq!(strikes(&mut faults, Call::Token, 1), None);
        assert_eq!(strikes(&mut faults, Call::Set, 1), Some(Then::Reset));
        assert!(matches!(strikes(&mut faults, Call::Set, 2), Some(Then::Respond { status: 503, .. })));
        assert_eq!(strikes(&mut faults, Call::Clear, 3), None);
        faults.clear();
        assert_eq!(strikes(&mut faults, Call::Set, 4), None);
    }

    #[test]
    fn only_active_faults_count_towards_the_limit() {
        let mut faults = Faults::default();
        for _ in 0..MAX_FAULTS {
            faults.add(read(r#"{"for": "10s"}"#), &at(0)).unwrap();
        }
        assert!(faults.add(read("{}"), &at(9)).is_err());
        assert!(faults.add(read("{}"), &at(10)).is_ok());
    }
}
