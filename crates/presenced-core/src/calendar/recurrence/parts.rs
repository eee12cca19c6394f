//! The parts of a rule for the crate, in a form that does not depend on where the expansion starts.
//!
//! Leaves to others: where to start and when to stop (`recurrence`).

use ical::recur::{
    IcalRecurFreq as Freq, IcalRecurRule, IcalRecurRuleError, IcalRecurSkip, IcalRecurWeekday, IcalRecurWeekdayNum,
};
use jiff::civil::DateTime;

/// The crate's rule. Defaults that come from the start of the series are written out, so that the rule means the same when it is
/// started later.
pub(super) fn parts_of(text: &str, start: DateTime, whole_days: bool) -> Result<IcalRecurRule, IcalRecurRuleError> {
    let mut recur = IcalRecurRule::parse(text)?;
    sort_lists(&mut recur);
    if whole_days {
        // RFC 5545, 3.3.10: these MUST be ignored if the start is a DATE.
        recur.by_hour.clear();
        recur.by_minute.clear();
        recur.by_second.clear();
    }
    write_out_defaults(&mut recur, start);
    Ok(recur)
}

/// What a rule asks for that the crate does not do, for people.
pub(super) fn unsupported(recur: &IcalRecurRule) -> Option<&'static str> {
    // RFC 7529, 4.1: the 366th day of a year that has 365 days is moved too.
    let leap_day = recur.by_year_day.iter().any(|day| day.unsigned_abs() == 366);
    (recur.skip != IcalRecurSkip::Omit && leap_day)
        .then_some("its SKIP is not supported for BYYEARDAY; in years without that day, it does not take place")
}

/// Whether a rule repeats within a day.
pub(super) fn sub_daily(freq: Freq) -> bool {
    matches!(freq, Freq::Secondly | Freq::Minutely | Freq::Hourly)
}

/// Sorts the lists and removes duplicates.
fn sort_lists(recur: &mut IcalRecurRule) {
    fn sort<T: Ord>(list: &mut Vec<T>) {
        list.sort_unstable();
        list.dedup();
    }
    // There are no leap seconds here. RFC 5545, 3.3.12: second 60 is then read as 59.
    recur.by_second.iter_mut().for_each(|second| *second = (*second).min(59));
    sort(&mut recur.by_second);
    sort(&mut recur.by_minute);
    sort(&mut recur.by_hour);
    sort(&mut recur.by_month_day);
    sort(&mut recur.by_year_day);
    sort(&mut recur.by_week_no);
    sort(&mut recur.by_month);
    sort(&mut recur.by_set_pos);
    recur.by_day.sort_unstable_by_key(|day| (day.weekday, day.ordinal));
    recur.by_day.dedup();
}

/// Writes out the parts that RFC 5545, 3.3.10, takes from the start if they are missing, so that the rule means the same when it
/// is started at the beginning of a later period.
fn write_out_defaults(recur: &mut IcalRecurRule, start: DateTime) {
    let unsigned = |number: i8| u8::try_from(number).expect("hours, minutes, seconds and months are not negative");
    let set_if_empty = |list: &mut Vec<u8>, value: i8| {
        if list.is_empty() {
            list.push(unsigned(value));
        }
    };
    if !sub_daily(recur.freq) {
        set_if_empty(&mut recur.by_hour, start.hour());
    }
    if !matches!(recur.freq, Freq::Secondly | Freq::Minutely) {
        set_if_empty(&mut recur.by_minute, start.minute());
    }
    if recur.freq != Freq::Secondly {
        set_if_empty(&mut recur.by_second, start.second());
    }
    // Parts that are not allowed for the frequency are ignored, as in the crate. They select no day.
    let yearly = recur.freq == Freq::Yearly;
    let selects_a_day = !recur.by_day.is_empty()
        || (yearly && !(recur.by_year_day.is_empty() && recur.by_week_no.is_empty()))
        || (recur.freq != Freq::Weekly && !recur.by_month_day.is_empty());
    let weekday = || IcalRecurWeekdayNum { ordinal: None, weekday: crate_weekday(start) };
    match recur.freq {
        Freq::Weekly if recur.by_day.is_empty() => recur.by_day.push(weekday()),
        Freq::Monthly if !selects_a_day => recur.by_month_day.push(start.day()),
        Freq::Yearly if !selects_a_day => {
            set_if_empty(&mut recur.by_month, start.month());
            recur.by_month_day.push(start.day());
        }
        // BYMONTHDAY selects days of the month, which is that of the start (as in Google, libical and ical.js).
        Freq::Yearly
            if !recur.by_month_day.is_empty()
                && recur.by_day.is_empty()
                && recur.by_year_day.is_empty()
                && recur.by_week_no.is_empty() =>
        {
            set_if_empty(&mut recur.by_month, start.month());
        }
        // BYWEEKNO selects weeks. The weekday is that of the start.
        Freq::Yearly
            if !recur.by_week_no.is_empty()
                && recur.by_day.is_empty()
                && recur.by_month_day.is_empty()
                && recur.by_year_day.is_empty() =>
        {
            recur.by_day.push(weekday());
        }
        Freq::Secondly | Freq::Minutely | Freq::Hourly | Freq::Daily | Freq::Weekly | Freq::Monthly | Freq::Yearly => {}
    }
}

/// The interval in months, if a yearly rule means the same as a monthly one: if all its times are in the month of the start.
pub(super) fn months_of_yearly(recur: &IcalRecurRule, start: DateTime) -> Option<u32> {
    let in_month_of_start = matches!(recur.by_month[..], [month] if i8::try_from(month) == Ok(start.month()));
    let is_monthly =
        recur.freq == Freq::Yearly && in_month_of_start && recur.by_year_day.is_empty() && recur.by_week_no.is_empty();
    recur.interval.checked_mul(12).filter(|_| is_monthly)
}

/// Whether every period has the same number of times. That is so if the rule selects nothing but times of day and, in a weekly
/// rule, weekdays.
pub(super) fn regular(recur: &IcalRecurRule) -> bool {
    let only_times = recur.by_month.is_empty()
        && recur.by_month_day.is_empty()
        && recur.by_year_day.is_empty()
        && recur.by_week_no.is_empty()
        && recur.by_set_pos.is_empty();
    only_times
        && match recur.freq {
            Freq::Secondly => {
                recur.by_day.is_empty()
                    && recur.by_hour.is_empty()
                    && recur.by_minute.is_empty()
                    && recur.by_second.is_empty()
            }
            Freq::Minutely => recur.by_day.is_empty() && recur.by_hour.is_empty() && recur.by_minute.is_empty(),
            Freq::Hourly => recur.by_day.is_empty() && recur.by_hour.is_empty(),
            Freq::Daily => recur.by_day.is_empty(),
            Freq::Weekly => recur.by_day.iter().all(|day| day.ordinal.is_none()),
            Freq::Monthly | Freq::Yearly => false,
        }
}

/// The number of choices in a list. An empty list leaves one choice.
pub(super) fn length<T>(list: &[T]) -> u64 {
    (list.len() as u64).max(1)
}

fn crate_weekday(at: DateTime) -> IcalRecurWeekday {
    use IcalRecurWeekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    use jiff::civil::Weekday;
    match at.weekday() {
        Weekday::Sunday => Sunday,
        Weekday::Monday => Monday,
        Weekday::Tuesday => Tuesday,
        Weekday::Wednesday => Wednesday,
        Weekday::Thursday => Thursday,
        Weekday::Friday => Friday,
        Weekday::Saturday => Saturday,
    }
}
