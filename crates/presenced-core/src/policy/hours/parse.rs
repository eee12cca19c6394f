//! How hours are written.
//!
//! The grammar is that of systemd's calendar days with a span of times: groups of days and times, separated by commas. Days
//! left out are every day, times left out are the whole day, and several times may follow the same days:
//! `Mon..Thu,Sat 08:30-12:00,13:00-18:00, Fri 08:30-14:00`. A span that ends before it starts runs over midnight and belongs
//! to the day it starts on. The name of a time zone may follow, behind all of it: `Mon..Fri 08:30-18:00 Europe/Berlin`.

use std::ops::Range;

use super::{DAY, Hours, WEEK};
use crate::suggest;
use crate::time::zone_named;

const DAYS: [(&str, &str); 7] = [
    ("Mon", "Monday"),
    ("Tue", "Tuesday"),
    ("Wed", "Wednesday"),
    ("Thu", "Thursday"),
    ("Fri", "Friday"),
    ("Sat", "Saturday"),
    ("Sun", "Sunday"),
];
/// Why a text is no hours: one sentence, with the mend where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HoursError(pub String);

impl std::str::FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let text = text.trim();
        let (spans, zone) = match split_zone(text) {
            Some((spans, name)) => {
                let zone = zone_named(name).map_err(|mend| HoursError(format!("`{name}` is no time zone; {mend}")))?;
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

/// The days and times, and the name of a zone behind them: a last word that is no day, and that no comma, point or hyphen
/// makes a part of what is before it.
fn split_zone(item: &str) -> Option<(&str, &str)> {
    let (before, word) = item.trim().rsplit_once(char::is_whitespace)?;
    let before = before.trim_end();
    let is_name =
        word.starts_with(|c: char| c.is_ascii_alphabetic()) && !word.contains([',', '.']) && day(word).is_err();
    (is_name && !before.ends_with([',', '.', '-', '–'])).then_some((before, word))
}

/// Reads the items between commas in turn: which days hold for a span of times was said some items before.
#[derive(Default)]
struct Parser {
    /// The days of the present group, Monday first.
    days: [bool; 7],
    /// Whether the present group has its times: then a day begins the next one.
    timed: bool,
    /// Whether there was an item before.
    begun: bool,
    spans: Vec<Range<u16>>,
}

impl Parser {
    /// Reads `Mon`, `Mon..Fri`, `08:30-18:00` or `Mon..Fri 08:30-18:00`.
    fn item(&mut self, item: &str) -> Result<(), HoursError> {
        if let Some((_, name)) = split_zone(item)
            && zone_named(name).is_ok()
        {
            let message = format!("the zone `{name}` comes last, and holds for all; hours of several zones are a list");
            return Err(HoursError(message));
        }
        // No name of a day has a digit in it, and every time begins with one.
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

    /// Adds to the days of the present group, or begins the next one.
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
            return Err(HoursError(format!("days from one to another are written `{first}..{last}`")));
        } else {
            (day(text)?, day(text)?)
        };
        // `Fri..Mon` goes over the weekend.
        for offset in 0..=(last + 7 - first) % 7 {
            self.days[(first + offset) % 7] = true;
        }
        Ok(())
    }

    fn add_times(&mut self, text: &str) -> Result<(), HoursError> {
        let Some((start_text, end_text)) = text.split_once(['-', '–']) else {
            return Err(HoursError(format!("`{text}` is no span of times; write it like `08:30-18:00`")));
        };
        let (start, end) = (time(start_text)?, time(end_text)?);
        if start == DAY {
            return Err(HoursError("a span of times cannot start at 24:00; write `00:00` of the next day".to_owned()));
        }
        if start == end {
            return Err(HoursError(format!("`{text}` has no length; the whole day is `00:00-24:00`")));
        }
        let end = if end < start { end + DAY } else { end };
        self.timed = true;
        self.push(start, end);
        Ok(())
    }

    fn push(&mut self, start: u16, end: u16) {
        let midnights = (0..WEEK).step_by(usize::from(DAY));
        let chosen = midnights.zip(self.days).filter(|(_, chosen)| *chosen);
        self.spans.extend(chosen.map(|(midnight, _)| midnight + start..midnight + end));
    }

    fn finish(mut self) -> Vec<Range<u16>> {
        if !self.timed {
            self.push(0, DAY);
        }
        self.spans
    }
}

/// The number of a day, Monday being zero.
fn day(name: &str) -> Result<usize, HoursError> {
    let name = name.trim();
    DAYS.iter()
        .position(|(short, long)| name.eq_ignore_ascii_case(short) || name.eq_ignore_ascii_case(long))
        .ok_or_else(|| {
            let names = DAYS.iter().flat_map(|(short, long)| [*short, *long]);
            HoursError(match suggest::nearest(name, names) {
                Some(meant) => format!("`{name}` is no day of the week; did you mean `{meant}`?"),
                None if name.is_empty() => "a day of the week or a span of times is missing".to_owned(),
                None => format!("`{name}` is no day of the week; they are Mon, Tue, Wed, Thu, Fri, Sat and Sun"),
            })
        })
}

/// The minute of the day of `HH:MM`, up to 24:00.
fn time(text: &str) -> Result<u16, HoursError> {
    let text = text.trim();
    let number = |digits: &str, most: u16| {
        let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|number| plain && *number <= most)
    };
    text.split_once(':')
        .filter(|(_, minutes)| minutes.len() == 2)
        .and_then(|(hours, minutes)| Some(number(hours, 24)? * 60 + number(minutes, 59)?))
        .filter(|minute| *minute <= DAY)
        .ok_or_else(|| HoursError(format!("`{text}` is no time of day; write hours and minutes, 00:00 to 24:00")))
}

/// Puts spans in order, joins those that touch, and folds what reaches over Sunday's midnight back to Monday.
fn merge(spans: Vec<Range<u16>>) -> Vec<Range<u16>> {
    let mut folded: Vec<Range<u16>> = spans
        .into_iter()
        .flat_map(|span| [span.start..span.end.min(WEEK), 0..span.end.saturating_sub(WEEK)])
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
    fn days_groups_and_several_spans_read_as_written() {
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
    fn a_zone_may_follow() {
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
    fn errors_say_what_is_wrong_and_what_was_meant() {
        for (text, expected) in [
            ("Mun..Fri 08:00-18:00", "`Mun` is no day of the week; did you mean `Mon`?"),
            ("Wendesday", "`Wendesday` is no day of the week; did you mean `Wednesday`?"),
            ("xyz", "`xyz` is no day of the week; they are Mon, Tue, Wed, Thu, Fri, Sat and Sun"),
            ("Mon-Fri 08:00-18:00", "days from one to another are written `Mon..Fri`"),
            ("Mon – Fri", "days from one to another are written `Mon..Fri`"),
            ("08:00", "`08:00` is no span of times; write it like `08:30-18:00`"),
            ("8-18", "`8` is no time of day; write hours and minutes, 00:00 to 24:00"),
            ("08:00-24:01", "`24:01` is no time of day; write hours and minutes, 00:00 to 24:00"),
            ("08:00-12:60", "`12:60` is no time of day; write hours and minutes, 00:00 to 24:00"),
            ("08:00-+9:00", "`+9:00` is no time of day; write hours and minutes, 00:00 to 24:00"),
            ("24:00-06:00", "a span of times cannot start at 24:00; write `00:00` of the next day"),
            ("08:00-08:00", "`08:00-08:00` has no length; the whole day is `00:00-24:00`"),
            ("", "a day of the week or a span of times is missing"),
            ("Mon 08:00-12:00,", "a day of the week or a span of times is missing"),
            ("08:00-12:00 Europe/Berln", "`Europe/Berln` is no time zone; did you mean `Europe/Berlin`?"),
            ("Mon 08:00-12:00 Berlin", "`Berlin` is no time zone; did you mean `Europe/Berlin`?"),
            ("Mon 08:00-12:00 Mars", "`Mars` is no time zone; write an IANA name, like Europe/Berlin"),
            (
                "Mon 08:00-12:00 UTC, Sat 10:00-12:00",
                "the zone `UTC` comes last, and holds for all; hours of several zones are a list",
            ),
            ("Europe/Berlin", "`Europe/Berlin` is no day of the week; they are Mon, Tue, Wed, Thu, Fri, Sat and Sun"),
            (
                "Mon 08:00-12:00, Europe/Berlin",
                "`Europe/Berlin` is no day of the week; they are Mon, Tue, Wed, Thu, Fri, Sat and Sun",
            ),
            ("Mon .. Fry", "`Fry` is no day of the week; did you mean `Fri`?"),
            ("Mon 08:00-12:00, Fry", "`Fry` is no day of the week; did you mean `Fri`?"),
            ("08:00-12:00 Mon", "`12:00 Mon` is no time of day; write hours and minutes, 00:00 to 24:00"),
            ("Mon, 08:00-12:00", "a day is missing between the comma and `08:00-12:00`"),
        ] {
            assert_eq!(error(text), expected);
        }
    }
}
