//! Device code sign-ins, from the start until the code is redeemed, which works once.
//!
//! Source: RFC 8628, and Entra's page on the device authorization grant.

use std::time::Duration;

use super::tokens::random;
use crate::options::{self, Approval};
use presenced_core::time::Instant;

/// How many sign-ins are kept. The oldest are dropped first.
const MAX_SIGN_INS: usize = 1_000;

/// The characters of a user code: no vowels, so that it does not spell a word, and none that look alike.
const USER_CODE_LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ23456789";

/// RFC 8628 section 3.5: each `slow_down` adds this to the interval permanently.
const SLOW_DOWN_STEP: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Status {
    Waiting,
    /// Approved for the user with this object id.
    Approved(String),
    Denied,
    Redeemed,
}

#[derive(Clone, Debug)]
struct DeviceSignIn {
    app: String,
    /// The client polls with this.
    device_code: String,
    user_code: String,
    scopes: Vec<String>,
    expires_at: Instant,
    interval: Duration,
    last_poll: Option<Instant>,
    pending_polls: u32,
    status: Status,
}

/// A new sign-in.
#[derive(Clone, Debug)]
pub(super) struct Started {
    pub(super) device_code: String,
    pub(super) user_code: String,
    pub(super) expires_in: Duration,
    pub(super) interval: Duration,
}

/// The result of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Poll {
    Pending,
    SlowDown,
    Denied,
    Expired,
    Unknown,
    /// Approved for this user, or for the default user if `user` is `None` because the sign-in approved itself.
    Approved {
        user: Option<String>,
        scopes: Vec<String>,
    },
}

/// All device code sign-ins.
#[derive(Debug)]
pub(super) struct DeviceSignIns {
    options: options::DeviceCodeOptions,
    devices: Vec<DeviceSignIn>,
}

impl DeviceSignIns {
    /// No sign-ins yet.
    pub(super) fn new(options: options::DeviceCodeOptions) -> Self {
        Self { options, devices: Vec::new() }
    }

    /// Starts a sign-in.
    pub(super) fn start(&mut self, app: &str, scopes: Vec<String>, rng: &mut fastrand::Rng, now: Instant) -> Started {
        if self.devices.len() == MAX_SIGN_INS {
            self.devices.remove(0);
        }
        let user_code: String =
            (0..9).map(|_| char::from(USER_CODE_LETTERS[rng.usize(..USER_CODE_LETTERS.len())])).collect();
        let device_code: String = random(40, rng);
        self.devices.push(DeviceSignIn {
            app: app.to_owned(),
            device_code: device_code.clone(),
            user_code: user_code.clone(),
            scopes,
            expires_at: now + self.options.lifetime,
            interval: self.options.interval,
            last_poll: None,
            pending_polls: 0,
            status: Status::Waiting,
        });
        Started { device_code, user_code, expires_in: self.options.lifetime, interval: self.options.interval }
    }

    /// A client of `app` asks whether the sign-in is approved.
    pub(super) fn poll(&mut self, device_code: &str, app: &str, now: Instant) -> Poll {
        let found = self.devices.iter_mut().find(|device| device.device_code == device_code && device.app == app);
        let Some(device) = found.filter(|device| device.status != Status::Redeemed) else { return Poll::Unknown };
        if now >= device.expires_at {
            return Poll::Expired;
        }
        let too_soon = device.last_poll.is_some_and(|last| now.saturating_since(last) < device.interval);
        device.last_poll = Some(now);
        if too_soon {
            device.interval += SLOW_DOWN_STEP;
            return Poll::SlowDown;
        }
        match (&device.status, self.options.approval) {
            (Status::Waiting, Approval::AfterPolls(polls)) if device.pending_polls >= polls => {
                device.status = Status::Redeemed;
                Poll::Approved { user: None, scopes: device.scopes.clone() }
            }
            (Status::Waiting, _) => {
                device.pending_polls += 1;
                Poll::Pending
            }
            (Status::Approved(user), _) => {
                let user = Some(user.clone());
                device.status = Status::Redeemed;
                Poll::Approved { user, scopes: device.scopes.clone() }
            }
            (Status::Denied, _) => Poll::Denied,
            (Status::Redeemed, _) => Poll::Unknown,
        }
    }

    /// The user codes that wait for a decision.
    pub(super) fn waiting(&self, now: Instant) -> Vec<String> {
        let waiting = self.devices.iter().filter(|device| device.status == Status::Waiting && now < device.expires_at);
        waiting.map(|device| device.user_code.clone()).collect()
    }

    /// Approves a code for a user, or denies it if `user` is `None`. Returns `false` if no sign-in with that code waits.
    pub(super) fn decide(&mut self, user_code: &str, user: Option<String>, now: Instant) -> bool {
        let waiting = self.devices.iter_mut().find(|device| {
            device.user_code.eq_ignore_ascii_case(user_code)
                && device.status == Status::Waiting
                && now < device.expires_at
        });
        let Some(device) = waiting else { return false };
        device.status = user.map_or(Status::Denied, Status::Approved);
        true
    }
}
