//! The syntax of hours.
//!
//! Days are written as in systemd's calendar events (`systemd.time(7)`), followed by time spans. Groups of days and spans are
//! separated by commas. A group without days means every day, a group without spans means the whole day, and several spans may
//! follow the same days: `Mon..Thu,Sat 08:30-12:00,13:00-18:00, Fri 08:30-14:00`. A span that ends before it starts runs over
//! midnight and belongs to the day on which it starts. A time zone may come last: `Mon..Fri 08:30-18:00 Europe/Berlin`.

use std::ops::Range;

use super::{Hours, MINUTES_PER_DAY, MINUTES_PER_WEEK};
use crate::suggest;
use crate::time::zone_named;

const DAY_NAMES: [(&str, &str); 7] = [
    ("Mon", "Monday"),
    ("Tue", "Tuesday"),
    ("Wed", "Wednesday"),
    ("Thu", "Thursday"),
    ("Fri", "Friday"),
    ("Sat", "Saturday"),
    ("Sun", "Sunday"),
];

/// Why a text is not valid hours: one sentence for the user, with a hint if there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HoursError(pub String);

impl std::str::FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let text = text.trim();
        let (spans, zone) = match split_zone(text) {
            Some((spans, name)) => {
                let zone =
                    zone_named(name).map_err(|hint| HoursError(format!("`{name}` is not a time zone; {hint}")))?;
                (spans, Some(zone))
            }
            None => (text, None),
        };
        let mut parser = Parser::default();
        for item in spans.split(',') {
            parser.item(item.trim())?;
        }
        Ok(Self { text: text.to_owned(), spans: merge(parser.finish()), zone })
    }
}

/// Splits off the name of a zone at the end: a last word that is not a day and that does not continue the text before it after
/// a comma, dot or hyphen.
fn split_zone(item: &str) -> Option<(&str, &str)> {
    let (before, word) = item.trim().rsplit_once(char::is_whitespace)?;
    let before = before.trim_end();
    let is_name =
        word.starts_with(|c: char| c.is_ascii_alphabetic()) && !word.contains([',', '.']) && day(word).is_err();
    (is_name && !before.ends_with([',', '.', '-', '–'])).then_some((before, word))
}

/// Reads the items between commas one by one. The days of a time span may come from an earlier item.
#[derive(Default)]
struct Parser {
    /// The days of the current group, Monday first.
    days: [bool; 7],
    /// Whether the current group has a time span. If so, a day begins the next group.
    timed: bool,
    /// Whether an item was read before.
    begun: bool,
    spans: Vec<Range<u16>>,
}

impl Parser {
    /// Reads `Mon`, `Mon..Fri`, `08:30-18:00` or `Mon..Fri 08:30-18:00`.
    fn item(&mut self, item: &str) -> Result<(), HoursError> {
        if let Some((_, name)) = split_zone(item)
            && zone_named(name).is_ok()
        {
            let message =
                format!("the zone `{name}` must come last and applies to all; for several zones, write a list");
            return Err(HoursError(message));
        }
        // Names of days contain no digit, and every time begins with one.
        let (days, times) = item.split_at(item.find(|c: char| c.is_ascii_digit()).unwrap_or(item.len()));
        let begun = std::mem::replace(&mut self.begun, true);
        if !days.is_empty() || times.is_empty() {
            self.add_days(days.trim_end(), begun)?;
        } else if !begun {
            self.days = [true; 7];
        } else if !self.timed {
            return Err(HoursError(format!("a day is missing between the comma and `{times}`")));
        }
        if times.is_empty() { Ok(()) } else { self.add_times(times) }
    }

    /// Adds days to the current group, or begins the next group.
    fn add_days(&mut self, text: &str, begun: bool) -> Result<(), HoursError> {
        if self.timed || !begun {
            self.days = [false; 7];
            self.timed = false;
        }
        let (first, last) = if let Some((first, last)) = text.split_once("..") {
            (day(first)?, day(last)?)
        } else if let Some((first, last)) = text.split_once(['-', '–'])
            && day(first).is_ok()
            && day(last).is_ok()
        {
            let (first, last) = (first.trim(), last.trim());
            return Err(HoursError(format!("write a range of days as `{first}..{last}`")));
        } else {
            (day(text)?, day(text)?)
        };
        // `Fri..Mon` includes the weekend.
        for offset in 0..=(last + 7 - first) % 7 {
            self.days[(first + offset) % 7] = true;
        }
        Ok(())
    }

    fn add_times(&mut self, text: &str) -> Result<(), HoursError> {
        let Some((start_text, end_text)) = text.split_once(['-', '–']) else {
            return Err(HoursError(format!("`{text}` is not a time span; write one like `08:30-18:00`")));
        };
        let (start, end) = (time(start_text)?, time(end_text)?);
        if start == MINUTES_PER_DAY {
            return Err(HoursError("a time span cannot start at 24:00; write `00:00` on the next day".to_owned()));
        }
        if start == end {
            return Err(HoursError(format!("`{text}` has no length; the whole day is `00:00-24:00`")));
        }
        let end = if end < start { end + MINUTES_PER_DAY } else { end };
        self.timed = true;
        self.push(start, end);
        Ok(())
    }

    fn push(&mut self, start: u16, end: u16) {
        let midnights = (0..MINUTES_PER_WEEK).step_by(usize::from(MINUTES_PER_DAY));
        let chosen = midnights.zip(self.days).filter(|(_, chosen)| *chosen);
        self.spans.extend(chosen.map(|(midnight, _)| midnight + start..midnight + end));
    }

    fn finish(mut self) -> Vec<Range<u16>> {
        if !self.timed {
            self.push(0, MINUTES_PER_DAY);
        }
        self.spans
    }
}

/// The number of a day, counted from Monday = 0.
fn day(name: &str) -> Result<usize, HoursError> {
    let name = name.trim();
    DAY_NAMES
        .iter()
        .position(|(short, long)| name.eq_ignore_ascii_case(short) || name.eq_ignore_ascii_case(long))
        .ok_or_else(|| {
            let names = DAY_NAMES.iter().flat_map(|(short, long)| [*short, *long]);
            HoursError(match suggest::nearest(name, names) {
                Some(meant) => format!("`{name}` is not a day of the week; did you mean `{meant}`?"),
                None if name.is_empty() => "a day of the week or a time span is missing".to_owned(),
                None => format!("`{name}` is not a day of the week; write Mon, Tue, Wed, Thu, Fri, Sat or Sun"),
            })
        })
}

/// Reads `HH:MM`, up to 24:00, as a minute of the day.
fn time(text: &str) -> Result<u16, HoursError> {
    let text = text.trim();
    let number = |digits: &str, most: u16| {
        let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|number| plain && *number <= most)
    };
    text.split_once(':')
        .filter(|(_, minutes)| minutes.len() == 2)
        .and_then(|(hours, minutes)| Some(number(hours, 24)? * 60 + number(minutes, 59)?))
        .filter(|minute| *minute <= MINUTES_PER_DAY)
        .ok_or_else(|| HoursError(format!("`{text}` is not a time of day; write hours and minutes, 00:00 to 24:00")))
}

/// Sorts the spans, joins those that touch, and moves the part after Sunday's midnight to Monday.
fn merge(spans: Vec<Range<u16>>) -> Vec<Range<u16>> {
    let mut folded: Vec<Range<u16>> = spans
        .into_iter()
        .flat_map(|span| [span.start..span.end.min(MINUTES_PER_WEEK), 0..span.end.saturating_sub(MINUTES_PER_WEEK)])
        .filter(|span| !span.is_empty())
        .collect();
    folded.sort_by_key(|span| span.start);
    let mut merged: Vec<Range<u16>> = Vec::new();
    for span in folded {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            Some(_) | None => merged.push(span),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> Hours {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn error(text: &str) -> String {
        text.parse::<Hours>().expect_err(text).to_string()
    }

    #[test]
    fn days_groups_and_several_spans_are_read() {
        for (short, long) in [
            ("mon..fri 8:30-18:00", "Monday,Tuesday,Wednesday,Thursday,Friday 08:30-18:00"),
            (
                "Mon,Wed..Fri 08:00-12:00,13:00-17:00",
                "Mon 08:00-12:00, Mon 13:00-17:00, Wed..Fri 08:00-12:00,13:00-17:00",
            ),
            ("08:00-18:00", "Mon..Sun 08:00-18:00"),
            ("Fri..Mon 10:00-11:00", "Fri,Sat,Sun,Mon 10:00-11:00"),
            ("Sat,Sun", "Sat..Sun 00:00-24:00"),
            ("Mon 08:00-10:00, Sat", "Mon 08:00-10:00, Sat 00:00-24:00"),
            ("22:00-06:00", "22:00-24:00, 00:00-06:00"),
            ("Sun 22:00-06:00", "Sun 22:00-24:00, Mon 00:00-06:00"),
            ("22:00-00:00", "22:00-24:00"),
            ("09:00 - 10:00,09:30–12:00", "09:00-12:00"),
        ] {
            assert_eq!(hours(short).spans, hours(long).spans, "{short}");
            assert_eq!(hours(&format!(" {short} ")).to_string(), short);
        }
    }

    #[test]
    fn a_zone_may_come_last() {
        for (text, spans, zone) in [
            ("Mon..Fri 08:30-18:00 Europe/Berlin", "Mon..Fri 08:30-18:00", "Europe/Berlin"),
            (
                "Mon..Fri 08:30-12:00,13:00-18:00, Sat  europe/berlin ",
                "Mon..Fri 08:30-12:00,13:00-18:00, Sat",
                "Europe/Berlin",
            ),
            ("22:00-06:00 UTC", "22:00-06:00", "UTC"),
            ("09:00 - 10:00 Etc/GMT-5", "09:00-10:00", "Etc/GMT-5"),
            ("Mon .. Fri America/Argentina/Buenos_Aires", "Mon..Fri", "America/Argentina/Buenos_Aires"),
        ] {
            let read = hours(text);
            assert_eq!(read.spans, hours(spans).spans, "{text}");
            assert_eq!(read.zone.as_ref().and_then(|zone| zone.iana_name()), Some(zone), "{text}");
            assert_eq!(read.to_string(), text.trim());
        }
        for text in ["Mon .. Fri", "Mon, Tue", "09:00 - 10:00, Sat , Sun"] {
            assert_eq!(hours(text).zone, None, "{text}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong_and_suggest_a_fix() {
        for (text, expected) in [
            ("Mun..Fri 08:00-18:00", "`Mun` is not a day of the week; did you mean `Mon`?"),
            ("Wendesday", "`Wendesday` is not a day of the week; did you mean `Wednesday`?"),
            ("xyz", "`xyz` is not a day of the week; write Mon, Tue, Wed, Thu, Fri, Sat or Sun"),
            ("Mon-Fri 08:00-18:00", "write a range of days as `Mon..Fri`"),
            ("Mon – Fri", "write a range of days as `Mon..Fri`"),
            ("08:00", "`08:00` is not a time span; write one like `08:30-18:00`"),
            ("8-18", "`8` is not a time of day; write hours and minutes, 00:00 to 24:00"),
            ("08:00-24:01", "`24:01` is not a time of day; write hours and minutes, 00:00 to 24:00"),
            ("08:00-12:60", "`12:60` is not a time of day; write hours and minutes, 00:00 to 24:00"),
            ("08:00-+9:00", "`+9:00` is not a time of day; write hours and minutes, 00:00 to 24:00"),
            ("24:00-06:00", "a time span cannot start at 24:00; write `00:00` on the next day"),
            ("08:00-08:00", "`08:00-08:00` has no length; the whole day is `00:00-24:00`"),
            ("", "a day of the week or a time span is missing"),
            ("Mon 08:00-12:00,", "a day of the week or a time span is missing"),
            ("08:00-12:00 Europe/Berln", "`Europe/Berln` is not a time zone; did you mean `Europe/Berlin`?"),
            ("Mon 08:00-12:00 Berlin", "`Berlin` is not a time zone; did you mean `Europe/Berlin`?"),
            ("Mon 08:00-12:00 Mars", "`Mars` is not a time zone; write an IANA name, like Europe/Berlin"),
            (
                "Mon 08:00-12:00 UTC, Sat 10:00-12:00",
                "the zone `UTC` must come last and applies to all; for several zones, write a list",
            ),
            ("Europe/Berlin", "`Europe/Berlin` is not a day of the week; write Mon, Tue, Wed, Thu, Fri, Sat or Sun"),
            (
                "Mon 08:00-12:00, Europe/Berlin",
                "`Europe/Berlin` is not a day of the week; write Mon, Tue, Wed, Thu, Fri, Sat or Sun",
            ),
            ("Mon .. Fry", "`Fry` is not a day of the week; did you mean `Fri`?"),
            ("Mon 08:00-12:00, Fry", "`Fry` is not a day of the week; did you mean `Fri`?"),
            ("08:00-12:00 Mon", "`12:00 Mon` is not a time of day; write hours and minutes, 00:00 to 24:00"),
            ("Mon, 08:00-12:00", "a day is missing between the comma and `08:00-12:00`"),
        ] {
            assert_eq!(error(text), expected);
        }
    }
}
