//! Faults on request: what should go wrong, with which calls, from when and for how long. Several may stand at once; of
//! those that match a request the oldest acts, and each keeps its own count. Leaves to others: reading them from a file
//! (`plan`).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::route::Call;
use presenced_core::time::{Instant, Now};

/// How many faults may stand at once.
pub(super) const CAPACITY: usize = 100;

/// A fault to be injected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls it concerns.
    #[serde(default)]
    pub call: Matches,
    /// When it begins to count the calls it concerns; `None`: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// How many of them pass before it begins.
    #[serde(default)]
    pub after: u32,
    /// How many it hits; `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// For how long, in the emulator's time, it lasts: from `at` on where that is given, else from when it begins; `None`:
    /// until removed.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<SignedDuration>,
    /// How long, in the emulator's time, the request is held up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<SignedDuration>,
    /// What becomes of the request after the delay.
    #[serde(default)]
    pub then: Then,
    /// Whether the request has its effect all the same, and on arrival: the answer is what gets lost.
    #[serde(default)]
    pub applied: bool,
}

/// A time of the emulator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`at` must be a duration from now on, like \"1h\", or a time, like \"2026-11-24T09:10:00Z\""
)]
pub enum At {
    /// So long after the fault was injected.
    After(SignedDuration),
    /// Then. One that is past is as if the fault had been injected then.
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

/// Which calls a fault concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    expecting = "`call` must be any, graph, set, clear, prefer, clear-preferred, status-message, read, batch, authorize, \
                 token, device-code or other"
)]
pub enum Matches {
    /// Every call.
    #[default]
    Any,
    /// Every call to Graph.
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

/// What becomes of a request that a fault hits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Then {
    /// It is answered as ever.
    #[default]
    Answer,
    /// It is answered with this.
    Respond {
        /// The status, 200 to 599.
        status: u16,
        /// More headers.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
        /// The body, as text or as JSON; `None`: an error as Graph or Entra shape it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<serde_json::Value>,
    },
    /// A call to the sign-in service is answered with the error of this number, as Entra shapes it.
    Aadsts(u32),
    /// The connection is reset.
    Reset,
    /// It is never answered.
    Hang,
    /// A call to Graph whose token declared that its client handles it (`cp1`) is answered with 401 and the claims that the
    /// next token must be asked for with; one whose token was, and any other call, is answered as ever.
    ClaimsChallenge,
    /// All sign-ins are revoked, as changed passwords do: refresh tokens are refused, access tokens run out. The call itself is
    /// answered after that.
    Revoke,
}

impl Fault {
    /// A fault that makes every call of the kind end like this, until removed.
    pub fn new(call: Matches, then: Then) -> Self {
        Self { call, at: None, after: 0, times: None, lasts: None, delay: None, then, applied: false }
    }

    /// What is wrong with it, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        if matches!(self.at, Some(At::After(wait)) if wait.is_negative()) {
            return Err("`at` must not be negative".to_owned());
        }
        if self.lasts.is_some_and(|lasts| !lasts.is_positive()) {
            return Err("`for` must be longer than nothing".to_owned());
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
            return Err(format!("`status` must be 200 to 599, and is {status}"));
        }
        let wrong = headers.iter().find(|(name, value)| {
            hyper::header::HeaderName::try_from(name.as_str()).is_err()
                || hyper::header::HeaderValue::try_from(value.as_str()).is_err()
        });
        wrong.map_or(Ok(()), |(name, _)| Err(format!("`{name}` with its value is no HTTP header")))
    }

    fn check_number(&self, number: u32) -> Result<(), String> {
        if number == 0 {
            return Err("`aadsts` must be a number of Entra's, like 53003".to_owned());
        }
        match self.call {
            Matches::Only(Call::Token | Call::DeviceCode) => Ok(()),
            Matches::Any | Matches::Graph | Matches::Only(_) => {
                Err("`aadsts` is an answer of the sign-in service: `call` must be token or device-code".to_owned())
            }
        }
    }
}

/// What a fault does to one request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hit {
    /// When the fault began.
    pub(super) began: Instant,
    pub(super) delay: Duration,
    pub(super) then: Then,
    pub(super) applied: bool,
}

#[derive(Clone, Debug)]
struct Standing {
    fault: Fault,
    /// Before this it is as if it were not there.
    stands_from: Instant,
    passed: u32,
    hits: u32,
    began: Option<Instant>,
}

impl Standing {
    fn is_over(&self, now: Instant) -> bool {
        let spent = self.fault.times.is_some_and(|times| self.hits >= times);
        let lasts = self.fault.lasts.and_then(|lasts| Duration::try_from(lasts).ok());
        let from = if self.fault.at.is_some() { Some(self.stands_from) } else { self.began };
        let late = lasts.zip(from).is_some_and(|(lasts, from)| now >= from + lasts);
        spent || late
    }
}

/// The faults that stand.
#[derive(Debug, Default)]
pub(super) struct Faults {
    standing: Vec<Standing>,
}

impl Faults {
    /// Adds a fault.
    ///
    /// # Errors
    /// It makes no sense, or too many stand already.
    pub(super) fn add(&mut self, fault: Fault, now: &Now) -> Result<(), String> {
        fault.check()?;
        self.standing.retain(|standing| !standing.is_over(now.instant));
        if self.standing.len() == CAPACITY {
            return Err(format!("{CAPACITY} faults stand already"));
        }
        let stands_from = fault.at.map_or(now.instant, |at| at.instant(now));
        let began = (fault.after == 0).then_some(stands_from);
        self.standing.push(Standing { fault, stands_from, passed: 0, hits: 0, began });
        Ok(())
    }

    /// Removes all.
    pub(super) fn clear(&mut self) {
        self.standing.clear();
    }

    /// Those that stand, oldest first.
    pub(super) fn list(&mut self, now: Instant) -> Vec<Fault> {
        self.standing.retain(|standing| !standing.is_over(now));
        self.standing.iter().map(|standing| standing.fault.clone()).collect()
    }

    /// What becomes of a call that arrives; `None`: nothing unusual.
    pub(super) fn strike(&mut self, call: Call, now: Instant) -> Option<Hit> {
        let mut hit = None;
        self.standing.retain(|standing| !standing.is_over(now));
        let concerned = |standing: &&mut Standing| standing.stands_from <= now && standing.fault.call.matches(call);
        for standing in self.standing.iter_mut().filter(concerned) {
            let Some(began) = standing.began else {
                standing.passed += 1;
                standing.began = (standing.passed == standing.fault.after).then_some(now);
                continue;
            };
            if hit.is_none() {
                standing.hits += 1;
                hit = Some(Hit {
                    began,
                    delay: standing.fault.delay.and_then(|delay| delay.try_into().ok()).unwrap_or_default(),
                    then: standing.fault.then.clone(),
                    applied: standing.fault.applied,
                });
            }
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many seconds after the machine's start, which was at 08:00.
    fn at(secs: u64) -> Now {
        let started: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let passed = Duration::from_secs(secs);
        Now { instant: Instant::from_origin(passed), wall: started + passed, zone: jiff::tz::TimeZone::UTC }
    }

    fn read(json: &str) -> Fault {
        serde_json::from_str(json).unwrap()
    }

    fn strikes(faults: &mut Faults, call: Call, secs: u64) -> Option<Then> {
        faults.strike(call, at(secs).instant).map(|hit| hit.then)
    }

    #[test]
    fn a_fault_lets_some_pass_hits_some_and_is_over() {
        let mut faults = Faults::default();
        faults.add(read(r#"{"call": "set", "after": 2, "times": 2, "then": "reset"}"#), &at(0)).unwrap();
        let hits: Vec<_> = (0..6).map(|secs| strikes(&mut faults, Call::Set, secs)).collect();
        assert_eq!(hits, [None, None, Some(Then::Reset), Some(Then::Reset), None, None]);
        assert!(faults.list(at(6).instant).is_empty());
    }

    #[test]
    fn a_fault_for_a_time_counts_from_when_it_begins() {
        let mut faults = Faults::default();
        faults.add(read(r#"{"for": "10s", "then": "hang"}"#), &at(0)).unwrap();
        assert_eq!(strikes(&mut faults, Call::Token, 9), Some(Then::Hang));
        assert_eq!(strikes(&mut faults, Call::Token, 10), None);

        faults.add(read(r#"{"for": "PT10S", "after": 1, "then": "hang"}"#), &at(10)).unwrap();
        assert_eq!(strikes(&mut faults, Call::Set, 100), None, "the one that passes");
        assert_eq!(strikes(&mut faults, Call::Set, 109), Some(Then::Hang));
        assert_eq!(strikes(&mut faults, Call::Set, 110), None);
    }

    #[test]
    fn a_fault_to_come_lets_everything_pass_until_its_time() {
        let mut faults = Faults::default();
        faults.add(read(r#"{"at": "1h", "for": "10m", "then": "reset"}"#), &at(100)).unwrap();
        assert_eq!(strikes(&mut faults, Call::Set, 3699), None);
        assert_eq!(strikes(&mut faults, Call::Set, 3700), Some(Then::Reset));
        assert_eq!(strikes(&mut faults, Call::Set, 4299), Some(Then::Reset));
        assert_eq!(strikes(&mut faults, Call::Set, 4300), None);

        faults.add(read(r#"{"at": "1m", "after": 1, "times": 1, "then": "hang"}"#), &at(5000)).unwrap();
        let hits: Vec<_> = [5059, 5060, 5061, 5062].map(|secs| strikes(&mut faults, Call::Set, secs)).into();
        assert_eq!(hits, [None, None, Some(Then::Hang), None], "it counts only once its time has come");
    }

    #[test]
    fn a_fault_may_come_at_a_time_of_day() {
        let mut faults = Faults::default();
        let fault = read(r#"{"at": "2026-11-24T09:10:00Z", "for": "10m", "then": "reset"}"#);
        faults.add(fault.clone(), &at(0)).unwrap();
        let hits: Vec<_> = [4199, 4200, 4799, 4800].map(|secs| strikes(&mut faults, Call::Set, secs).is_some()).into();
        assert_eq!(hits, [false, true, true, false]);
        // As for an emulator that was started again meanwhile.
        faults.add(fault.clone(), &at(4500)).unwrap();
        let hits: Vec<_> = [4500, 4799, 4800].map(|secs| strikes(&mut faults, Call::Set, secs).is_some()).into();
        assert_eq!(hits, [true, true, false]);
        faults.add(Fault { after: 1, ..fault.clone() }, &at(5000)).unwrap();
        assert!(faults.list(at(5000).instant).is_empty(), "it was over before any call came");
        assert_eq!(serde_json::to_value(&fault).unwrap()["at"], "2026-11-24T09:10:00Z");
    }

    #[test]
    fn the_oldest_that_matches_acts_and_each_counts_for_itself() {
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
    fn nonsense_is_refused() {
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
    fn the_number_of_faults_is_bounded_by_those_that_stand() {
        let mut faults = Faults::default();
        for _ in 0..CAPACITY {
            faults.add(read(r#"{"for": "10s"}"#), &at(0)).unwrap();
        }
        assert!(faults.add(read("{}"), &at(9)).is_err());
        assert!(faults.add(read("{}"), &at(10)).is_ok());
    }
}
