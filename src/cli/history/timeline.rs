//! Turns records into spans: what an account held or why it held nothing, and which parts were unconfirmed. A pure function of
//! the records and the window.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::fill::Fill as _;
use crate::history::{Event, Held, Record};
use crate::session::State;

/// The spans of an account, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Timeline {
    pub(super) spans: Vec<Span>,
}

/// A time over which one thing was true.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) kind: SpanKind,
    /// The parts in which Graph may not have held it.
    pub(super) unconfirmed: Vec<Unconfirmed>,
}

/// What happened in a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SpanKind {
    /// A decision was in force, which may be to claim nothing.
    Held { presence: Option<String>, rule: Option<String>, because: String },
    /// presenced was running, without a decision yet.
    Starting,
    /// The machine slept.
    Asleep,
    /// presenced was not running.
    NotRunning,
}

/// An unconfirmed part of a span.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unconfirmed {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// The state of the session at its end.
    pub(super) state: State,
}

impl Timeline {
    /// How long decisions were in force, and how much of that was unconfirmed.
    pub(super) fn sums(&self) -> (SignedDuration, SignedDuration) {
        let mut sums = (SignedDuration::ZERO, SignedDuration::ZERO);
        for span in &self.spans {
            if matches!(span.kind, SpanKind::Held { .. }) {
                sums.0 += span.to.duration_since(span.from);
                sums.1 += span.unconfirmed.iter().map(|part| part.to.duration_since(part.from)).sum::<SignedDuration>();
            }
        }
        sums
    }
}

/// The timeline of each account, or of one user in each account, in `[from, to)`. `alive` means that the daemon that wrote last is still running. Otherwise it
/// ended at `alive_at`, unless it recorded its end.
pub(super) fn timelines(
    records: &[Record],
    (from, to): (Timestamp, Timestamp),
    alive: bool,
    alive_at: Option<Timestamp>,
) -> BTreeMap<String, Timeline> {
    let lost = records
        .last()
        .filter(|_| !alive)
        .map(|last| Record { at: alive_at.map_or(last.at, |alive_at| alive_at.max(last.at)), event: Event::Lost });
    let end = Record { at: to, event: Event::Lost };
    let mut accounts: BTreeMap<String, Replay> = BTreeMap::new();
    let mut machine = Machine::default();
    for record in records.iter().chain(&lost).chain([&end]) {
        if let Event::Held(held) = &record.event {
            // A new account starts with its first record.
            accounts.entry(held.account.clone()).or_insert_with(|| Replay::new(record.at));
        }
        for account in accounts.values_mut() {
            account.pass(record.at, &machine, (from, to));
        }
        machine.apply(&record.event);
        match &record.event {
            Event::Held(held) => drop(accounts.get_mut(&held.account).map(|account| account.held = Some(held.clone()))),
            Event::Gone { account, user: _ } => drop(accounts.get_mut(account).map(|account| account.gone = true)),
            // A new daemon makes new decisions.
            Event::Started { .. } => accounts.values_mut().for_each(|account| account.held = None),
            Event::Stopped | Event::Lost | Event::Asleep | Event::Awake => {}
        }
        if let Event::Held(held) = &record.event
            && let Some(account) = accounts.get_mut(&held.account)
        {
            account.gone = false;
        }
    }
    let timelines = accounts.into_iter().map(|(name, account)| (name, account.timeline));
    timelines.filter(|(_, timeline)| !timeline.spans.is_empty()).fill()
}

/// The state that all accounts share.
#[derive(Default)]
struct Machine {
    is_running: bool,
    is_asleep: bool,
}

impl Machine {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Started { .. } => (self.is_running, self.is_asleep) = (true, false),
            Event::Stopped | Event::Lost => self.is_running = false,
            Event::Asleep => self.is_asleep = true,
            Event::Awake => self.is_asleep = false,
            // A shortened file may start with it.
            Event::Held(_) => self.is_running = true,
            Event::Gone { .. } => {}
        }
    }
}

/// An account while its records are replayed.
struct Replay {
    /// The time up to which the spans are complete.
    at: Timestamp,
    held: Option<Held>,
    /// It was removed from the configuration.
    gone: bool,
    timeline: Timeline,
}

impl Replay {
    fn new(at: Timestamp) -> Self {
        Self { at, held: None, gone: false, timeline: Timeline::default() }
    }

    /// Lets time pass until `at`. If the clock was set back, it continues from there.
    fn pass(&mut self, at: Timestamp, machine: &Machine, (first, last): (Timestamp, Timestamp)) {
        let (from, to) = (self.at.clamp(first, last), at.clamp(first, last));
        self.at = at;
        if from >= to || self.gone {
            return;
        }
        let held = self.held.as_ref().filter(|_| machine.is_running && !machine.is_asleep);
        let kind = match held {
            _ if !machine.is_running => SpanKind::NotRunning,
            _ if machine.is_asleep => SpanKind::Asleep,
            None => SpanKind::Starting,
            Some(held) => SpanKind::Held {
                presence: held.presence.clone(),
                rule: held.rule.clone(),
                because: held.because.clone(),
            },
        };
        let spans = &mut self.timeline.spans;
        match spans.last_mut() {
            Some(span) if span.kind == kind && span.to == from => span.to = to,
            Some(_) | None => spans.push(Span { from, to, kind, unconfirmed: Vec::new() }),
        }
        let Some(held) = held.filter(|held| !held.confirmed) else { return };
        let Some(span) = spans.last_mut() else { return };
        match span.unconfirmed.last_mut() {
            Some(part) if part.to == from => (part.to, part.state) = (to, held.state),
            Some(_) | None => span.unconfirmed.push(Unconfirmed { from, to, state: held.state }),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::cli::history) fn at(text: &str) -> Timestamp {
        format!("2026-11-24T{text}Z").parse().unwrap()
    }

    pub(in crate::cli::history) fn held(when: &str, presence: &str, state: State, confirmed: bool) -> Record {
        let held = Held {
            account: "work".to_owned(),
            user: None,
            presence: Some(presence.to_owned()),
            rule: Some("a rule".to_owned()),
            because: "lock is unlocked".to_owned(),
            state,
            confirmed,
        };
        Record { at: at(when), event: Event::Held(held) }
    }

    pub(in crate::cli::history) fn started(when: &str) -> Record {
        Record { at: at(when), event: Event::Started { version: "0.1.0".to_owned() } }
    }

    pub(in crate::cli::history) fn event(when: &str, event: Event) -> Record {
        Record { at: at(when), event }
    }

    /// The spans of the only account from 00:00 to 12:00, as short texts.
    fn shown(records: &[Record], alive: bool, alive_at: Option<&str>) -> Vec<String> {
        let window = (at("00:00:00"), at("12:00:00"));
        let mut all = timelines(records, window, alive, alive_at.map(at));
        let clock = |at: Timestamp| at.to_string()[11..19].to_owned();
        let span = |span: Span| {
            let what = match span.kind {
                SpanKind::Held { presence, .. } => presence.unwrap_or("nothing".to_owned()),
                other @ (SpanKind::Starting | SpanKind::Asleep | SpanKind::NotRunning) => format!("{other:?}"),
            };
            let parts = span.unconfirmed.iter();
            let parts = parts.map(|part| format!(" !{}-{} {:?}", clock(part.from), clock(part.to), part.state));
            let parts = parts.collect::<Vec<_>>().concat();
            format!("{}-{} {what}{parts}", clock(span.from), clock(span.to))
        };
        all.remove("work").unwrap_or_default().spans.into_iter().map(span).collect()
    }

    const AWAY: &str = "Away/Away";
    const BUSY: &str = "Busy/InACall";

    #[test]
    fn a_confirmed_presence_lasts_until_the_next_decision() {
        use State::{Holding, Retrying, Starting};
        let records = [
            started("08:00:00"),
            held("08:00:01", AWAY, Starting, false),
            held("08:00:02", AWAY, Holding, true),
            held("09:00:00", BUSY, Holding, false),
            held("09:00:05", BUSY, Retrying, false),
            held("09:02:00", BUSY, Holding, true),
            event("10:00:00", Event::Asleep),
            event("11:00:00", Event::Awake),
        ];
        let expected = [
            "08:00:01-09:00:00 Away/Away !08:00:01-08:00:02 Starting",
            "09:00:00-10:00:00 Busy/InACall !09:00:00-09:02:00 Retrying",
            "10:00:00-11:00:00 Asleep",
            "11:00:00-12:00:00 Busy/InACall",
        ];
        assert_eq!(shown(&records, true, None), expected);
        let timeline = &timelines(&records, (at("00:00:00"), at("12:00:00")), true, None)["work"];
        let (held, unconfirmed) = timeline.sums();
        assert_eq!((held.as_secs(), unconfirmed.as_secs()), (3 * 3600 - 1, 121));
    }

    #[test]
    fn a_stopped_daemon_claims_nothing() {
        use State::Holding;
        let records = [
            started("08:00:00"),
            held("08:00:00", AWAY, Holding, true),
            event("09:00:00", Event::Stopped),
            started("10:00:00"),
            held("10:00:01", BUSY, Holding, true),
        ];
        let mut expected = vec![
            "08:00:00-09:00:00 Away/Away",
            "09:00:00-10:00:00 NotRunning",
            "10:00:00-10:00:01 Starting",
            "10:00:01-12:00:00 Busy/InACall",
        ];
        assert_eq!(shown(&records, true, None), expected);
        // Killed at about 11:00.
        expected.truncate(3);
        expected.extend(["10:00:01-11:00:00 Busy/InACall", "11:00:00-12:00:00 NotRunning"]);
        assert_eq!(shown(&records, false, Some("11:00:00")), expected);
        assert_eq!(shown(&[], false, None), [""; 0]);
    }

    #[test]
    fn a_clock_that_was_set_back_loses_no_span() {
        use State::Holding;
        let records = [
            started("08:00:00"),
            held("09:00:00", AWAY, Holding, true),
            held("10:00:00", BUSY, Holding, true),
            // An hour back.
            held("09:30:00", AWAY, Holding, true),
        ];
        let expected = ["09:00:00-10:00:00 Away/Away", "09:30:00-12:00:00 Away/Away"];
        assert_eq!(shown(&records, true, None), expected);
    }

    #[test]
    fn spans_are_cut_to_the_window() {
        let records = [started("08:00:00"), held("08:00:00", AWAY, State::Refused, false)];
        let all = timelines(&records, (at("10:00:00"), at("11:00:00")), true, None);
        let span = &all["work"].spans[0];
        assert_eq!((span.from, span.to), (at("10:00:00"), at("11:00:00")));
        assert_eq!(span.unconfirmed, [Unconfirmed { from: span.from, to: span.to, state: State::Refused }]);
        assert!(timelines(&records, (at("06:00:00"), at("07:00:00")), true, None).is_empty());
    }

    #[test]
    fn a_removed_account_has_no_more_spans() {
        let records = [
            started("08:00:00"),
            held("08:00:00", AWAY, State::Holding, true),
            event("09:00:00", Event::Gone { account: "work".to_owned(), user: None }),
        ];
        assert_eq!(shown(&records, true, None), ["08:00:00-09:00:00 Away/Away"]);
    }

    proptest! {
        #[test]
        fn spans_follow_one_another(steps in proptest::collection::vec((0_i64..7, 0_i64..4000, any::<bool>()), 0..40)) {
            let mut now = at("00:00:00");
            let records: Vec<Record> = steps.iter().map(|(kind, seconds, confirmed)| {
                now += SignedDuration::from_secs(*seconds);
                let event = match kind {
                    0 => Event::Started { version: String::new() },
                    1 => Event::Stopped,
                    2 => Event::Asleep,
                    3 => Event::Awake,
                    4 => Event::Lost,
                    other => held("00:00:00", if *other == 5 { AWAY } else { BUSY }, State::Holding, *confirmed).event,
                };
                Record { at: now, event }
            }).collect();
            let window = (at("02:00:00"), at("10:00:00"));
            for timeline in timelines(&records, window, true, None).values() {
                let mut end = window.0;
                for span in &timeline.spans {
                    prop_assert!(end <= span.from && span.from < span.to && span.to <= window.1);
                    end = span.to;
                    for part in &span.unconfirmed {
                        prop_assert!(span.from <= part.from && part.from < part.to && part.to <= span.to);
                    }
                }
                prop_assert!(timeline.sums().1 <= timeline.sums().0);
            }
        }
    }
}
