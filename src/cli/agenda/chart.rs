//! The bars of hours: one per day, coloured by presence, with a mark below for the current time. Pure; `view` draws the lists.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use super::{Agenda, Claimed};
use crate::cli::moment::{day_after, instant};
use crate::cli::terminal::text::{columns, pad};
use crate::presence::Presence;

/// A window with more days has no bars.
const MAX_DAYS: usize = 14;

/// The columns before the bar of a single day.
const MARGIN_COLUMNS: usize = 2;
/// The columns before each bar of several days, with the name of the day.
const NAMED_MARGIN_COLUMNS: usize = 12;

/// The columns after a bar, which the last hour's number uses.
const OVERHANG_COLUMNS: usize = 2;

const SECONDS_PER_HOUR: usize = 3600;

/// How a presence looks in a bar. The characters also differ without colours.
pub(super) fn glyph(presence: Option<Presence>) -> (char, Style) {
    match presence {
        None => ('·', Style::new().dimmed()),
        Some(Presence::Available) => ('░', AnsiColor::Green.on_default()),
        Some(Presence::Away) => ('▒', AnsiColor::Yellow.on_default()),
        Some(Presence::Presenting) => ('▓', AnsiColor::Magenta.on_default()),
        Some(Presence::InACall | Presence::InAConferenceCall) => ('█', AnsiColor::Red.on_default()),
    }
}

/// The lines of the bars, at most `width` columns wide; `width` is at least 40.
pub(super) fn chart(agenda: &Agenda, now: Timestamp, width: usize) -> Vec<String> {
    let local = |at| agenda.zone.to_datetime(at);
    let first = local(agenda.window.0);
    let last = local(agenda.window.1 - SignedDuration::from_nanos(1));
    let days: Vec<Date> = std::iter::successors(Some(first.date()), |day| Some(day_after(*day)))
        .take(MAX_DAYS + 1)
        .take_while(|day| *day <= last.date())
        .collect();
    if days.len() > MAX_DAYS {
        return Vec::new();
    }
    let hour = |at: DateTime| usize::from(at.hour().unsigned_abs());
    let hours = if days.len() == 1 { (hour(first), hour(last) + 1) } else { (0, 24) };
    let margin = if days.len() == 1 { MARGIN_COLUMNS } else { NAMED_MARGIN_COLUMNS };
    let per_hour = (width.saturating_sub(margin + OVERHANG_COLUMNS) / (hours.1 - hours.0)).max(1);
    let scale = Scale { agenda, hours, per_hour, margin };
    let mut lines = vec![scale.ruler()];
    for day in days {
        lines.push(scale.bar(day));
        let at = local(now);
        if at.date() == day && (agenda.window.0..agenda.window.1).contains(&now) {
            lines.push(scale.now(at));
        }
    }
    lines
}

struct Scale<'a> {
    agenda: &'a Agenda,
    /// The first hour shown, and the one at which the bars end.
    hours: (usize, usize),
    /// Cells per hour.
    per_hour: usize,
    /// The columns before the bars.
    margin: usize,
}

impl Scale<'_> {
    fn cells(&self) -> usize {
        (self.hours.1 - self.hours.0) * self.per_hour
    }

    fn ruler(&self) -> String {
        const LABEL_COLUMNS: usize = 3;
        let step = [1, 2, 3, 6, 12].into_iter().find(|step| step * self.per_hour >= LABEL_COLUMNS).unwrap_or(24);
        let mut ruler = " ".repeat(self.margin);
        for hour in (self.hours.0..=self.hours.1).step_by(step) {
            let column = self.margin + (hour - self.hours.0) * self.per_hour;
            ruler.push_str(&" ".repeat(column - columns(&ruler)));
            // Writing to a string does not fail.
            let _ = write!(ruler, "{hour:02}");
        }
        ruler
    }

    /// The bar of a day. A cell shows the strongest presence in it, so that short meetings are visible. A cell outside the
    /// window, or in an hour that the clocks skip, shows nothing.
    fn bar(&self, day: Date) -> String {
        let name = day.strftime("%a %-d %b").to_string();
        let mut bar = if self.margin == NAMED_MARGIN_COLUMNS {
            pad(&name, NAMED_MARGIN_COLUMNS)
        } else {
            " ".repeat(self.margin)
        };
        let mut style = Style::new();
        for cell in 0..self.cells() {
            let (char, next) = self.cell(day, cell);
            if next != style {
                let _ = write!(bar, "{style:#}{next}");
                style = next;
            }
            bar.push(char);
        }
        format!("{bar}{style:#}").trim_end().to_owned()
    }

    fn cell(&self, day: Date, cell: usize) -> (char, Style) {
        let zone = &self.agenda.zone;
        let begins = self.begin(day, cell);
        let from = instant(begins, zone);
        let to = instant(self.begin(day, cell + 1), zone);
        let is_skipped = zone.to_datetime(from) != begins;
        let all = &self.agenda.presence;
        let first = all.partition_point(|claimed| claimed.to <= from);
        let shown = all[first..].iter().take_while(|claimed| claimed.from < to);
        let strength = |claimed: &&Claimed| claimed.presence.map_or(0, |presence| 1 + presence.precedence());
        shown
            .max_by_key(strength)
            .filter(|_| !is_skipped)
            .map_or((' ', Style::new()), |claimed| glyph(claimed.presence))
    }

    /// The start of a cell.
    fn begin(&self, day: Date, cell: usize) -> DateTime {
        let seconds = self.hours.0 * SECONDS_PER_HOUR + cell * SECONDS_PER_HOUR / self.per_hour;
        let seconds = i64::try_from(seconds).expect("a day has few seconds");
        day.to_datetime(Time::midnight()).saturating_add(SignedDuration::from_secs(seconds))
    }

    fn now(&self, at: DateTime) -> String {
        let seconds = at.time().duration_since(Time::midnight()).as_secs();
        let seconds = usize::try_from(seconds).expect("the time of day is not negative");
        let column = self.margin + (seconds * self.per_hour / SECONDS_PER_HOUR - self.hours.0 * self.per_hour);
        let text = at.strftime("now %H:%M").to_string();
        // If there is no space to the right of the mark, the text goes to its left.
        if column + columns(&text) < self.margin + self.cells() {
            format!("{}▲ {text}", " ".repeat(column))
        } else {
            format!("{}{text} ▲", " ".repeat(column - columns(&text) - 1))
        }
    }
}
