//! The lock signal: what logind, the screen savers and COSMIC's greeter say, combined into one reading.
//!
//! The `LockedHint` of the user's session comes first (`signals::logind`). A screen saver (`screensaver`) decides where logind
//! cannot; and where its desktop does not keep the hint, an active screen saver means a locked screen, whatever the hint says.
//! COSMIC keeps a file instead (`cosmic`). A hint that a new logind may have forgotten does not count until another source
//! agrees with it. The `Lock` and `Unlock` signals are requests and prove nothing, so they are not used. Leaves to others: what
//! a screen locker says through the status socket (`daemon/lock_word`).

mod cosmic;
mod screensaver;

use tokio::sync::watch;

use crate::policy::{Lock, Reading};
use crate::signals::logind::{self, Session, Trust};
use crate::signals::{Context, Displays, Observation, Publisher, Update};
use crate::warning::{Code, Warning};

/// Desktops, as sessions call them, that do not report the lock: a program of the user's choice locks the screen.
const NOT_REPORTING: [&str; 12] =
    ["awesome", "bspwm", "dwm", "hyprland", "i3", "labwc", "openbox", "qtile", "river", "sway", "wayfire", "xmonad"];

/// How the names of Budgie's sessions begin.
const BUDGIE: &str = "budgie";

/// Follows the screen lock. Never returns.
pub async fn run(displays: Displays, context: Context) {
    let (logind, mut logind_view) = watch::channel(logind::View::Unread);
    let (savers, mut saver_view) = watch::channel(screensaver::View::Unread);
    let (cosmic, mut cosmic_view) = watch::channel(cosmic::View::Unread);
    let of_cosmic = logind_view.clone();
    let mut publisher = Publisher::new(context.updates.clone(), Update::Lock);
    let publish = async {
        loop {
            let seen = reconcile(
                &logind_view.borrow_and_update(),
                *saver_view.borrow_and_update(),
                *cosmic_view.borrow_and_update(),
            );
            if let Some(observation) = seen {
                publisher.publish(observation).await;
            }
            // The senders live as long as this future does, so no wait can fail.
            tokio::select! {
                _ = logind_view.changed() => {}
                _ = saver_view.changed() => {}
                _ = cosmic_view.changed() => {}
            }
        }
    };
    tokio::join!(
        // In this order, so that nothing is published about another session before its file was looked for.
        biased;
        logind::follow(&context, &displays, &logind),
        cosmic::follow(displays.runtime_dir.as_deref(), &context, of_cosmic, &cosmic),
        screensaver::follow(&context, &savers),
        publish
    );
}

/// What all of them say together. `None`, which leaves the last reading in place, while one that matters was not read yet, or
/// while the only one is not trusted.
fn reconcile(logind: &logind::View, savers: screensaver::View, cosmic: cosmic::View) -> Option<Observation<Lock>> {
    use logind::View::{NoSession, Session, Unavailable, Unread};
    use screensaver::View::{None as NoSaver, Says, Unread as UnreadSaver};

    let observation = match (logind, savers) {
        (Unread, _) | (NoSession | Unavailable(_), UnreadSaver) => return None,
        (Session(session, trust), savers) => return of_session(session, *trust, savers, cosmic),
        (NoSession | Unavailable(_), Says { saver, active }) => known(locked_if(active), &saver.name),
        (NoSession, NoSaver) => unknown(
            "The screen lock cannot be seen: logind has no session of this user at a screen, and no screen saver answers."
                .to_owned(),
            "Run presenced in the user's desktop session (`loginctl list-sessions` shows it), have the locker say \
             `presenced signal lock locked` and `unlocked`, or remove [signals.lock] from the configuration.",
        ),
        (Unavailable(reason), NoSaver) => unknown(
            format!("The screen lock cannot be seen: {reason}, and no screen saver answers."),
            "Check `systemctl status dbus systemd-logind`, have the locker say `presenced signal lock locked` and \
             `unlocked`, or remove [signals.lock] from the configuration.",
        ),
    };
    Some(observation)
}

/// What is known about the lock while the user has a session at a screen.
fn of_session(
    session: &Session,
    trust: Trust,
    savers: screensaver::View,
    cosmic: cosmic::View,
) -> Option<Observation<Lock>> {
    use screensaver::View::{None as NoSaver, Says, Unread as UnreadSaver};

    if session.locked_hint || !session.active {
        return Some(known(Lock::Locked, "logind"));
    }
    let observation = match (cosmic, savers, trust) {
        (cosmic::View::Unread, ..) | (_, UnreadSaver, _) | (cosmic::View::None, NoSaver, Trust::Doubt) => return None,
        (cosmic::View::Locked(locked), ..) => known(locked_if(locked), "cosmic-greeter"),
        (cosmic::View::None, Says { saver, active: true }, trust)
            if !keeps_the_hint(saver, &session.desktop) || matches!(trust, Trust::Again | Trust::Doubt) =>
        {
            known(Lock::Locked, &saver.name)
        }
        (cosmic::View::None, NoSaver, Trust::Full | Trust::Again) => {
            Observation { warnings: doubt(&session.desktop).into_iter().collect(), ..known(Lock::Unlocked, "logind") }
        }
        (cosmic::View::None, Says { .. } | NoSaver, _) => known(Lock::Unlocked, "logind"),
    };
    Some(observation)
}

/// Whether a screen saver's desktop keeps the hint. Budgie's screen saver has GNOME's name, but Budgie does not.
fn keeps_the_hint(saver: &screensaver::Kind, desktop: &str) -> bool {
    let is_budgie = desktop.get(..BUDGIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(BUDGIE));
    saver.hints && !is_budgie
}

const fn locked_if(locked: bool) -> Lock {
    if locked { Lock::Locked } else { Lock::Unlocked }
}

fn known(lock: Lock, source: &str) -> Observation<Lock> {
    Observation { reading: Reading::Known(lock), source: source.to_owned(), warnings: Vec::new(), watched: None }
}

fn unknown(text: String, hint: &str) -> Observation<Lock> {
    let warning = Warning { code: Code::LockUnavailable, text, hint: hint.to_owned() };
    Observation { reading: Reading::Unknown, source: "logind".to_owned(), warnings: vec![warning], watched: None }
}

/// The warning where "unlocked" may only mean that the lock is not reported.
fn doubt(desktop: &str) -> Option<Warning> {
    NOT_REPORTING.iter().any(|name| name.eq_ignore_ascii_case(desktop)).then(|| Warning {
        code: Code::LockUnproved,
        text: format!("The screen counts as unlocked, but {desktop} does not report when it is locked."),
        hint: "Have the locker report it: `presenced signal lock locked` before it, and `presenced signal lock unlocked` after \
               it. docs/desktops.md has the lines for swayidle, hypridle and xss-lock."
            .to_owned(),
    })
}

#[cfg(test)]
mod tests;
