//! Each recipe of docs/rules.md decides as the table below it says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use presenced::calendar::Schedule;
use presenced::policy::{Call, Idle, Lock, Named, Reading, Sleep, Snapshot, decide, default_rules};
use presenced::time::{Instant, Now};

use super::{ACCOUNT, parse};

const COOKBOOK: &str = include_str!("../../../docs/rules.md");

/// Somebody at the desk on a Monday morning, and then what a table's first column says: `Sat 10:00, call in-call`.
fn situation(words: &str) -> (Snapshot, Timestamp) {
    // A Monday.
    let mut at: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    let mut class = ("free", false);
    let mut snapshot = Snapshot {
        lock: Reading::Known(Lock::Unlocked),
        sleep: Reading::Known(Sleep::Awake),
        call: Reading::Known(Call { state: "idle".parse().unwrap(), app: None }),
        idle: Reading::Known(Idle::Active),
        ..Snapshot::default()
    };
    for clause in words.split(", ") {
        match clause.split(' ').collect::<Vec<_>>()[..] {
            ["lock", "unknown"] => snapshot.lock = Reading::Unknown,
            ["lock", value] => snapshot.lock = Reading::Known(value.parse().unwrap()),
            ["call", "unknown"] => snapshot.call = Reading::Unknown,
            ["call", value] => snapshot.call = Reading::Known(Call { state: value.parse().unwrap(), app: None }),
            ["calendar", value] => class = (value, false),
            ["calendar", value, "online"] => class = (value, true),
            [day, time] if time.contains(':') => {
                let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].iter().position(|name| *name == day);
                let day = 23 + day.unwrap_or_else(|| panic!("`{clause}` begins with a day"));
                at = format!("2026-11-{day}T{time}:00Z").parse().unwrap();
            }
            [name, value] => {
                let named = Named { value: value.to_owned(), until: None };
                snapshot.signals.insert(name.to_owned(), named);
            }
            _ => panic!("`{clause}` is a word for something, and its value"),
        }
    }
    let hour = SignedDuration::from_hours(1);
    let changes = vec![(at - hour, class.0.parse().unwrap(), class.1)];
    snapshot.calendar = Reading::Known(Arc::new(Schedule::new(at - hour, at + hour, changes)));
    (snapshot, at)
}

#[test]
fn each_recipe_decides_as_its_table_says() {
    let mut rows = 0;
    for recipe in COOKBOOK.split("\n## ").skip(1) {
        let title = recipe.lines().next().unwrap();
        let (_, snippet) = recipe.split_once("```toml\n").unwrap_or_else(|| panic!("{title}: no rule"));
        let (snippet, rest) = snippet.split_once("```\n").unwrap();
        let mut rules =
            parse(&format!("{ACCOUNT}{snippet}")).unwrap_or_else(|_| panic!("{title}: does not load")).rules;
        if !title.starts_with("A whole set") {
            rules.extend(default_rules());
        }
        let table: Vec<_> =
            rest.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")).skip(1).collect();
        assert!(!table.is_empty(), "{title}: no table");
        for row in table {
            let (when, expected) = row.split_once(" | ").unwrap();
            let (snapshot, at) = situation(when);
            let now = Now { instant: Instant::default(), wall: at, zone: TimeZone::UTC };
            let decision = decide(&rules, &snapshot, &now);
            let presence = decision.presence.map_or("nothing".to_owned(), |presence| presence.to_string());
            assert_eq!(presence, expected, "{title}: {when}, by the rule {:?}", decision.rule);
            rows += 1;
        }
    }
    assert!(rows > 15, "only {rows} rows were found");
}
