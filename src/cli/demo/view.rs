//! The picture of the demo: the signals, the decision, the session, what others see, and the day so far as a strip of colours. A
//! pure function of the scene.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::{SignedDuration, Timestamp};

use crate::cli::terminal::times::{clock, exact_clock, exact_span};
use crate::presence::Presence;
use crate::status::report::{Account, Report};
use crate::time::Now;
use presenced_emulator::{Availability, Call, Pair, RequestRecord, Timeline};

/// What the picture shows.
pub(super) struct Scene<'a> {
    /// The time in the demo.
    pub(super) now: &'a Now,
    /// The start and end of the day.
    pub(super) day: (Timestamp, Timestamp),
    /// The daemon's report.
    pub(super) report: &'a Report,
    /// The account shown.
    pub(super) account: &'a str,
    /// What others saw.
    pub(super) timeline: &'a Timeline,
    /// The last requests, oldest first.
    pub(super) requests: &'a [RequestRecord],
}

/// The picture, in lines of at most `width` columns.
pub(super) fn picture(scene: &Scene<'_>, width: usize) -> String {
    let bold = Style::new().bold();
    let Scene { now, report, .. } = scene;
    let mut lines = Vec::new();
    lines.push(format!("{bold}{}{bold:#}   {}", exact_clock(now.wall, &now.zone), legend()));
    lines.push(strip(scene, width));
    lines.push(String::new());
    for (index, name) in ["lock", "call", "calendar"].into_iter().enumerate() {
        let Some(signal) = report.signals.get(name) else { continue };
        let title = if index == 0 { "signals" } else { "" };
        let until =
            signal.until.map(|until| format!(" until {}", clock(until, now.wall, &now.zone))).unwrap_or_default();
        lines.push(row(title, &format!("{name:<10}{}{until}", signal.value), width));
    }
    if let Some(account) = report.accounts.get(scene.account) {
        account_rows(account, now, width, &mut lines);
    }
    let visible = scene.timeline.at(now.wall).cloned().unwrap_or_else(Pair::offline);
    lines.push(row("others see", &painted(&visible, &visible.to_string()), width));
    lines.push(String::new());
    for (index, record) in scene.requests.iter().enumerate() {
        let title = if index == 0 { "requests" } else { "" };
        let before = index.checked_sub(1).map(|before| &scene.requests[before]);
        lines.push(row(title, &format!("{}  {}", exact_clock(record.at, &now.zone), request(record, before)), width));
    }
    lines.join("\n") + "\n"
}

fn account_rows(account: &Account, now: &Now, width: usize, lines: &mut Vec<String>) {
    let rule = account.rule.as_ref().map(|rule| format!(" (rule `{rule}`)")).unwrap_or_default();
    lines.push(row("because", &format!("{}{rule}", account.because), width));
    let decided = account
        .desired
        .as_ref()
        .map_or_else(|| "nothing".to_owned(), |pair| format!("{}/{}", pair.availability, pair.activity));
    let until = account.until.map(|until| format!(" until {}", clock(until, now.wall, &now.zone))).unwrap_or_default();
    lines.push(row("decided", &format!("{decided}{until}"), width));
    let next = account.next.as_ref().map_or_else(
        || "nothing planned".to_owned(),
        |next| {
            let span = next.at.duration_since(now.wall).max(SignedDuration::ZERO);
            format!("{} in {}", next.why, exact_span(span))
        },
    );
    lines.push(row("next", &next, width));
}

fn row(title: &str, text: &str, width: usize) -> String {
    let bold = Style::new().bold();
    // Coloured texts are short. Long texts have no colours, so they can be cut by characters.
    let room = width.saturating_sub(12);
    let text = if text.contains('\x1b') || text.chars().count() <= room {
        text.to_owned()
    } else {
        text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    };
    format!("{bold}{title:<12}{bold:#}{text}").trim_end().to_owned()
}

/// The day as a strip: each cell has the colour of what others saw at its middle, or a dot if that is in the future.
fn strip(scene: &Scene<'_>, width: usize) -> String {
    let (begins, ends) = scene.day;
    let cells = width.saturating_sub(14).max(10);
    let length = ends.duration_since(begins).as_secs_f64();
    let mut strip = String::new();
    for cell in 0..cells {
        #[expect(clippy::cast_precision_loss, reason = "a cell of a line of a terminal")]
        let offset = SignedDuration::from_secs_f64(length * (cell as f64 + 0.5) / cells as f64);
        let middle = begins.saturating_add(offset).unwrap_or(ends);
        match scene.timeline.at(middle) {
            Some(seen) if middle <= scene.now.wall => strip.push_str(&painted(seen, "█")),
            Some(_) | None => strip.push('·'),
        }
    }
    let zone = &scene.now.zone;
    let (from, to) = (clock(begins, scene.now.wall, zone), clock(ends, scene.now.wall, zone));
    format!("{from} {strip} {to}")
}

/// Explains the colours of the strip.
fn legend() -> String {
    let shown = [Presence::Available, Presence::InACall, Presence::Presenting, Presence::Away].map(Pair::from);
    let seen = shown.iter().map(|pair| format!("{} {}", painted(pair, "█"), pair.availability));
    seen.collect::<Vec<_>>().join("  ")
}

fn painted(pair: &Pair, text: &str) -> String {
    let colour = match pair.availability {
        Availability::Available if pair.activity == "Available" => AnsiColor::Green,
        Availability::Available | Availability::Away | Availability::BeRightBack => AnsiColor::Yellow,
        Availability::Busy => AnsiColor::Red,
        Availability::DoNotDisturb => AnsiColor::Magenta,
        Availability::Offline => AnsiColor::BrightBlack,
    };
    let style = colour.on_default();
    format!("{style}{text}{style:#}")
}

/// Whether a request is about the presence, not about a token.
pub(super) fn is_presence(record: &RequestRecord) -> bool {
    matches!(record.call, Call::Set | Call::Clear)
}

/// One request as a line, with its answer. A request with the same body as the one before is a keepalive.
pub(super) fn request(record: &RequestRecord, before: Option<&RequestRecord>) -> String {
    let mut line = record.path.rsplit('/').next().unwrap_or_default().to_owned();
    let body: serde_json::Value = serde_json::from_str(&record.body).unwrap_or_default();
    if let (Some(availability), Some(activity)) = (body["availability"].as_str(), body["activity"].as_str()) {
        let expiration = body["expirationDuration"].as_str().unwrap_or_default();
        // Writing to a string does not fail.
        let _ = write!(line, " {availability}/{activity} {expiration}");
    }
    let answer = record.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let keepalive = if before.is_some_and(|before| before.body == record.body) { "  keepalive" } else { "" };
    let _ = write!(line, "  {answer}{keepalive}");
    line
}
