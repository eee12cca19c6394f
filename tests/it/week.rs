//! A working week in time-lapse: meetings, calls, breaks and overrides, a fault plan, daemons killed at random moments, an
//! emulator that forgets everything. What others saw is compared with what the signals say, second by second and below.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use presenced::policy::Claim;
use presenced::presence::Presence;
use presenced::status::report::Report;
use presenced_emulator::{Fault, Options, Pair, Timeline};

use crate::stage::lapse::Lapse;

const MINUTE: Duration = Duration::from_mins(1);

/// After a fault is over, the wait until the next attempt has yet to pass: at most the longest backoff.
const BACKOFF: Duration = Duration::from_mins(5);

/// The default rules, with a named signal where a desktop has its lock.
const RULES: &str = r#"
[[rules]]
name = "presenting"
when = { call = "presenting" }
set  = "DoNotDisturb/Presenting"
[[rules]]
name = "conference"
when = { call = "conference" }
set  = "Busy/InAConferenceCall"
[[rules]]
name = "call"
when = { call = "in-call" }
set  = "Busy/InACall"
[[rules]]
name = "left"
when = { signal = { desk = "left" } }
set  = "Away/Away"
[[rules]]
name = "meeting"
when = { calendar = "busy" }
set  = "Busy/InAConferenceCall"
[[rules]]
name = "at the desk"
set  = "Available/Available"
"#;

/// Faults that nobody must notice: they pass within the time by which everything is set ahead of its deadline, or concern a
/// token that has a successor in time. Each has an end, so that an emulator that is restarted does not live it again.
const HIDDEN: &str = r#"
# A keepalive meets a passing fault.
[[fault]]
at    = "2026-11-23T09:00:00Z"
for   = "20s"
call  = "set"
then  = { respond = { status = 503 } }
# Throttled in each form, and without one.
[[fault]]
at    = "2026-11-23T10:30:00Z"
for   = "10m"
times = 1
call  = "set"
then  = { respond = { status = 429, headers = { Retry-After = "20" } } }
[[fault]]
at    = "2026-11-23T12:10:00Z"
for   = "30m"
times = 1
call  = "set"
then  = { respond = { status = 429, headers = { Retry-After = "2.128" } } }
[[fault]]
at    = "2026-11-23T14:20:00Z"
for   = "20m"
times = 1
call  = "set"
then  = { respond = { status = 429, headers = { Retry-After = "Mon, 23 Nov 2026 14:26:30 GMT" } } }
[[fault]]
at    = "2026-11-24T09:00:00Z"
for   = "10m"
times = 3
call  = "set"
then  = { respond = { status = 429 } }
# 200 and 401 in turn.
[[fault]]
at    = "2026-11-24T12:50:00Z"
for   = "15m"
times = 1
call  = "set"
then  = { respond = { status = 401 } }
[[fault]]
at    = "2026-11-24T12:50:00Z"
after = 2
for   = "15m"
times = 1
call  = "set"
then  = { respond = { status = 401, body = { error = { code = "UnknownError", message = "" } } } }
# Connections are reset, before and after the request had its effect.
[[fault]]
at      = "2026-11-24T16:00:00Z"
for     = "10m"
times   = 1
call    = "set"
then    = "reset"
[[fault]]
at      = "2026-11-24T16:10:00Z"
for     = "10m"
times   = 1
call    = "set"
applied = true
then    = "reset"
# A policy changes.
[[fault]]
at   = "2026-11-25T08:45:00Z"
for  = "8h"
call = "graph"
then = "claims-challenge"
# The token endpoint is down for a time in which each token has a successor.
[[fault]]
at   = "2026-11-26T09:00:00Z"
for  = "5m"
call = "token"
then = { respond = { status = 503 } }
"#;

/// Faults that last, each on a day of its own: from when, for how long, and what.
const LASTING: [(&str, Duration, &str); 3] = [
    // Longer than a token lives beyond its renewal.
    (
        "2026-11-25T10:30:00Z",
        Duration::from_hours(1),
        r#"call = "token"
then = "reset""#,
    ),
    (
        "2026-11-26T12:50:00Z",
        Duration::from_mins(20),
        r#"call = "graph"
then = { respond = { status = 503 } }"#,
    ),
    ("2026-11-27T16:00:00Z", Duration::from_mins(15), r#"then = "reset""#),
];

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Happening {
    Desk(&'static str),
    Call(&'static str),
    Override(Presence, Duration),
    /// Also puts this meeting into the calendar file.
    Meeting(Timestamp, Timestamp),
    /// The daemon is killed, and started again after so long.
    Kill(Duration),
    Restart,
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn day(number: i64, time: &str) -> Timestamp {
    at(&format!("2026-11-23T{time}Z")) + SignedDuration::from_hours(24 * number)
}

/// The week, in order of time.
fn week(random: &mut fastrand::Rng) -> Vec<(Timestamp, Happening)> {
    use Happening::{Call, Desk, Kill, Meeting, Override, Restart};
    let mut week = Vec::new();
    for number in 0..5 {
        let plan = [
            ("08:30:00", Desk("here")),
            ("10:05:00", Call("in-call")),
            ("10:25:00", Call("idle")),
            ("12:00:00", Desk("left")),
            ("12:45:00", Desk("here")),
            ("13:10:00", Call("conference")),
            ("13:14:00", Call("presenting")),
            ("13:40:00", Call("idle")),
            ("15:02:00", Call("in-call")),
            ("15:10:00", Call("idle")),
            ("16:32:00", Override(Presence::Presenting, 30 * MINUTE)),
            ("17:30:00", Desk("left")),
        ];
        for (time, happening) in plan {
            // Somewhere in a minute, to the millisecond.
            week.push((day(number, time) + Duration::from_millis(random.u64(0..60_000)), happening));
        }
        // At any moment, but not in the minute of something else: what is not seen is not claimed.
        let mut kills = 0;
        while kills < 3 {
            let moment = day(number, "08:32:00") + Duration::from_millis(random.u64(0..9 * 3_600_000));
            let dead = Duration::from_millis(random.u64(1..55_000));
            let meetings = MEETINGS.iter().flat_map(|(from, to)| [day(number, from), day(number, to)]);
            let mut others = week.iter().map(|(time, happening)| match happening {
                // What was set by hand is lost with the daemon.
                Override(_, ttl) => (*time, *time + *ttl),
                Desk(_) | Call(_) | Meeting(..) | Kill(_) | Restart => (*time, *time),
            });
            let near = |(from, to): (Timestamp, Timestamp)| from - MINUTE < moment && moment < to + MINUTE;
            let ends = meetings.chain([day(2, "15:40:00"), day(2, "16:20:00")]).map(|time| (time, time));
            // A daemon has no token at its start, and one date of the plan is chosen for a meeting's second keepalive.
            let quiet = [(day(3, "09:00:00"), day(3, "09:05:00")), (day(0, "14:00:00"), day(0, "14:26:30"))];
            if !ends.chain(quiet).any(near) && !others.any(near) {
                week.push((moment, Kill(dead)));
                kills += 1;
            }
        }
    }
    week.push((day(2, "09:50:00"), Meeting(day(2, "15:40:00"), day(2, "16:20:00"))));
    week.push((day(1, "10:50:00"), Restart));
    week.push((day(4, "13:05:00"), Restart));
    week.sort_by_key(|(time, _)| *time);
    week
}

/// The meetings of each day.
const MEETINGS: [(&str, &str); 3] = [("09:30:00", "09:45:00"), ("11:00:00", "11:50:00"), ("14:00:00", "15:30:00")];

fn calendar(more: Option<(Timestamp, Timestamp)>) -> String {
    let mut text = "BEGIN:VCALENDAR\n".to_owned();
    let basic = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
    for (number, (from, to)) in MEETINGS.iter().enumerate() {
        let (from, to) = (basic(day(0, from)), basic(day(0, to)));
        writeln!(text, "BEGIN:VEVENT\nUID:{number}\nDTSTART:{from}\nDTEND:{to}\nRRULE:FREQ=DAILY\nEND:VEVENT").unwrap();
    }
    if let Some((from, to)) = more {
        let (from, to) = (basic(from), basic(to));
        writeln!(text, "BEGIN:VEVENT\nUID:more\nDTSTART:{from}\nDTEND:{to}\nEND:VEVENT").unwrap();
    }
    text + "END:VCALENDAR\n"
}

/// What the signals say.
#[derive(Clone)]
struct World {
    desk: &'static str,
    call: &'static str,
    manual: Option<(Presence, Timestamp)>,
    meeting: Option<(Timestamp, Timestamp)>,
}

impl World {
    fn take(&mut self, now: Timestamp, happening: Happening) {
        match happening {
            Happening::Desk(desk) => self.desk = desk,
            Happening::Call(call) => self.call = call,
            Happening::Override(presence, ttl) => self.manual = Some((presence, now + ttl)),
            Happening::Meeting(from, to) => self.meeting = Some((from, to)),
            Happening::Kill(_) | Happening::Restart => {}
        }
    }

    fn is_busy(&self, now: Timestamp) -> bool {
        let daily = (0..5).flat_map(|number| MEETINGS.map(|(from, to)| (day(number, from), day(number, to))));
        daily.chain(self.meeting).any(|(from, to)| from <= now && now < to)
    }

    /// What others should see. Written from the rules, not from the code.
    fn presence(&self, now: Timestamp) -> Presence {
        match (self.manual, self.call, self.desk) {
            (Some((presence, until)), _, _) if now < until => presence,
            (_, "presenting", _) => Presence::Presenting,
            (_, "conference", _) => Presence::InAConferenceCall,
            (_, "in-call", _) => Presence::InACall,
            (_, _, "left") => Presence::Away,
            _ if self.is_busy(now) => Presence::InAConferenceCall,
            _ => Presence::Available,
        }
    }

    /// Whether the daemon has heard it all.
    fn is_known_to(&self, report: &Report, now: Timestamp) -> bool {
        let value = |name: &str| report.signals.get(name).map_or("", |signal| signal.value.as_str());
        let events = if self.meeting.is_some() { "4 events" } else { "3 events" };
        let manual = self.manual.filter(|(_, until)| now < *until).map(|(presence, _)| presence.to_string());
        let desired = report.accounts["work"].desired.as_ref();
        value("call") == self.call
            && value("signal.desk") == self.desk
            && report.signals["calendar"].source.contains(events)
            && report.manual.as_ref().map(|manual| manual.presence.clone()) == manual
            && desired.map(|pair| format!("{}/{}", pair.availability, pair.activity))
                == Some(self.presence(now).to_string())
    }
}

/// Tells the daemon by the ways that a person and a desktop use.
async fn tell(lapse: &Lapse, world: &World, happening: Happening) {
    match happening {
        Happening::Desk(desk) => {
            let (name, value) = ("desk".parse().unwrap(), desk.parse().unwrap());
            lapse.client().await.set_signal(&name, &value, None).await.unwrap();
        }
        Happening::Call(call) => lapse.write("call-state", call),
        Happening::Override(presence, ttl) => {
            lapse.client().await.set_override(Claim::Hold(presence), Some(ttl)).await.unwrap();
        }
        Happening::Meeting(..) => lapse.write("work.ics", &calendar(world.meeting)),
        Happening::Kill(_) | Happening::Restart => unreachable!("not the daemon's to hear"),
    }
    let now = lapse.now();
    lapse.settle("the daemon to hear it", |report| world.is_known_to(report, now)).await;
}

fn plan() -> Vec<Fault> {
    let mut text = HIDDEN.to_owned();
    for (from, lasts, what) in LASTING {
        writeln!(text, "[[fault]]\nat = \"{from}\"\nfor = \"{}s\"\n{what}", lasts.as_secs()).unwrap();
    }
    Fault::plan(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// What came of a week.
struct Outcome {
    timelines: Vec<(Timestamp, Timestamp, Timeline)>,
    expected: Vec<(Timestamp, Pair)>,
    /// From when until when others may see something else than expected.
    excused: Vec<(Timestamp, Timestamp)>,
    /// How many requests were sent, and how many of them throttled.
    requests: [u64; 2],
}

impl Outcome {
    /// For how long others saw something else outside of what is excused, and how often the presence faded there.
    fn wrong_and_fades(&self) -> (Duration, usize) {
        let (mut wrong, mut fades) = (Duration::ZERO, 0);
        for (from, to, timeline) in &self.timelines {
            assert_eq!(timeline.dropped, 0);
            let mut from = *from;
            for (begins, ends) in &self.excused {
                let end = (*begins).clamp(from, *to);
                wrong += timeline.wrong(&self.expected, from, end);
                fades += timeline.fades(from, end);
                from = (*ends).clamp(from, *to);
            }
            wrong += timeline.wrong(&self.expected, from, *to);
            fades += timeline.fades(from, *to);
        }
        (wrong, fades)
    }
}

impl Outcome {
    /// What was expected, seen and excused in turn, for whoever must find out what went wrong.
    fn told(&self) -> String {
        let expected = self.expected.iter().map(|(from, pair)| (*from, format!("expected  {pair}")));
        let spans = self.timelines.iter().flat_map(|(.., timeline)| &timeline.spans);
        let seen = spans.map(|span| (span.from, format!("    seen  {} ({:?})", span.visible, span.cause)));
        let excused = self.excused.iter().map(|(from, to)| (*from, format!("excused until {to}")));
        let mut lines: Vec<_> = expected.chain(seen).chain(excused).collect();
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().fold(String::new(), |told, (at, what)| told + &format!("\n{at}  {what}"))
    }
}

/// Lives the week of `seed`.
async fn live(seed: u64) -> Outcome {
    let week = week(&mut fastrand::Rng::with_seed(seed));
    // Tokens end at a known time, so that one ends while the token endpoint is down.
    let hour = Duration::from_hours(1);
    let options = Options { token_lifetime: hour..=hour, ..Options::default() };
    let mut lapse = Lapse::start("2026-11-23T08:00:00Z", options, plan(), &calendar(None), RULES).await;
    let mut world = World { desk: "left", call: "idle", manual: None, meeting: None };
    tell(&lapse, &world, Happening::Desk("left")).await;
    let mut requests = [0; 2];
    let count = |requests: &mut [u64; 2], lapse: &Lapse| {
        let counted = lapse.report().accounts["work"].requests;
        *requests = [requests[0] + counted.sent, requests[1] + counted.throttled];
    };
    let mut excused: Vec<_> = LASTING.iter().map(|(from, lasts, _)| (at(from), at(from) + *lasts + BACKOFF)).collect();
    let ends = day(4, "18:00:00");
    let mut moments = Vec::new();
    for (time, happening) in week {
        lapse.until(time).await;
        world.take(time, happening);
        moments.push((time, world.clone()));
        match happening {
            Happening::Kill(dead) => {
                count(&mut requests, &lapse);
                lapse.kill_daemon().await;
                lapse.pass(dead).await;
                lapse.start_daemon().await;
                // The daemon does not remember it, and so whoever tells it tells it again.
                tell(&lapse, &world, Happening::Desk(world.desk)).await;
            }
            Happening::Restart => {
                // It is noticed by the next request that is due anyway.
                let next = lapse.report().accounts["work"].next.as_ref().map(|next| next.at).unwrap();
                lapse.restart_emulator().await;
                excused.push((time, next + Duration::from_secs(1)));
            }
            Happening::Desk(_) | Happening::Call(_) | Happening::Override(..) | Happening::Meeting(..) => {
                tell(&lapse, &world, happening).await;
            }
        }
    }
    lapse.until(ends).await;
    count(&mut requests, &lapse);
    assert_eq!(lapse.report().warnings, [], "all is healed");
    excused.sort();
    Outcome { timelines: lapse.timelines(), expected: expected(&moments, ends), excused, requests }
}

/// What others should have seen, from when on.
fn expected(moments: &[(Timestamp, World)], ends: Timestamp) -> Vec<(Timestamp, Pair)> {
    let mut expected = Vec::new();
    for (index, (from, world)) in moments.iter().enumerate() {
        let to = moments.get(index + 1).map_or(ends, |next| next.0);
        let daily = (0..5).flat_map(|number| MEETINGS.map(|(from, to)| [day(number, from), day(number, to)]));
        let more = world.meeting.map(|(from, to)| [from, to]);
        let times = daily.chain(more).flatten().chain(world.manual.map(|(_, until)| until));
        let mut times: Vec<_> = times.filter(|time| from < time && *time < to).chain([*from]).collect();
        times.sort();
        expected.extend(times.into_iter().map(|time| (time, world.presence(time).into())));
    }
    expected
}

#[tokio::test]
async fn a_week_of_trouble_is_never_wrong_and_never_fades() {
    for seed in [1, 2, 75] {
        let outcome = live(seed).await;
        let (wrong, fades) = outcome.wrong_and_fades();
        assert_eq!((wrong, fades), (Duration::ZERO, 0), "seed {seed}:{}", outcome.told());
        let [sent, throttled] = outcome.requests;
        assert!(sent > 800 && throttled == 6, "{sent} requests, {throttled} throttled");
        // The faults that last are seen, so that the comparison would see others.
        let whole = Outcome { excused: Vec::new(), ..outcome };
        assert!(whole.wrong_and_fades().0 > 20 * MINUTE, "{:?}", whole.wrong_and_fades());
    }
}
