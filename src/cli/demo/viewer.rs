//! Shows the demo: on a terminal as a picture that is redrawn with each event, otherwise as a line for each event. It also
//! records what others should see, for the summary.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{broadcast, watch};

use super::day::Day;
use super::summary::Summary;
use super::view::{self, Scene};
use super::{ACCOUNT, failed};
use crate::cli::error::Error;
use crate::cli::terminal::output::print_drawing;
use crate::cli::terminal::screen::{self, Screen};
use crate::cli::terminal::times::exact_clock;
use crate::presence::Presence;
use crate::status::report::{Account, Report, State};
use crate::time::Clock;
use presenced_emulator::{Emulator, Pair, RequestRecord};

/// How often the picture's clock moves, in real time.
const FRAME_INTERVAL: Duration = Duration::from_millis(100);
/// How many requests the picture shows.
const REQUESTS_SHOWN: usize = 6;

/// Follows the day, with what is claimed and what others see.
pub(super) struct Viewer<'a> {
    clock: &'a dyn Clock,
    emulator: &'a Emulator,
    reports: watch::Receiver<Arc<Report>>,
    records: broadcast::Receiver<RequestRecord>,
    day: &'a Day,
    speed: f64,
    screen: Option<Screen>,
    user: String,
    /// What others should see, each with its start.
    expected: Vec<(Timestamp, Pair)>,
    /// The last decision, as it was shown.
    decided: String,
    requests: Vec<RequestRecord>,
}

impl<'a> Viewer<'a> {
    /// A viewer for a day that has not started.
    pub(super) fn new(
        clock: &'a dyn Clock,
        emulator: &'a Emulator,
        reports: watch::Receiver<Arc<Report>>,
        day: &'a Day,
        speed: f64,
    ) -> Self {
        let user = presenced_emulator::Options::default().users.first().map(|user| user.id.clone()).unwrap_or_default();
        Self {
            clock,
            emulator,
            reports,
            records: emulator.subscribe(),
            day,
            speed,
            screen: Screen::new(),
            user,
            expected: Vec::new(),
            decided: String::new(),
            requests: Vec::new(),
        }
    }

    /// Shows the day until `ended`, while `playing` plays its events.
    pub(super) async fn watch(
        mut self,
        ended: impl Future<Output = ()>,
        playing: impl Future<Output = Result<(), Error>>,
    ) -> Result<Summary, Error> {
        let begun = self.clock.now().wall;
        let (mut ended, mut playing) = (std::pin::pin!(ended), std::pin::pin!(playing));
        let mut frames = frames();
        let mut played = false;
        loop {
            tokio::select! {
                () = &mut ended => break,
                done = &mut playing, if !played => {
                    done?;
                    played = true;
                }
                changed = self.reports.changed() => {
                    changed.map_err(|_| failed(&"the daemon ended unexpectedly"))?;
                    self.see_report();
                }
                record = self.records.recv() => {
                    if let Ok(record) = record {
                        self.see_request(record);
                    }
                }
                _ = frames.tick(), if self.screen.is_some() => {}
            }
            self.draw();
        }
        let until = self.clock.now().wall;
        let timeline = self.emulator.timeline(&self.user).unwrap_or_default();
        let state = self.emulator.state();
        let report = self.reports.borrow();
        let requests = report.accounts.get(ACCOUNT).map(|account| account.requests).unwrap_or_default();
        let fades = state.users.get(&self.user).map_or(0, |user| user.fades);
        Ok(Summary::new(&timeline, &self.expected, (begun, until), self.speed, requests, fades))
    }

    fn see_report(&mut self) {
        let now = self.clock.now();
        let report = self.reports.borrow_and_update().clone();
        let Some(account) = report.accounts.get(ACCOUNT) else { return };
        if account.state == State::Starting && account.desired.is_none() {
            return;
        }
        let desired = desired(account);
        if self.expected.last().is_none_or(|(_, last)| *last != desired) {
            self.expected.push((now.wall, desired.clone()));
        }
        let rule = account.rule.as_ref().map(|rule| format!(" (rule `{rule}`)")).unwrap_or_default();
        let decided = format!("{}: {desired}{rule}", account.because);
        if decided != self.decided {
            self.print_line(now.wall, &decided);
            self.decided = decided;
        }
    }

    fn see_request(&mut self, record: RequestRecord) {
        if view::is_presence(&record) {
            self.print_line(record.at, &format!("    {}", view::request(&record, self.requests.last())));
            self.requests.push(record);
            if self.requests.len() > REQUESTS_SHOWN {
                self.requests.remove(0);
            }
        }
    }

    /// Prints a line, if there is no picture.
    fn print_line(&self, at: Timestamp, what: &str) {
        if self.screen.is_none() {
            anstream::println!("{}  {what}", exact_clock(at, &self.clock.now().zone));
        }
    }

    fn draw(&mut self) {
        let Some(screen) = &mut self.screen else { return };
        let now = self.clock.now();
        let report = self.reports.borrow().clone();
        let timeline = self.emulator.timeline(&self.user).unwrap_or_default();
        let scene = Scene {
            now: &now,
            day: (self.day.start(), self.day.end()),
            report: &report,
            account: ACCOUNT,
            timeline: &timeline,
            requests: &self.requests,
        };
        // If standard output is closed, the day still continues.
        let _ = print_drawing(&screen.draw(&view::picture(&scene, screen::width())));
    }
}

#[expect(clippy::disallowed_methods, reason = "the user watches in real time")]
fn frames() -> tokio::time::Interval {
    tokio::time::interval(FRAME_INTERVAL)
}

/// What others should see once a decision is in force.
fn desired(account: &Account) -> Pair {
    let desired = account.desired.as_ref();
    let presence = desired.and_then(|pair| {
        Presence::ALL.into_iter().find(|presence| crate::status::report::Pair::from(*presence) == *pair)
    });
    presence.map_or_else(Pair::offline, Into::into)
}
