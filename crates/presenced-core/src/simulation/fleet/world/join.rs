//! What the daemon will do around the pacer: it knows the wishes, reports changes and answers, and compares what a read returned.

use super::{READ, Request, World, hold};
use crate::pacer::{Answer, ReadIndex, UserIndex, Work};
use crate::presence::Presence;

impl World {
    /// A random user who is Available begins a call, and the next time one ends a call.
    pub(super) fn change_one(&mut self) {
        if self.calls_end {
            self.change(Presence::InACall, Presence::Available);
        } else {
            self.begin_call();
        }
        self.calls_end = !self.calls_end;
    }

    /// A random user who is Available begins a call.
    pub(in super::super) fn begin_call(&mut self) {
        self.change(Presence::Available, Presence::InACall);
    }

    fn change(&mut self, from: Presence, to: Presence) {
        let mut candidates = std::iter::repeat_with(|| self.random.usize(..self.users.len())).take(1_000_000);
        let index = candidates.find(|at| self.users[*at].wish == hold(from)).expect("somebody");
        self.users[index].wish = hold(to);
        self.want(index);
    }

    fn want(&mut self, index: usize) {
        let now = self.clocks();
        let user = &mut self.users[index];
        user.waits_since.get_or_insert(self.now);
        let is_call = user.wish == hold(Presence::InACall);
        self.pacer.handle_change(user_index(index), is_call, &now);
        if !user.in_flight {
            self.waiting.insert(index);
        }
    }

    pub(super) fn answer(&mut self, index: usize) {
        let Request { item, answer, target, .. } = self.requests.remove(index);
        let answer = answer.expect("it arrived");
        self.answered_429 += usize::from(matches!(answer, Answer::Throttled { .. }));
        self.pacer.handle_answer(item.ticket, answer, &self.clocks());
        match item.work {
            Work::Read(read) => self.note_read(read, answer),
            Work::User { user: index, .. } => {
                let index = index.0 as usize;
                let user = &mut self.users[index];
                user.in_flight = false;
                let differs = match answer {
                    Answer::Done(held) => {
                        user.asserted = held;
                        user.wish != target
                    }
                    // The pacer sends it again by itself.
                    Answer::Again
                    | Answer::Failed
                    | Answer::Refused
                    | Answer::Throttled { .. }
                    | Answer::Unavailable { .. } => false,
                };
                if differs {
                    self.want(index);
                }
            }
        }
    }

    /// Those who have what they should have are on the wheel; the others are set.
    fn note_read(&mut self, read: ReadIndex, answer: Answer) {
        let Answer::Done(_) = answer else { return };
        let from = read.0 as usize * READ;
        for index in from..(from + READ).min(self.users.len()) {
            let wish = self.users[index].wish;
            if self.graph.read(index, self.now) == Some(wish) {
                self.users[index].waits_since = None;
                self.pacer.handle_found(user_index(index), wish, &self.clocks());
            } else {
                self.want(index);
            }
        }
    }
}

fn user_index(index: usize) -> UserIndex {
    UserIndex(u32::try_from(index).expect("a small number"))
}
