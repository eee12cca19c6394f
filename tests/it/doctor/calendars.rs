//! What `presenced doctor` says about calendars.

use super::{BROKEN, Found, MEETING};
use crate::stage::canned::{self, answer};
use crate::stage::house::House;

#[tokio::test]
async fn calendars_are_read_and_their_problems_are_listed() {
    let away = canned::Server::start([answer(404, "", "")]).await;
    let there = canned::Server::start([answer(200, "", MEETING)]).await;
    let house = House::new().await;
    std::fs::create_dir(house.path("empty")).unwrap();
    std::fs::create_dir(house.path("good")).unwrap();
    house.write("good/a.ics", MEETING);
    house.write("good/b.ics", MEETING);
    house.write("broken.ics", BROKEN);
    let sources = format!(
        "[signals.calendar]\nsources = [{{ path = \"good\" }}, {{ path = \"broken.ics\" }}, {{ path = \"empty\" }}, \
         {{ path = \"none\" }}, {{ url = \"{}a.ics\" }}, {{ url = \"{}hunter2.ics\" }}]\n",
        there.url, away.url
    );
    house.write("config.toml", house.configuration() + &sources);
    let found = Found::of(&house).await;
    let checks = found.printed["checks"].as_array().unwrap();
    let said: Vec<String> = checks
        .iter()
        .filter(|check| check["check"] == "calendar")
        .map(|check| format!("{} {} {}", check["verdict"], check["found"], check["details"]).replace('"', ""))
        .collect();
    let folder = house.path("").canonicalize().unwrap();
    let text = said.join("\n").replace(&format!("{}/", folder.display()), "/house/");
    insta::assert_snapshot!(text);
    assert!(!text.contains("Fabrikam") && !found.printed.to_string().contains("hunter2"));
    assert_eq!((found.code, there.requests().len(), away.requests().len()), (1, 1, 1));
}

#[tokio::test]
async fn calendars_that_are_not_whole_are_named_with_what_that_means() {
    let there = canned::Server::start([answer(200, "", MEETING)]).await;
    let house = House::new().await;
    let cut = MEETING.replace("END:VCALENDAR", "");
    std::fs::create_dir(house.path("folder")).unwrap();
    house.write("folder/a.ics", MEETING);
    house.write("folder/b.ics", &cut);
    house.write("named.ics", &cut);
    let sources = format!(
        "[signals.calendar]\nsources = [{{ path = \"named.ics\" }}, {{ path = \"folder\" }}, {{ path = \"named.ics\", \
         optional = true }}, {{ path = \"none\", optional = true }}, {{ url = \"{}a.ics\" }}]\n",
        there.url
    );
    house.write("config.toml", house.configuration() + &sources);
    // The copy of the subscription is as an earlier version may have left it.
    let daemon = house.start().await;
    let is_copied =
        |report: &presenced::status::report::Report| report.signals["calendar"].source.ends_with("2 events");
    daemon.report("the copy", is_copied).await;
    daemon.stop().await;
    let copies = std::fs::read_dir(house.path(".cache/presenced/subscriptions")).unwrap().flatten();
    let copy = copies.map(|copy| copy.path()).find(|path| path.extension().unwrap() == "ics").unwrap();
    std::fs::write(copy, &cut).unwrap();
    let found = Found::of(&house).await;
    let said: Vec<String> = found.printed["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["check"] == "calendar")
        .map(|check| format!("{} {}", check["verdict"], check["found"]).replace('"', ""))
        .collect();
    assert_eq!(
        said,
        [
            "failed it is not whole, so the calendar is unknown",
            "warning 1 file, 1 event; 1 part is left out",
            "warning 0 files, 0 events; 1 part is left out",
            "warning 0 files, 0 events; 1 part is left out",
            "failed it is not whole, so the calendar is unknown",
        ]
    );
    let printed = found.printed.to_string();
    assert!(
        printed.contains("b.ics cannot be used: it is not complete: it ends before its END:VCALENDAR"),
        "{printed}"
    );
}

#[tokio::test]
async fn identity_is_suggested_with_the_line_to_add() {
    let house = House::new().await;
    // As Google names the primary calendars of its users.
    let google =
        MEETING.replace("BEGIN:VCALENDAR", "BEGIN:VCALENDAR\nPRODID:-//Google Inc//Google Calendar 70.9054//EN");
    let primary = |owner: &str| google.replace("BEGIN:VEVENT", &format!("X-WR-CALNAME:{owner}\nBEGIN:VEVENT"));
    std::fs::create_dir(house.path("folder")).unwrap();
    house.write("folder/a.ics", primary("me@example.com"));
    house.write("folder/b.ics", primary("boss@example.com"));
    house.write("c.ics", primary("me@example.com"));
    let sources = "[signals.calendar]\nsources = [{ path = \"folder\" }, { path = \"c.ics\" }]\n";
    house.write("config.toml", house.configuration() + sources);
    let found = Found::of(&house).await;
    let said = found.said("identity");
    assert!(said.starts_with("warning: presenced does not know which invitations are yours"), "{said}");
    let hint = "add this line below [signals.calendar]: `identity = [\"boss@example.com\", \"me@example.com\"]`";
    assert!(said.contains(hint), "{said}");
    // The line is right.
    let line = "identity = [\"boss@example.com\", \"me@example.com\"]\n";
    house.write("config.toml", house.configuration() + sources + line);
    let found = Found::of(&house).await;
    assert!(found.printed["checks"].as_array().unwrap().iter().all(|check| check["check"] != "identity"));
    // A calendar with another name says nothing.
    house.write("config.toml", house.configuration() + "[signals.calendar]\nsources = [{ path = \"folder/a.ics\" }]\n");
    for name in ["Work", "Lunch @ noon", "@home"] {
        house.write("folder/a.ics", primary(name));
        let found = Found::of(&house).await;
        assert!(found.printed["checks"].as_array().unwrap().iter().all(|check| check["check"] != "identity"), "{name}");
    }
}
