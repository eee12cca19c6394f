//! Shrinking: of a day that fails, the part that matters.

use super::day::Day;

/// The smallest day found that still `fails`: without each event and meeting that it fails without, too.
pub(super) fn shrink(mut day: Day, fails: impl Fn(&Day) -> bool) -> Day {
    loop {
        let before = (day.events.len(), day.meetings.len());
        day = without(day, |day| &mut day.events, &fails);
        day = without(day, |day| &mut day.meetings, &fails);
        if (day.events.len(), day.meetings.len()) == before {
            return day;
        }
    }
}

/// Takes parts of a list out, first large ones, as long as the day fails without them.
fn without<T>(mut day: Day, list: fn(&mut Day) -> &mut Vec<T>, fails: &impl Fn(&Day) -> bool) -> Day {
    let mut part = list(&mut day).len();
    while part > 0 {
        let mut start = 0;
        while start < list(&mut day).len() {
            let mut less = day.clone();
            let list_of_less = list(&mut less);
            let end = (start + part).min(list_of_less.len());
            list_of_less.drain(start..end);
            if fails(&less) {
                day = less;
            } else {
                start += part;
            }
        }
        part /= 2;
    }
    day
}
