//! Events: what wakes the loop, and what each event changes. What follows from the change is the turn's job (`daemon/mod`).

use tokio::sync::mpsc;

use super::account::{Account, Done};
use super::fleet::{self, Fleet};
use super::kept::Reply;
use super::reload::{Loaded, loaded};
use super::{Daemon, sleep_or_never, timeout_ends};
use crate::metrics::Wakeup;
use crate::policy::{Reading, Sleep};
use crate::signals::Update;
use crate::status::Command;
use crate::time::Now;

/// What woke the loop.
pub(super) enum Event {
    Update(Update),
    Command(Command),
    Done(Done),
    Fleet(fleet::Done),
    Loaded(Loaded),
    FirstReadingsTimeout,
    Time,
}

impl Event {
    /// How the metrics count it.
    pub(super) fn wakeup(&self) -> Wakeup {
        match self {
            Self::Update(_) => Wakeup::Signal,
            Self::Command(_) | Self::Loaded(_) => Wakeup::Command,
            Self::Done(_) | Self::Fleet(_) => Wakeup::Answer,
            Self::FirstReadingsTimeout | Self::Time => Wakeup::Time,
        }
    }
}

impl Daemon {
    pub(super) async fn next_event(&mut self, now: &Now, commands: &mut mpsc::Receiver<Command>) -> Event {
        let (instant, wall) = self.wakeups(now);
        let until_instant = sleep_or_never(instant.map(|instant| self.clock.sleep_until(instant)));
        let until_wall = sleep_or_never(wall.map(|wall| self.clock.sleep_until_wall(wall)));
        tokio::select! {
            Some(update) = self.updates.recv() => Event::Update(update),
            Some(command) = commands.recv() => Event::Command(command),
            Some(done) = self.requests.join_next(), if !self.requests.is_empty() => match done {
                Ok(done) => Event::Done(done),
                // Only abandoned requests are cancelled, and those were already counted as failed.
                Err(_) => Event::Time,
            },
            Some(Ok(done)) = self.fleet_tasks.join_next(), if !self.fleet_tasks.is_empty() => Event::Fleet(done),
            loaded = loaded(&mut self.loading) => Event::Loaded(loaded),
            () = timeout_ends(&mut self.first_readings_timeout) => Event::FirstReadingsTimeout,
            () = until_instant => Event::Time,
            () = until_wall => Event::Time,
        }
    }

    pub(super) fn handle(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Update(update) => {
                self.hear(update, &now);
                // A burst of updates is one turn.
                while let Ok(update) = self.updates.try_recv() {
                    self.hear(update, &now);
                }
            }
            Event::Command(command) => self.execute(command, &now),
            Event::Done(done) => self.finish(&done, &now),
            Event::Fleet(done) => self.finish_fleet_tasks(done, &now),
            Event::Loaded(loaded) => self.finish_reload(loaded),
            Event::FirstReadingsTimeout => self.first_readings_timeout = None,
            Event::Time => {}
        }
    }

    pub(super) fn hear(&mut self, update: Update, now: &Now) {
        if let Update::SleepHold(hold) = update {
            return self.keep_inhibitor(hold, now);
        }
        if let Update::NetworkBack = update {
            // The address to listen at may have appeared with the network.
            self.listening.nudge(now);
            self.fleets.iter_mut().for_each(Fleet::nudge);
            return self.accounts.iter_mut().for_each(|account| account.network_back(now));
        }
        let hold = self.config.session.expiration.as_duration();
        if let Update::OwnersCalls(said) = update {
            let news = self.owners.hear_calls(said, hold, now);
            return self.owners_changed(&news, now);
        }
        if let Update::OwnersCalendars(said) = update {
            let news = self.owners.hear_calendars(said, hold, now);
            return self.owners_changed(&news, now);
        }
        let (was_present, signs_before) = (self.board.is_present(now), self.board.signs_of_life(now));
        self.board.hear(update, now);
        match self.board.sleep() {
            Reading::Known(Sleep::Suspending) if !self.asleep => self.prepare_for_suspend(now),
            Reading::Known(Sleep::Awake) if self.asleep => self.wake(now),
            Reading::Known(_) | Reading::Unknown | Reading::Off => {}
        }
        self.nudge_if_back(was_present, now);
        self.doubt_sleep(signs_before, now);
    }

    /// If the user has just come back, a backoff must not delay the new presence.
    fn nudge_if_back(&mut self, was_present: bool, now: &Now) {
        if self.board.is_present(now) && !was_present {
            self.accounts.iter_mut().for_each(Account::nudge);
        }
    }

    /// An unlock or input suggests that the machine does not sleep, even if logind has not said so yet.
    fn doubt_sleep(&self, signs_before: [bool; 2], now: &Now) {
        let mut signs = signs_before.into_iter().zip(self.board.signs_of_life(now));
        if self.asleep && signs.any(|(before, after)| after && !before) {
            self.sources.report_sign_of_life();
        }
    }

    fn execute(&mut self, command: Command, now: &Now) {
        // A client that has left does not need its answer.
        match command {
            Command::SetOverride { claim, ttl, reply } => {
                self.board.set_override(claim, ttl, now);
                self.keep(Ok(()), reply, now);
            }
            Command::ClearOverride { reply } => {
                self.board.clear_override();
                self.keep(Ok(()), reply, now);
            }
            Command::SetSignal { name, value, ttl, writer, reply } => {
                let (was_present, signs_before) = (self.board.is_present(now), self.board.signs_of_life(now));
                let set = self.board.set_signal(name, value, ttl, writer, now);
                self.keep(set, reply, now);
                self.nudge_if_back(was_present, now);
                self.doubt_sleep(signs_before, now);
            }
            Command::ClearSignal { name, reply } => {
                let cleared = self.board.clear_signal(&name);
                self.keep(cleared, reply, now);
            }
            Command::Users(command) => self.execute_for_users(command, now),
            Command::Reload { reply } => self.reload(Some(reply)),
        }
    }

    /// Answers a command once what it changed is kept over a restart, or at once if it was refused.
    fn keep(&self, outcome: Result<(), String>, reply: Reply, now: &Now) {
        match outcome {
            Ok(()) => self.keeper.keep(self.board.kept(&self.life, now), Some(reply)),
            Err(_) => drop(reply.send(outcome)),
        }
    }

    pub(super) fn finish(&mut self, done: &Done, now: &Now) {
        let account = self.accounts.iter_mut().chain(&mut self.leavers).find(|account| account.id == done.account);
        if let Some(account) = account {
            account.finish(done, now);
        }
    }
}
