//! Calendars by address.

use std::time::Duration;

use presenced::config::{CalendarPlace, CalendarSource};

use super::{ACCOUNT, good, parse, problem};

#[test]
fn subscriptions_are_read_in_every_scheme() {
    for (source, address, refresh) in [
        ("url = \"https://cal.example/a.ics?k=1#x\"", "https://cal.example/a.ics?k=1", 15),
        ("url = \"webcal://cal.example/a.ics\", refresh = \"1m\"", "https://cal.example/a.ics", 1),
        ("url = \"WEBCALS://cal.example/a.ics\", refresh = \"PT24H\"", "https://cal.example/a.ics", 1440),
        ("url = \"webcal://127.0.0.1:1/a.ics\", refresh = \"1h 30m\"", "http://127.0.0.1:1/a.ics", 90),
        ("url = \"http://[::1]:1/a.ics\"", "http://[::1]:1/a.ics", 15),
    ] {
        let config = good(&format!("[signals.calendar]\nsources = [{{ {source} }}]\n"));
        let [CalendarSource { place: CalendarPlace::Subscription(subscription), optional: false }] =
            &config.signals.calendar.as_ref().unwrap().sources[..]
        else {
            panic!("{source} is a subscription")
        };
        assert_eq!(subscription.url.expose().as_str(), address);
        assert_eq!(subscription.refresh, Duration::from_mins(refresh));
    }
}

#[test]
fn a_source_is_needed_unless_it_says_that_it_is_optional() {
    for place in ["path = \"/calendars\"", "url = \"https://cal.example/a.ics\""] {
        for (more, optional) in [("", false), (", optional = false", false), (", optional = true", true)] {
            let config = good(&format!("[signals.calendar]\nsources = [{{ {place}{more} }}]\n"));
            assert_eq!(config.signals.calendar.unwrap().sources[0].optional, optional, "{place}{more}");
        }
    }
}

#[test]
fn wrong_subscriptions_are_refused_without_telling_their_address() {
    for (source, expected) in [
        (
            "url = \"http://cal.example/hunter2\"",
            "plain http would send the address and the calendar unencrypted (cal.example)",
        ),
        ("url = \"cal.example/hunter2\"", "`url` is not an address that begins with https://, webcal:// or webcals://"),
        (
            "url = \"ftp://cal.example/hunter2\"",
            "`url` is not an address that begins with https://, webcal:// or webcals://",
        ),
        ("url = \"https://cal .example/hunter2\"", "`url` is not a valid address: invalid international domain name"),
        ("url = \"https://:hunter2@\"", "`url` is not a valid address: empty host"),
        ("path = \"https://cal.example/hunter2\"", "`path` is an address, but `path` is for files and folders"),
        ("path = \"x\", url = \"https://cal.example/hunter2\"", "a source has a `path` or a `url`, but this has both"),
        ("path = \"x\", refresh = \"15m\"", "`refresh` belongs to a `url`; files and folders are watched"),
        ("url = \"https://cal.example/hunter2\", refresh = \"59s\"", "`59s` is shorter than a minute"),
        ("url = \"https://cal.example/hunter2\", refresh = \"-1h\"", "`-1h` is shorter than a minute"),
        ("url = \"https://cal.example/hunter2\", refresh = \"25h\"", "`25h` is longer than 24 hours"),
        ("url = \"https://cal.example/hunter2\", refresh = 15", "`15` needs a unit"),
        ("url = \"https://cal.example/hunter2\", refrehs = \"1h\"", "a source has no key `refrehs`"),
        (
            "url = \"https://cal.example/hunter2\", optional = \"yes\"",
            "`optional` must be true or false, but this is a text",
        ),
        ("path = \"x\", optional = 1", "`optional` must be true or false, but this is a whole number"),
        ("optional = true", "a source has no `path` and no `url`"),
    ] {
        let text = format!("{ACCOUNT}[signals.calendar]\nsources = [{{ {source} }}]\n");
        assert_eq!(problem(&text), expected, "{source}");
        let problems = parse(&text).unwrap_err();
        let everything = format!("{}\n{problems}\n{problems:?}", problems.render(200, true));
        assert!(!everything.contains("hunter2"), "{source}\n{everything}");
    }
}
