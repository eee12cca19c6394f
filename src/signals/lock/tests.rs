//! Every pair of what logind and the other sources may say.

use super::*;
use crate::signals::lock::screensaver::{KINDS, Kind};

const SAVER: &Kind = &KINDS[2];
const GNOME: &Kind = &KINDS[0];

fn session(desktop: &str, active: bool, locked_hint: bool) -> Session {
    Session { id: "2".to_owned(), desktop: desktop.to_owned(), active, locked_hint, ..Session::default() }
}

/// The reading and its source in short form, with `!` at the end if there is a warning; `-`: nothing is published.
fn said(logind: &logind::View, savers: screensaver::View, cosmic: cosmic::View) -> String {
    reconcile(logind, savers, cosmic).map_or_else(
        || "-".to_owned(),
        |Observation { reading, source, warnings, watched: _ }| {
            let doubt = if warnings.is_empty() { "" } else { "!" };
            format!("{reading} {source}{doubt}")
        },
    )
}

#[test]
fn every_pair_of_logind_and_a_screen_saver() {
    use logind::View::{NoSession, Session as Of, Unavailable, Unread};
    use screensaver::View::{None as NoSaver, Says, Unread as UnreadSaver};

    // The columns: no screen saver was read yet, there is none, GNOME's (whose desktop keeps the hint) inactive and active,
    // Cinnamon's (whose desktop does not) inactive and active.
    let savers = [
        UnreadSaver,
        NoSaver,
        Says { saver: GNOME, active: false },
        Says { saver: GNOME, active: true },
        Says { saver: SAVER, active: false },
        Says { saver: SAVER, active: true },
    ];
    let of = |active, hint, trust| Of(session("", active, hint), trust);
    let (gnome_on, saver_on) = ("locked org.gnome.ScreenSaver", "locked org.cinnamon.ScreenSaver");
    let (gnome_off, saver_off) = ("unlocked org.gnome.ScreenSaver", "unlocked org.cinnamon.ScreenSaver");
    let (locked, unlocked) = ("locked logind", "unlocked logind");
    let rows = [
        (Unread, ["-"; 6]),
        (NoSession, ["-", "unknown logind!", gnome_off, gnome_on, saver_off, saver_on]),
        (Unavailable("gone".to_owned()), ["-", "unknown logind!", gnome_off, gnome_on, saver_off, saver_on]),
        (of(true, true, Trust::Proven), [locked; 6]),
        (of(false, true, Trust::Proven), [locked; 6]),
        (of(false, false, Trust::Full), [locked; 6]),
        (of(true, false, Trust::Full), ["-", unlocked, unlocked, unlocked, unlocked, saver_on]),
        (of(true, false, Trust::Proven), ["-", unlocked, unlocked, unlocked, unlocked, saver_on]),
        // A new logind may have forgotten the hint: a screen saver knows better, and without one logind is read twice.
        (of(true, false, Trust::Doubt), ["-", "-", unlocked, gnome_on, unlocked, saver_on]),
        (of(true, false, Trust::Again), ["-", unlocked, unlocked, gnome_on, unlocked, saver_on]),
    ];
    for (logind, expected) in rows {
        for (saver, expected) in savers.iter().zip(expected) {
            assert_eq!(said(&logind, *saver, cosmic::View::None), expected, "{logind:?} and {saver:?}");
        }
    }
}

#[test]
fn budgie_does_not_keep_the_hint_though_its_screen_saver_has_gnomes_name() {
    for (desktop, expected) in [
        ("budgie-desktop", "locked org.gnome.ScreenSaver"),
        ("Budgie:GNOME", "locked org.gnome.ScreenSaver"),
        ("GNOME", "unlocked logind"),
        ("bud", "unlocked logind"),
    ] {
        let logind = logind::View::Session(session(desktop, true, false), Trust::Full);
        let saver = screensaver::View::Says { saver: GNOME, active: true };
        assert_eq!(said(&logind, saver, cosmic::View::None), expected, "{desktop}");
    }
}

#[test]
fn cosmics_file_counts_where_the_hint_is_off() {
    use cosmic::View::{Locked, None as OtherDesktop, Unread};
    let said = |active, hint, cosmic| {
        let logind = logind::View::Session(session("COSMIC", active, hint), Trust::Full);
        said(&logind, screensaver::View::None, cosmic)
    };
    assert_eq!(said(true, false, Unread), "-");
    assert_eq!(said(true, false, Locked(true)), "locked cosmic-greeter");
    assert_eq!(said(true, false, Locked(false)), "unlocked cosmic-greeter");
    assert_eq!(said(true, false, OtherDesktop), "unlocked logind");
    assert_eq!(said(true, true, Locked(false)), "locked logind");
    assert_eq!(said(false, false, Locked(false)), "locked logind");
}

#[test]
fn a_desktop_that_does_not_report_the_lock_is_named_until_a_source_does() {
    use screensaver::View::{None as NoSaver, Says};
    let said = |desktop, trust, saver| {
        said(&logind::View::Session(session(desktop, true, false), trust), saver, cosmic::View::None)
    };
    for desktop in ["sway", "Hyprland", "i3"] {
        assert_eq!(said(desktop, Trust::Full, NoSaver), "unlocked logind!");
        // A program that the user has installed sets the hint.
        assert_eq!(said(desktop, Trust::Proven, NoSaver), "unlocked logind");
        assert_eq!(said(desktop, Trust::Full, Says { saver: SAVER, active: false }), "unlocked logind");
    }
    for desktop in ["GNOME", "KDE", "niri", ""] {
        assert_eq!(said(desktop, Trust::Full, NoSaver), "unlocked logind");
    }
}
