//! The lock signal: what logind and the screen savers say, made one.
//!
//! logind's `LockedHint` of the user's session comes first. A screen saver decides where logind cannot tell; and where
//! its desktop does not keep the hint, an active screen saver is a locked screen whatever the hint says. The `Lock` and
//! `Unlock` signals are requests and prove nothing: nobody listens to them here.

use tokio::sync::watch;

use super::logind::Session;
use super::{Context, Observation, Publisher, Update, logind, screensaver};
use crate::policy::{Lock, Reading};
use crate::warning::{Code, Warning};

/// Follows the screen lock. Never returns.
pub async fn run(context: Context) {
    let (logind, mut logind_view) = watch::channel(logind::View::Unread);
    let (savers, mut saver_view) = watch::channel(screensaver::View::Unread);
    let mut publisher = Publisher::new(context.updates.clone(), Update::Lock);
    let publish = async {
        loop {
            let seen = reconcile(&logind_view.borrow_and_update(), *saver_view.borrow_and_update());
            if let Some(observation) = seen {
                publisher.publish(observation).await;
            }
            // The senders live as long as this future does, so neither wait can fail.
            tokio::select! {
                _ = logind_view.changed() => {}
                _ = saver_view.changed() => {}
            }
        }
    };
    tokio::join!(logind::follow(&context, &logind), screensaver::follow(&context, &savers), publish);
}

/// What both say together; `None` while one that matters was not read yet.
fn reconcile(logind: &logind::View, savers: screensaver::View) -> Option<Observation<Lock>> {
    use logind::View::{NoSession, Session as Seen, Unavailable, Unread};
    use screensaver::View::{None as NoSaver, Says, Unread as UnreadSaver};

    let known = |lock, source: &str| Observation {
        reading: Reading::Known(lock),
        source: source.to_owned(),
        warnings: Vec::new(),
    };
    let observation = match (logind, savers) {
        (Unread, _) | (Seen(Session { lock: Lock::Unlocked, .. }) | NoSession | Unavailable(_), UnreadSaver) => {
            return None;
        }
        (Seen(Session { lock: Lock::Unlocked, .. }), Says { saver, active: true }) if !saver.hints => {
            known(Lock::Locked, &saver.name)
        }
        (Seen(Session { lock, .. }), NoSaver | Says { .. } | UnreadSaver) => known(*lock, "logind"),
        (NoSession | Unavailable(_), Says { saver, active }) => {
            known(if active { Lock::Locked } else { Lock::Unlocked }, &saver.name)
        }
        (NoSession, NoSaver) => unknown(
            "The screen lock cannot be seen: logind has no session of this user, and no screen saver answers."
                .to_owned(),
            "Run presenced in the user's desktop session (`loginctl list-sessions` shows it), or take [signals.lock] out \
             of the configuration.",
        ),
        (Unavailable(reason), NoSaver) => unknown(
            format!("The screen lock cannot be seen: {reason}, and no screen saver answers."),
            "Check `systemctl status dbus systemd-logind`, or take [signals.lock] out of the configuration.",
        ),
    };
    Some(observation)
}

fn unknown(text: String, hint: &str) -> Observation<Lock> {
    let warning = Warning { code: Code::LockUnavailable, text, hint: hint.to_owned() };
    Observation { reading: Reading::Unknown, source: "logind".to_owned(), warnings: vec![warning] }
}
