//! Evolution and GNOME Calendar, which share one data server.
//!
//! It stores local calendars as .ics files, and copies of all others in `SQLite` databases, which presenced does not read. A
//! `.source` file describes each calendar. A published calendar can be read from its address.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use url::Url;

use super::settings::{self, Section};
use super::{Home, ProgramCalendars, entries};

const PROGRAM: &str = "Evolution/GNOME";

pub(super) fn find(home: &Home, found: &mut ProgramCalendars) {
    search(&home.config.join("evolution"), &home.data.join("evolution"), found);
    let flatpak = home.join(".var/app/org.gnome.Evolution");
    search(&flatpak.join("config/evolution"), &flatpak.join("data/evolution"), found);
}

fn search(config: &Path, data: &Path, found: &mut ProgramCalendars) {
    let mut local: BTreeSet<PathBuf> =
        entries(&data.join("calendar")).into_iter().map(|folder| folder.join("calendar.ics")).collect();
    for file in entries(&config.join("sources")) {
        let sections = settings::sections(&file);
        let source = Source { sections: &sections };
        let (Some(kind), Some(name)) = (source.get("Calendar", "BackendName"), file.file_stem()) else { continue };
        // The default calendar is stored under another name.
        let folder = if name == "system-calendar" { "system".as_ref() } else { name };
        let own = data.join("calendar").join(folder).join("calendar.ics");
        let is_on = source.get("Data Source", "Enabled") != Some("false");
        match kind {
            "local" => {
                let elsewhere = source.get("Local Backend", "CustomFile").and_then(file_of);
                if !is_on || elsewhere.is_some() {
                    local.remove(&own);
                }
                local.extend(elsewhere.filter(|_| is_on));
            }
            // Birthdays and the weather.
            "contacts" | "weather" => {}
            _ if !is_on => {}
            "webcal" => match source.address() {
                Some(url) => found.address(PROGRAM, &url, None),
                None => found.cannot_read(PROGRAM),
            },
            _ => found.cannot_read(PROGRAM),
        }
    }
    for file in local {
        found.file(PROGRAM, &file, None);
    }
}

/// The contents of a `.source` file.
struct Source<'s> {
    sections: &'s [Section],
}

impl<'s> Source<'s> {
    fn get(&self, section: &str, key: &str) -> Option<&'s str> {
        let section = self.sections.iter().find(|candidate| candidate.name == section)?;
        section.get(key).filter(|value| !value.is_empty())
    }

    /// The address that it is published at. `None` if it needs a user name or is not a valid address.
    fn address(&self) -> Option<String> {
        if self.get("Authentication", "User").is_some() {
            return None;
        }
        let scheme = if self.get("Security", "Method") == Some("tls") { "https" } else { "http" };
        let host = self.get("Authentication", "Host")?;
        let port = self.get("Authentication", "Port").map(|port| format!(":{port}")).unwrap_or_default();
        let path = self.get("WebDAV Backend", "ResourcePath").unwrap_or("/");
        let query = self.get("WebDAV Backend", "ResourceQuery").map(|query| format!("?{query}")).unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        Url::parse(&format!("{scheme}://{host}{port}{slash}{path}{query}")).ok().map(Into::into)
    }
}

/// A file from its URL or its path.
fn file_of(text: &str) -> Option<PathBuf> {
    if text.starts_with('/') { Some(text.into()) } else { Url::parse(text).ok()?.to_file_path().ok() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::House;
    use super::*;

    fn source(house: &House, name: &str, enabled: bool, backend: &str, more: &str) {
        let text = format!(
            "[Data Source]\nDisplayName={name}\nEnabled={enabled}\nParent=\n\n[Calendar]\nBackendName={backend}\nColor=#62a0ea\n\n{more}"
        );
        house.write(&format!(".config/evolution/sources/{name}.source"), text);
    }

    #[test]
    fn files_and_addresses_are_found_and_databases_are_counted() {
        let house = House::new();
        for folder in ["system", "abc", "off", "orphan"] {
            house.event(&format!(".local/share/evolution/calendar/{folder}/calendar.ics"));
        }
        house.event("shared.ics");
        source(&house, "system-calendar", true, "local", "");
        source(&house, "abc", true, "local", "[Local Backend]\nCustomFile=\n");
        source(&house, "off", false, "local", "");
        let file = format!("[Local Backend]\nCustomFile=file://{}\n", house.path("shared.ics").display());
        source(&house, "custom", true, "local", &file);
        source(&house, "birthdays", true, "contacts", "");
        source(&house, "dav", true, "caldav", "");
        source(&house, "ews", true, "ews", "");
        source(&house, "ews-off", false, "ews", "");
        let web = |user: &str| {
            format!(
                "[Authentication]\nHost=outlook.office365.com\nPort=443\nUser={user}\n\n[Security]\nMethod=tls\n\n\
                 [WebDAV Backend]\nResourcePath=/owa/calendar/secret/calendar.ics\nResourceQuery=\n"
            )
        };
        source(&house, "web", true, "webcal", &web(""));
        source(&house, "web-with-password", true, "webcal", &web("me"));
        house.write(
            ".config/evolution/sources/tasks.source",
            "[Data Source]\nEnabled=true\n[Task List]\nBackendName=local\n",
        );
        let found = house.find(find);
        assert_eq!(
            found.shown(),
            [
                "Evolution/GNOME: subscription at outlook.office365.com",
                "Evolution/GNOME: ~/.local/share/evolution/calendar/abc/calendar.ics",
                "Evolution/GNOME: ~/.local/share/evolution/calendar/orphan/calendar.ics",
                "Evolution/GNOME: ~/.local/share/evolution/calendar/system/calendar.ics",
                "Evolution/GNOME: ~/shared.ics",
            ]
        );
        assert_eq!(found.unread(), BTreeMap::from([("Evolution/GNOME", 3)]));
    }

    #[test]
    fn a_flatpak_and_other_folders_are_searched() {
        let house = House::new();
        house.event(".var/app/org.gnome.Evolution/data/evolution/calendar/system/calendar.ics");
        house.event("data/evolution/calendar/system/calendar.ics");
        let data = house.path("data");
        let house = house.with("XDG_DATA_HOME", data.to_str().unwrap());
        assert_eq!(
            house.find(find).shown(),
            [
                "Evolution/GNOME: ~/data/evolution/calendar/system/calendar.ics",
                "Evolution/GNOME: ~/.var/app/org.gnome.Evolution/data/evolution/calendar/system/calendar.ics",
            ]
        );
    }
}
