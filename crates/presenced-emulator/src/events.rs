//! The stream of `GET /_emulator/events`: the state, as server-sent events.
//!
//! An event is only made when the connection has room for it. So however slow a reader is, it costs the memory of a few events, and
//! what it reads next is the newest.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use presenced_core::time::Instant;
use tokio::sync::watch;

use super::Emulator;
use super::state::ShownUsers;

/// The shortest time between two events. A person cannot read faster.
const SPACING: Duration = Duration::from_millis(250);

/// The longest time between two events: faults end unnoticed, and the page measures how fast the clock runs.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A response that never ends: an event at once, and one after each change.
pub(super) fn response(emulator: Emulator, shown: ShownUsers) -> hyper::Response<Events> {
    let watcher = Watcher { changes: emulator.changes(), emulator, shown, sent: 0, next_change: None };
    let mut response = hyper::Response::new(Events { next: Box::pin(watcher.next()) });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The body.
pub(super) struct Events {
    next: Pin<Box<dyn Future<Output = (Bytes, Watcher)> + Send>>,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (event, watcher) = ready!(self.next.as_mut().poll(context));
        self.next = Box::pin(watcher.next());
        Poll::Ready(Some(Ok(Frame::data(event))))
    }
}

/// What waits for changes.
struct Watcher {
    emulator: Emulator,
    shown: ShownUsers,
    changes: watch::Receiver<()>,
    /// How many events there were.
    sent: u64,
    /// A time that is not after the next fade or expiry.
    next_change: Option<Instant>,
}

impl Watcher {
    /// Waits for the next change, and says what there is after it.
    async fn next(mut self) -> (Bytes, Self) {
        if self.sent > 0 {
            pause(SPACING).await;
        }
        // The second event does not wait for a change: with two, the page knows how fast the clock runs.
        if self.sent > 1 {
            let clock = self.emulator.clock();
            let fades_or_expires = async {
                match self.next_change {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The emulator has the sender, so this cannot fail.
                _ = self.changes.changed() => {}
                () = fades_or_expires => {}
                () = pause(HEARTBEAT) => {}
            }
        }
        self.changes.mark_unchanged();
        let now = self.emulator.clock().now();
        let (update, next_change) = self.emulator.service().update(self.shown, &now);
        self.next_change = next_change;
        self.sent += 1;
        let json = serde_json::to_string(&update).expect("our own values have text keys and always serialize");
        (format!("data: {json}\n\n").into(), self)
    }
}

/// Waits in real time: whoever reads the events does, however fast the emulator's clock runs.
#[expect(clippy::disallowed_methods, reason = "the emulator's clock may stand still, and no event is about suspend")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
