//! Injected faults: what goes wrong, with which calls, from when and for how long. Several can be active at once. Each keeps its
//! own count; of those that match a request, the oldest acts. Reading faults from a file is left to `plan`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::route::Call;
use presenced_core::time::{Instant, Now};

/// How many faults can be active at once.
pub(super) const MAX_FAULTS: usize = 100;

/// Something that goes wrong on purpose: for which calls, when, and what happens to them.
///
/// The fields work together in this order. From [`at`](Self::at) on, the fault counts the calls that [`call`](Self::call) matches.
/// The first [`after`](Self::after) of them pass. Then it hits up to [`times`](Self::times) calls, until [`lasts`](Self::lasts) is
/// over. Several faults can be injected; of those that would hit a request, only the oldest acts.
///
/// Create one with [`Fault::new`] and set fields, or read several from text with [`Fault::plan`]. As JSON, for
/// `POST /_emulator/faults`, it has the same keys; `lasts` is called `for`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls it affects. Default: all.
    #[serde(default)]
    pub call: Matches,
    /// When it starts to count calls. `None`: when it is injected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// How many matching calls pass before it begins.
    #[serde(default)]
    pub after: u32,
    /// How many calls it hits. `None`: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How long it lasts in the emulator's time: from `at` if that is set, otherwise from the moment it begins. `None`: until it is
    /// removed. Must be positive.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<SignedDuration>,
    /// How long a request is delayed in the emulator's time. Must not be negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<SignedDuration>,
    /// What happens to the request after the delay.
    #[serde(default)]
    pub then: Then,
    /// Whether the request still takes effect, when it arrives. Only its answer is lost or replaced, as when a connection breaks
    /// after the service has acted.
    #[serde(default)]
    pub applied: bool,
}

/// When a fault starts to count calls, in the emulator's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`at` must be a duration from now on, like \"1h\", or a time, like \"2026-11-24T09:10:00Z\""
)]
pub enum At {
    /// This long after the fault was injected. Must not be negative.
    After(SignedDuration),
    /// At this time. If it is in the past, the fault acts as if it had been injected then.
    Time(Timestamp),
}

impl At {
    fn instant(self, now: &Now) -> Instant {
        let wait = match self {
            Self::After(wait) => wait,
            Self::Time(time) => time.duration_since(now.wall),
        };
        if wait.is_negative() { now.instant - wait.unsigned_abs() } else { now.instant + wait.unsigned_abs() }
    }
}

/// Which calls a fault affects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    expecting = "`call` must be any, graph, set, clear, prefer, clear-preferred, status-message, read, batch, authorize, \
                 token, device-code or other"
)]
pub enum Matches {
    /// Every call to Graph or Entra. The emulator's own pages are never affected.
    #[default]
    Any,
    /// Every call to Graph, known or not.
    Graph,
    /// One kind of call.
    #[serde(untagged)]
    Only(Call),
}

impl Matches {
    fn matches(self, call: Call) -> bool {
        match self {
            Self::Any => true,
            Self::Graph => !matches!(call, Call::Authorize | Call::Token | Call::DeviceCode),
            Self::Only(only) => only == call,
        }
    }
}

/// What happens to a request that a fault hits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Then {
    /// It is answered as usual. Useful with a [`delay`](Fault::delay).
    #[default]
    Answer,
    /// It gets this answer.
    Respond {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// Additional headers. They replace the emulator's own of the same name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
        /// The body. A JSON string is sent as plain text, anything else as JSON. `None`: an error body as Graph or Entra send it
        /// with this status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<serde_json::Value>,
    },
    /// It gets Entra's error with this AADSTS number, for example 53003. Only for [`Call::Token`] and [`Call::DeviceCode`]; must not
    /// be 0.
    Aadsts(u32),
    /// The connection is reset.
    Reset,
    /// It is never answered.
    Hang,
    /// It gets a claims challenge (Continuous Access Evaluation): 401 with the claims that the client must send to get its next
    /// token. This only affects calls to Graph whose client declared the capability `cp1` when it got its token. A token that was
    /// issued for the challenge is accepted.
    ClaimsChallenge,
    /// All sign-ins of all users are revoked, as if passwords had changed, and then the call is answered as usual. Refresh tokens
    /// are refused from then on. Access tokens stay valid until they expire.
    Revoke,
}

impl Fault {
    /// A fault that does `then` to every call that `call` matches, until it is removed.
    pub fn new(call: Matches, then: Then) -> Self {
        Self { call, at: None, after: 0, times: None, lasts: None, delay: None, then, applied: false }
    }

    /// Checks the ranges of its values.
    pub(super) fn check(&self) -> Result<(), FaultError> {
        self.checked().map_err(FaultError)
    }

    fn checked(&self) -> Result<(), String> {
        if matches!(self.at, Some(At::After(wait)) if wait.is_negative()) {
            return Err("`at` must not be negative".to_owned());
        }
        if self.lasts.is_some_and(|lasts| !lasts.is_positive()) {
            return Err("`for` must be longer than zero".to_owned());
        }
        if self.delay.is_some_and(|delay| delay.is_negative()) {
            return Err("`delay` must not be negative".to_owned());
        }
        let (status, headers) = match &self.then {
            Then::Respond { status, headers, .. } => (status, headers),
            Then::Aadsts(number) => return self.check_number(*number),
            Then::Answer | Then::Reset | Then::Hang | Then::ClaimsChallenge | Then::Revoke => return Ok(()),
        };
        if !(200..=599).contains(status) {
            return Err(format!("`status` must be from 200 to 599, not {status}"));
        }
        let wrong = headers.iter().find(|(name, value)| {
            hyper::header::HeaderName::try_from(name.as_str()).is_err()
                || hyper::header::HeaderValue::try_from(value.as_str()).is_err()
        });
        wrong.map_or(Ok(()), |(name, _)| Err(format!("`{name}` with this value is not a valid HTTP header")))
    }

    fn check_number(&self, number: u32) -> Result<(), String> {
        if number == 0 {
            return Err("`aadsts` must be one of Entra's error numbers, like 53003".to_owned());
        }
        match self.call {
            Matches::Only(Call::Token | Call::DeviceCode) => Ok(()),
            Matches::Any | Matches::Graph | Matches::Only(_) => {
                Err("`aadsts` is an error of the sign-in service, so `call` must be token or device-code".to_owned())
            }
        }
    }
}

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

/// Why a fault was refused. It displays as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultError(String);

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FaultError {}

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
        let mut hit = None;
        self.active.retain(|active| !active.is_over(now));
        let concerned = |active: &&mut ActiveFault| active.active_from <= now && active.fault.call.matches(call);
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
    fn invalid_faults_are_refused() {
        for json in [
            r#"{"call": "sett"}"#,
            r#"{"cal": "set"}"#,
            r#"{"then": "explode"}"#,
            r#"{"then": {"respond": {}}}"#,
            r#"{"for": "soon"}"#,
            r#"{"times": -1}"#,
        ] {
            assert!(serde_json::from_str::<Fault>(json).is_err(), "{json}");
        }
        for json in [
            r#"{"for": "-1s"}"#,
            r#"{"for": "0s"}"#,
            r#"{"delay": "-1s"}"#,
            r#"{"at": "-1s"}"#,
            r#"{"then": {"respond": {"status": 101}}}"#,
            r#"{"then": {"respond": {"status": 503, "headers": {"Retry After": "1"}}}}"#,
            r#"{"then": {"respond": {"status": 503, "headers": {"Retry-After": "1\n"}}}}"#,
            r#"{"then": {"aadsts": 53003}}"#,
            r#"{"call": "set", "then": {"aadsts": 53003}}"#,
            r#"{"call": "token", "then": {"aadsts": 0}}"#,
        ] {
            assert!(read(json).check().is_err(), "{json}");
        }
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
