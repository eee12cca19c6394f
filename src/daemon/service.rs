//! Messages to the service manager: ready, reloading, stopping, a status line for people, and signs of life for its watchdog. The
//! event loop itself sends those, so that a loop that hangs is restarted.
//!
//! Without a service manager, nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::status::report::{Account, Health, Report};
use crate::time::Instant;

/// The connection to the service manager.
#[derive(Debug)]
pub(super) struct Service {
    /// Half of the watchdog's timeout; `None`: it is off.
    watchdog: Option<Duration>,
    next_watchdog: Option<Instant>,
    shown: String,
}

impl Service {
    /// Reads from the service manager's variables whether there is a watchdog.
    pub(super) fn new(now: Instant) -> Self {
        let watchdog = sd_notify::watchdog_enabled().map(|interval| interval / 2);
        Self { watchdog, next_watchdog: watchdog.map(|_| now), shown: String::new() }
    }

    /// When the next sign of life is due.
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

    /// Sends the status line if it has changed, and the sign of life if it is due.
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

/// `work: Busy/InACall, call is in-call (baresip)`; the worst warning comes first.
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
        tracing::debug!(%error, "cannot notify the service manager");
    }
}
