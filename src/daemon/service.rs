//! What the service manager is told: ready, reloading, stopping, a human status line, and signs of life from the event
//! loop itself, so that a loop that hangs is restarted.
//!
//! Without a service manager all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::status::report::{Account, Health, Report};
use crate::time::Instant;

/// The connection to the service manager.
#[derive(Debug)]
pub(super) struct Service {
    /// How often the watchdog wants a sign, halved; `None`: it is not armed.
    watchdog: Option<Duration>,
    next_watchdog: Option<Instant>,
    shown: String,
}

impl Service {
    /// Reads from the service manager's variables whether a watchdog waits.
    pub(super) fn new(now: Instant) -> Self {
        let watchdog = sd_notify::watchdog_enabled().map(|interval| interval / 2);
        Self { watchdog, next_watchdog: watchdog.map(|_| now), shown: String::new() }
    }

    /// When the watchdog wants its next sign.
    pub(super) fn next_watchdog(&self) -> Option<Instant> {
        self.next_watchdog
    }

    pub(super) fn ready() {
        notify(&[NotifyState::Ready]);
    }

    pub(super) fn reloading() {
        match NotifyState::monotonic_usec_now() {
            Ok(monotonic) => notify(&[NotifyState::Reloading, monotonic]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
    }

    pub(super) fn stopping() {
        notify(&[NotifyState::Stopping]);
    }

    /// Shows the state in one line where it changed, and gives the watchdog its sign when it is due.
    pub(super) fn show(&mut self, report: &Report, now: Instant) {
        let line = line(report);
        if line != self.shown {
            notify(&[NotifyState::Status(&line)]);
            self.shown = line;
        }
        if self.next_watchdog.is_some_and(|due| due <= now) {
            notify(&[NotifyState::Watchdog]);
            self.next_watchdog = self.watchdog.map(|interval| now + interval);
        }
    }
}

/// `work: Busy/InACall, call is in-call (baresip)`; what is wrong comes first.
fn line(report: &Report) -> String {
    let account = |(name, account): (&String, &Account)| {
        let held = account
            .asserted
            .as_ref()
            .map_or_else(|| "nothing".to_owned(), |held| format!("{}/{}", held.availability, held.activity));
        format!("{name}: {held}, {}", account.because)
    };
    let mut parts: Vec<_> = report.accounts.iter().map(account).collect();
    if report.health != Health::Ok
        && let Some(worst) = report.warnings.iter().max_by_key(|warning| warning.severity)
    {
        parts.insert(0, worst.text.clone());
    }
    parts.join("; ")
}

fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
