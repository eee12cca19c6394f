//! `[signals.microphone]`: what it reads as, and what it does not read.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use presenced::config::{Environment, Microphone};

use super::{ACCOUNT, bad, environment, good, parse_in};

/// Somebody with these variables besides.
fn with(variables: &'static [(&str, &str)]) -> Environment {
    let lookup =
        |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    Environment { lookup: Arc::new(lookup), ..environment() }
}

fn microphone(environment: &Environment) -> Result<Microphone, String> {
    match parse_in(&format!("{ACCOUNT}[signals.microphone]\n"), environment) {
        Ok(config) => Ok(config.signals.microphone.expect("it is on")),
        Err(problems) => Err(problems.iter().next().expect("a problem").message.clone()),
    }
}

#[test]
fn everything_has_a_default() {
    let cookies: Vec<PathBuf> = vec!["/home/me/.config/pulse/cookie".into(), "/home/me/.pulse-cookie".into()];
    let defaults = Microphone {
        socket: "/run/user/1000/pulse/native".into(),
        cookies: cookies.clone(),
        allow: Vec::new(),
        deny: Vec::new(),
        settle: Duration::from_secs(2),
    };
    assert_eq!(good("[signals.microphone]\n").signals.microphone, Some(defaults.clone()));
    assert_eq!(good("[signals.lock]\n").signals.microphone, None, "off by default");
    let written = "[signals.microphone]\nallow = [\"Zoom\", \"firefox\"]\ndeny = [\"obs\"]\nsettle = \"1m\"\n";
    let allow = vec!["Zoom".to_owned(), "firefox".to_owned()];
    let expected = Microphone { allow, deny: vec!["obs".to_owned()], settle: Duration::from_mins(1), ..defaults };
    assert_eq!(good(written).signals.microphone, Some(expected));
    assert_eq!(
        good("[signals.microphone]\nsettle = \"0s\"\n").signals.microphone.map(|m| m.settle),
        Some(Duration::ZERO)
    );
}

#[test]
fn the_sound_server_is_where_its_own_clients_find_it() {
    let elsewhere = with(&[("PULSE_SERVER", "tcp:box unix:/srv/pulse"), ("PULSE_COOKIE", "/srv/cookie")]);
    let found = microphone(&elsewhere).unwrap();
    assert_eq!(found.socket, PathBuf::from("/srv/pulse"));
    assert_eq!(found.cookies[0], PathBuf::from("/srv/cookie"));
    let remote = "[signals.microphone] is on, but $PULSE_SERVER does not name a socket on this machine";
    assert_eq!(microphone(&with(&[("PULSE_SERVER", "tcp:box")])).unwrap_err(), remote);
    let nowhere = "[signals.microphone] is on, but neither $PULSE_SERVER nor $XDG_RUNTIME_DIR is set";
    assert_eq!(microphone(&Environment { runtime_dir: None, ..environment() }).unwrap_err(), nowhere);
    let off = format!("{ACCOUNT}[signals.microphone]\nenabled = false\n");
    assert!(parse_in(&off, &with(&[("PULSE_SERVER", "tcp:box")])).is_ok(), "one that is off needs nothing");
}

#[test]
fn impossible_values_are_refused() {
    for (key, expected) in [
        ("allow = \"Zoom\"", "`allow` must be a list, but this is a text"),
        ("allow = []", "`allow` is an empty list"),
        ("deny = [\"\"]", "`deny` is empty"),
        ("deny = [7]", "`deny` must be a text, but this is a whole number"),
        ("settle = 2", "`2` needs a unit"),
        ("settle = \"soon\"", "`soon` is not a duration"),
        ("settle = \"61s\"", "`61s` is longer than a minute, the most that `settle` can be"),
        ("settle = \"-1s\"", "`-1s` is negative"),
        ("setle = \"2s\"", "[signals.microphone] has no key `setle`"),
        ("enabled = 1", "`enabled` must be true or false, but this is a whole number"),
    ] {
        assert_eq!(bad(&format!("[signals.microphone]\n{key}\n")), expected);
    }
    assert_eq!(
        bad("[signals]\nmicrophone = true\n"),
        "[signals.microphone] must be a table, but this is true or false"
    );
}
