//! One slot of the board: what one signal last said, and what that means now.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::config;
use crate::policy::Reading;
use crate::signals::{Observation, Watched};
use crate::status::report::Health;
use crate::time::{Instant, Now};
use crate::warning::Warning;

/// How long a reading still counts after its source was lost. logind restarts and folders are replaced in less time, and a
/// presence that flickers helps nobody.
const HOLD_AFTER_LOSS: Duration = Duration::from_secs(5);

/// What the report shows for a value: its word, and when it changes by itself.
pub(super) type Word = (String, Option<Timestamp>);

/// What sets one signal apart from the others.
#[derive(Debug)]
pub(super) struct Signal<T> {
    /// Whether the configuration turns it on.
    is_on: fn(&config::Signals) -> bool,
    /// What the report shows for a value at a time.
    word: fn(&T, Timestamp) -> Reading<Word>,
    hold: Duration,
    survives_suspend: bool,
    shown_when_off: bool,
}

impl<T: fmt::Display> Signal<T> {
    /// A signal that shows its value as it is.
    pub(super) const fn new(is_on: fn(&config::Signals) -> bool) -> Self {
        Self::with_word(is_on, |value, _| Reading::Known((value.to_string(), None)))
    }
}

impl<T> Signal<T> {
    /// A signal whose value means a different word at different times.
    pub(super) const fn with_word(
        is_on: fn(&config::Signals) -> bool,
        word: fn(&T, Timestamp) -> Reading<Word>,
    ) -> Self {
        Self { is_on, word, hold: HOLD_AFTER_LOSS, survives_suspend: false, shown_when_off: true }
    }

    /// A value still counts for `hold` after its source was lost.
    pub(super) const fn with_hold(self, hold: Duration) -> Self {
        Self { hold, ..self }
    }

    /// The signal's own task decides how long a value still counts after its source was lost.
    pub(super) const fn without_hold(self) -> Self {
        Self { hold: Duration::ZERO, ..self }
    }

    /// Its reading still counts after a suspend, and need not be read again.
    pub(super) const fn surviving_suspend(self) -> Self {
        Self { survives_suspend: true, ..self }
    }

    /// The report leaves it out while it is off.
    pub(super) const fn hidden_when_off(self) -> Self {
        Self { shown_when_off: false, ..self }
    }
}

/// What one signal last said.
#[derive(Debug)]
pub(super) struct Slot<T> {
    signal: Signal<T>,
    observation: Observation<T>,
    /// Whether it has said anything since it was turned on.
    heard: bool,
    /// Its value before the source was lost, and until when that still counts.
    held: Option<(T, Instant)>,
}

/// What the report shows of a slot.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) value: String,
    pub(super) source: String,
    pub(super) health: Health,
    /// Why it is unknown.
    pub(super) reason: Option<String>,
    pub(super) until: Option<Timestamp>,
    pub(super) watched: Option<Watched>,
}

/// What the board does with every slot, whatever the type of its values.
pub(super) trait AnySlot {
    /// Turns the signal on or off. One that stays on keeps its reading until it is heard again.
    fn configure(&mut self, signals: &config::Signals);
    /// Forgets its reading, unless that survives a suspend.
    fn forget(&mut self);
    /// Whether it is off, or was heard.
    fn is_heard(&self) -> bool;
    /// Until when a value whose source was lost still counts.
    fn held_until(&self) -> Option<Instant>;
    /// What is wrong with it.
    fn warnings(&self) -> &[Warning];
    /// What the report shows; `None`: nothing.
    fn row(&self, now: &Now) -> Option<Row>;
}

impl<T: Clone> Slot<T> {
    /// A slot for a signal that is off.
    pub(super) fn new(signal: Signal<T>) -> Self {
        Self { signal, observation: observation(Reading::Off, "not configured"), heard: true, held: None }
    }

    /// Takes in what the signal says. A value whose source is lost still counts for a while.
    pub(super) fn hear(&mut self, observation: Observation<T>, now: &Now) {
        match (&self.observation.reading, &observation.reading) {
            // A task of an old configuration may still report after its signal was turned off.
            (Reading::Off, _) => return,
            (Reading::Known(value), Reading::Unknown) => {
                self.held = Some((value.clone(), now.instant + self.signal.hold));
            }
            (Reading::Unknown, Reading::Unknown) => {}
            (_, Reading::Off | Reading::Known(_)) => self.held = None,
        }
        self.observation = observation;
        self.heard = true;
    }

    /// What was last heard, without a value that is held.
    pub(super) fn last(&self) -> &Reading<T> {
        &self.observation.reading
    }

    /// Where it comes from.
    pub(super) fn source(&self) -> &str {
        &self.observation.source
    }

    /// How changes of its files are noticed.
    pub(super) fn watched(&self) -> Option<Watched> {
        self.observation.watched
    }

    /// What it means at `now`.
    pub(super) fn reading(&self, now: &Now) -> Reading<T> {
        match (&self.observation.reading, &self.held) {
            (Reading::Unknown, Some((value, until))) if now.instant < *until => Reading::Known(value.clone()),
            (reading, _) => reading.clone(),
        }
    }

    /// How healthy it is, if it means `reading` now.
    pub(super) fn health<U>(&self, reading: &Reading<U>) -> Health {
        let fine = self.observation.warnings.is_empty() && !matches!(reading, Reading::Unknown);
        if fine || !self.heard { Health::Ok } else { Health::Degraded }
    }

    /// Why it means `reading` now, if that is unknown.
    pub(super) fn reason<U>(&self, reading: &Reading<U>) -> Option<String> {
        let warning = self.observation.warnings.first().filter(|_| matches!(reading, Reading::Unknown))?;
        Some(cause(&warning.text))
    }

    /// Whether a reading from before a suspend still counts.
    pub(super) fn survives_suspend(&self) -> bool {
        self.signal.survives_suspend
    }

    fn is_off(&self) -> bool {
        matches!(self.observation.reading, Reading::Off)
    }

    fn start(&mut self) {
        self.observation = observation(Reading::Unknown, "starting");
        (self.heard, self.held) = (false, None);
    }

    fn stop(&mut self) {
        self.observation = observation(Reading::Off, "not configured");
        (self.heard, self.held) = (true, None);
    }
}

/// The cause in a warning's text, as part of a sentence: without the time before it, which the report has, and without what follows
/// from it.
fn cause(text: &str) -> String {
    let text = text.strip_suffix('.').unwrap_or(text);
    let text = text.split_once("; ").map_or(text, |(cause, _)| cause);
    let text = text.strip_prefix("Since ").and_then(|rest| rest.split_once(", ")).map_or(text, |(_, cause)| cause);
    // A name keeps its case.
    match text.split_once(' ') {
        Some((first @ ("The" | "There" | "This" | "Use" | "Reading"), rest)) => {
            format!("{} {rest}", first.to_lowercase())
        }
        Some(_) | None => text.to_owned(),
    }
}

/// What a signal says of itself before its task does.
fn observation<T>(reading: Reading<T>, source: &str) -> Observation<T> {
    Observation { reading, source: source.to_owned(), warnings: Vec::new(), watched: None }
}

impl<T: Clone> AnySlot for Slot<T> {
    fn configure(&mut self, signals: &config::Signals) {
        match ((self.signal.is_on)(signals), self.is_off()) {
            (false, _) => self.stop(),
            (true, true) => self.start(),
            (true, false) => {}
        }
    }

    fn forget(&mut self) {
        if !self.is_off() && !self.signal.survives_suspend {
            self.start();
        }
    }

    fn is_heard(&self) -> bool {
        self.heard
    }

    fn held_until(&self) -> Option<Instant> {
        self.held.as_ref().map(|(_, until)| *until)
    }

    fn warnings(&self) -> &[Warning] {
        &self.observation.warnings
    }

    fn row(&self, now: &Now) -> Option<Row> {
        let reading = match self.reading(now) {
            Reading::Off if !self.signal.shown_when_off => return None,
            Reading::Off => Reading::Off,
            Reading::Unknown => Reading::Unknown,
            Reading::Known(value) => (self.signal.word)(&value, now.wall),
        };
        let health = self.health(&reading);
        let reason = self.reason(&reading);
        let until = reading.known().and_then(|(_, until)| *until);
        let value = reading.map(|(word, _)| word).to_string();
        Some(Row { value, source: self.observation.source.clone(), health, reason, until, watched: self.watched() })
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::policy::Lock::{self, Locked};

    fn at(second: u64) -> Now {
        let after = Duration::from_secs(second);
        Now { instant: Instant::from_origin(after), wall: Timestamp::UNIX_EPOCH + after, zone: TimeZone::UTC }
    }

    /// A slot whose signal is on, which knew a value until it lost its source in second 10.
    fn lost(signal: Signal<Lock>) -> Slot<Lock> {
        let mut slot = Slot::new(signal);
        slot.configure(&config::Signals::default());
        slot.hear(observation(Reading::Known(Locked), "logind"), &at(1));
        slot.hear(observation(Reading::Unknown, "logind"), &at(10));
        slot
    }

    #[test]
    fn a_value_whose_source_is_lost_counts_for_five_more_seconds() {
        let slot = lost(Signal::new(|_| true));
        assert_eq!((slot.reading(&at(14)), slot.last()), (Reading::Known(Locked), &Reading::Unknown));
        assert_eq!((slot.reading(&at(15)), slot.held_until()), (Reading::Unknown, Some(at(15).instant)));
        assert_eq!(lost(Signal::new(|_| true).without_hold()).reading(&at(10)), Reading::Unknown);
    }

    #[test]
    fn the_cause_of_a_warning_is_a_clause() {
        for (text, clause) in [
            (
                "Since 14:21 on 30 Nov, the calendar /x.ics cannot be used, because it is not complete: it ends before its \
                 END:VCALENDAR; the calendar is unknown until it is whole.",
                "the calendar /x.ics cannot be used, because it is not complete: it ends before its END:VCALENDAR",
            ),
            ("There is no call state at /run/call-state.", "there is no call state at /run/call-state"),
            ("D-Bus does not answer.", "D-Bus does not answer"),
        ] {
            assert_eq!(cause(text), clause);
        }
    }

    #[test]
    fn a_forgotten_reading_must_be_heard_again_unless_it_survives_a_suspend() {
        let mut slot = lost(Signal::new(|_| true));
        slot.forget();
        assert_eq!((slot.reading(&at(11)), slot.is_heard()), (Reading::Unknown, false));
        let mut slot = lost(Signal::new(|_| true).surviving_suspend());
        slot.forget();
        assert_eq!((slot.reading(&at(11)), slot.is_heard()), (Reading::Known(Locked), true));
    }

    #[test]
    fn a_signal_that_is_off_hears_nothing_and_delays_nothing() {
        let mut slot = Slot::new(Signal::new(|_| false).hidden_when_off());
        slot.hear(observation(Reading::Known(Locked), "an old task"), &at(1));
        assert_eq!((slot.last(), slot.is_heard()), (&Reading::Off, true));
        assert!(slot.row(&at(1)).is_none());
    }
}
