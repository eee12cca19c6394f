//! How an event repeats: its rules, and its further and excluded dates, once its start and all zones are known.
//!
//! A part that cannot be read is left out and reported. Leaves to others: collecting the properties (`draft`), and expanding
//! them (`series`).

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::dated::{Dated, ZoneName, Zones, moment, named};
use super::event::Repeat;
use super::length::{Length, length};
use super::moment::Moment;
use super::recurrence::{Rule, RuleText, Until};
use super::value::{PeriodEnd, Written};

/// What is needed to read how an event repeats.
pub(super) struct RepeatReader<'a, Z> {
    pub(super) start: &'a Moment,
    /// The zone in which the start is written.
    pub(super) own: Option<ZoneName>,
    pub(super) line: u32,
    /// In seconds since 1970.
    pub(super) newest_stamp: i64,
    pub(super) zones: &'a mut Z,
    /// Takes the line and the reason for each part that cannot be used.
    pub(super) left_out: &'a mut dyn FnMut(u32, String),
}

impl<Z: Zones> RepeatReader<'_, Z> {
    /// How the event repeats.
    pub(super) fn read(
        mut self,
        rules: Vec<(u32, RuleText)>,
        exception_rules: Vec<(u32, RuleText)>,
        dates: Vec<(Dated, Option<PeriodEnd>)>,
        exceptions: Vec<Dated>,
    ) -> Repeat {
        Repeat {
            rules: self.rules(rules, "RRULE"),
            exception_rules: self.rules(exception_rules, "EXRULE"),
            dates: dates.into_iter().filter_map(|(date, end)| self.date(date, end)).collect(),
            exceptions: exceptions.into_iter().map(|exception| named(exception, self.own, self.zones)).collect(),
        }
    }

    fn rules(&mut self, rules: Vec<(u32, RuleText)>, what: &str) -> Vec<Rule> {
        let mut readable = Vec::with_capacity(rules.len());
        for (line, text) in rules {
            let until = match text.until {
                Until::Never => None,
                // In a series of whole days, UNTIL is a date too.
                Until::At(Written::Utc(at)) if self.start.is_day() => Some(Written::Day(self.zones.day(self.own, at))),
                Until::At(until) => Some(until),
                Until::Unreadable => {
                    let last = self.last_guess();
                    (self.left_out)(line, format!("{what}: its UNTIL cannot be read; it is taken to end on {last}"));
                    Some(Written::Day(last))
                }
            };
            match Rule::parse(&text.parts, until, self.start.civil(), self.start.is_day()) {
                Ok((rule, problems)) => {
                    readable.push(rule.counting_start(self.start.civil()));
                    let problems = problems.into_iter().chain(text.problem.map(str::to_owned));
                    problems.for_each(|problem| (self.left_out)(line, format!("{what}: {problem}")));
                }
                Err(reason) => (self.left_out)(line, format!("{what} cannot be used: {reason}")),
            }
        }
        readable
    }

    /// The last day of a rule whose UNTIL cannot be read: a year after the start or after the newest DTSTAMP, whichever is
    /// later. A meeting that is missed costs more than one that is shown by mistake.
    fn last_guess(&self) -> Date {
        let stamped = jiff::Timestamp::from_second(self.newest_stamp).unwrap_or_default();
        let stamped = TimeZone::UTC.to_datetime(stamped).date();
        self.start.civil().date().max(stamped).saturating_add(1.year())
    }

    /// An RDATE; `None` if it is left out.
    fn date(&mut self, date: Dated, end: Option<PeriodEnd>) -> Option<(Moment, Option<Length>)> {
        let mut moment = |written: Written, zone| {
            let dated = Dated { written, zone };
            match dated.utc(self.zones) {
                Some(at) if self.start.is_day() => Moment::Day(self.zones.day(self.own, at)),
                Some(_) | None => moment(dated, self.zones),
            }
        };
        let from = moment(date.written, date.zone);
        let own_length = end.map(|end| match end {
            PeriodEnd::At(written) => length(&from, Some(&moment(written, date.zone)), None),
            PeriodEnd::After(duration) => length(&from, None, Some(duration)),
        });
        if let Ok(own_length) = own_length.transpose() {
            return Some((from, own_length));
        }
        (self.left_out)(self.line, "a period of an RDATE ends before it starts".to_owned());
        None
    }
}
