//! The parts of a `$batch`: each meets the faults, is answered and is recorded like a request of its own.
//!
//! Faults for `any` and `graph` are about HTTP requests, so they hit a batch as a whole. A fault for one kind of call also hits
//! parts. All parts share one connection: a part that a fault resets or hangs takes the batch's answer with it, and a part that a
//! fault delays delays it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{End, Fate, Served, Service};
use crate::message::Request;
use crate::route::{Call, Route};
use hyper::StatusCode;
use presenced_core::time::Now;

impl Service {
    /// Answers the batch with this number in the journal: its parts in an order that satisfies every dependency.
    pub(super) fn batch(&mut self, outer: &Request, number: Option<u64>, now: &Now) -> Served {
        let parts = match self.graph.open_batch(outer, &self.entra, now) {
            Ok(parts) => parts,
            Err(refusal) => return End::Reply(*refusal).into(),
        };
        let mut statuses = BTreeMap::new();
        let mut answered = Vec::new();
        let (mut longest, mut lost) = (Duration::ZERO, None);
        for part in &parts {
            let route = Route::of(&part.request.path);
            let call = route.call().unwrap_or(Call::Other);
            let entry = (call, self.journal.arrive(call, &route, &part.request, number, now.wall));
            let failed = part.depends_on.iter().any(|id| statuses.get(id).is_none_or(|status| *status >= 400));
            let Served { end, delay } = if failed {
                End::Reply(self.graph.fault(StatusCode::FAILED_DEPENDENCY, &part.request, now)).into()
            } else {
                self.part(call, &part.request, now)
            };
            longest = longest.max(delay);
            self.note_end(entry, &part.request, &end, now);
            match end {
                End::Reply(reply) => {
                    statuses.insert(part.id.to_ascii_lowercase(), reply.status.as_u16());
                    answered.push((part.id.as_str(), reply));
                }
                End::Events(_) | End::Reset | End::Hang => lost = lost.or(Some(end)),
            }
        }
        let end = lost.unwrap_or_else(|| End::Reply(self.graph.close_batch(outer, &answered, now)));
        Served { end, delay: longest }
    }

    fn part(&mut self, call: Call, request: &Request, now: &Now) -> Served {
        // A batch in a batch is refused, whatever the faults.
        let hit = if call == Call::Batch { None } else { self.faults.hit_part(call, now.instant) };
        let Some(hit) = hit else {
            return End::Reply(self.single(request, now)).into();
        };
        let delay = hit.delay;
        let end = match self.strike(hit, call, request, None, now) {
            Fate::Answer => End::Reply(self.single(request, now)),
            Fate::End(end) => end,
        };
        Served { end, delay }
    }
}
