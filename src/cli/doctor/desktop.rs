//! Checks what the desktop reports: the buses, and the signals that come over them.
//!
//! Each check runs the signal's task, the same as in the daemon, and waits for its first reading. If a daemon is running, its
//! report is used instead: it has watched for longer, and knows what programs reported through its socket.

use std::path::Path;

use rustix::fs::Access;
use tokio::sync::mpsc;

use super::check::{Check, Group, Verdict};
use super::text::{Kind, Part, Text, foreign, path, private, text};
use super::unreported::noted;
use super::{Scene, bounded, sign_in};
use crate::config;
use crate::file_watch;
use crate::policy::{Call, Idle, Lock, Reading, Sleep};
use crate::signals::bus::probe;
use crate::signals::{self, Buses, Displays, FileWatcher, Observation, Update};
use crate::status::report::{Health, Report, Warning};
use crate::warning::Code;

const GROUP: Group = Group::Desktop;

/// The idle time used when none is configured: the shortest usual one.
const IDLE: config::Idle = config::Idle { after: std::time::Duration::from_mins(10) };

/// All checks of the desktop.
pub(super) async fn checks(scene: &Scene<'_>) -> Vec<Check> {
    let (buses, lock, sleep, idle, call, microphone) =
        tokio::join!(buses(scene), lock(scene), sleep(scene), idle(scene), call(scene), microphone(scene));
    buses.into_iter().chain([lock, sleep, idle, call]).chain(microphone).collect()
}

async fn buses(scene: &Scene<'_>) -> [Check; 2] {
    let buses = Buses::default();
    let (session, system) = tokio::join!(bounded(probe::session_bus(&buses)), bounded(probe::system_bus(&buses)));
    let (needs_session, needs_system) = needs(scene.config.as_ref().ok());
    let check = |name, needed: bool, outcome: Option<Result<(), String>>, hint: &'static str| match outcome {
        Some(Ok(())) => Check::ok(GROUP, name, "it answers"),
        Some(Err(_)) | None if !needed => Check::skipped(GROUP, name, "it does not answer, but nothing needs it"),
        Some(Err(reason)) => Check::warning(GROUP, name, text!["it cannot be used: ", foreign(reason)]).with_hint(hint),
        None => Check::warning(GROUP, name, "it did not answer within 10 s").with_hint(hint),
    };
    [
        check(
            "session bus",
            needs_session,
            session,
            "run this in the desktop session; screen savers and the keyring are on that bus",
        ),
        check(
            "system bus",
            needs_system,
            system,
            "see `systemctl status dbus`; logind, which reports lock and sleep, is on that bus",
        ),
    ]
}

/// Whether the configuration needs the session bus, and whether it needs the system bus.
fn needs(config: Option<&config::Config>) -> (bool, bool) {
    config.map_or((true, true), |config| {
        let watches = config.signals.lock.is_some() || config.signals.idle.is_some();
        let stores = config.accounts.values().any(|account| sign_in::need(account) != sign_in::Need::None);
        (watches || stores, watches)
    })
}

async fn lock(scene: &Scene<'_>) -> Check {
    let is_on = |config: &config::Config| config.signals.lock.is_some();
    let displays = Displays::of(&scene.environment);
    signal(
        scene,
        ("lock", &[Code::LockUnavailable, Code::LockUnproved]),
        is_on,
        |context| Box::pin(signals::lock::run(displays, context)),
        |update| if let Update::Lock(seen) = update { Some(plain(seen, Lock::as_str)) } else { None },
    )
    .await
}

async fn sleep(scene: &Scene<'_>) -> Check {
    let is_on = |config: &config::Config| config.signals.lock.is_some();
    signal(
        scene,
        ("sleep", &[Code::SleepUnavailable]),
        is_on,
        |context| Box::pin(signals::sleep::run(signals::SignsOfLife::default(), context)),
        |update| {
            if let Update::Sleep(seen) = update { Some(plain(seen, Sleep::as_str)) } else { None }
        },
    )
    .await
}

async fn idle(scene: &Scene<'_>) -> Check {
    let is_on = |config: &config::Config| config.signals.idle.is_some();
    let after = scene.config.as_ref().ok().and_then(|config| config.signals.idle).unwrap_or(IDLE);
    let displays = Displays::of(&scene.environment);
    signal(
        scene,
        ("idle", &[Code::IdleUnavailable]),
        is_on,
        |context| Box::pin(signals::idle::run(after, displays, context)),
        |update| if let Update::Idle(seen) = update { Some(plain(seen, Idle::as_str)) } else { None },
    )
    .await
}

async fn call(scene: &Scene<'_>) -> Check {
    let name = "call";
    let Some(call) = scene.config.as_ref().ok().and_then(|config| config.signals.call.clone()) else {
        return Check::skipped(GROUP, name, off(scene));
    };
    let place = call.path.clone();
    let check = if call.owners.is_some() {
        Check::ok(GROUP, name, text!["a file for each: ", path(&call.path)])
    } else {
        signal(
            scene,
            (name, &[Code::CallStateInvalid, Code::CallStateUnreadable]),
            |_| true,
            |context| Box::pin(signals::call::run(call, context)),
            |update| if let Update::Call(seen) = update { Some(of_call(seen)) } else { None },
        )
        .await
    };
    if check.verdict != Verdict::Ok {
        return check;
    }
    // The daemon creates the folder of its socket when it starts.
    let made_by_daemon = scene.context.socket.as_deref().and_then(Path::parent).map(Path::to_owned);
    // A file system on another machine may not answer.
    let look = tokio::task::spawn_blocking(move || {
        let not_writable = writable(&place, made_by_daemon.as_deref());
        (not_writable, file_watch::unreported(&place))
    });
    match bounded(look).await {
        Some(Ok((not_writable, unreported))) => not_writable.unwrap_or_else(|| noted(check, unreported.as_ref())),
        Some(Err(_)) | None => Check::failed(GROUP, name, "its folder did not answer within 10 s")
            .with_hint("if it is on another machine, check that the machine responds"),
    }
}

/// What prevents other programs from writing their call state. Blocks on the file system.
fn writable(place: &Path, made_by_daemon: Option<&Path>) -> Option<Check> {
    let folder = if place.is_dir() { place } else { place.parent()? };
    let comes_with_daemon = made_by_daemon == Some(folder);
    if !folder.exists() {
        if comes_with_daemon {
            return None;
        }
        let found = text!["the folder ", path(folder), " does not exist, so no program can write its state"];
        return Some(Check::warning(GROUP, "call", found).with_hint(text!["run `mkdir -p ", path(folder), "`"]));
    }
    let denied = rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err();
    denied.then(|| {
        let found = text!["this user may not write to ", path(folder)];
        Check::warning(GROUP, "call", found).with_hint("make it writable for the programs that report calls")
    })
}

#[cfg(feature = "pulse")]
async fn microphone(scene: &Scene<'_>) -> Option<Check> {
    let microphone = scene.config.as_ref().ok()?.signals.microphone.clone()?;
    let check = signal(
        scene,
        ("microphone", &[Code::MicrophoneUnavailable]),
        |_| true,
        |context| Box::pin(signals::microphone::run(microphone, context)),
        |update| if let Update::Microphone(seen) = update { Some(of_call(seen)) } else { None },
    );
    Some(check.await)
}

#[cfg(not(feature = "pulse"))]
fn microphone(_: &Scene<'_>) -> std::future::Ready<Option<Check>> {
    std::future::ready(None)
}

fn off(scene: &Scene<'_>) -> &'static str {
    if scene.config.is_ok() { "it is off in the configuration" } else { "the configuration cannot be read" }
}

/// What a signal reported, whichever it is.
struct Reported {
    value: Option<&'static str>,
    source: String,
    warnings: Vec<(String, String)>,
}

fn plain<T>(seen: Observation<T>, word: fn(T) -> &'static str) -> Reported {
    let value = match seen.reading {
        Reading::Known(value) => Some(word(value)),
        Reading::Unknown | Reading::Off => None,
    };
    let warnings = seen.warnings.into_iter().map(|warning| (warning.text, warning.hint)).collect();
    Reported { value, source: seen.source, warnings }
}

fn of_call(seen: Observation<Call>) -> Reported {
    plain(seen, |call| call.state.as_str())
}

/// Checks one signal: with the daemon's report if it has the signal, otherwise by running the signal's task.
async fn signal<F: Future + Unpin>(
    scene: &Scene<'_>,
    (name, codes): (&'static str, &[Code]),
    is_on: impl Fn(&config::Config) -> bool,
    run: impl FnOnce(signals::Context) -> F,
    pick: impl Fn(Update) -> Option<Reported>,
) -> Check {
    if scene.config.as_ref().is_ok_and(|config| !is_on(config)) {
        return Check::skipped(GROUP, name, off(scene));
    }
    if let Some(check) = scene.report().and_then(|report| by_daemon(report, name, codes)) {
        return check;
    }
    let (updates, mut heard) = mpsc::channel(8);
    let context = signals::Context {
        clock: scene.clock.clone(),
        updates,
        buses: Buses::default(),
        file_watcher: FileWatcher::new(),
        cache_dir: scene.environment.cache_dir.clone(),
        locked_sessions: signals::LockedSessions::default(),
    };
    let first = async {
        while let Some(update) = heard.recv().await {
            if let Some(reported) = pick(update) {
                return Some(reported);
            }
        }
        None
    };
    let running = run(context);
    let reported = bounded(async {
        tokio::select! {
            _ = running => None,
            reported = first => reported,
        }
    });
    match reported.await.flatten() {
        Some(reported) => judge(name, &reported),
        None => Check::failed(GROUP, name, "nothing was reported within 10 s")
            .with_hint("see `presenced status` once the daemon is running"),
    }
}

fn judge(name: &'static str, reported: &Reported) -> Check {
    let from = text![", from ", source(&reported.source)];
    let warnings: Vec<_> = reported.warnings.iter().map(|(text, hint)| (text.as_str(), hint.as_str())).collect();
    match reported.value {
        Some(value) => with_warnings(Check::ok(GROUP, name, text![value].join(from)), &warnings),
        None => with_warnings(Check::failed(GROUP, name, "it is unknown"), &warnings),
    }
}

/// Checks a signal with the daemon's report. `None` if the signal is off there: then the daemon has a different configuration.
fn by_daemon(report: &Report, name: &str, codes: &[Code]) -> Option<Check> {
    let (name, signal) = report.signals.iter().find(|(known, signal)| *known == name && signal.value != "off")?;
    let name = ["lock", "sleep", "idle", "call", "microphone"].into_iter().find(|known| known == name)?;
    let warnings: Vec<_> = report.warnings.iter().filter(|warning| codes.contains(&warning.code)).collect();
    let warnings: Vec<_> = warnings.iter().map(|Warning { text, hint, .. }| (text.as_str(), hint.as_str())).collect();
    let found = text![foreign(&signal.value), ", from ", source(&signal.source), ", reported by the daemon"];
    let check = match signal.health {
        Health::Failing | Health::Degraded if signal.value == "unknown" => {
            Check::failed(GROUP, name, "the daemon does not know it")
        }
        Health::Ok | Health::Degraded | Health::Failing => Check::ok(GROUP, name, found),
    };
    Some(with_warnings(check, &warnings))
}

fn with_warnings(check: Check, warnings: &[(&str, &str)]) -> Check {
    let Some((_, hint)) = warnings.first() else { return check };
    let verdict = check.verdict.max(Verdict::Warning);
    let details = warnings.iter().map(|(text, _)| Text::from(foreign(*text)));
    Check { verdict, ..check }.with_details(details).with_hint(foreign(*hint))
}

/// Where a signal comes from: a path, or one of presenced's own words.
fn source(source: &str) -> Part {
    if source.starts_with('/') { private(Kind::Path, source) } else { foreign(source) }
}
