//! The agenda as text: what does not count, the bars, the events, the resulting presence with its reasons, and the skipped parts. A pure function
//! of the agenda, the time and the width. The caller removes the styles if the output does not support them.

use anstyle::{AnsiColor, Style};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::chart::{chart, glyph};
use super::{Agenda, Claimed, Skipped};
use crate::calendar::{BusyClass, Occurrence, OccurrenceTime};
use crate::cli::moment::{day_after, midnight};
use crate::cli::terminal::text::{columns, cut_end, pad, printable, wrap};
use crate::cli::terminal::times::clock;

/// The minimum width, in columns.
const MIN_WIDTH: usize = 40;

/// A title with less space than this goes below its time instead of beside it.
const MIN_TITLE_COLUMNS: usize = 16;

/// The number of skipped parts that are listed.
const MAX_SKIPPED: usize = 20;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Draws the agenda as it is at `now`, in lines of at most `width` columns (but at least 40), each with its line end.
pub(super) fn render(agenda: &Agenda, now: Timestamp, width: usize) -> String {
    let width = width.max(MIN_WIDTH);
    let mut view = AgendaView { lines: Vec::new(), agenda, now, width };
    view.unread();
    view.title();
    view.lines.extend(chart(agenda, now, width));
    view.lines.push(String::new());
    view.occurrences();
    view.lines.push(String::new());
    view.presence();
    view.skipped();
    view.lines.join("\n") + "\n"
}

/// A line of the list of occurrences.
struct Row<'a> {
    start: Timestamp,
    end: Timestamp,
    /// The day that lists it: the day of its start, or the first day of the window.
    day: Date,
    /// Its part of the bracket around overlapping occurrences, or a space.
    bracket: char,
    time: String,
    occurrence: &'a Occurrence,
}

struct AgendaView<'a> {
    lines: Vec<String>,
    agenda: &'a Agenda,
    now: Timestamp,
    width: usize,
}

impl<'a> AgendaView<'a> {
    fn title(&mut self) {
        let (from, to) = self.agenda.window;
        let zone = &self.agenda.zone;
        let day = self.day(from);
        let title = if from == midnight(day, zone) && to == midnight(day_after(day), zone) {
            day.strftime("%A %-d %B %Y").to_string()
        } else {
            let moment = |at: Timestamp| at.to_zoned_datetime(zone.clone()).strftime("%a %-d %b %Y %H:%M").to_string();
            format!("{} to {}", moment(from), moment(to))
        };
        let name = zone.iana_name().map_or_else(|| format!("UTC{}", zone.to_offset(from)), ToOwned::to_owned);
        for line in wrap(&format!("{title}, {name}"), self.width) {
            self.lines.push(styled(BOLD, &line));
        }
    }

    fn occurrences(&mut self) {
        let rows = self.rows();
        if rows.is_empty() {
            let nothing =
                if self.agenda.is_unknown { "No events could be read." } else { "The calendar has no events." };
            self.lines.push(nothing.to_owned());
            return;
        }
        let wide = |width: fn(&Row<'_>) -> usize| rows.iter().map(width).max().unwrap_or(0);
        let time = wide(|row| columns(&row.time));
        let class = wide(|row| row.occurrence.class.as_str().len());
        let online = if rows.iter().any(|row| row.occurrence.online) { "online  ".len() } else { 0 };
        let room = self.width.saturating_sub(2 + time + 2 + class + 2 + online);
        let mut now_is_due = (self.agenda.window.0..self.agenda.window.1).contains(&self.now);
        let mut day = None;
        for row in &rows {
            if now_is_due && row.start > self.now {
                if row.day == self.day(self.now) {
                    self.day_line(&mut day, row.day);
                }
                self.now_line();
                now_is_due = false;
            }
            self.day_line(&mut day, row.day);
            let Occurrence { summary, .. } = row.occurrence;
            let title = if summary.trim().is_empty() { "(no title)".to_owned() } else { printable(summary.trim()) };
            let runs = (row.start..row.end).contains(&self.now);
            let title_style = if runs { BOLD } else { Style::new() };
            let (style, word) = (class_style(row.occurrence.class), row.occurrence.class.as_str());
            let mark = pad(if row.occurrence.online { "online" } else { "" }, online);
            let time = format!("{} {}", row.bracket, pad(&row.time, time));
            if room >= MIN_TITLE_COLUMNS {
                let title = styled(title_style, &cut_end(&title, room));
                self.lines.push(format!("{time}  {}  {mark}{title}", styled(style, &pad(word, class))));
            } else {
                let word = cut_end(word, self.width.saturating_sub(columns(&time) + 2));
                let title = cut_end(&format!("{}{title}", mark.trim_start()), self.width - 4);
                self.lines.push(format!("{time}  {}", styled(style, &word)));
                self.lines.push(format!("    {}", styled(title_style, &title)));
            }
        }
        if now_is_due {
            self.now_line();
        }
    }

    fn rows(&self) -> Vec<Row<'a>> {
        let agenda = self.agenda;
        let row = |occurrence| {
            let (start, end) = span(occurrence, &agenda.zone);
            let from = start.max(agenda.window.0);
            Row { start, end, day: self.day(from), bracket: ' ', time: self.time(occurrence, from), occurrence }
        };
        let mut rows: Vec<Row<'a>> = agenda.occurrences.iter().map(row).collect();
        bracket(&mut rows);
        rows
    }

    /// The time of an occurrence, as listed under the day of `from`.
    fn time(&self, occurrence: &Occurrence, from: Timestamp) -> String {
        match &occurrence.when {
            OccurrenceTime::Days { start, end } => {
                let last = end.yesterday().unwrap_or(*end);
                if last <= *start {
                    return "all day".to_owned();
                }
                format!("{}–{}", start.strftime("%-d %b"), last.strftime("%-d %b"))
            }
            OccurrenceTime::Time { start, end } => self.range(start.timestamp(), end.timestamp(), from),
        }
    }

    /// A span of time. An end on another day than `on` also shows that day.
    fn range(&self, start: Timestamp, end: Timestamp, on: Timestamp) -> String {
        let zone = &self.agenda.zone;
        let begins = clock(start, on, zone);
        if start == end {
            return begins;
        }
        let midnight = midnight(day_after(self.day(on)), zone);
        let ends = if end == midnight { "24:00".to_owned() } else { clock(end, on, zone) };
        format!("{begins}–{ends}")
    }

    fn presence(&mut self) {
        for line in wrap("What presenced claims while you are at the desk and not in a call", self.width) {
            self.lines.push(styled(BOLD, &line));
        }
        let rows: Vec<_> = self
            .agenda
            .presence
            .iter()
            .map(|claimed| (claimed, self.range(claimed.from, claimed.to, claimed.from)))
            .collect();
        let time = rows.iter().map(|(_, time)| columns(time)).max().unwrap_or(0);
        let name = rows.iter().map(|(claimed, _)| pair(claimed).len()).max().unwrap_or(0);
        let mut day = None;
        for (claimed, time_text) in &rows {
            self.day_line(&mut day, self.day(claimed.from));
            let (char, style) = glyph(claimed.presence);
            let rule = claimed.rule.as_ref().map(|rule| format!(" (rule `{rule}`)")).unwrap_or_default();
            let because = format!("{}{rule}", claimed.because);
            let head = format!("{} {}", styled(style, &char.to_string()), pad(time_text, time));
            let pair = pair(claimed);
            let beside = self.width.saturating_sub(2 + time + 2);
            if beside >= name + 2 + columns(&because) {
                self.lines.push(format!("{head}  {}  {}", styled(style, &pad(&pair, name)), printable(&because)));
            } else {
                self.lines.push(format!("{head}  {}", styled(style, &cut_end(&pair, beside))));
                self.lines.extend(wrap(&because, self.width - 4).into_iter().map(|line| format!("    {line}")));
            }
        }
    }

    fn skipped(&mut self) {
        if !self.agenda.skipped.is_empty() {
            self.lines.push(String::new());
            self.parts("Skipped", &self.agenda.skipped);
        }
    }

    /// What does not count. It comes first, because the rest may look complete.
    fn unread(&mut self) {
        let Agenda { unread, is_unknown, .. } = self.agenda;
        if unread.is_empty() {
            return;
        }
        self.parts("Not used", unread);
        let text = if *is_unknown {
            "Until this is fixed, the daemon treats the calendar as unknown, and no rule that uses it matches."
        } else {
            "The daemon leaves this out. When it first sees such a file in a folder, the calendar is unknown for a minute."
        };
        self.lines.extend(wrap(text, self.width));
        self.lines.push(String::new());
    }

    /// A list of skipped parts.
    fn parts(&mut self, title: &str, skipped: &[Skipped]) {
        self.lines.push(styled(YELLOW.bold(), title));
        for part in skipped.iter().take(MAX_SKIPPED) {
            let line = part.line.map(|line| format!(":{line}")).unwrap_or_default();
            let text = format!("{}{line}: {}", part.file.display(), part.reason);
            self.indented(&text);
        }
        if let Some(more) = skipped.len().checked_sub(MAX_SKIPPED).filter(|more| *more > 0) {
            self.indented(&format!("and {more} more; `presenced agenda --json` lists them all"));
        }
    }

    fn indented(&mut self, text: &str) {
        for (number, line) in wrap(text, self.width - 4).iter().enumerate() {
            self.lines.push(format!("{}{line}", if number == 0 { "  " } else { "    " }));
        }
    }

    /// The name of a day above its first row, if there are several days.
    fn day_line(&mut self, current: &mut Option<Date>, day: Date) {
        let (from, to) = self.agenda.window;
        let several = self.day(from) != self.day(to - SignedDuration::from_nanos(1));
        if several && *current != Some(day) {
            self.lines.push(styled(DIM, &day.strftime("%A %-d %B").to_string()));
            *current = Some(day);
        }
    }

    fn now_line(&mut self) {
        let text = self.now.to_zoned_datetime(self.agenda.zone.clone()).strftime("now %H:%M").to_string();
        let line = format!("── {text} {}", "─".repeat(self.width - 4 - columns(&text)));
        self.lines.push(styled(BOLD, &line));
    }

    fn day(&self, at: Timestamp) -> Date {
        self.agenda.zone.to_datetime(at).date()
    }
}

/// Puts a bracket around occurrences that overlap, also in a chain. Whole days overlap everything, so they are left out.
fn bracket(rows: &mut [Row<'_>]) {
    let is_time = |row: &Row<'_>| matches!(row.occurrence.when, OccurrenceTime::Time { .. });
    let timed: Vec<usize> = (0..rows.len()).filter(|index| is_time(&rows[*index])).collect();
    let mut begin = 0;
    while begin < timed.len() {
        let mut until = rows[timed[begin]].end;
        let mut end = begin + 1;
        while end < timed.len() && rows[timed[end]].start < until {
            until = until.max(rows[timed[end]].end);
            end += 1;
        }
        if end - begin > 1 {
            for index in &timed[begin..end] {
                rows[*index].bracket = '│';
            }
            rows[timed[begin]].bracket = '┌';
            rows[timed[end - 1]].bracket = '└';
        }
        begin = end;
    }
}

/// The start and end of an occurrence.
fn span(occurrence: &Occurrence, zone: &TimeZone) -> (Timestamp, Timestamp) {
    match &occurrence.when {
        OccurrenceTime::Time { start, end } => (start.timestamp(), end.timestamp()),
        OccurrenceTime::Days { start, end } => (midnight(*start, zone), midnight(*end, zone)),
    }
}

fn class_style(class: BusyClass) -> Style {
    match class {
        BusyClass::Free => DIM,
        BusyClass::WorkingElsewhere => AnsiColor::Cyan.on_default(),
        BusyClass::Tentative => AnsiColor::Blue.on_default(),
        BusyClass::Busy => AnsiColor::Red.on_default(),
        BusyClass::OutOfOffice => YELLOW,
    }
}

fn pair(claimed: &Claimed) -> String {
    claimed.presence.map_or_else(|| "nothing".to_owned(), |presence| presence.to_string())
}

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests;
