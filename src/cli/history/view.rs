//! The history as text: a line for each span, the oldest first, with its unconfirmed parts, and their total. A pure function of
//! the history and the width. The caller removes the styles if the output does not support them.

use anstyle::{AnsiColor, Style};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::History;
use super::timeline::{Span, SpanKind, Timeline, Unconfirmed};
use crate::cli::terminal::text::{columns, pad, wrap};
use crate::cli::terminal::times::exact_span;
use crate::status::report::word;

/// The minimum width, in columns.
const MIN_WIDTH: usize = 40;

/// A reason with less space than this goes below its presence instead of beside it.
const MIN_REASON_COLUMNS: usize = 28;

/// Shorter spans are left out: they are only the time that a request takes.
const MIN_SHOWN: SignedDuration = SignedDuration::from_secs(1);

/// Shorter spans show a start and a duration instead of two times.
const MINUTE: SignedDuration = SignedDuration::from_secs(60);

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Draws the history in lines of at most `width` columns (but at least 40), each with its line end.
pub(super) fn render(history: &History, width: usize) -> String {
    let mut view = HistoryView { lines: Vec::new(), history, width: width.max(MIN_WIDTH) };
    if history.accounts.is_empty() && history.of_many.is_empty() {
        view.lines.push("The history has no entries for this time.".to_owned());
    }
    for (name, timeline) in &history.accounts {
        if !view.lines.is_empty() {
            view.lines.push(String::new());
        }
        view.account(name, timeline);
    }
    for name in &history.of_many {
        if !view.lines.is_empty() {
            view.lines.push(String::new());
        }
        let line = format!("{name} has many users: `presenced history --user USER` shows one of them.");
        view.lines.extend(wrap(&line, view.width));
    }
    if history.skipped > 0 {
        let lines = match history.skipped {
            1 => "1 line of the history could not be read and is left out.".to_owned(),
            several => format!("{several} lines of the history could not be read and are left out."),
        };
        view.lines.push(String::new());
        view.lines.extend(wrap(&lines, view.width));
    }
    view.lines.join("\n") + "\n"
}

struct HistoryView<'a> {
    lines: Vec<String>,
    history: &'a History,
    width: usize,
}

impl HistoryView<'_> {
    fn account(&mut self, name: &str, timeline: &Timeline) {
        let spans = timeline.spans.iter();
        let least = |what: &SpanKind| if *what == SpanKind::Starting { MINUTE } else { MIN_SHOWN };
        let spans: Vec<_> = spans.filter(|span| span.to.duration_since(span.from) >= least(&span.kind)).collect();
        let zone = &self.history.zone;
        let zone =
            zone.iana_name().map_or_else(|| format!("UTC{}", zone.to_offset(self.history.window.1)), str::to_owned);
        let user = self.history.user.as_ref().map(|user| format!("{user}, ")).unwrap_or_default();
        for line in wrap(&format!("{user}{name}, {zone}"), self.width) {
            self.lines.push(format!("{BOLD}{line}{BOLD:#}"));
        }
        let times: Vec<_> = spans.iter().map(|span| self.time(span)).collect();
        let time = times.iter().map(|time| columns(time)).max().unwrap_or(0);
        let presence = spans.iter().map(|span| columns(&presence(&span.kind))).max().unwrap_or(0);
        let mut day = None;
        for (span, from_to) in spans.iter().zip(&times) {
            let date = self.date(span.from);
            if day.replace(date) != Some(date) {
                self.lines.push(date.strftime("%A %-d %B").to_string());
            }
            self.span(span, &pad(from_to, time), presence);
        }
        let (held, unconfirmed) = timeline.sums();
        let style = if unconfirmed.as_secs() > 0 { YELLOW } else { Style::new() };
        let sum = format!("unconfirmed for {} of {}", exact_span(unconfirmed), exact_span(held));
        for line in wrap(&sum, self.width) {
            self.lines.push(format!("{style}{line}{style:#}"));
        }
    }

    fn span(&mut self, span: &Span, time: &str, wide: usize) {
        let shown: Vec<_> =
            span.unconfirmed.iter().filter(|part| part.to.duration_since(part.from) >= MIN_SHOWN).collect();
        let mark = if shown.is_empty() { " ".to_owned() } else { format!("{YELLOW}!{YELLOW:#}") };
        let head = format!("{mark} {time}  ");
        let what = presence(&span.kind);
        let style = if matches!(span.kind, SpanKind::Held { .. }) { Style::new() } else { DIM };
        let indent = 2 + columns(time) + 2 + wide + 2;
        let room = self.width.saturating_sub(indent);
        match reason(&span.kind) {
            Some(reason) if room >= MIN_REASON_COLUMNS => {
                for (number, line) in wrap(&reason, room).iter().enumerate() {
                    let start = if number == 0 { format!("{head}{}  ", pad(&what, wide)) } else { " ".repeat(indent) };
                    self.lines.push(format!("{start}{line}"));
                }
            }
            reason => {
                self.lines.push(format!("{head}{style}{what}{style:#}"));
                let below = reason.map(|reason| wrap(&reason, self.width - 4)).unwrap_or_default();
                self.lines.extend(below.into_iter().map(|line| format!("    {line}")));
            }
        }
        for part in shown {
            for line in wrap(&self.unconfirmed(part), self.width - 4) {
                self.lines.push(format!("    {YELLOW}{line}{YELLOW:#}"));
            }
        }
    }

    fn unconfirmed(&self, part: &Unconfirmed) -> String {
        let clock = |at: Timestamp| at.to_zoned_datetime(self.history.zone.clone()).strftime("%H:%M:%S").to_string();
        let long = exact_span(part.to.duration_since(part.from));
        format!("unconfirmed {}–{}, {long}: {}", clock(part.from), clock(part.to), word(part.state))
    }

    /// The start and end, as listed under the day of the start: `22:00–Tue 04:00`, or `22:00, 12 s`.
    fn time(&self, span: &Span) -> String {
        let clock =
            |at: Timestamp, format| at.to_zoned_datetime(self.history.zone.clone()).strftime(format).to_string();
        let long = span.to.duration_since(span.from);
        let zone = &self.history.zone;
        // The zone is shown only if its offset changes within the span.
        let format = if zone.to_offset(span.from) == zone.to_offset(span.to) { "%H:%M" } else { "%H:%M %Z" };
        let to = if span.to == self.history.window.1 {
            "now".to_owned()
        } else if long < MINUTE {
            return format!("{}, {}", clock(span.from, "%H:%M"), exact_span(long));
        } else if self.date(span.to) == self.date(span.from) {
            clock(span.to, format)
        } else {
            clock(span.to, "%a %H:%M")
        };
        format!("{}–{to}", clock(span.from, format))
    }

    fn date(&self, at: Timestamp) -> Date {
        at.to_zoned_datetime(self.history.zone.clone()).date()
    }
}

fn presence(what: &SpanKind) -> String {
    match what {
        SpanKind::Held { presence, .. } => {
            crate::cli::terminal::text::printable(presence.as_deref().unwrap_or("nothing claimed"))
        }
        SpanKind::Starting => "presenced starting".to_owned(),
        SpanKind::Asleep => "asleep".to_owned(),
        SpanKind::NotRunning => "presenced not running".to_owned(),
    }
}

fn reason(what: &SpanKind) -> Option<String> {
    match what {
        SpanKind::Held { rule: Some(rule), because, .. } => Some(format!("{because} (rule `{rule}`)")),
        SpanKind::Held { rule: None, because, .. } => Some(because.clone()),
        SpanKind::Starting | SpanKind::Asleep | SpanKind::NotRunning => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::super::timeline::tests::{at, event, held, started};
    use super::super::timeline::timelines;
    use super::*;
    use crate::history::{Event, Record};
    use crate::session::State::{Holding, Refused, Retrying, Starting};

    fn plain(records: &[Record], from: &str, zone: &str, width: usize) -> String {
        let window = (from.parse().unwrap(), at("17:00:00"));
        let zone = TimeZone::get(zone).unwrap();
        let accounts = timelines(records, window, true, None);
        let history =
            History { zone, window, user: None, user_id: None, accounts, of_many: BTreeSet::new(), skipped: 1 };
        anstream::adapter::strip_str(&render(&history, width)).to_string()
    }

    fn day() -> Vec<Record> {
        vec![
            started("08:00:00"),
            held("08:00:01", "Available/Available", Starting, false),
            held("08:00:01", "Available/Available", Holding, true),
            held("09:00:00", "Busy/InAConferenceCall", Holding, false),
            held("09:00:00", "Busy/InAConferenceCall", Retrying, false),
            held("09:02:04", "Busy/InAConferenceCall", Holding, true),
            event("10:00:00", Event::Asleep),
            event("11:00:00", Event::Awake),
            held("11:00:00", "Away/Away", Refused, false),
            held("11:10:00", "Away/Away", Holding, true),
            held("11:30:00", "DoNotDisturb/Presenting", Holding, true),
            held("11:30:12", "Away/Away", Holding, true),
            event("12:00:00", Event::Stopped),
            started("13:00:00"),
            held("13:00:02", "Available/Available", Holding, true),
        ]
    }

    #[test]
    fn a_day_with_every_kind_of_span() {
        insta::assert_snapshot!(plain(&day(), "2026-11-23T17:00:00Z", "Europe/Berlin", 80));
    }

    #[test]
    fn a_narrow_terminal() {
        insta::assert_snapshot!(plain(&day(), "2026-11-23T17:00:00Z", "Europe/Berlin", 40));
    }

    #[test]
    fn days_follow_the_local_time_zone() {
        let text = plain(&day(), "2026-11-23T17:00:00Z", "Pacific/Auckland", 80);
        assert!(text.contains("Tuesday 24 November\n") && text.contains("Wednesday 25 November\n"), "{text}");
        assert!(text.contains("  23:00–Wed 00:00  asleep"), "{text}");
    }

    #[test]
    fn a_repeated_hour_shows_its_time_zone() {
        let at = |time: &str| format!("2026-10-25T{time}Z").parse::<Timestamp>().unwrap();
        let held = |time: &str, presence: &str| Record { at: at(time), ..held("00:00:00", presence, Holding, true) };
        let records = [
            Record { at: at("00:00:00"), ..started("00:00:00") },
            held("00:30:00", "Available/Available"),
            held("01:10:00", "Away/Away"),
            held("01:50:00", "Available/Available"),
        ];
        let text = plain(&records, "2026-10-25T00:00:00Z", "Europe/Berlin", 80);
        assert!(text.contains("02:30 CEST–02:10 CET  Available/Available"), "{text}");
        assert!(text.contains("02:10–02:50           Away/Away"), "{text}");
    }

    #[test]
    fn an_empty_history_says_so() {
        let text = plain(&[], "2026-11-24T16:00:00Z", "UTC", 80);
        assert!(text.starts_with("The history has no entries for this time.\n"), "{text}");
    }

    #[test]
    fn one_user_of_many_is_named_and_all_of_them_are_not_shown() {
        let window = (at("08:00:00"), at("17:00:00"));
        let accounts = timelines(&day(), window, true, None);
        let (zone, user) = (TimeZone::UTC, Some("anna".to_owned()));
        let history = History { zone, window, user, user_id: None, accounts, of_many: BTreeSet::new(), skipped: 0 };
        assert!(render(&history, 80).contains("anna, work, UTC"));
        let of_many = ["agents".to_owned()].into();
        let history = History { user: None, accounts: [].into(), of_many, ..history };
        let only = "agents has many users: `presenced history --user USER` shows one of them.\n";
        assert_eq!(render(&history, 80), only);
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_of_the_screen(text in "\\PC{0,120}", control in "[\\x00-\\x1f\\x7f]{0,3}", width in 40_usize..120) {
            let mut records = day();
            let odd = format!("{text}{control}{text}");
            for record in &mut records {
                if let Event::Held(held) = &mut record.event {
                    (held.account, held.because, held.rule) = (odd.clone(), odd.clone(), Some(odd.clone()));
                }
            }
            for line in plain(&records, "2026-11-23T17:00:00Z", "UTC", width).lines() {
                prop_assert!(columns(line) <= width, "{line:?} is {} columns wide", columns(line));
                prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}
