//! Leaving: before the program ends, each session is cleared or deliberately kept, within the time that a service manager grants.

use std::time::Duration;

use tokio::sync::mpsc;

use super::service::Service;
use super::{Daemon, sleep_or_never};
use crate::config::OnExit;
use crate::status::Command;

/// How long leaving may take. In real time, as the service manager counts.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(2500);
/// How much of that a request gets that was already in flight.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

impl Daemon {
    /// Clears the sessions or keeps them, within [`LEAVE_TIMEOUT`].
    pub(super) async fn leave(&mut self, commands: &mut mpsc::Receiver<Command>) {
        Service::stopping();
        let clear = self.config.session.on_exit == OnExit::Clear;
        let now = self.clock.now();
        self.accounts.iter_mut().for_each(|account| account.leave(clear, &now));
        #[expect(clippy::disallowed_methods, reason = "a service manager counts real time, without suspend")]
        let (mut last_answer, mut end) = (
            std::pin::pin!(tokio::time::sleep(LAST_ANSWER_TIMEOUT)),
            std::pin::pin!(tokio::time::sleep(LEAVE_TIMEOUT)),
        );
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
                    // Abandoned requests were already counted as failed.
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

/// Answers a command that arrives while the daemon leaves.
fn refuse(command: Command) {
    match command {
        // Without an answer, the client learns the same.
        Command::Users(_) => {}
        Command::SetOverride { reply, .. }
        | Command::ClearOverride { reply }
        | Command::SetSignal { reply, .. }
        | Command::ClearSignal { reply, .. }
        | Command::Reload { reply } => drop(reply.send(Err("presenced is stopping".to_owned()))),
    }
}
