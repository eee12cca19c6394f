//! The idle signal: whether there was input recently. Of four sources the first that can answer counts; the others are not even
//! asked meanwhile.
//!
//! The order is: GNOME's idle monitor (`mutter`), a Wayland compositor's `ext-idle-notify-v1` (`wayland`), an X server's idle
//! counter (`x11`), and logind's `IdleHint` (`logind`), which depends on a desktop that sets it. All of them report changes by
//! themselves; none is polled. The X server of a Wayland session sees only part of the input, so it is not asked while a
//! compositor runs. `display` finds the sockets of Wayland and X11, also those of a desktop that starts after the service. Both
//! protocols are spoken on the event loop, without a thread; the cargo features `wayland` and `x11` leave them out. Leaves to
//! others: how long the user has been idle, and what follows from that (`policy/`).

#[cfg(any(feature = "wayland", feature = "x11"))]
mod display;
mod logind;
mod mutter;
mod view;
#[cfg(feature = "wayland")]
mod wayland;
#[cfg(feature = "wayland")]
mod wayland_wire;
#[cfg(feature = "x11")]
mod x11;

use std::convert::Infallible;
use std::future::Future;

use tokio::sync::watch;

use self::view::View;
use crate::config;
use crate::policy::{Idle, Reading};
use crate::signals::{Context, Displays, Observation, Publisher, Update};
use crate::warning::{Code, Warning};

/// Follows input. Never returns.
pub async fn run(config: config::Idle, displays: Displays, context: Context) {
    let [mutter, wayland, x11, hint] = [(); 4].map(|()| watch::Sender::new(View::Unread));
    let mut publisher = Publisher::new(context.updates.clone(), Update::Idle);
    let publish = async {
        let mut views = [&mutter, &wayland, &x11, &hint].map(watch::Sender::subscribe);
        loop {
            let seen = reconcile(views.each_mut().map(|view| view.borrow_and_update().clone()));
            if let Some(observation) = seen {
                publisher.publish(observation).await;
            }
            let [mutter, wayland, x11, hint] = &mut views;
            // The senders live as long as this future does, so no wait can fail.
            tokio::select! {
                _ = mutter.changed() => {}
                _ = wayland.changed() => {}
                _ = x11.changed() => {}
                _ = hint.changed() => {}
            }
        }
    };
    let (context, displays, after) = (&context, &displays, config.after);
    #[cfg(feature = "wayland")]
    let on_wayland = |_| wayland::follow(context, displays, after, &wayland);
    #[cfg(not(feature = "wayland"))]
    let on_wayland = |_| not_built_in(displays, &wayland, "this presenced was built without Wayland");
    #[cfg(feature = "x11")]
    let on_x11 = |beside_wayland| x11::follow(context, displays, after, beside_wayland, &x11);
    #[cfg(not(feature = "x11"))]
    let on_x11 = |_| not_built_in(displays, &x11, "this presenced was built without X11");
    tokio::join!(
        mutter::follow(context, after, &mutter),
        behind(&mutter, &wayland, on_wayland),
        behind(&wayland, &x11, on_x11),
        behind(&x11, &hint, |_| logind::follow(context, displays, after, &hint)),
        publish
    );
}

/// Follows a source for as long as the one before it cannot answer. `follow` gets whether a compositor runs.
async fn behind<F: Future<Output = Infallible>>(
    before: &watch::Sender<View>,
    own: &watch::Sender<View>,
    follow: impl Fn(bool) -> F,
) {
    let mut before = before.subscribe();
    loop {
        let absent = match &*before.borrow_and_update() {
            View::Absent { wayland, .. } => Some(*wayland),
            View::Unread | View::Says { .. } => None,
        };
        // The sender lives as long as this future does, so no wait can fail.
        if let Some(wayland) = absent {
            tokio::select! {
                never = follow(wayland) => match never {},
                _ = before.changed() => {}
            }
        } else {
            View::Unread.show(own);
            _ = before.changed().await;
        }
    }
}

/// Stands in for a source that is not built in.
#[cfg(not(all(feature = "wayland", feature = "x11")))]
async fn not_built_in(_: &Displays, view: &watch::Sender<View>, why: &str) -> Infallible {
    View::absent(why).show(view);
    std::future::pending().await
}

/// What the sources say together: the first that can answer counts. `None` while one before it has not answered yet.
fn reconcile(views: [View; 4]) -> Option<Observation<Idle>> {
    let mut reasons = Vec::new();
    for view in views {
        match view {
            View::Unread => return None,
            View::Absent { reason, .. } => reasons.push(reason),
            View::Says { idle, source } => {
                return Some(Observation {
                    reading: Reading::Known(idle),
                    source,
                    warnings: Vec::new(),
                    watched: None,
                });
            }
        }
    }
    let remedy = if cfg!(any(feature = "wayland", feature = "x11")) {
        "`systemctl --user import-environment WAYLAND_DISPLAY DISPLAY XAUTHORITY` and restart presenced"
    } else {
        "use a build of presenced with the features `wayland` and `x11`"
    };
    let warning = Warning {
        code: Code::IdleUnavailable,
        text: format!("On this desktop presenced cannot see whether the user is idle: {}.", reasons.join("; ")),
        hint: format!(
            "If it should, {remedy}. Otherwise let an idle daemon set a signal, as `swayidle timeout 600 'presenced signal away yes' resume \
             'presenced signal away no'` does, with a rule for that signal; and remove [signals.idle] from the configuration."
        ),
    };
    Some(Observation { reading: Reading::Unknown, source: "none".to_owned(), warnings: vec![warning], watched: None })
}
