//! `presenced service status`: shows what systemd and the daemon report about the service, in a few lines.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::unit::{SERVICE, SOCKET};
use crate::cli::context::Context;
use crate::cli::daemon_client::request;
use crate::cli::error::{Error, Exit};
use crate::cli::status::{exit, headline};
use crate::cli::systemd::systemctl::{self, Properties};
use crate::cli::terminal::output::print;
use crate::cli::terminal::screen;
use crate::cli::terminal::text::{cut_end, pad, printable, wrap};
use crate::cli::terminal::times::{clock, relative};
use crate::status::report::Report;

/// The width of the labels.
const LABEL_COLUMNS: usize = 10;

/// The unit's properties that are shown.
const PROPERTIES: [&str; 12] = [
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
    "MainPID",
    "NRestarts",
    "ActiveEnterTimestamp",
    "InactiveEnterTimestamp",
    "Result",
];

/// What is known about the service.
#[derive(Debug)]
struct Service {
    unit: Properties,
    socket: Properties,
    /// The daemon's report, if it answers.
    report: Result<Report, Error>,
}

/// Runs the command.
pub(super) fn show(context: &Context) -> Result<Exit, Error> {
    let asked = |unit, properties| {
        systemctl::show(unit, properties, &context.environment).map_err(|error| error.error(&context.environment))
    };
    let unit = asked(SERVICE, &PROPERTIES)?;
    if unit.text("LoadState") == "not-found" {
        let text = "presenced is not installed as a service";
        return Err(Error::new(Exit::NotRunning, text).with_hint("run `presenced service install`"));
    }
    let socket = asked(SOCKET, &["LoadState", "ActiveState"])?;
    // A request while the service is stopped would start it through the socket.
    let report = match unit.text("ActiveState") {
        "active" | "reloading" => request(context, async |mut daemon| daemon.status().await),
        _ => Err(Error::new(Exit::NotRunning, "it is not running")),
    };
    let service = Service { unit, socket, report };
    print(&service.render(Context::now(), &TimeZone::system(), screen::width()))?;
    Ok(service.exit())
}

impl Service {
    /// The text for people at `now`, in lines of at most `width` columns.
    fn render(&self, now: Timestamp, zone: &TimeZone, width: usize) -> String {
        let bold = anstyle::Style::new().bold();
        let state = self.state(now, zone);
        let mut lines: Vec<String> = wrap(&format!("{SERVICE}: {state}"), width)
            .into_iter()
            .map(|line| format!("{bold}{line}{bold:#}"))
            .collect();
        for (label, fact) in self.facts() {
            let label = cut_end(&printable(&label), LABEL_COLUMNS - 1);
            for (number, line) in wrap(&fact, width.saturating_sub(2 + LABEL_COLUMNS)).iter().enumerate() {
                lines.push(format!("  {}{line}", pad(if number == 0 { &label } else { "" }, LABEL_COLUMNS)));
            }
        }
        lines.join("\n") + "\n"
    }

    /// The service's state, since when, and why it failed.
    fn state(&self, now: Timestamp, zone: &TimeZone) -> String {
        let since = |property| match self.unit.time(property) {
            Some(at) => format!(" since {}, {}", clock(at, now, zone), relative(at, now)),
            None => String::new(),
        };
        let result = self.unit.text("Result");
        match (self.unit.text("LoadState"), self.unit.text("ActiveState"), self.unit.text("SubState")) {
            ("masked", ..) => "masked, so systemd does not start it".to_owned(),
            (_, "active" | "reloading", _) => {
                format!("active{}, pid {}", since("ActiveEnterTimestamp"), self.unit.text("MainPID"))
            }
            (_, "failed", _) => format!("failed{} ({result})", since("InactiveEnterTimestamp")),
            (_, _, "auto-restart") => format!("failed ({result}), about to restart"),
            (_, state, _) => format!("{state}{}", since("InactiveEnterTimestamp")),
        }
    }

    /// All facts with their labels.
    fn facts(&self) -> Vec<(String, String)> {
        let fact = |label: &str, text: String| (label.to_owned(), text);
        let mut facts = Vec::new();
        let starts = match self.unit.text("UnitFileState") {
            "enabled" => "at login",
            "enabled-runtime" => "at login, until the machine restarts",
            "disabled" => "only by hand; enable it with `presenced service install`",
            other => other,
        };
        facts.push(fact("unit", self.unit.text("FragmentPath").to_owned()));
        for drop_in in self.unit.paths("DropInPaths") {
            facts.push(fact("drop-in", drop_in.display().to_string()));
        }
        facts.push(fact("starts", starts.to_owned()));
        if self.unit.text("NeedDaemonReload") == "yes" {
            facts.push(fact("changed", "on disk; load it with `systemctl --user daemon-reload`".to_owned()));
        }
        if self.socket.text("ActiveState") == "active" {
            facts.push(fact("socket", format!("{SOCKET}; a request there starts the service")));
        }
        if !matches!(self.unit.text("NRestarts"), "" | "0") {
            facts.push(fact("restarts", self.unit.text("NRestarts").to_owned()));
        }
        match &self.report {
            Ok(report) => {
                for (name, account) in &report.accounts {
                    let headline = headline(account).1;
                    // Many users have no reason in common.
                    let is_one = account.users.is_none();
                    let text = if is_one { format!("{headline}, {}", account.because) } else { headline };
                    facts.push((name.clone(), text));
                    let error = account.last_error.iter();
                    facts.extend(error.clone().map(|error| fact("trouble", error.text.clone())));
                    facts.extend(error.filter_map(|error| Some(fact("hint", error.hint.clone()?))));
                }
                let warnings = report.warnings.len();
                if warnings > 0 {
                    facts.push(fact("warnings", format!("{warnings}, see `presenced status`")));
                }
            }
            Err(error) if error.exit != Exit::NotRunning => {
                facts.push(fact("trouble", error.text.clone()));
                facts.extend(error.hint.clone().map(|hint| fact("hint", hint)));
            }
            Err(_) => facts.push(fact("hint", self.fix().to_owned())),
        }
        facts
    }

    /// What to do so that it runs.
    fn fix(&self) -> &'static str {
        match (self.unit.text("LoadState"), self.unit.text("ActiveState")) {
            ("masked", _) => "run `systemctl --user unmask presenced`",
            (_, "failed" | "activating") => "`journalctl --user -u presenced` says why it stopped",
            _ => "run `systemctl --user start presenced`",
        }
    }

    /// The exit code, for scripts.
    fn exit(&self) -> Exit {
        match &self.report {
            Ok(report) => exit(report),
            Err(error) => error.exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(unit: &str, socket: &str, width: usize) -> String {
        let report = Err(Error::new(Exit::NotRunning, "it is not running"));
        let service = Service { unit: Properties::read(unit), socket: Properties::read(socket), report };
        assert_eq!(service.exit(), Exit::NotRunning);
        let text = service.render("2026-11-24T16:32:48Z".parse().unwrap(), &TimeZone::UTC, width);
        assert!(
            text.lines().all(|line| anstream::adapter::strip_str(line).to_string().chars().count() <= width),
            "{text}"
        );
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_stopped_service_says_since_when_why_and_what_to_do() {
        let of = "FragmentPath=/home/me/.config/systemd/user/presenced.service\n";
        let since = "InactiveEnterTimestamp=Tue 2026-11-24 16:20:07 UTC\n";
        let failed = "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=watchdog\nUnitFileState=enabled\nNRestarts=3\n";
        let drop_in =
            "DropInPaths=/home/me/.config/systemd/user/presenced.service.d/override.conf\nNeedDaemonReload=yes\n";
        let again = "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nUnitFileState=disabled\n";
        let never = "LoadState=loaded\nActiveState=inactive\nSubState=dead\nResult=success\nUnitFileState=disabled\n";
        let masked = "LoadState=masked\nActiveState=inactive\nSubState=dead\nResult=success\nUnitFileState=masked\n";
        let failed = format!("{of}{since}{failed}{drop_in}");
        let states = [
            shown(&failed, "ActiveState=active\n", 80),
            shown(&failed, "ActiveState=active\n", 40),
            shown(&format!("{of}{since}{again}"), "", 80),
            shown(&format!("{of}{never}"), "", 80),
            shown(&format!("{of}{masked}"), "ActiveState=inactive\n", 80),
        ];
        insta::assert_snapshot!(states.join("\n"));
    }
}
