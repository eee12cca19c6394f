//! Thunderbird: its profiles, and the calendars in their preferences.
//!
//! Thunderbird stores events in `SQLite` databases (`calendar-data/local.sqlite`, and `cache.sqlite` for servers), which presenced
//! does not read. If such a database is only a copy of a local .ics file or of a published calendar, presenced reads that instead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use url::Url;

use super::settings;
use super::{Home, ProgramCalendars};
use crate::fill::Fill as _;

const PROGRAM: &str = "Thunderbird";

/// The folders of profiles: of a distribution's package, of a snap, of a flatpak.
const FOLDERS: [&str; 3] =
    [".thunderbird", "snap/thunderbird/common/.thunderbird", ".var/app/org.mozilla.Thunderbird/.thunderbird"];

pub(super) fn find(home: &Home, found: &mut ProgramCalendars) {
    for profile in FOLDERS.iter().flat_map(|folder| profiles(&home.join(folder))) {
        let preferences = preferences(&profile.join("prefs.js"));
        for calendar in registered(&preferences) {
            match calendar.location() {
                Some(Location::File(path)) => found.file(PROGRAM, &path, calendar.address(&preferences)),
                Some(Location::Address(url)) => found.address(PROGRAM, &url, calendar.address(&preferences)),
                None => found.cannot_read(PROGRAM),
            }
        }
    }
}

/// The folders of the profiles that `profiles.ini` names.
fn profiles(folder: &Path) -> Vec<PathBuf> {
    let sections = settings::sections(&folder.join("profiles.ini"));
    let profiles = sections.iter().filter(|section| section.name.starts_with("Profile"));
    // A path that is not relative replaces the folder.
    profiles.filter_map(|profile| profile.get("Path")).map(|path| folder.join(path)).collect()
}

/// The preferences by name. Each is a line `user_pref("NAME", VALUE);`.
fn preferences(path: &Path) -> BTreeMap<String, String> {
    let text = settings::read(path).unwrap_or_default();
    let read = |line: &str| {
        let arguments = line.trim().strip_prefix("user_pref(")?.strip_suffix(");")?;
        let (name, value) = serde_json::from_str::<(String, serde_json::Value)>(&format!("[{arguments}]")).ok()?;
        Some((name, value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)))
    };
    text.lines().filter_map(read).fill()
}

/// A calendar: its preferences, without the common prefix of their names.
#[derive(Default)]
struct Calendar<'p>(BTreeMap<&'p str, &'p str>);

/// Where the events of a calendar can be read.
enum Location {
    File(PathBuf),
    Address(String),
}

/// The enabled calendars.
fn registered(preferences: &BTreeMap<String, String>) -> Vec<Calendar<'_>> {
    let mut calendars: BTreeMap<&str, Calendar<'_>> = BTreeMap::new();
    for (name, value) in preferences {
        let Some((id, key)) = name.strip_prefix("calendar.registry.").and_then(|rest| rest.split_once('.')) else {
            continue;
        };
        calendars.entry(id).or_default().0.insert(key, value);
    }
    let in_use = |calendar: &Calendar<'_>| calendar.get("type").is_some() && calendar.get("disabled") != Some("true");
    calendars.into_values().filter(in_use).collect()
}

impl<'p> Calendar<'p> {
    fn get(&self, key: &str) -> Option<&'p str> {
        self.0.get(key).copied()
    }

    /// `None` if it is only in a database, or needs a password, which presenced does not have.
    fn location(&self) -> Option<Location> {
        if self.get("type") != Some("ics") {
            return None;
        }
        let uri = self.get("uri")?;
        match uri.split_once(':')?.0 {
            "file" => Some(Location::File(Url::parse(uri).ok()?.to_file_path().ok()?)),
            _ if self.get("username").is_some_and(|name| !name.is_empty()) => None,
            _ => Some(Location::Address(uri.to_owned())),
        }
    }

    /// The e-mail address of the identity that answers its invitations.
    fn address(&self, preferences: &BTreeMap<String, String>) -> Option<String> {
        let identity = self.get("imip.identity.key")?;
        preferences.get(&format!("mail.identity.{identity}.useremail")).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::House;
    use super::*;

    #[test]
    fn files_and_addresses_are_found_and_databases_are_counted() {
        let house = House::new();
        house.event("work calendar.ics");
        house.write(
            ".thunderbird/profiles.ini",
            "[Install4F96D1932A9F858E]\nDefault=x.default\n\n[Profile0]\nName=default\nIsRelative=1\nPath=x.default\n\n\
             [Profile1]\nName=gone\nIsRelative=0\nPath=/nonexistent\n",
        );
        let file = format!("file://{}", house.path("work%20calendar.ics").display());
        let registry = |id: &str, entries: &[(&str, &str)]| -> String {
            let line = |(key, value): &(&str, &str)| format!("user_pref(\"calendar.registry.{id}.{key}\", {value});\n");
            entries.iter().map(line).collect()
        };
        let home = [("name", "\"Home\""), ("type", "\"storage\""), ("uri", "\"moz-storage-calendar://\"")];
        let prefs = [
            "// Mozilla User Preferences\nuser_pref(\"mail.identity.id1.useremail\", \"me@contoso.com\");\n".to_owned(),
            registry("1", &home),
            registry("2", &[("type", "\"ics\""), ("uri", &format!("\"{file}\"")), ("imip.identity.key", "\"id1\"")]),
            registry("3", &[("type", "\"caldav\""), ("uri", "\"https://dav.example/\""), ("name", "\"\\u00e6\"")]),
            registry("4", &[("type", "\"ics\""), ("uri", "\"webcal://cal.example/secret/basic.ics\"")]),
            registry("5", &[("type", "\"ics\""), ("uri", "\"https://x.example/a.ics\""), ("disabled", "true")]),
            registry("6", &[("type", "\"ics\""), ("uri", "\"https://x.example/b.ics\""), ("username", "\"me\"")]),
            registry("7", &[("type", "\"ics\""), ("uri", "\"http://plain.example/c.ics\"")]),
            registry("8", &[("name", "\"what an add-on left behind\"")]),
            "user_pref(broken\nuser_pref(\"x\", );\n".to_owned(),
        ];
        house.write(".thunderbird/x.default/prefs.js", prefs.concat());
        let found = house.find(find);
        assert_eq!(
            found.shown(),
            ["Thunderbird: ~/work calendar.ics of me@contoso.com", "Thunderbird: subscription at cal.example"]
        );
        assert_eq!(found.unread(), BTreeMap::from([("Thunderbird", 4)]));
    }

    #[test]
    fn profiles_of_a_snap_and_a_flatpak_are_found() {
        let house = House::new();
        for folder in &FOLDERS[1..] {
            house.write(&format!("{folder}/profiles.ini"), "[Profile0]\nPath=p\n");
            house.write(
                &format!("{folder}/p/prefs.js"),
                "user_pref(\"calendar.registry.a.type\", \"storage\");\nuser_pref(\"calendar.registry.a.uri\", \"x:\");\n",
            );
        }
        assert_eq!(house.find(find).unread(), BTreeMap::from([("Thunderbird", 2)]));
    }
}
