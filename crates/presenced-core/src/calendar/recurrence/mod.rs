//! Recurrence rules (RFC 5545, 3.3.10). Only this module and `parts` use the crate that expands them, `ical-rs`.
//!
//! This module adds what the crate lacks. It starts near the window instead of at the start of the series, and stops after the
//! window. It rejects rules with too many times to keep, and counts all steps against a budget. All times here are local times
//! of the series. Leaves to others: zones, exceptions and overrides (`series`).

#[cfg(test)]
mod cases;
mod parts;
mod text;

use ical::recur::expand::IcalRecurExpand;
use ical::recur::{IcalRecurDateTime, IcalRecurFreq as Freq, IcalRecurRule, IcalRecurWeekday};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan as _};

use self::parts::{length, months_of_yearly, parts_of, regular, sub_daily, unsupported};
use self::text::readable_parts;
use super::value::Written;

pub(super) use self::text::{RuleText, Until};

/// The most times that a rule may give in one period: in one year for a yearly rule.
const MAX_TIMES_PER_PERIOD: u64 = 20_000;

/// How far past the window the crate must walk. A period can begin after a time that it gives, by at most a week: the first
/// week of a year may begin in the year before.
const OVERSHOOT: SignedDuration = SignedDuration::from_hours(8 * 24);

/// The number of steps that may still be taken. All series that are expanded in one pass over a file share a budget.
#[derive(Debug)]
pub(super) struct Budget(u64);

/// The budget ran out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Budget {
    /// A budget of `steps`. One step takes about 50 ns.
    pub(super) const fn new(steps: u64) -> Self {
        Self(steps)
    }

    /// Adds steps.
    pub(super) fn add(&mut self, steps: u64) {
        self.0 = self.0.saturating_add(steps);
    }

    /// Takes a part of at most `steps` out of this budget. [`Self::merge`] puts back the rest of it.
    pub(super) fn split(&mut self, steps: u64) -> Self {
        let part = steps.min(self.0);
        self.0 -= part;
        Self(part)
    }

    /// Puts back the rest of a part.
    pub(super) fn merge(&mut self, part: &Self) {
        self.add(part.0);
    }

    /// Fails if fewer than `steps` are left.
    fn check(&self, steps: u64) -> Result<(), Exhausted> {
        if self.0 < steps { Err(Exhausted) } else { Ok(()) }
    }

    /// Spends steps. Fails if none are left after that.
    fn spend(&mut self, steps: u64) -> Result<(), Exhausted> {
        self.0 = self.0.saturating_sub(steps);
        if self.0 == 0 { Err(Exhausted) } else { Ok(()) }
    }
}

/// A rule, read for the start of one series. It keeps the text, because the parsed parts need ten times the memory.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The rule without its UNTIL.
    text: Box<str>,
    whole_days: bool,
    freq: Freq,
    interval: u32,
    week_start: IcalRecurWeekday,
    /// Whether it selects weeks of the year.
    by_week: bool,
    count: Option<u32>,
    until: Option<Written>,
    /// The most times in one period.
    per_period: u64,
    /// Whether every period except the first has exactly `per_period` times.
    regular: bool,
    /// The cost of one period, in steps.
    weight: u64,
}

impl Rule {
    /// Reads a rule for a series that starts at `start`. `whole_days` says that the start is a DATE. Also returns what is wrong
    /// with parts that are left out. The error says why the rule cannot be used. All of this is for people.
    pub(super) fn parse(
        parts: &str,
        until: Option<Written>,
        start: DateTime,
        whole_days: bool,
    ) -> Result<(Self, Vec<String>), String> {
        let (text, recur, mut problems) = match parts_of(parts, start, whole_days) {
            Ok(recur) if recur.count != Some(0) => (parts.to_owned(), recur, Vec::new()),
            Ok(_) | Err(_) => {
                let (text, problems) = readable_parts(parts)?;
                let recur = parts_of(&text, start, whole_days).map_err(|error| lower_first(&error.to_string()))?;
                (text, recur, problems)
            }
        };
        problems.extend(unsupported(&recur).map(str::to_owned));
        if recur.scale.as_deref().is_some_and(|scale| scale != "GREGORIAN") {
            return Err("only the Gregorian calendar is supported".to_owned());
        }
        if whole_days && sub_daily(recur.freq) {
            return Err("an all-day event cannot repeat within a day".to_owned());
        }
        let times = length(&recur.by_hour) * length(&recur.by_minute) * length(&recur.by_second);
        let (per_period, days) = match recur.freq {
            Freq::Secondly => (1, 0),
            Freq::Minutely => (length(&recur.by_second), 0),
            Freq::Hourly => (length(&recur.by_minute) * length(&recur.by_second), 0),
            Freq::Daily => (times, 1),
            Freq::Weekly => (times * length(&recur.by_day), 7),
            Freq::Monthly => (times * 31, 31),
            Freq::Yearly => (times * 380, 380),
        };
        if per_period > MAX_TIMES_PER_PERIOD {
            return Err("it repeats too often".to_owned());
        }
        // The crate looks at each day of a period. In one month a year, it need not look at the other months.
        let (freq, interval, days) = match months_of_yearly(&recur, start) {
            Some(months) => (Freq::Monthly, months, 31),
            None => (recur.freq, recur.interval, days),
        };
        let lists = [recur.by_day.len(), recur.by_month_day.len(), recur.by_year_day.len(), recur.by_week_no.len()];
        let day_checks = days / 4 + days * lists.iter().sum::<usize>() as u64 / 16;
        // BYSETPOS can only be applied after all times of the period are known.
        let position_checks = match recur.by_set_pos.len() as u64 {
            0 => 0,
            positions => 1 + per_period * positions / 8,
        };
        let rule = Self {
            text: text.into(),
            whole_days,
            freq,
            interval,
            week_start: recur.week_start,
            by_week: recur.freq == Freq::Yearly && !recur.by_week_no.is_empty(),
            count: recur.count,
            until,
            per_period,
            regular: regular(&recur),
            weight: 1 + day_checks + position_checks,
        };
        Ok((rule, problems))
    }

    /// The same rule in a series whose start takes place even if the rule does not give it, and then counts for COUNT (as in
    /// Google, Apple, Outlook; RFC 5545, 3.3.10: "DTSTART ... counts as the first occurrence").
    pub(super) fn counting_start(mut self, start: DateTime) -> Self {
        if let Some(count) = self.count {
            // A week of the year can begin after a time that it gives. Other rules need not be walked further than the start,
            // and with every second that would take long.
            let last = if self.by_week { start.saturating_add(OVERSHOOT) } else { start };
            let mut given = IcalRecurExpand::new(self.bounded(start, last), to_crate(first_period(&self, start)));
            let gives_start = given.any(|at| at == to_crate(start));
            self.count = Some(count - u32::from(!gives_start));
        }
        self
    }

    /// The crate's rule for a series that starts at `start`, with `until` as its only limit.
    fn bounded(&self, start: DateTime, until: DateTime) -> IcalRecurRule {
        let mut recur = parts_of(&self.text, start, self.whole_days).expect("the text was read before");
        (recur.freq, recur.interval, recur.count) = (self.freq, self.interval, None);
        recur.until = Some(to_crate(until));
        recur
    }

    /// The local time in `zone` after which the rule gives nothing more because of its UNTIL. A DATE includes the whole day; for
    /// whole days, the date as written counts.
    pub(super) fn end(&self, zone: &TimeZone) -> Option<DateTime> {
        let last = match self.until? {
            Written::Day(date) => date.at(23, 59, 59, 0),
            Written::Local(at) => at,
            Written::Utc(at) => TimeZone::UTC.to_timestamp(at).map_or(at, |instant| zone.to_datetime(instant)),
        };
        Some(last.saturating_add(1.second()))
    }
}

/// The times in `[from, to)` that `rule` gives for a series that starts at `start`, ascending. COUNT is applied here; the caller
/// applies UNTIL with [`Rule::end`]. `start` itself is included only if the rule gives it.
pub(super) fn occurrences(
    rule: &Rule,
    start: DateTime,
    from: DateTime,
    to: DateTime,
    budget: &mut Budget,
) -> Result<Vec<DateTime>, Exhausted> {
    // The cost of a step is only known afterwards. It is at most one period and all its times.
    budget.check(rule.weight.saturating_add(rule.per_period))?;
    let mut found = Vec::new();
    // Most of the rules in an old calendar have ended.
    if to <= start || to <= from {
        return Ok(found);
    }
    let (first, mut left) = match rule.count.map(u64::from) {
        None => (later_start(rule, start, from).map_or(first_period(rule, start), |(first, _)| first), u64::MAX),
        Some(count) => match skip_counted(rule, start, from, to, count, budget)? {
            Some(skipped) => skipped,
            None => return Ok(found),
        },
    };
    let stop = to.saturating_add(OVERSHOOT);
    // The crate walks over empty periods without returning. Let it go no further than the budget allows.
    let paid = nth_period(rule, first, budget.0 / rule.weight).map_or(stop, |paid| paid.min(stop));
    let recur = rule.bounded(start, paid);
    let (from, to, stop, paid) = (to_crate(from), to_crate(to), to_crate(stop), to_crate(paid));
    let start = to_crate(start);
    let mut previous = to_crate(first);
    let mut expansion = IcalRecurExpand::new(recur, previous);
    while left > 0 {
        let next = expansion.next();
        let walked = (next.unwrap_or(paid).seconds() - previous.seconds()) / unit_seconds(rule.freq);
        let periods = u64::try_from(walked).unwrap_or(0) / u64::from(rule.interval);
        budget.spend(1 + periods.saturating_mul(rule.weight))?;
        if next.is_none() && paid < stop {
            return Err(Exhausted);
        }
        let Some(next) = next.filter(|&next| next < to) else { break };
        previous = next;
        if next < start {
            continue;
        }
        if next >= from
            && let Some(next) = from_crate(next)
            && found.last() != Some(&next)
        {
            found.push(next);
        }
        left -= 1;
    }
    Ok(found)
}

/// Where the first period begins, or the start itself if that does not matter. The first days of January may be in the last week
/// of the year before (ISO 8601), which is then the first period.
fn first_period(rule: &Rule, start: DateTime) -> DateTime {
    if !rule.by_week || rule.interval != 1 || start.month() != 1 || start.day() > 6 {
        return start;
    }
    Date::new(start.year() - 1, 1, 1).map_or(start, |first| first.at(0, 0, 0, 0))
}

/// Where to start a rule with COUNT, and how much of the count is left there; `None` if it is used up before `from`.
fn skip_counted(
    rule: &Rule,
    start: DateTime,
    from: DateTime,
    to: DateTime,
    count: u64,
    budget: &mut Budget,
) -> Result<Option<(DateTime, u64)>, Exhausted> {
    let first_period = first_period(rule, start);
    let Some((first, periods)) = later_start(rule, start, from) else {
        return Ok(Some((first_period, count)));
    };
    // The rule cannot give that many times until the end of the window, so the count does not matter.
    let most = (periods_between(rule, start, to) + 2).saturating_mul(rule.per_period);
    if count >= most {
        return Ok(Some((first, u64::MAX)));
    }
    if !rule.regular {
        return Ok(Some((first_period, count)));
    }
    let second_period = nth_period(rule, start, 1).unwrap_or(DateTime::MAX);
    let given = IcalRecurExpand::new(rule.bounded(start, second_period), to_crate(start)).map_while(from_crate);
    let in_first_period = given.take_while(|&at| at < second_period).count() as u64;
    budget.spend(in_first_period + 1)?;
    let skipped = in_first_period + (periods - 1) * rule.per_period;
    Ok((skipped < count).then(|| (first, count - skipped)))
}

/// A later start for the expansion, at the beginning of a period of the rule, and how many periods after `start` it is. It is at
/// least one period after `start`, and early enough to miss nothing from `from` on. `None` if there is no later start.
fn later_start(rule: &Rule, start: DateTime, from: DateTime) -> Option<(DateTime, u64)> {
    let periods = periods_between(rule, start, from).checked_sub(2).filter(|&periods| periods > 0)?;
    Some((nth_period(rule, start, periods)?, periods))
}

/// The least number of INTERVALs between two times; 0 if `later` is not later.
fn periods_between(rule: &Rule, earlier: DateTime, later: DateTime) -> u64 {
    let units = match rule.freq {
        Freq::Monthly => months(later) - months(earlier),
        Freq::Yearly => i64::from(later.year()) - i64::from(earlier.year()),
        Freq::Secondly | Freq::Minutely | Freq::Hourly | Freq::Daily | Freq::Weekly => {
            earlier.duration_until(later).as_secs() / unit_seconds(rule.freq)
        }
    };
    u64::try_from(units).unwrap_or(0) / u64::from(rule.interval)
}

/// The beginning of the period that is `periods` INTERVALs after the period of `start`; `None` if it is after the year 9999.
fn nth_period(rule: &Rule, start: DateTime, periods: u64) -> Option<DateTime> {
    let units = i64::try_from(periods.checked_mul(u64::from(rule.interval))?).ok()?;
    match rule.freq {
        Freq::Secondly | Freq::Minutely | Freq::Hourly => {
            let seconds = units.checked_mul(unit_seconds(rule.freq))?;
            start.checked_add(SignedDuration::from_secs(seconds)).ok()
        }
        Freq::Daily => later_day(start.date(), units),
        Freq::Weekly => {
            let back = (start.weekday().to_sunday_zero_offset() - rule.week_start as i8).rem_euclid(7);
            later_day(start.date(), units.checked_mul(7)?.checked_sub(i64::from(back))?)
        }
        Freq::Monthly => {
            let month = months(start).checked_add(units)?;
            let (year, month) = (i16::try_from(month.div_euclid(12)).ok()?, i8::try_from(month.rem_euclid(12)).ok()?);
            Some(Date::new(year, month + 1, 1).ok()?.at(0, 0, 0, 0))
        }
        Freq::Yearly => {
            let year = i16::try_from(i64::from(start.year()).checked_add(units)?).ok()?;
            Some(Date::new(year, 1, 1).ok()?.at(0, 0, 0, 0))
        }
    }
}

fn later_day(date: Date, days: i64) -> Option<DateTime> {
    let duration = SignedDuration::from_secs(days.checked_mul(86_400)?);
    date.at(0, 0, 0, 0).checked_add(duration).ok()
}

fn months(at: DateTime) -> i64 {
    i64::from(at.year()) * 12 + i64::from(at.month()) - 1
}

fn unit_seconds(freq: Freq) -> i64 {
    match freq {
        Freq::Secondly => 1,
        Freq::Minutely => 60,
        Freq::Hourly => 3600,
        Freq::Daily => 86_400,
        Freq::Weekly => 7 * 86_400,
        Freq::Monthly => 28 * 86_400,
        Freq::Yearly => 365 * 86_400,
    }
}

fn to_crate(at: DateTime) -> IcalRecurDateTime {
    let unsigned = |number: i8| u8::try_from(number).expect("parts of a civil time are not negative");
    IcalRecurDateTime {
        year: at.year().into(),
        month: unsigned(at.month()),
        day: unsigned(at.day()),
        hour: unsigned(at.hour()),
        minute: unsigned(at.minute()),
        second: unsigned(at.second()),
    }
}

fn from_crate(at: IcalRecurDateTime) -> Option<DateTime> {
    let signed = |number: u8| i8::try_from(number).ok();
    let year = i16::try_from(at.year).ok()?;
    let (month, day) = (signed(at.month)?, signed(at.day)?);
    DateTime::new(year, month, day, signed(at.hour)?, signed(at.minute)?, signed(at.second)?, 0).ok()
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
