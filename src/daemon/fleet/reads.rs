//! The reads of the start: they show who has what they should have already, so that a restart sets only the others.

use std::collections::HashMap;

use tokio::task::JoinSet;
use tracing::warn;

use crate::failure::{Failure, FailureKind};
use crate::pacer::{Answer, ReadIndex, Ticket, UserIndex};
use crate::session::Seen;
use crate::time::{Instant, Now};

use super::Fleet;
use super::task::{Done, Ended};
use crate::tasks::spawn_into;

/// How many users one read returns. Source: Graph, `getPresencesByUserId`.
const USERS_IN_A_READ: usize = 650;

/// How often a read is tried before its users are set without it.
const READ_ATTEMPTS: u8 = 3;

/// The reads of the start that are not done.
#[derive(Debug, Default)]
pub(super) struct Reads {
    open: HashMap<ReadIndex, Chunk>,
    /// Why nobody is read any more.
    pub(super) refused: Option<Failure>,
}

#[derive(Debug)]
struct Chunk {
    users: Vec<UserIndex>,
    sent_at: Instant,
    attempts: u8,
}

impl Fleet {
    /// Reads these users before they are set.
    pub(super) fn read(&mut self, users: &[UserIndex]) {
        for (read, users) in (0..).map(ReadIndex).zip(users.chunks(USERS_IN_A_READ)) {
            self.reads.open.insert(read, Chunk { users: users.to_vec(), sent_at: Instant::default(), attempts: 0 });
            self.pacer.handle_read(read);
        }
    }

    pub(super) fn dispatch_read(&mut self, ticket: Ticket, read: ReadIndex, tasks: &mut JoinSet<Done>, now: &Now) {
        let chunk = self.reads.open.get_mut(&read);
        let users = chunk.map_or(&[][..], |chunk| {
            chunk.sent_at = now.instant;
            &chunk.users
        });
        let ids: Vec<_> = users.iter().filter_map(|user| Some(self.users.get(*user)?.id.clone())).collect();
        if ids.is_empty() {
            self.pacer.handle_answer(ticket, Answer::Done(None), now);
            return;
        }
        self.requests.sent += 1;
        let (fleet, exchange) = (self.id, self.exchange(now));
        spawn_into(
            tasks,
            async move { Done { fleet, ended: Ended::Read(ticket, read, exchange.read_many(ids).await) } },
        );
    }

    pub(super) fn finish_read(
        &mut self,
        ticket: Ticket,
        read: ReadIndex,
        outcome: Result<HashMap<String, Seen>, Failure>,
        now: &Now,
    ) {
        let answer = outcome.as_ref().map_or_else(Answer::from, |_| Answer::Done(None));
        self.pacer.handle_answer(ticket, answer, now);
        match outcome {
            Ok(seen) => {
                // Those of a read that was given up are set without it.
                let Some(Chunk { users, sent_at, .. }) = self.reads.open.remove(&read) else { return };
                self.end_trouble(sent_at);
                self.compare(&users, &seen, now);
            }
            Err(failure) => {
                self.count_failure(&failure);
                if failure.kind == FailureKind::Refused {
                    warn!(
                        account = self.name,
                        hint = failure.hint,
                        "cannot read what others see, so everybody is set: {failure}"
                    );
                    self.reads.refused = Some(failure);
                    for read in self.reads.open.keys().copied().collect::<Vec<_>>() {
                        self.give_up(read, now);
                    }
                    return;
                }
                if answer == Answer::Again {
                    self.token.refuse(&failure, now.instant);
                }
                self.note_trouble(&failure, now);
                let Some(chunk) = self.reads.open.get_mut(&read) else { return };
                chunk.attempts += 1;
                // Changes wait for the reads, so one that never succeeds must end. If the pacer has it in line, it is empty then.
                let is_in_line = matches!(answer, Answer::Again | Answer::Throttled { .. });
                if chunk.attempts >= READ_ATTEMPTS {
                    self.give_up(read, now);
                } else if !is_in_line {
                    self.pacer.handle_read(read);
                }
            }
        }
    }

    /// The users of this read are set without it.
    fn give_up(&mut self, read: ReadIndex, now: &Now) {
        let users = self.reads.open.remove(&read).map(|chunk| chunk.users).unwrap_or_default();
        self.compare(&users, &HashMap::new(), now);
    }

    /// Those who have what they should have are on the wheel; the others are set.
    fn compare(&mut self, users: &[UserIndex], seen: &HashMap<String, Seen>, now: &Now) {
        for index in users.iter().copied() {
            let Some(user) = self.users.get(index).filter(|user| user.awaits_read) else { continue };
            let found = user.wish.filter(|target| {
                seen.get(&user.id).is_some_and(|seen| {
                    (seen.availability.as_str(), seen.activity.as_str())
                        == (target.presence.availability(), target.presence.activity())
                })
            });
            let is_found = self.users.update(index, now, |user| {
                user.awaits_read = false;
                found.is_some() && user.session.handle_found()
            });
            match found {
                Some(target) if is_found == Some(true) => self.pacer.handle_found(index, target, now),
                Some(_) | None => self.ask_for_turn(index, now),
            }
        }
    }
}
