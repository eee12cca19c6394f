//! A working week: five days of the real program against an emulated Graph, each with other troubles, side by side and 600
//! times as fast as time. What others saw is compared with what the day's script makes of the signals.
//!
//! The lead of a keepalive, a minute, is a tenth of a second here: that is what a loaded machine may take to wake a process
//! before a fade would be its own fault and not presenced's. So the days run alone (`tests/run.sh` starts them after all other
//! tests), and how long a change takes to be seen is not judged: only that it is seen within a second, and that from then on
//! nothing else is.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use presenced::daemon::clock::SystemClock;
use presenced::presence::Presence;
use presenced::time::Clock as _;
use presenced_emulator::{At, Cause, Fault, Options, Pair, Span, Timeline};
use rustix::process::Signal;

use crate::stage::house::{Daemon, House, USER};

const SPEED: f64 = 600.0;

/// How long a day is.
const DAY: Duration = Duration::from_hours(9);

/// How long a change may take to be seen, in the day's time: a second of real time.
const SEEN_WITHIN: Duration = Duration::from_mins(10);

/// The documented bounds: the longest backoff after a trouble, and the longest time between two keepalives of what is held
/// here.
const BACKOFF: Duration = Duration::from_mins(5);
const KEEPALIVE: Duration = Duration::from_mins(12);

/// The meetings, by the minutes at which they begin and end.
const MEETINGS: [(u64, u64); 3] = [(35, 65), (120, 150), (300, 360)];

/// What happens at which minute.
enum Happening {
    /// The call-state file says this.
    Call(&'static str),
    /// The user overrides for this many minutes.
    Override(&'static str, u64),
    /// presenced is killed and started again.
    Crash,
    /// The emulator forgets everything, as a new process does.
    NewGraph,
}

use Happening::{Call, Crash, NewGraph, Override};

/// The signals of every day, by the minute.
const SIGNALS: [(u64, Happening); 8] = [
    (80, Call("in-call")),
    (105, Call("idle")),
    (130, Call("presenting")),
    (140, Call("idle")),
    (390, Call("conference")),
    (410, Call(r#"{"state": "idle", "app": "baresip"}"#)),
    (440, Override("Away", 45)),
    (500, Call("in-call")),
];

/// What others should see from which minute on.
const EXPECTED: [(u64, Presence); 17] = [
    (0, Presence::Available),
    (35, Presence::InAConferenceCall),
    (65, Presence::Available),
    (80, Presence::InACall),
    (105, Presence::Available),
    (120, Presence::InAConferenceCall),
    (130, Presence::Presenting),
    (140, Presence::InAConferenceCall),
    (150, Presence::Available),
    (300, Presence::InAConferenceCall),
    (360, Presence::Available),
    (390, Presence::InAConferenceCall),
    (410, Presence::Available),
    (440, Presence::Away),
    (485, Presence::Available),
    (500, Presence::InACall),
    (540, Presence::InACall),
];

/// Tuesday's troubles: all kinds, each while something changes.
const PLAN: &str = r#"
[[fault]]
at   = "30m"
for  = "10m"
call = "graph"
then = { respond = { status = 503 } }
[[fault]]
at   = "1h 15m"
for  = "3m"
call = "set"
then = { respond = { status = 429, headers = { Retry-After = "20" } } }
[[fault]]
at   = "1h 43m"
for  = "4m"
call = "set"
then = { respond = { status = 429, headers = { Retry-After = "2.128" } } }
[[fault]]
at   = "2h 5m"
for  = "10m"
call = "set"
then = "reset"
[[fault]]
at    = "3h"
for   = "20m"
call  = "set"
then  = { respond = { status = 401, body = { error = { code = "ServiceError", message = "An error has occurred." } } } }
applied = true
[[fault]]
at   = "4h 58m"
for  = "5m"
call = "set"
then = { respond = { status = 429 } }
[[fault]]
at   = "7h 19m"
for  = "2m"
call = "any"
then = "reset"
"#;

/// Wednesday's: tokens live for at most 90 minutes, so one expires in it or is renewed ahead of it.
const NO_TOKENS: &str = r#"
[[fault]]
at   = "2h 35m"
for  = "1h"
call = "token"
then = { respond = { status = 503 } }
"#;

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

/// A day being lived.
struct Day {
    name: &'static str,
    house: House,
    daemon: Daemon,
    clock: SystemClock,
    /// When the clock began, for the daemon's own.
    since: String,
    began: Timestamp,
    /// When what is seen is not presenced's to answer for.
    troubles: Vec<(Timestamp, Timestamp)>,
    /// What others saw of emulators that are gone.
    gone: Vec<Span>,
}

impl Day {
    async fn begin(name: &'static str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the fast clock begins now")]
        let since = Timestamp::now();
        let clock = SystemClock::fast_since(SPEED, since);
        let house = House::on(clock.clone(), Options::default()).await;
        let began = clock.now().wall.round(jiff::Unit::Second).unwrap();
        let meeting = |(number, (from, to)): (usize, (u64, u64))| {
            let time = |minute| (began + minutes(minute)).strftime("%Y%m%dT%H%M%SZ").to_string();
            format!("BEGIN:VEVENT\nUID:{number}\nDTSTART:{}\nDTEND:{}\nEND:VEVENT\n", time(from), time(to))
        };
        let meetings: String = MEETINGS.into_iter().enumerate().map(meeting).collect();
        house.write("work.ics", format!("BEGIN:VCALENDAR\n{meetings}END:VCALENDAR\n"));
        house.write("config.toml", house.configuration() + "[signals.calendar]\nsources = [{ path = \"work.ics\" }]\n");
        let since = since.to_string();
        let daemon = start(&house, &since).await;
        Self { name, house, daemon, clock, since, began, troubles: Vec::new(), gone: Vec::new() }
    }

    /// Follows a fault plan, which says when the troubles are.
    fn follow(&mut self, plan: &str) {
        let injected = self.clock.now().wall;
        for fault in Fault::plan(plan).unwrap() {
            let Some(At::After(wait)) = fault.at else { panic!("when does {fault:?} begin?") };
            let begins = injected + wait;
            self.note_trouble(begins, begins + fault.lasts.unwrap() + BACKOFF);
            self.house.inject(fault);
        }
    }

    fn note_trouble(&mut self, begins: Timestamp, ends: Timestamp) {
        self.troubles.push((begins, ends + SEEN_WITHIN));
    }

    async fn live(&mut self, also: &[(u64, Happening)]) {
        let mut happenings: Vec<&(u64, Happening)> = SIGNALS.iter().chain(also).collect();
        happenings.sort_by_key(|(minute, _)| *minute);
        for (minute, happening) in happenings {
            self.clock.sleep_until_wall(self.began + minutes(*minute)).await;
            self.happen(happening).await;
        }
        self.clock.sleep_until_wall(self.began + DAY).await;
    }

    async fn happen(&mut self, happening: &Happening) {
        let now = self.clock.now().wall;
        match happening {
            Call(state) => self.house.write("call-state", state),
            Override(presence, lasts) => {
                let (code, shown, error) = self.house.ask(&["set", presence, "--for", &format!("{lasts}m")]).await;
                assert_eq!(code, 0, "{shown}{error}");
            }
            Crash => {
                self.daemon.signal(Signal::KILL);
                self.daemon.gone().await;
                self.daemon = start(&self.house, &self.since).await;
                self.note_trouble(now, self.clock.now().wall);
            }
            NewGraph => {
                let spans = self.house.emulator.timeline(USER).unwrap().spans;
                self.gone.extend(spans.into_iter().map(|span| Span { to: span.to.or(Some(now)), ..span }));
                self.house.restart_emulator(self.clock.clone()).await;
                // That the session is gone shows with the next request, a keepalive at the latest.
                self.note_trouble(now, now + KEEPALIVE);
            }
        }
    }

    /// What was wrong with the day; empty when nothing was.
    fn judge(mut self) -> String {
        let timeline = self.house.emulator.timeline(USER).unwrap();
        assert_eq!(timeline.dropped, 0);
        self.gone.extend(timeline.spans);
        let spans = Timeline { spans: self.gone, dropped: 0 };
        let mut verdict = String::new();
        for span in spans.spans.iter().filter(|span| matches!(span.cause, Cause::Faded | Cause::Expired)) {
            if !self.troubles.iter().any(|(begins, ends)| (*begins..*ends).contains(&span.from)) {
                _ = writeln!(verdict, "{}: {:?} at {}", self.name, span.cause, span.from - self.began);
            }
        }
        for pair in EXPECTED.windows(2) {
            let (from, to) = (self.began + minutes(pair[0].0) + SEEN_WITHIN, self.began + minutes(pair[1].0));
            let expected = [(from, Pair::from(pair[0].1))];
            // Of what is expected, that which no trouble touches.
            let mut clear = vec![(from, to)];
            for (begins, ends) in &self.troubles {
                clear =
                    clear.into_iter().flat_map(|(from, to)| [(from, to.min(*begins)), (from.max(*ends), to)]).collect();
                clear.retain(|(from, to)| from < to);
            }
            for (from, to) in clear {
                let wrong = spans.wrong(&expected, from, to);
                if !wrong.is_zero() {
                    _ = writeln!(verdict, "{}: {wrong:?} wrong from {}", self.name, from - self.began);
                }
            }
        }
        verdict
    }
}

async fn start(house: &House, since: &str) -> Daemon {
    house.start_with(&["--speed", &SPEED.to_string(), "--since", since], |_| {}).await
}

#[tokio::test]
#[ignore = "runs alone, since it must not wait for other tests: cargo test --test it week_at_speed -- --ignored"]
async fn a_working_week_is_right_but_for_its_troubles() {
    let seed = fastrand::u64(..);
    println!("crashes by seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    // An override does not outlive the process that received it.
    let minutes: Vec<u64> = (1..440).chain(486..539).collect();
    let crashes: Vec<_> = (0..6).map(|_| (*random.choice(minutes.iter()).unwrap(), Crash)).collect();
    let calm = async {
        let mut day = Day::begin("Monday, calm").await;
        day.live(&[]).await;
        // Nothing at all may be wrong with it.
        let fades = day.house.emulator.state().users[USER].fades;
        day.judge() + if fades == 0 { "" } else { "Monday faded" }
    };
    let faulty = async {
        let mut day = Day::begin("Tuesday, a fault plan").await;
        day.follow(PLAN);
        day.live(&[]).await;
        day.judge()
    };
    let signed_out = async {
        let mut day = Day::begin("Wednesday, no tokens for an hour").await;
        day.follow(NO_TOKENS);
        day.live(&[]).await;
        day.judge()
    };
    let crashing = async {
        let mut day = Day::begin("Thursday, crashes").await;
        day.live(&crashes).await;
        day.judge()
    };
    let forgetful = async {
        let mut day = Day::begin("Friday, another Graph twice").await;
        day.live(&[(200, NewGraph), (330, NewGraph)]).await;
        day.judge()
    };
    let (calm, faulty, signed_out, crashing, forgetful) = tokio::join!(calm, faulty, signed_out, crashing, forgetful);
    let verdict = [calm, faulty, signed_out, crashing, forgetful].concat();
    assert!(verdict.is_empty(), "{verdict}");
}
