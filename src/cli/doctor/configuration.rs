//! Checks the configuration: whether it is valid, and who else may read or change it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::check::{Check, Group};
use super::text::{Text, count, foreign, path, text};
use super::{Scene, modes};
use crate::cli::notes::{self, Note};
use crate::config::{CalendarPlace, Config, Problem, Problems, Signals};

const GROUP: Group = Group::Configuration;

/// How many problems are listed. `presenced check` lists all of them.
const MAX_PROBLEMS_LISTED: usize = 5;

/// All checks of the configuration.
pub(super) fn checks(scene: &Scene<'_>) -> Vec<Check> {
    let file = &scene.context.config;
    let read = match &scene.config {
        Ok(config) => Check::ok(GROUP, "configuration", text![path(file), ": "].join(summary(config))),
        Err(problems) => invalid(problems),
    };
    let config = scene.config.as_ref().ok();
    vec![read].into_iter().chain(permissions(file, config)).chain(config.into_iter().flat_map(cannot_work)).collect()
}

/// What is valid but cannot work. Other checks look at the files.
fn cannot_work(config: &Config) -> Vec<Check> {
    let check = |note: Note| Check::warning(GROUP, "note", foreign(note.to_string()));
    notes::settings(config).into_iter().map(check).collect()
}

fn summary(config: &Config) -> Text {
    let Signals { calendar, lock, call, microphone, idle } = &config.signals;
    let on = [calendar.is_some(), lock.is_some(), call.is_some(), idle.is_some(), microphone.is_some()];
    let signals = on.into_iter().filter(|on| *on).count();
    Text::list([
        count(config.accounts.len(), "account", "accounts"),
        count(signals, "signal", "signals"),
        count(config.rules.len(), "rule", "rules"),
    ])
}

fn invalid(problems: &Problems) -> Check {
    let file = problems.file();
    let all: Vec<_> = problems.iter().collect();
    let hint = match all.as_slice() {
        [Problem { position: None, help: Some(help), .. }] => Text::from(foreign(help)),
        _ => Text::from("`presenced check` shows each problem with its line"),
    };
    let listed = all.iter().take(MAX_PROBLEMS_LISTED).map(|problem| position(problem).then(foreign(&problem.message)));
    let more = all.len().saturating_sub(MAX_PROBLEMS_LISTED);
    let more = (more > 0).then(|| text!["and ", more, " more"]);
    Check::failed(GROUP, "configuration", text![path(file), ": ", count(all.len(), "problem", "problems")])
        .with_details(listed.chain(more))
        .with_hint(hint)
}

/// Where in the file the problem is, if that is known.
fn position(problem: &Problem) -> Text {
    problem.position.map_or_else(Text::default, |at| text!["line ", at.line, ", column ", at.column, ": "])
}

/// Who else may read or change the file. Another check reports a missing file.
fn permissions(file: &Path, config: Option<&Config>) -> Option<Check> {
    let metadata = fs::metadata(file).ok()?;
    let mode = metadata.mode();
    let owner = rustix::process::getuid().as_raw();
    let has_secret_address = config.is_some_and(|config| {
        let calendar = config.signals.calendar.as_ref();
        let sources = calendar.map(|calendar| calendar.sources.as_slice()).unwrap_or_default();
        sources.iter().any(|source| matches!(source.place, CalendarPlace::Subscription(_)))
    });
    let found = if mode & 0o022 != 0 {
        "others may change it, and so change the commands that presenced runs"
    } else if ![0, owner].contains(&metadata.uid()) {
        "it belongs to another user, who may change the commands that presenced runs"
    } else if has_secret_address && mode & 0o044 != 0 {
        "others may read it, but it contains a secret calendar address"
    } else {
        return Some(Check::ok(GROUP, "permissions", text!["no other user may change it (mode ", modes(mode), ")"]));
    };
    let check = Check::warning(GROUP, "permissions", text![found, " (mode ", modes(mode), ")"]);
    Some(check.with_hint(text!["run `chmod 600 ", path(file), "`"]))
}
