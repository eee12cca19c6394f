//! The sample day: its calendar file, and the times of its calls and screen locks.

use jiff::civil::{Date, Time, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::policy::{CallState, Lock};

/// The start and end of the day, in local time.
const START: Time = time(8, 25, 0, 0);
const END: Time = time(17, 40, 0, 0);

/// The program that makes the calls of the sample day.
pub(super) const CALL_APP: &str = "softphone";

/// Something that happens at the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeskEvent {
    /// The screen is locked or unlocked.
    Lock(Lock),
    /// The call app changes its state.
    Call(CallState),
}

/// The sample day on one date.
#[derive(Clone, Debug)]
pub(super) struct Day {
    date: Date,
    zone: TimeZone,
}

impl Day {
    /// The sample day on `date`, in `zone`.
    pub(super) fn new(date: Date, zone: TimeZone) -> Self {
        Self { date, zone }
    }

    /// Its start.
    pub(super) fn start(&self) -> Timestamp {
        self.at(START)
    }

    /// Its end.
    pub(super) fn end(&self) -> Timestamp {
        self.at(END)
    }

    /// Its events, in order of time.
    pub(super) fn events(&self) -> impl Iterator<Item = (Timestamp, DeskEvent)> {
        use CallState::{Conference, Idle, InCall, Presenting};
        use DeskEvent::{Call, Lock as Screen};
        use Lock::{Locked, Unlocked};
        [
            (time(8, 30, 0, 0), Screen(Unlocked)),
            (time(9, 20, 0, 0), Call(InCall)),
            (time(9, 41, 0, 0), Call(Idle)),
            (time(10, 20, 0, 0), Call(Presenting)),
            (time(10, 45, 0, 0), Call(Idle)),
            (time(12, 4, 0, 0), Screen(Locked)),
            (time(12, 52, 0, 0), Screen(Unlocked)),
            (time(15, 10, 0, 0), Screen(Locked)),
            (time(15, 22, 0, 0), Screen(Unlocked)),
            (time(15, 30, 0, 0), Call(Conference)),
            (time(16, 12, 0, 0), Call(Idle)),
            (time(17, 30, 0, 0), Screen(Locked)),
        ]
        .into_iter()
        .map(|(time, event)| (self.at(time), event))
    }

    /// The calendar, as a program would export it: a daily meeting, some on this day, and some that do not count as busy.
    pub(super) fn calendar(&self) -> String {
        let event = |uid: &str, date: Date, (from, to): (&str, &str), more: &str| {
            let date = date.strftime("%Y%m%d");
            format!(
                "BEGIN:VEVENT\r\nUID:{uid}@demo.invalid\r\nDTSTAMP:{date}T000000Z\r\nDTSTART:{date}T{from}00\r\n\
                 DTEND:{date}T{to}00\r\n{more}\r\nEND:VEVENT\r\n"
            )
        };
        let last_week = self.date.saturating_sub(7.days());
        let events = [
            event("standup", last_week, ("0900", "0915"), "SUMMARY:Stand-up\r\nRRULE:FREQ=DAILY"),
            event("review", self.date, ("1000", "1100"), "SUMMARY:Design review"),
            event("talk", self.date, ("1130", "1200"), "SUMMARY:Talk\r\nX-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE"),
            event("lunch", self.date, ("1200", "1300"), "SUMMARY:Lunch\r\nTRANSP:TRANSPARENT"),
            event("customer", self.date, ("1400", "1500"), "SUMMARY:Customer workshop"),
            event("moved", self.date, ("1630", "1700"), "SUMMARY:Called off\r\nSTATUS:CANCELLED"),
        ];
        format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//presenced//demo//EN\r\n{}END:VCALENDAR\r\n",
            events.concat()
        )
    }

    fn at(&self, time: Time) -> Timestamp {
        // A time that a clock change skips is shifted. This fails only at the end of the year 9999.
        self.date
            .to_datetime(time)
            .to_zoned_datetime(self.zone.clone())
            .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
    }
}
