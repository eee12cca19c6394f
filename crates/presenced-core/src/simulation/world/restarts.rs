//! What is set through the socket, and restarts: presenced is stopped, killed, or goes down with the machine, and starts again
//! with what it kept. Follows `daemon/events.rs` and `daemon/kept`.

use std::time::Duration;

use super::{Driver, World};
use crate::kept::{Kept, Lasting, Life};
use crate::policy::{Claim, Reading, Sleep};
use crate::session::{Session, Verify};
use crate::simulation::day::End;
use crate::simulation::invariants::Violation;
use crate::simulation::rules::FOCUS;
use crate::simulation::signals::Board;
use crate::sleep_watch::SleepWatch;

impl World<'_> {
    pub(super) fn set_override(&mut self, set: Option<(Claim, Option<Duration>)>) {
        let now = self.both_clocks();
        self.signals.manual = set.map(|(claim, lasts)| (claim, lasts.map(|lasts| now.instant + lasts)));
        self.signals.board.manual = set.map(|(claim, lasts)| Lasting::new(claim, lasts, &now));
        self.keep();
    }

    pub(super) fn set_focus(&mut self, set: Option<(&'static str, Option<Duration>)>) {
        let now = self.both_clocks();
        self.signals.focus = set.map(|(value, lasts)| (value, lasts.map(|lasts| now.instant + lasts)));
        self.signals.board.signals =
            set.map(|(value, lasts)| (FOCUS.to_owned(), Lasting::new(value, lasts, &now))).into_iter().collect();
        self.keep();
    }

    /// Writes the file.
    fn keep(&mut self) {
        let now = self.both_clocks();
        let Board { manual, signals } = &self.signals.board;
        self.signals.set_at = (now.instant, now.wall);
        self.kept = Some(Kept {
            life: self.life(),
            instant: now.instant,
            wall: now.wall,
            manual: manual.clone(),
            signals: signals.clone(),
        });
    }

    fn life(&self) -> Life {
        Life { boot: Some(self.boot.to_string()), login: None }
    }

    /// presenced ends, does not run for a while, and starts again. Nothing happens while the machine is about to sleep.
    pub(super) fn restart(&mut self, end: End, lasts: Duration) -> Result<(), Violation> {
        if self.signals.sleep == Reading::Known(Sleep::Suspending) {
            return Ok(());
        }
        if end != End::Killed {
            self.leave()?;
        }
        self.arrive()?;
        if let Some(flight) = self.flight.take() {
            self.strays.extend(flight.arrives_at.map(|at| (at, flight.sent_at, flight.request.action)));
            self.checker.note_given_up(self.now);
        }
        self.now = self.now + lasts;
        self.arrive()?;
        if end == End::Rebooted {
            self.boot += 1;
            self.end_what_a_reboot_ends();
        }
        let now = self.both_clocks();
        let kept = self.kept.clone().filter(|_| self.driver != Driver::ForgetsWhatWasSet);
        let restored = kept.map(|kept| kept.restore(&self.life(), &now));
        let differs = restored.as_ref().is_some_and(|restored| restored.differs);
        self.signals.board = restored
            .map_or_else(Board::default, |restored| Board { manual: restored.manual, signals: restored.signals });
        if differs {
            self.keep();
        }
        self.session = Session::new(self.day.seed);
        self.verify = Verify::default();
        self.sleep_watch = SleepWatch::default();
        self.network.restart();
        (self.last_confirmed, self.decided_until, self.signals_until) = (None, None, None);
        self.must_decide = true;
        let [_, preferred_until] = self.graph.deadlines();
        self.checker.note_restart(preferred_until, self.now);
        Ok(())
    }

    /// A signal ends with the programs that set it. An override lasts as long as the wall clock says, but never longer than it was
    /// meant to when something was last set.
    fn end_what_a_reboot_ends(&mut self) {
        let (now, (instant, wall)) = (self.both_clocks(), self.signals.set_at);
        self.signals.focus = None;
        if let Some((_, Some(until))) = &mut self.signals.manual {
            let passed = Duration::try_from(now.wall.duration_since(wall)).unwrap_or_default();
            *until = now.instant + until.saturating_since(instant).saturating_sub(passed);
        }
    }
}
