//! Sign-ins by device code, from the code's birth to the one time it is redeemed.
//!
//! Source: RFC 8628, and Entra's page on the device authorization grant.

use std::time::Duration;

use crate::options::{self, Approval};
use presenced_core::time::Instant;

/// How many codes are known at once; the oldest are forgotten first.
const CAPACITY: usize = 1_000;

/// The letters of a user code: no vowels, so that it spells no words, and none that look like digits.
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ23456789";

/// RFC 8628 section 3.5: what `slow_down` adds to the interval, for good.
const SLOW_DOWN: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Waiting,
    /// Approved for this user.
    Approved(String),
    Denied,
    Redeemed,
}

#[derive(Clone, Debug)]
struct Device {
    app: String,
    /// The device code: what the client polls with.
    secret: String,
    user_code: String,
    scopes: Vec<String>,
    expires_at: Instant,
    interval: Duration,
    last_poll: Option<Instant>,
    pending_polls: u32,
    standing: Standing,
}

/// A sign-in that was started.
#[derive(Clone, Debug)]
pub(super) struct Started {
    pub(super) device_code: String,
    pub(super) user_code: String,
    pub(super) expires_in: Duration,
    pub(super) interval: Duration,
}

/// What a poll finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Poll {
    Pending,
    SlowDown,
    Denied,
    Expired,
    Unknown,
    /// By this user; `None`: by itself, for whoever signs in by default.
    Approved {
        user: Option<String>,
        scopes: Vec<String>,
    },
}

/// All sign-ins by device code.
#[derive(Debug)]
pub(super) struct Devices {
    options: options::Device,
    devices: Vec<Device>,
}

impl Devices {
    /// None yet.
    pub(super) fn new(options: options::Device) -> Self {
        Self { options, devices: Vec::new() }
    }

    /// Starts a sign-in.
    pub(super) fn start(&mut self, app: &str, scopes: Vec<String>, rng: &mut fastrand::Rng, now: Instant) -> Started {
        if self.devices.len() == CAPACITY {
            self.devices.remove(0);
        }
        let user_code: String = (0..9).map(|_| char::from(LETTERS[rng.usize(..LETTERS.len())])).collect();
        let device_code: String = (0..40).map(|_| rng.alphanumeric()).collect();
        self.devices.push(Device {
            app: app.to_owned(),
            secret: device_code.clone(),
            user_code: user_code.clone(),
            scopes,
            expires_at: now + self.options.lifetime,
            interval: self.options.interval,
            last_poll: None,
            pending_polls: 0,
            standing: Standing::Waiting,
        });
        Started { device_code, user_code, expires_in: self.options.lifetime, interval: self.options.interval }
    }

    /// A client of `app` asks whether it is signed in.
    pub(super) fn poll(&mut self, device_code: &str, app: &str, now: Instant) -> Poll {
        let found = self.devices.iter_mut().find(|device| device.secret == device_code && device.app == app);
        let Some(device) = found.filter(|device| device.standing != Standing::Redeemed) else { return Poll::Unknown };
        if now >= device.expires_at {
            return Poll::Expired;
        }
        let too_soon = device.last_poll.is_some_and(|last| now.saturating_since(last) < device.interval);
        device.last_poll = Some(now);
        if too_soon {
            device.interval += SLOW_DOWN;
            return Poll::SlowDown;
        }
        match (&device.standing, self.options.approval) {
            (Standing::Waiting, Approval::AfterPolls(polls)) if device.pending_polls >= polls => {
                device.standing = Standing::Redeemed;
                Poll::Approved { user: None, scopes: device.scopes.clone() }
            }
            (Standing::Waiting, _) => {
                device.pending_polls += 1;
                Poll::Pending
            }
            (Standing::Approved(user), _) => {
                let user = Some(user.clone());
                device.standing = Standing::Redeemed;
                Poll::Approved { user, scopes: device.scopes.clone() }
            }
            (Standing::Denied, _) => Poll::Denied,
            (Standing::Redeemed, _) => Poll::Unknown,
        }
    }

    /// The user codes that wait for somebody.
    pub(super) fn waiting(&self, now: Instant) -> Vec<String> {
        let waiting =
            self.devices.iter().filter(|device| device.standing == Standing::Waiting && now < device.expires_at);
        waiting.map(|device| device.user_code.clone()).collect()
    }

    /// Approves a code for a user, or denies it; `false` when none waits under it.
    pub(super) fn decide(&mut self, user_code: &str, user: Option<String>, now: Instant) -> bool {
        let waiting = self.devices.iter_mut().find(|device| {
            device.user_code.eq_ignore_ascii_case(user_code)
                && device.standing == Standing::Waiting
                && now < device.expires_at
        });
        let Some(device) = waiting else { return false };
        device.standing = user.map_or(Standing::Denied, Standing::Approved);
        true
    }
}
