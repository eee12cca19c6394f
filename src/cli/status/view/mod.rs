//! The report as text: one screen, the most important facts first. A pure function of the report, the time, the zone and the
//! width. The caller removes the styles if the output does not support them.

mod headline;
pub(super) mod many;
mod several;
mod user;

pub(in crate::cli) use headline::{headline, state_style};
pub(super) use many::{count, presences};
pub(in crate::cli) use user::render_user;

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::sign_in::{permissions, who};
use crate::cli::terminal::text::{columns, cut_end, cut_start, pad, printable, wrap};
use crate::cli::terminal::times::{clock, exact_clock, exact_span, relative, span};
use crate::session::seen::{Difference, difference};
use crate::status::report::{
    Account, Asserted, Health, LastError, Next, Pair, Preferred, Report, Requests, Seen, SignIn, Signal, Warning,
    Watched, Withheld, word,
};
use crate::warning::Severity;

/// The minimum width, in columns.
const MIN_WIDTH: usize = 40;

/// The columns for the names of an account's facts.
const LABEL_COLUMNS: usize = 12;

/// A signal's source with less space than this is left out.
const MIN_SOURCE_COLUMNS: usize = 8;

/// What is added to the source of a signal if events do not report every change of its files.
const POLLED: &str = ", checked each minute";

/// The gap between two columns of the table.
const GAP_COLUMNS: usize = 2;

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// Draws the report as it is at `now`, in lines of at most `width` columns (but at least 40), each with its line end.
pub(super) fn render(report: &Report, now: Timestamp, zone: &TimeZone, width: usize) -> String {
    let mut view = StatusView { lines: Vec::new(), now, zone, width: width.max(MIN_WIDTH) };
    if several::are_several(report) {
        view.several(report);
        view.gap();
    } else {
        for (name, account) in &report.accounts {
            view.account(name, account, report);
            view.gap();
        }
    }
    view.manual(report);
    view.gap();
    for warning in &report.warnings {
        view.warning(warning);
    }
    view.gap();
    view.signals(report);
    view.gap();
    view.daemon(report);
    view.lines.join("\n") + "\n"
}

struct StatusView<'a> {
    lines: Vec<String>,
    now: Timestamp,
    zone: &'a TimeZone,
    width: usize,
}

impl StatusView<'_> {
    fn account(&mut self, name: &str, account: &Account, Report { warnings, signals, .. }: &Report) {
        self.title(&cut_end(&printable(name), self.width / 3), headline(account));
        match (&account.users, &account.withheld) {
            (Some(users), _) => self.many(users),
            (None, None) => self.fact("because", &because(&account.because, account.rule.as_deref())),
            (None, Some(withheld)) => self.fact("why", &self.withheld(withheld, signals)),
        }
        self.times(account.since, account.until);
        if let Some(asserted) = &account.asserted {
            self.fact("confirmed", &self.confirmed(asserted, account.desired.as_ref()));
        }
        if let Some(preferred) = &account.preferred {
            self.fact("preferred", &self.preferred(preferred));
        }
        if let Some(seen) = &account.seen {
            self.fact("others see", &self.seen(seen, account));
        }
        if let Some(note) = &account.note {
            self.fact("note", note);
        }
        if let Some(sign_in) = &account.sign_in {
            self.fact("signed in", &self.sign_in(sign_in));
        }
        if let Some(next) = &account.next {
            self.fact("next", &self.next(next));
        }
        let requests = account.requests;
        if requests.sent > 0 {
            let Requests { sent, failed, throttled } = requests;
            self.fact("requests", &format!("{sent} sent, {failed} failed, {throttled} throttled"));
        }
        // An error that a warning shows already is not repeated.
        let is_shown = |error: &&LastError| warnings.iter().any(|warning| warning.text.contains(&error.text));
        if let Some(error) = account.last_error.as_ref().filter(|error| !is_shown(error)) {
            self.fact(
                "last error",
                &format!("{}, {}: {}", self.clock(error.at), relative(error.at, self.now), error.text),
            );
            if let Some(hint) = &error.hint {
                self.fact("hint", hint);
            }
        }
    }

    /// A name that is not too long, and what matters most about it.
    fn title(&mut self, name: &str, (style, state): (Style, String)) {
        let state = cut_end(&printable(&state), self.width - columns(name) - 2);
        self.lines.push(format!("{BOLD}{name}{BOLD:#}: {}", styled(style.bold(), &state)));
    }

    /// Since when a decision holds, and until when.
    fn times(&mut self, since: Option<Timestamp>, until: Option<Timestamp>) {
        let when = |at| format!("{}, {}", self.clock(at), relative(at, self.now));
        match (since, until) {
            (Some(since), Some(until)) => self.fact("since", &format!("{}; until {}", when(since), when(until))),
            (Some(since), None) => self.fact("since", &when(since)),
            (None, Some(until)) => self.fact("until", &when(until)),
            (None, None) => {}
        }
    }

    /// What is not claimed, and which signals must be known first: since when they are unknown, and why.
    fn withheld(&self, withheld: &Withheld, signals: &BTreeMap<String, Signal>) -> String {
        let subject = match &withheld.presence {
            Some(presence) => format!("{} is not claimed", presence.availability),
            None => "Nothing is claimed".to_owned(),
        };
        let unknown = withheld.unknown.iter().map(|name| {
            let what = match name.as_str() {
                "calendar" => "the calendar",
                "lock" => "the screen lock",
                "call" => "the call",
                "idle" => "user input",
                other => other,
            };
            let Some(signal) = signals.get(name) else { return format!("{what} is unknown") };
            let reason = signal.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("{what} has been unknown since {}{reason}", self.clock(signal.since))
        });
        format!("{subject}: {}", unknown.collect::<Vec<_>>().join(" and "))
    }

    /// When Graph last accepted the presence and how long that lasts. Names the presence if it is not the desired one.
    fn confirmed(&self, asserted: &Asserted, desired: Option<&Pair>) -> String {
        let held = Pair { availability: asserted.availability.clone(), activity: asserted.activity.clone() };
        let which = if desired == Some(&held) { String::new() } else { format!("{} ", pair(&held)) };
        let (ends, verb) = match asserted.fades_at {
            Some(fades_at) if fades_at < asserted.expires_at => (fades_at, "fade"),
            Some(_) | None => (asserted.expires_at, "expire"),
        };
        let (sent, ago, end) = (self.clock(asserted.sent_at), relative(asserted.sent_at, self.now), self.clock(ends));
        let ending = if ends > self.now { format!("{verb}s {end} unless renewed") } else { format!("{verb}d {end}") };
        format!("{which}{sent}, {ago}; {ending}")
    }

    /// The preferred presence, and how long it lasts.
    fn preferred(&self, preferred: &Preferred) -> String {
        let Preferred { availability, activity, sent_at, expires_at } = preferred;
        let (sent, ago, end) = (self.clock(*sent_at), relative(*sent_at, self.now), self.clock(*expires_at));
        format!("{availability}/{activity} {sent}, {ago}; expires {end} unless renewed")
    }

    /// What others see, when that was, and what wins if it is not what presenced asserted.
    fn seen(&self, seen: &Seen, account: &Account) -> String {
        let words = (seen.availability.as_str(), seen.activity.as_str());
        let difference = match (&account.preferred, &account.asserted) {
            (Some(ours), _) => difference(words, (&ours.availability, &ours.activity), true),
            (None, Some(ours)) => difference(words, (&ours.availability, &ours.activity), false),
            (None, None) => None,
        };
        let why = match difference {
            None => "",
            Some(Difference::NotInEffect) => " (no session of this user is in effect)",
            Some(Difference::Faded) => " (the session has faded)",
            Some(Difference::FadedOrPreferred) => " (the session has faded, or a status set in Teams wins)",
            Some(Difference::UnknownUser) => " (Graph does not know this user's presence)",
            Some(Difference::AppearsOffline) => " (the user chose to appear offline in Teams)",
            Some(Difference::OutOfOffice) => " (Exchange adds that the user is out of office)",
            Some(Difference::Preferred) => " (a preferred presence wins, for example a status set in Teams)",
            Some(Difference::LaterChoice) => {
                " (the preferred presence was replaced or reset since, for example in Teams)"
            }
            Some(Difference::SessionOrPreferred) => " (another session or a preferred presence wins)",
        };
        let (at, ago) = (self.clock(seen.at), relative(seen.at, self.now));
        format!("{}/{}{why} {at}, {ago}", words.0, words.1)
    }

    /// Who signed in and how, the permissions, and until when the token is valid.
    fn sign_in(&self, sign_in: &SignIn) -> String {
        let mut parts = vec![format!("{} by {}", who(sign_in), sign_in.method)];
        parts.extend(permissions(sign_in).map(|permits| format!("permits {permits}")));
        if let Some(at) = sign_in.token_expires_at {
            let verb = if at > self.now { "ends" } else { "ended" };
            let failed = if sign_in.renewal_error.is_some() { ", could not be renewed" } else { "" };
            parts.push(format!("token {verb} {}{failed}", self.clock(at)));
        }
        parts.join("; ")
    }

    fn next(&self, next: &Next) -> String {
        let left = next.at.duration_since(self.now);
        if left.as_secs() > 0 {
            format!("{} in {}, at {}", next.why, exact_span(left), exact_clock(next.at, self.zone))
        } else {
            format!("{} now", next.why)
        }
    }

    fn signals(&mut self, report: &Report) {
        let row = |(name, signal): (&String, &Signal)| {
            let value = match signal.until {
                Some(until) => format!("{} until {}", signal.value, self.clock(until)),
                None => signal.value.clone(),
            };
            let cells = [
                cut_end(&printable(name), self.width / 4),
                cut_end(&printable(&value), self.width * 7 / 20),
                self.clock(signal.since),
                printable(&signal.source),
            ];
            let note = if signal.watched == Some(Watched::Polled) { POLLED } else { "" };
            (signal.health, cells, note)
        };
        let rows: Vec<_> = report.signals.iter().map(row).collect();
        if rows.is_empty() {
            return;
        }
        let titles = ["signal", "value", "since", "source"].map(str::to_owned);
        let wide = |column: usize| {
            rows.iter()
                .map(|(_, cells, _)| columns(&cells[column]))
                .chain([columns(&titles[column])])
                .max()
                .unwrap_or(0)
        };
        let (name, value, since) = (wide(0), wide(1), wide(2));
        let room = self.width.saturating_sub(name + value + since + 4 * GAP_COLUMNS);
        let line = |cells: &[String; 4], note: &str, mark: &str, style: Style| {
            let left = room.saturating_sub(columns(note));
            let source = match &cells[3] {
                _ if room < MIN_SOURCE_COLUMNS => String::new(),
                _ if left < MIN_SOURCE_COLUMNS => cut_end(note.trim_start_matches(", "), room),
                path if path.starts_with('/') => cut_start(path, left) + note,
                source => cut_end(source, left) + note,
            };
            let value = styled(style, &pad(&cells[1], value + GAP_COLUMNS));
            format!(
                "{mark} {}{value}{}{source}",
                pad(&cells[0], name + GAP_COLUMNS),
                pad(&cells[2], since + GAP_COLUMNS)
            )
        };
        let head = line(&titles, "", " ", PLAIN);
        let body = rows.iter().map(|(health, cells, note)| match health {
            Health::Ok => line(cells, note, " ", PLAIN),
            Health::Degraded => line(cells, note, "!", YELLOW),
            Health::Failing => line(cells, note, "!", RED),
        });
        let body: Vec<String> = body.collect();
        self.lines.push(styled(DIM, head.trim_end()));
        self.lines.extend(body.into_iter().map(|line| line.trim_end().to_owned()));
    }

    fn manual(&mut self, report: &Report) {
        let text = match &report.manual {
            None => return,
            Some(manual) => match manual.until {
                Some(until) => {
                    format!("{} until {}, {}", manual.presence, self.clock(until), relative(until, self.now))
                }
                None => format!("{} until `presenced unset`", manual.presence),
            },
        };
        let text = cut_end(&printable(&text), self.width - LABEL_COLUMNS);
        self.lines.push(format!("{BOLD}{}{BOLD:#}{text}", pad("override:", LABEL_COLUMNS)));
    }

    fn warning(&mut self, warning: &Warning) {
        let style = match warning.severity {
            Severity::Warning => YELLOW,
            Severity::Error => RED,
        };
        let code = word(warning.code);
        let since = format!(", since {}, {}", self.clock(warning.since), relative(warning.since, self.now));
        let since = cut_end(&since, (self.width - GAP_COLUMNS).saturating_sub(columns(&code)));
        self.lines.push(format!("{} {}{since}", styled(style.bold(), "!"), styled(style.bold(), &code)));
        let hint = format!("hint: {}", warning.hint);
        for line in wrap(&warning.text, self.width - 4).into_iter().chain(wrap(&hint, self.width - 4)) {
            self.lines.push(format!("    {line}"));
        }
    }

    fn daemon(&mut self, report: &Report) {
        let style = match report.health {
            Health::Ok => GREEN,
            Health::Degraded => YELLOW,
            Health::Failing => RED,
        };
        let up = span(self.now.duration_since(report.started_at));
        let text = format!("presenced {}, pid {}, up {up}", printable(&report.version), report.pid);
        let text = cut_end(&text, self.width - ": degraded".len());
        self.lines.push(format!("{DIM}{text}:{DIM:#} {}", styled(style, &word(report.health))));
    }

    /// A fact of an account: its label with the text beside it.
    fn fact(&mut self, label: &str, text: &str) {
        for (number, line) in wrap(text, self.width - 2 - LABEL_COLUMNS).iter().enumerate() {
            let label = pad(if number == 0 { label } else { "" }, LABEL_COLUMNS);
            self.lines.push(format!("  {DIM}{label}{DIM:#}{line}"));
        }
    }

    /// Adds an empty line between two parts, but not after an empty part.
    fn gap(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    fn clock(&self, at: Timestamp) -> String {
        clock(at, self.now, self.zone)
    }
}

/// The most severe warning.
pub(super) fn worst(report: &Report) -> Option<&Warning> {
    report.warnings.iter().rev().max_by_key(|warning| warning.severity)
}

/// The reason, and the rule.
pub(super) fn because(because: &str, rule: Option<&str>) -> String {
    match rule {
        Some(rule) => format!("{because} (rule `{rule}`)"),
        None => because.to_owned(),
    }
}

fn pair(pair: &Pair) -> String {
    format!("{}/{}", pair.availability, pair.activity)
}

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
pub(super) mod tests;
