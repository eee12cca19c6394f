//! A day: the setup of presenced, and a script of events. Made from a seed, and printed so that people can follow it.

use std::fmt;
use std::time::Duration;

use super::graph::Pair;
use super::network::Fault;
use super::rules::{FOCUS, FOCUS_VALUES, Prefers, Rules};
use crate::calendar::BusyClass;
use crate::policy::{CallState, Claim, Idle, Lock, Reading};
use crate::presence::{Expiration, Presence};

pub(super) const DAY: Duration = Duration::from_hours(24);

/// How a fault ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Without any sign.
    Unnoticed,
    /// The daemon learns that it is worth trying again.
    Nudged,
    /// The user signs in or reloads the configuration.
    SetupChanged,
}

/// What logind announces about a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    Nothing,
    StartAndEnd,
    /// Not the end. For this long after it, logind does not know that the sleep is over.
    Start(Duration),
}

/// How presenced ends before it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Stopped,
    Killed,
    /// It is stopped, and the machine boots again.
    Rebooted,
}

/// One event of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Lock(Reading<Lock>),
    Call(Reading<CallState>),
    Idle(Reading<Idle>),
    /// The calendar for the whole day: the time of each change, the new class, and whether it is online.
    Calendar(Vec<(Duration, BusyClass, bool)>),
    /// The named signal is set, either for a while or until it is unset; or it is unset.
    Focus(Option<(&'static str, Option<Duration>)>),
    Override(Claim, Option<Duration>),
    Unset,
    Sleep {
        announced: Announced,
        lasts: Duration,
    },
    /// presenced ends, and starts again after this long.
    Restart {
        end: End,
        lasts: Duration,
    },
    /// The wall clock is moved by this many seconds.
    SetClock(i64),
    Fault {
        fault: Fault,
        lasts: Duration,
        ends: Ending,
    },
    /// Graph refuses the present token, and this many new ones.
    Revoke(u8),
    Nudge,
    Teams(Option<Pair>),
    /// Another program with the same application and user clears the session.
    OtherWriter,
}

impl Event {
    /// Whether requests may fail because of it, the machine sleeps, or presenced does not run.
    pub(super) fn is_trouble(&self) -> bool {
        matches!(self, Self::Sleep { .. } | Self::Restart { .. } | Self::Fault { .. } | Self::Revoke(_))
    }
}

/// A day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Day {
    /// The seed that the day was made from. It also drives the latencies and the session's jitter.
    pub(super) seed: u64,
    pub(super) expiration: Expiration,
    pub(super) rules: Rules,
    /// `on_exit = "keep"`.
    pub(super) keeps: bool,
    /// `verify = true`.
    pub(super) verifies: bool,
    pub(super) token_life: Duration,
    /// The lock's first reading. If it is off, the lock and sleep signals are not configured.
    pub(super) lock: Reading<Lock>,
    /// Ordered by time.
    pub(super) script: Vec<(Duration, Event)>,
    pub(super) ends_at: Duration,
}

impl Day {
    /// The day of `seed`. One day in four is calm: nothing fails, and the machine does not sleep.
    pub(super) fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let expiration = pick(&mut random, &[900, 900, 900, 300, 420, 3600, 14_400]);
        let has_lock = random.u8(..) > 30;
        let mut day = Self {
            seed,
            expiration: Expiration::try_from(Duration::from_secs(expiration)).unwrap_or_default(),
            rules: pick(
                &mut random,
                &[
                    Rules::Default(Prefers::None),
                    Rules::Default(Prefers::None),
                    Rules::Default(Prefers::Away),
                    Rules::Default(Prefers::All),
                    Rules::Office,
                    Rules::Office,
                ],
            ),
            keeps: random.u8(0..6) == 0,
            verifies: random.bool(),
            token_life: Duration::from_mins(pick(&mut random, &[60, 75, 90, 5, 24 * 60])),
            lock: if has_lock { Reading::Known(Lock::Locked) } else { Reading::Off },
            script: Vec::new(),
            ends_at: DAY,
        };
        ScriptWriter { day: &mut day, random, calm: seed.is_multiple_of(4) }.write();
        day
    }

    pub(super) fn is_calm(&self) -> bool {
        !self.script.iter().any(|(_, what)| what.is_trouble())
    }
}

fn pick<T: Copy>(random: &mut fastrand::Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}

/// Writes a script.
struct ScriptWriter<'a> {
    day: &'a mut Day,
    random: fastrand::Rng,
    calm: bool,
}

impl ScriptWriter<'_> {
    fn write(mut self) {
        let calendar = self.calendar();
        self.day.script.push((Duration::ZERO, Event::Calendar(calendar)));
        for _ in 0..self.random.u8(3..12) {
            let at = self.moment();
            self.add(at, Event::Lock(Reading::Known(Lock::Unlocked)));
            let until = at + self.a_while();
            self.add(until, Event::Lock(Reading::Known(Lock::Locked)));
        }
        for _ in 0..self.random.u8(0..6) {
            self.call();
        }
        for _ in 0..self.random.u8(0..8) {
            let at = self.moment();
            let what = self.signal();
            self.add(at, what);
        }
        if self.random.u8(0..4) == 0 {
            self.flap();
        }
        if self.day.verifies && self.random.u8(0..3) == 0 {
            let at = self.moment();
            self.add(at, Event::OtherWriter);
        }
        for _ in 0..self.random.u8(0..8) {
            if self.calm {
                break;
            }
            self.trouble();
        }
        self.day.script.sort_by_key(|(at, _)| *at);
    }

    /// Adds an event. Events at the same moment happen in the order in which they were added.
    fn add(&mut self, at: Duration, what: Event) {
        if at < self.day.ends_at {
            self.day.script.push((at, what));
        }
    }

    /// A time of the day. It is often soon after another event, because faults tend to show there.
    fn moment(&mut self) -> Duration {
        if self.random.u8(0..3) > 0 {
            let beside = self.random.usize(..self.day.script.len());
            let after = pick(&mut self.random, &[2.0, 20.0, 300.0]);
            return self.day.script[beside].0 + Duration::from_secs_f64(after * self.random.f64());
        }
        DAY.mul_f64(self.random.f64())
    }

    fn a_while(&mut self) -> Duration {
        let longest = pick(&mut self.random, &[5.0, 60.0, 60.0, 600.0, 600.0, 7200.0, 20_000.0]);
        Duration::from_secs_f64(longest * self.random.f64())
    }

    fn call(&mut self) {
        let at = self.moment();
        let state = pick(&mut self.random, &CallState::ALL[1..]);
        self.add(at, Event::Call(Reading::Known(state)));
        let until = at + self.a_while();
        let after = if self.random.u8(0..5) == 0 { Reading::Unknown } else { Reading::Known(CallState::Idle) };
        self.add(until, Event::Call(after));
    }

    fn calendar(&mut self) -> Vec<(Duration, BusyClass, bool)> {
        let (mut changes, mut at) = (Vec::new(), Duration::ZERO);
        loop {
            at += Duration::from_secs(60 * self.random.u64(1..300));
            if at >= DAY {
                return changes;
            }
            let class = pick(&mut self.random, BusyClass::ALL);
            changes.push((at, class, class != BusyClass::Free && self.random.bool()));
        }
    }

    fn signal(&mut self) -> Event {
        match self.random.u8(0..14) {
            0 => Event::Lock(Reading::Unknown),
            1 => Event::Call(Reading::Unknown),
            2 => Event::Calendar(self.calendar()),
            3 | 4 => self.set_override(),
            5 => Event::Unset,
            6 => Event::SetClock(self.random.i64(-8000..8000)),
            7 => Event::Nudge,
            8 | 9 => self.set_focus(),
            10 => Event::Idle(Reading::Unknown),
            11 | 12 => Event::Idle(Reading::Known(pick(&mut self.random, Idle::ALL))),
            _ => Event::Teams(pick(
                &mut self.random,
                &[None, Some(("Available", "Available")), Some(("Away", "Away")), Some(("Busy", "InAMeeting"))],
            )),
        }
    }

    fn set_override(&mut self) -> Event {
        let claim = Claim::Hold(pick(&mut self.random, &Presence::ALL));
        let claim = if self.random.u8(0..4) == 0 { Claim::Nothing } else { claim };
        Event::Override(claim, (self.random.u8(0..3) > 0).then(|| self.a_while()))
    }

    fn set_focus(&mut self) -> Event {
        let value = pick(&mut self.random, &FOCUS_VALUES);
        let lasts = (self.random.u8(0..3) > 0).then(|| self.a_while());
        Event::Focus((self.random.u8(0..4) > 0).then_some((value, lasts)))
    }

    /// A signal that changes back and forth.
    fn flap(&mut self) {
        let mut at = self.moment();
        let longest = pick(&mut self.random, &[6.0, 2.0]);
        for flap in 0..self.random.usize(4..30) {
            at += Duration::from_secs_f64(longest * self.random.f64());
            let lock = if flap % 2 == 0 { Lock::Locked } else { Lock::Unlocked };
            self.add(at, Event::Lock(Reading::Known(lock)));
        }
    }

    fn trouble(&mut self) {
        let at = self.moment();
        let what = match self.random.u8(0..12) {
            0 => Event::Revoke(self.random.u8(0..2)),
            1 | 2 => self.sleep(),
            3 | 4 => return self.unsteady(at),
            5 | 6 => self.restart(at),
            _ => self.fault(at),
        };
        self.add(at, what);
    }

    fn sleep(&mut self) -> Event {
        let start = Announced::Start(Duration::from_secs_f64(25.0 * self.random.f64()));
        let announced = pick(&mut self.random, &[Announced::Nothing, Announced::StartAndEnd, start]);
        Event::Sleep { announced, lasts: self.a_while() }
    }

    /// A restart. Often something was set just before, and sometimes the clock was moved after that.
    fn restart(&mut self, at: Duration) -> Event {
        match self.random.u8(0..4) {
            0 => {}
            1 => {
                let what = self.set_focus();
                self.add(at, what);
            }
            _ => {
                let what = self.set_override();
                self.add(at, what);
            }
        }
        if self.random.u8(0..4) == 0 {
            let what = Event::SetClock(self.random.i64(-8000..8000));
            self.add(at, what);
        }
        let end = pick(&mut self.random, &[End::Stopped, End::Killed, End::Rebooted]);
        Event::Restart { end, lasts: self.a_while() }
    }

    /// A network on which answers become slow, stop and come back, over and over, so that some come back just before a
    /// deadline.
    fn unsteady(&mut self, mut at: Duration) {
        for _ in 0..self.random.u8(2..20) {
            for (fault, longest) in
                [(Fault::Slow, 240.0), (pick(&mut self.random, &[Fault::Down, Fault::RequestsLost]), 300.0)]
            {
                let lasts = Duration::from_secs_f64(longest * self.random.f64());
                self.add(at, Event::Fault { fault, lasts, ends: Ending::Unnoticed });
                at += lasts;
            }
            at += Duration::from_secs_f64(60.0 * self.random.f64());
        }
    }

    /// A fault, and events while it lasts.
    fn fault(&mut self, at: Duration) -> Event {
        let lasts = self.a_while();
        for _ in 0..self.random.u8(0..3) {
            let state = pick(&mut self.random, CallState::ALL);
            let within = at + lasts.mul_f64(self.random.f64());
            self.add(within, Event::Call(Reading::Known(state)));
        }
        if self.random.u8(0..3) == 0 {
            let within = at + lasts.mul_f64(self.random.f64());
            let what = self.sleep();
            self.add(within, what);
        }
        let retry_after = Duration::from_millis(self.random.u64(100..400_000));
        let retry_after = self.random.bool().then_some(retry_after);
        let fault = pick(
            &mut self.random,
            &[
                Fault::Down,
                Fault::NoConnection,
                Fault::AnswersLost,
                Fault::RequestsLost,
                Fault::Failing(None),
                Fault::Failing(retry_after),
                Fault::TimingOut,
                Fault::Throttling(retry_after),
                Fault::Flapping,
                Fault::NoTokens,
                Fault::SignIn,
                Fault::Claims,
                Fault::Refusing,
                Fault::Slow,
                Fault::Slow,
            ],
        );
        self.fault_lasting(fault, lasts)
    }

    fn fault_lasting(&mut self, fault: Fault, lasts: Duration) -> Event {
        let ends = if matches!(fault, Fault::SignIn | Fault::Claims) {
            // Nothing else ends these.
            Ending::SetupChanged
        } else {
            pick(&mut self.random, &[Ending::Unnoticed, Ending::Unnoticed, Ending::Nudged, Ending::SetupChanged])
        };
        Event::Fault { fault, lasts, ends }
    }
}

/// A time of the day or a duration, as HH:MM:SS.
pub(super) struct ClockTime(pub(super) Duration);

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        match self.0.subsec_millis() {
            0 => Ok(()),
            millis => write!(f, ".{millis:03}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(lock) => write!(f, "lock is {lock}"),
            Self::Call(call) => write!(f, "call is {call}"),
            Self::Idle(idle) => write!(f, "idle is {idle}"),
            Self::Calendar(changes) => {
                f.write_str("calendar is free")?;
                changes.iter().try_for_each(|(from, class, online)| {
                    write!(f, ", {class}{} from {}", if *online { " online" } else { "" }, ClockTime(*from))
                })
            }
            Self::Focus(None) => write!(f, "{FOCUS} is unset"),
            Self::Focus(Some((value, None))) => write!(f, "{FOCUS} is {value}"),
            Self::Focus(Some((value, Some(lasts)))) => write!(f, "{FOCUS} is {value} for {}", ClockTime(*lasts)),
            Self::Override(claim, None) => write!(f, "set by hand to {claim}"),
            Self::Override(claim, Some(lasts)) => write!(f, "set by hand to {claim} for {}", ClockTime(*lasts)),
            Self::Unset => f.write_str("the override is unset"),
            Self::Sleep { announced, lasts } => {
                write!(f, "sleeps for {}, ", ClockTime(*lasts))?;
                match announced {
                    Announced::Nothing => f.write_str("unannounced"),
                    Announced::StartAndEnd => f.write_str("announced"),
                    Announced::Start(late) => write!(f, "its end unannounced and {} late at logind", ClockTime(*late)),
                }
            }
            Self::Restart { end, lasts } => {
                let how = match end {
                    End::Stopped => "is stopped",
                    End::Killed => "is killed",
                    End::Rebooted => "is stopped and the machine rebooted",
                };
                write!(f, "presenced {how}, and starts again after {}", ClockTime(*lasts))
            }
            Self::SetClock(seconds) => write!(f, "the wall clock is moved by {seconds} s"),
            Self::Fault { fault, lasts, ends } => write!(f, "{fault} for {}, then {ends:?}", ClockTime(*lasts)),
            Self::Revoke(0) => f.write_str("the token is refused"),
            Self::Revoke(after) => write!(f, "the token is refused, and the next {after} too"),
            Self::Nudge => f.write_str("nudged"),
            Self::OtherWriter => f.write_str("another program clears the session"),
            Self::Teams(None) => f.write_str("no Teams client"),
            Self::Teams(Some((availability, activity))) => write!(f, "a Teams client shows {availability}/{activity}"),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: expiration {}, rules {:?}, tokens last {}, lock is {} at first",
            self.seed,
            self.expiration.to_iso(),
            self.rules,
            ClockTime(self.token_life),
            self.lock,
        )?;
        for (at, what) in &self.script {
            writeln!(f, "  {}  {what}", ClockTime(*at))?;
        }
        let leaves = if self.keeps { "stops and keeps its session" } else { "clears its session and stops" };
        write!(f, "  {}  {leaves}", ClockTime(self.ends_at))
    }
}
