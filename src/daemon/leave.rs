//! Leaving: each session is cleared, or stays, before the program ends, in a time that a service manager grants.

use std::time::Duration;

use tokio::sync::mpsc;

use super::service::Service;
use super::{Daemon, sleep_or_never};
use crate::config::OnExit;
use crate::status::Command;

/// How long leaving may take, and how long of it a request in flight gets to be answered. Real time: a service manager
/// counts in it too.
const LEAVE_WITHIN: Duration = Duration::from_millis(2800);
const LAST_ANSWER_WITHIN: Duration = Duration::from_secs(1);

impl Daemon {
    /// Clears the sessions, or lets them stay, within [`LEAVE_WITHIN`].
    pub(super) async fn leave(&mut self, commands: &mut mpsc::Receiver<Command>) {
        Service::stopping();
        let clear = self.config.session.on_exit == OnExit::Clear;
        let now = self.clock.now();
        self.accounts.iter_mut().for_each(|account| account.leave(clear, &now));
        #[expect(clippy::disallowed_methods, reason = "bounded by what a service manager waits, suspend or not")]
        let (mut last_answer, mut end) =
            (std::pin::pin!(tokio::time::sleep(LAST_ANSWER_WITHIN)), std::pin::pin!(tokio::time::sleep(LEAVE_WITHIN)));
        let mut patient = true;
        loop {
            let now = self.clock.now();
            self.turn(&now);
            if self.accounts.iter().chain(&self.leavers).all(|account| account.has_left(&now)) {
                tracing::info!("left");
                return;
            }
            let next = sleep_or_never(self.wakeups(&now).0.map(|next| self.clock.sleep_until(next)));
            tokio::select! {
                Some(ended) = self.requests.join_next() => {
                    // What was abandoned is accounted for already.
                    if let Ok(done) = ended {
                        let now = self.clock.now();
                        self.finish(&done, &now);
                    }
                }
                Some(command) = commands.recv() => refuse(command),
                () = next => {}
                () = &mut last_answer, if patient => {
                    patient = false;
                    let now = self.clock.now();
                    self.accounts.iter_mut().chain(&mut self.leavers).for_each(|account| account.abandon_request(&now));
                }
                () = &mut end => {
                    tracing::warn!("a session could not be cleared in time; Graph drops it when it expires");
                    return;
                }
            }
        }
    }
}

/// Answers what comes in while leaving.
fn refuse(command: Command) {
    let (Command::SetOverride { reply, .. }
    | Command::ClearOverride { reply }
    | Command::SetSignal { reply, .. }
    | Command::ClearSignal { reply, .. }
    | Command::Reload { reply }) = command;
    let _ = reply.send(Err("presenced is stopping".to_owned()));
}
