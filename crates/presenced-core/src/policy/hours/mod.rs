//! Weekly hours for `within` and `outside` in a rule: `Mon..Fri 08:30-18:00 Europe/Berlin`.
//!
//! Hours follow the clock on the wall. An hour that a change to winter time repeats counts both times; an hour that a change to
//! summer time skips never comes. They apply in the user's zone, unless they name another one. Leaves to others: how hours are
//! written (`parse`).

use std::fmt;
use std::ops::Range;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

mod parse;

pub use parse::HoursError;

const MINUTES_PER_DAY: u16 = 24 * 60;
const MINUTES_PER_WEEK: u16 = 7 * MINUTES_PER_DAY;

/// Time spans that recur every week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The text in the configuration.
    text: String,
    /// In minutes of the week, counted from Monday 00:00. Sorted, not touching; no span is empty.
    spans: Vec<Range<u16>>,
    /// The zone of the hours; `None` means the user's zone.
    zone: Option<TimeZone>,
}

impl fmt::Display for Hours {
    /// The text in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Hours {
    /// Whether `now` is within the hours, and the first moment after `now` at which that changes; `None` if it never changes,
    /// because the hours cover the whole week. Hours that name no zone apply in `users_zone`.
    pub fn at(&self, now: Timestamp, users_zone: &TimeZone) -> (bool, Option<Timestamp>) {
        let zone = self.zone.as_ref().unwrap_or(users_zone);
        let inside = self.contains(minute_of_week(zone.to_datetime(now)));
        (inside, self.next_change(inside, now, zone))
    }

    /// Walks from one change of the zone's offset to the next. Between two changes, the local time never jumps.
    fn next_change(&self, inside: bool, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = now;
        loop {
            let by_week = self.next_boundary(from, zone.to_offset(from))?;
            match zone.following(from).next() {
                Some(transition) if transition.timestamp() <= by_week => {
                    from = transition.timestamp();
                    if self.contains(minute_of_week(zone.to_datetime(from))) != inside {
                        return Some(from);
                    }
                }
                Some(_) | None => return Some(by_week),
            }
        }
    }

    fn contains(&self, minute: u16) -> bool {
        self.spans.iter().any(|span| span.contains(&minute))
    }

    /// When the hours next begin or end after `from`, if the offset stays the same.
    fn next_boundary(&self, from: Timestamp, offset: Offset) -> Option<Timestamp> {
        if matches!(self.spans.as_slice(), [Range { start: 0, end: MINUTES_PER_WEEK }]) {
            return None;
        }
        let local = offset.to_datetime(from);
        let minute = minute_of_week(local);
        // A span that runs through Sunday's midnight is stored as two. Midnight is not a boundary then.
        let runs_through_sunday = self.contains(0) && self.contains(MINUTES_PER_WEEK - 1);
        let boundaries = || self.spans.iter().flat_map(|span| [span.start, span.end]);
        let next = boundaries()
            .chain(boundaries().map(|boundary| boundary + MINUTES_PER_WEEK))
            .filter(|boundary| !(runs_through_sunday && boundary % MINUTES_PER_WEEK == 0))
            .find(|boundary| *boundary > minute)?;
        let into_minute = SignedDuration::new(i64::from(local.second()), local.subsec_nanosecond());
        from.checked_add(SignedDuration::from_mins(i64::from(next - minute)) - into_minute).ok()
    }
}

fn minute_of_week(local: DateTime) -> u16 {
    let days = u16::from(local.weekday().to_monday_zero_offset().unsigned_abs());
    let minute_of_day = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
    days * MINUTES_PER_DAY + minute_of_day
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours(text: &str) -> Hours {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str, when: &str) -> (bool, Option<String>) {
        let when: jiff::ZonedDateTime = when.parse().unwrap();
        let (inside, until) = hours(text).at(when.timestamp(), when.time_zone());
        (inside, until.map(|until| until.to_zoned_datetime(when.time_zone().clone()).to_string()))
    }

    #[test]
    fn working_hours_change_at_their_ends_and_skip_the_weekend() {
        let text = "Mon..Fri 08:30-18:00";
        let berlin = |time: &str| format!("{time}+01:00[Europe/Berlin]");
        for (now, inside, until) in [
            ("2026-11-23T08:29:59.5", false, "2026-11-23T08:30:00"),
            ("2026-11-23T08:30:00", true, "2026-11-23T18:00:00"),
            ("2026-11-23T17:59:59", true, "2026-11-23T18:00:00"),
            ("2026-11-23T18:00:00", false, "2026-11-24T08:30:00"),
            ("2026-11-27T18:00:00", false, "2026-11-30T08:30:00"),
        ] {
            assert_eq!(at(text, &berlin(now)), (inside, Some(berlin(until))), "{now}");
        }
    }

    #[test]
    fn a_span_over_midnight_belongs_to_the_day_it_starts_on() {
        let night = "Fri 22:00-06:00";
        assert_eq!(at(night, "2026-11-28T05:59:00Z[UTC]"), (true, Some("2026-11-28T06:00:00+00:00[UTC]".to_owned())));
        assert!(!at(night, "2026-11-27T05:59:00Z[UTC]").0, "Friday morning belongs to Thursday");
        let over_sunday = at("Sun 22:00-06:00", "2026-11-29T23:00:00Z[UTC]");
        assert_eq!(over_sunday, (true, Some("2026-11-30T06:00:00+00:00[UTC]".to_owned())));
    }

    #[test]
    fn the_whole_week_never_changes() {
        for text in ["00:00-24:00", "Mon..Sun", "Mon..Sat 00:00-24:00, Sun 00:00-12:00, Sun 12:00-00:00"] {
            assert_eq!(at(text, "2026-11-28T05:59:00Z[UTC]"), (true, None), "{text}");
        }
    }

    #[test]
    fn hours_follow_the_clock_on_the_wall() {
        // 02:00 to 03:00 does not exist on 28 March 2027 in Berlin, and comes twice on 31 October.
        let skipped = at("02:15-02:45", "2027-03-28T01:00:00+01:00[Europe/Berlin]");
        assert_eq!(skipped, (false, Some("2027-03-29T02:15:00+02:00[Europe/Berlin]".to_owned())));
        let cut_short = at("01:00-02:30", "2027-03-28T01:30:00+01:00[Europe/Berlin]");
        assert_eq!(cut_short, (true, Some("2027-03-28T03:00:00+02:00[Europe/Berlin]".to_owned())));
        let again = at("02:15-02:45", "2027-10-31T02:50:00+02:00[Europe/Berlin]");
        assert_eq!(again, (false, Some("2027-10-31T02:15:00+01:00[Europe/Berlin]".to_owned())));
        // 30 December 2011 does not exist in Samoa.
        let friday = at("Fri", "2011-12-29T23:00:00-10:00[Pacific/Apia]");
        assert_eq!(friday, (false, Some("2012-01-06T00:00:00+14:00[Pacific/Apia]".to_owned())));
    }

    #[test]
    fn hours_with_a_zone_do_not_depend_on_where_the_user_is() {
        let office = "Mon..Fri 08:30-18:00 Europe/Berlin";
        for (now, inside, until) in [
            // Berlin is six hours ahead of New York, and five while only New York has summer time.
            ("2026-03-06T11:59:00-05:00[America/New_York]", true, "2026-03-06T12:00:00-05:00[America/New_York]"),
            ("2026-03-13T12:59:00-04:00[America/New_York]", true, "2026-03-13T13:00:00-04:00[America/New_York]"),
            // Friday evening there, while the weekend has begun here.
            ("2026-11-28T01:30:00+09:00[Asia/Tokyo]", true, "2026-11-28T02:00:00+09:00[Asia/Tokyo]"),
            ("2026-11-28T02:00:00+09:00[Asia/Tokyo]", false, "2026-11-30T16:30:00+09:00[Asia/Tokyo]"),
        ] {
            assert_eq!(at(office, now), (inside, Some(until.to_owned())), "{now}");
        }
        // The gap and the fold are those of the hours' zone, to the minute.
        let early = "02:15-02:45 Europe/Berlin";
        for (now, inside, until) in [
            ("2027-03-28T00:59:00Z[UTC]", false, "2027-03-29T00:15:00+00:00[UTC]"),
            ("2027-10-31T00:15:00Z[UTC]", true, "2027-10-31T00:45:00+00:00[UTC]"),
            ("2027-10-31T00:50:00Z[UTC]", false, "2027-10-31T01:15:00+00:00[UTC]"),
            ("2027-10-31T01:30:00Z[UTC]", true, "2027-10-31T01:45:00+00:00[UTC]"),
        ] {
            assert_eq!(at(early, now), (inside, Some(until.to_owned())), "{now}");
        }
    }

    const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

    /// Days (Monday first), then the start and the end in minutes of the day. The end may be on the next day.
    type Written = Vec<([bool; 7], u16, u16)>;

    fn write(spans: &Written) -> String {
        let write_one = |(days, start, end): &([bool; 7], u16, u16)| {
            let names: Vec<&str> = NAMES.iter().zip(days).filter(|(_, on)| **on).map(|(name, _)| *name).collect();
            let end = if *end > MINUTES_PER_DAY { end - MINUTES_PER_DAY } else { *end };
            format!("{} {:02}:{:02}-{:02}:{:02}", names.join(","), start / 60, start % 60, end / 60, end % 60)
        };
        spans.iter().map(write_one).collect::<Vec<_>>().join(", ")
    }

    /// Whether a local time is within the spans. Unlike the real code, this looks at its day and the day before, not at weeks.
    fn shows(spans: &Written, local: DateTime) -> bool {
        let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap();
        let minute = u16::try_from(i16::from(local.hour()) * 60 + i16::from(local.minute())).unwrap();
        spans.iter().any(|(days, start, end)| {
            (days[day] && (*start..*end).contains(&minute))
                || (days[(day + 6) % 7] && (*start..*end).contains(&(minute + MINUTES_PER_DAY)))
        })
    }

    /// The first minute after `now` at which the answer differs from `inside`.
    fn by_walk(spans: &Written, inside: bool, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let this_minute = Timestamp::from_second(now.as_second() / 60 * 60).unwrap();
        (1..9 * i64::from(MINUTES_PER_DAY))
            .map(|minutes| this_minute + SignedDuration::from_mins(minutes))
            .find(|time| shows(spans, zone.to_datetime(*time)) != inside)
    }

    fn written() -> impl Strategy<Value = Written> {
        let days = any::<[bool; 7]>().prop_filter("no day", |days| days.contains(&true));
        let span = (days, 0..MINUTES_PER_DAY, 1..=MINUTES_PER_DAY).prop_map(|(days, start, length)| {
            // A span of exactly 24 hours can only be written from midnight to midnight.
            let length = if length == MINUTES_PER_DAY && start != 0 { MINUTES_PER_DAY - 1 } else { length };
            (days, start, start + length)
        });
        prop::collection::vec(span, 1..4)
    }

    /// Moments from 2010 to 2027, most of them within three days of a change of the zone's offset.
    fn moment() -> impl Strategy<Value = (TimeZone, Timestamp)> {
        let zones = prop::sample::select(vec![
            "Europe/Berlin",
            "America/New_York",
            "Pacific/Apia",
            "Africa/Casablanca",
            "Australia/Lord_Howe",
            "UTC",
        ]);
        let seconds = 1_262_304_000_i64..1_798_761_600;
        (zones, seconds, -259_200_i64..3600, 0..1_000_000_000_i32).prop_map(|(name, second, before, nanosecond)| {
            let zone = zone(name);
            let anywhere = Timestamp::from_second(second).unwrap();
            let change = zone.following(anywhere).next().map_or(anywhere, |change| change.timestamp());
            let moment = change + SignedDuration::new(before, nanosecond);
            (zone, moment)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_next_change_is_the_same_as_in_a_walk_by_minutes(spans in written(), (zone, now) in moment()) {
            let (inside, until) = hours(&write(&spans)).at(now, &zone);
            prop_assert_eq!(inside, shows(&spans, zone.to_datetime(now)));
            prop_assert_eq!(until, by_walk(&spans, inside, now, &zone));
        }

        #[test]
        fn hours_with_a_zone_ignore_the_users_zone(
            spans in written(), (zone, now) in moment(), (users_zone, _) in moment(),
        ) {
            let own = hours(&format!("{} {}", write(&spans), zone.iana_name().unwrap()));
            let (inside, until) = own.at(now, &users_zone);
            prop_assert_eq!(inside, shows(&spans, zone.to_datetime(now)));
            prop_assert_eq!(until, by_walk(&spans, inside, now, &zone));
        }

        #[test]
        fn any_text_gives_hours_or_an_error(text in "([MonTueWdhFriSat.,:0-9 –-]| UTC| Europe/Berlin|\\PC){0,40}", moment in moment()) {
            if let Ok(hours) = text.parse::<Hours>() {
                hours.at(moment.1, &moment.0);
            }
        }

        #[test]
        fn the_first_and_the_last_timestamp_work(spans in written(), (zone, _) in moment()) {
            for now in [Timestamp::MIN, Timestamp::MAX] {
                hours(&write(&spans)).at(now, &zone);
            }
        }
    }
}
