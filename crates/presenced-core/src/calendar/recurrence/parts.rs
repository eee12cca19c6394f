//! The parts of a rule as the crate takes them, in a form that means the same wherever the rule is started.
//!
//! Leaves to others: where to start it and when to stop (`recurrence`).

use ical::recur::{IcalRecurFreq as Freq, IcalRecurRule, IcalRecurRuleError, IcalRecurWeekday, IcalRecurWeekdayNum};
use jiff::civil::DateTime;

/// The crate's rule, with all that it would take from the start written out where that keeps its meaning when it is started
/// later.
pub(super) fn parts_of(text: &str, start: DateTime, whole_days: bool) -> Result<IcalRecurRule, IcalRecurRuleError> {
    let mut recur = IcalRecurRule::parse(text)?;
    sort_lists(&mut recur);
    if whole_days {
        // RFC 5545: these MUST be ignored for a DATE start.
        recur.by_hour.clear();
        recur.by_minute.clear();
        recur.by_second.clear();
    }
    write_out_defaults(&mut recur, start);
    Ok(recur)
}

/// Whether a rule repeats within a day.
pub(super) fn sub_daily(freq: Freq) -> bool {
    matches!(freq, Freq::Secondly | Freq::Minutely | Freq::Hourly)
}

/// Sorts the lists and drops what they hold twice, however often they hold it.
fn sort_lists(recur: &mut IcalRecurRule) {
    fn sort<T: Ord>(list: &mut Vec<T>) {
        list.sort_unstable();
        list.dedup();
    }
    // There are no leap seconds here; RFC 5545 reads second 60 as 59 where there are none.
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

/// Writes out what RFC 5545 takes from the start when no part says it, so that the rule means the same when it is started
/// at the beginning of a later period.
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
    // Parts that the frequency forbids are ignored (as the crate does); they select no day.
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
        // BYWEEKNO selects weeks; the day in them is the start's.
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

/// Whether every period gives the same number of times: nothing but the time of day, and weekdays of a weekly rule, is
/// selected.
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

/// How many choices a list gives; an empty one leaves the one there is.
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
