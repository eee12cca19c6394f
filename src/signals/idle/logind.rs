//! logind as a source of the idle signal: the `IdleHint` of the user's session, which the desktop sets after a time of its own.
//!
//! `IdleSinceHint` says when the hint was set, not when the last input was. The configured time counts from then on, so the
//! signal comes later than configured, but never sooner. If no desktop ever set the hint, it says nothing.
//!
//! Source: org.freedesktop.login1(5).

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;

use super::view::View;
use crate::policy::Idle;
use crate::signals::backoff::until_wall;
use crate::signals::logind::{self, IdleHint};
use crate::signals::{Context, Displays};

/// Keeps `view` up to date. Never returns.
pub(super) async fn follow(
    context: &Context,
    displays: &Displays,
    after: Duration,
    view: &watch::Sender<View>,
) -> Infallible {
    let (logind, mut logind_view) = watch::channel(logind::View::Unread);
    let publish = async {
        loop {
            let now = context.clock.now().wall;
            let mut ends = None;
            let seen = match &*logind_view.borrow_and_update() {
                logind::View::Unread => View::Unread,
                logind::View::NoSession => View::absent("logind has no session of this user"),
                logind::View::Unavailable(reason) => View::absent(reason.clone()),
                logind::View::Session(session, _) => match session.idle {
                    IdleHint::Never => View::absent("this desktop never told logind that the user is idle"),
                    IdleHint::Active => says(Idle::Active),
                    IdleHint::Since(since) => {
                        // A time out of range is never reached.
                        let at = since.checked_add(after).unwrap_or(jiff::Timestamp::MAX);
                        ends = (now < at).then_some(at);
                        says(if now < at { Idle::Active } else { Idle::Idle })
                    }
                },
            };
            seen.show(view);
            // The sender lives as long as this future does, so the wait cannot fail.
            tokio::select! {
                _ = logind_view.changed() => {}
                () = until_wall(&*context.clock, ends) => {}
            }
        }
    };
    tokio::select! {
        never = logind::follow(context, displays, &logind) => never,
        never = publish => never,
    }
}

fn says(idle: Idle) -> View {
    View::Says { idle, source: "logind IdleHint".to_owned() }
}
