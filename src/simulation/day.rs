//! A day: what happens at which time, drawn from a seed or written by hand, and as text for whoever must understand it.

use std::fmt;
use std::time::Duration;

use crate::calendar::BusyClass;
use crate::policy::{CallState, Claim, Lock, Reading};
use crate::presence::{Expiration, Presence};

/// How long a day is; after that everything is well again.
pub(super) const LENGTH: Duration = Duration::from_hours(24);

/// A day.
#[derive(Clone, Debug)]
pub(super) struct Day {
    /// Where all chance in it comes from: how long answers take, what becomes of requests.
    pub(super) seed: u64,
    /// The longest that an answer takes.
    pub(super) latency: Duration,
    pub(super) expiration: Expiration,
    /// Whether leaving clears the session.
    pub(super) clears: bool,
    /// From when to when what is busy, in wall time after the day's begin.
    pub(super) meetings: Vec<(Duration, Duration, BusyClass)>,
    /// In order of time.
    pub(super) events: Vec<(Duration, Event)>,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    Lock(Reading<Lock>),
    Call(Reading<CallState>),
    /// Whether the calendar can be read.
    Calendar(bool),
    /// Set by hand for a while; `None`: unset.
    Override(Option<(Claim, Duration)>),
    /// How requests end from now on. `told`: somebody notices when the network is back.
    Network(Network, bool),
    /// What the sign-in service does from now on; a sign-in that counts again is noticed.
    SignIn(SignIn),
    /// So many tokens, the present one among them, are refused.
    RefuseTokens(u32),
    /// The machine sleeps so long, `announced` or not.
    Suspend(Duration, bool),
    /// Somebody sets the wall clock by so many seconds.
    SetClock(i64),
    /// presenced stops and starts again; `true`: it crashes.
    Restart(bool),
}

/// How requests to Graph end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    Well,
    /// Nothing leaves the machine.
    Down,
    /// Requests arrive and are carried out, answers are lost.
    Deaf,
    /// 503, after the request was carried out or before.
    Failing,
    /// 429, with a `Retry-After` of so many seconds or without.
    Throttling(Option<u64>),
    /// 401 `ServiceError` for every other request.
    Flapping,
    /// 403.
    Refusing,
}

/// What the sign-in service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignIn {
    Well,
    /// It cannot be reached.
    Down,
    /// It wants the person to sign in.
    Needed,
}

impl Day {
    /// The day of a seed. Every third is calm: signals, meetings and a clock that is set, but nothing that fails.
    pub(super) fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let calm = seed.is_multiple_of(3);
        let minutes = *random.choice([5, 6, 15, 15, 60, 240].iter()).expect("six");
        let mut day = Self {
            seed,
            latency: Duration::from_secs(*random.choice([1, 2, 10].iter()).expect("three")),
            expiration: Expiration::try_from(Duration::from_mins(minutes)).expect("in range"),
            clears: random.bool(),
            meetings: (0..random.usize(0..12)).map(|_| meeting(&mut random)).collect(),
            events: Vec::new(),
        };
        for _ in 0..random.usize(10..60) {
            let at = Duration::from_secs_f64(LENGTH.as_secs_f64() * random.f64());
            // Signals like to come together.
            for after in 0..random.u64(1..4) {
                day.events.push((at + Duration::from_secs(after * random.u64(0..20)), signal(&mut random)));
            }
        }
        if !calm {
            for _ in 0..random.usize(1..12) {
                trouble(&mut random, &mut day.events);
            }
        }
        day.events.sort_by_key(|(at, _)| *at);
        day
    }

    /// Whether nothing fails in it, so that requests can be counted.
    pub(super) fn is_calm(&self) -> bool {
        self.events.iter().all(|(_, event)| match event {
            Event::Lock(_) | Event::Call(_) | Event::Calendar(_) | Event::Override(_) | Event::SetClock(_) => true,
            Event::Network(..) | Event::SignIn(_) | Event::RefuseTokens(_) | Event::Suspend(..) | Event::Restart(_) => {
                false
            }
        })
    }
}

fn meeting(random: &mut fastrand::Rng) -> (Duration, Duration, BusyClass) {
    let start = Duration::from_mins(random.u64(0..24 * 12) * 5);
    let class = *random.choice(BusyClass::ALL.iter()).expect("five");
    (start, start + Duration::from_mins(random.u64(1..20) * 5), class)
}

fn signal(random: &mut fastrand::Rng) -> Event {
    match random.u8(0..20) {
        0..8 => Event::Lock(reading(random, Lock::ALL)),
        8..16 => Event::Call(reading(random, CallState::ALL)),
        16 => Event::Calendar(random.bool()),
        17 => Event::SetClock(random.i64(-7200..7200)),
        _ => {
            let claim = match random.usize(0..6) {
                5 => Claim::Nothing,
                number => Claim::Hold(Presence::ALL[number]),
            };
            Event::Override((random.u8(..) > 60).then(|| (claim, Duration::from_secs(random.u64(60..7200)))))
        }
    }
}

/// Mostly known.
fn reading<T: Copy>(random: &mut fastrand::Rng, values: &[T]) -> Reading<T> {
    if random.u8(..) < 25 { Reading::Unknown } else { Reading::Known(*random.choice(values.iter()).expect("some")) }
}

/// Something that fails, and where that does not end by itself also its end.
fn trouble(random: &mut fastrand::Rng, events: &mut Vec<(Duration, Event)>) {
    let at = Duration::from_secs_f64(LENGTH.as_secs_f64() * random.f64());
    let longest = *random.choice([20.0, 200.0, 2000.0, 20_000.0].iter()).expect("four");
    let end = at + Duration::from_secs_f64(longest * random.f64());
    let lasts = |event, last| [(at, event), (end, last)];
    match random.u8(0..12) {
        0..6 => {
            let network = match random.u8(0..6) {
                0 => Network::Down,
                1 => Network::Deaf,
                2 => Network::Failing,
                3 => Network::Throttling(random.bool().then(|| random.u64(1..600))),
                4 => Network::Flapping,
                _ => Network::Refusing,
            };
            let told = random.bool();
            events.extend(lasts(Event::Network(network, false), Event::Network(Network::Well, told)));
        }
        6 => events.extend(lasts(Event::SignIn(SignIn::Down), Event::SignIn(SignIn::Well))),
        7 => {
            // A password was changed: the tokens are refused, and a new one takes a person.
            events.push((at, Event::RefuseTokens(1)));
            events.extend(lasts(Event::SignIn(SignIn::Needed), Event::SignIn(SignIn::Well)));
        }
        8 => events.push((at, Event::RefuseTokens(random.u32(1..3)))),
        9 | 10 => events.push((at, Event::Suspend(end.saturating_sub(at), random.bool()))),
        _ => events.push((at, Event::Restart(random.bool()))),
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { latency, expiration, clears, .. } = self;
        writeln!(f, "answers take up to {latency:?}, expiration {}, clears on exit: {clears}", expiration.to_iso())?;
        for (from, to, class) in &self.meetings {
            writeln!(f, "{} to {}: the calendar is {class}", clock(*from), clock(*to))?;
        }
        for (at, event) in &self.events {
            writeln!(f, "{} {event:?}", clock(*at))?;
        }
        Ok(())
    }
}

/// A time of the day.
pub(super) fn clock(at: Duration) -> String {
    let seconds = at.as_secs();
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, at.subsec_millis())
}
