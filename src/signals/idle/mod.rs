//! The idle signal: whether there was input lately. Of four sources the first that can tell counts; the others are not even
//! asked meanwhile.
//!
//! GNOME's idle monitor, then a Wayland compositor's `ext-idle-notify-v1`, then an X server's idle counter, and logind's
//! `IdleHint` last, which depends on a desktop that keeps it. All of them tell by themselves; none is asked again and again.
//! The X server of a Wayland session sees only part of the input, so that it is not asked where a compositor runs.

#[cfg(any(feature = "wayland", feature = "x11"))]
mod display;
mod logind;
mod mutter;
mod view;
#[cfg(feature = "wayland")]
mod wayland;
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
            // The senders live as long as this future does, so that no wait can fail.
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
    let on_wayland = |_| unable(displays, &wayland, "this presenced was built without Wayland");
    #[cfg(feature = "x11")]
    let on_x11 = |beside_wayland| x11::follow(context, displays, after, beside_wayland, &x11);
    #[cfg(not(feature = "x11"))]
    let on_x11 = |_| unable(displays, &x11, "this presenced was built without X11");
    tokio::join!(
        mutter::follow(context, after, &mutter),
        behind(&mutter, &wayland, on_wayland),
        behind(&wayland, &x11, on_x11),
        behind(&x11, &hint, |_| logind::follow(context, after, &hint)),
        publish
    );
}

/// Follows a source for as long as the one before it cannot tell. `follow` is told whether a compositor runs.
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
        // The sender lives as long as this future does, so that no wait can fail.
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

/// Stands for a source that is not built in.
#[cfg(not(all(feature = "wayland", feature = "x11")))]
async fn unable(_: &Displays, view: &watch::Sender<View>, why: &str) -> Infallible {
    View::absent(why).show(view);
    std::future::pending().await
}

/// What the sources say together, the first that can tell; `None` while one that may was not heard yet.
fn reconcile(views: [View; 4]) -> Option<Observation<Idle>> {
    let mut reasons = Vec::new();
    for view in views {
        match view {
            View::Unread => return None,
            View::Absent { reason, .. } => reasons.push(reason),
            View::Says { idle, source } => {
                return Some(Observation { reading: Reading::Known(idle), source, warnings: Vec::new() });
            }
        }
    }
    let mend = if cfg!(any(feature = "wayland", feature = "x11")) {
        "`systemctl --user import-environment WAYLAND_DISPLAY DISPLAY XAUTHORITY` and restart presenced"
    } else {
        "use a presenced that is built with the features `wayland` and `x11`"
    };
    let warning = Warning {
        code: Code::IdleUnavailable,
        text: format!("On this desktop presenced cannot see whether anybody is there: {}.", reasons.join("; ")),
        hint: format!(
            "If it should, {mend}. Else let an idle daemon tell, as `swayidle timeout 600 'presenced signal away yes' resume \
             'presenced signal away no'` does, with a rule for that signal; and take [signals.idle] out of the configuration."
        ),
    };
    Some(Observation { reading: Reading::Unknown, source: "none".to_owned(), warnings: vec![warning] })
}
