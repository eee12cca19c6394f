//! `KOrganizer`, Merkuro and Kontact, whose calendars are in Akonadi.
//!
//! Each calendar has an agent with a settings file. The agent of an .ics file leaves the file in place, so it can be read. The agent
//! of a folder stores files without `.ics`, and agents of servers use a database: presenced reads neither.

use std::path::PathBuf;

use url::Url;

use super::settings;
use super::{Home, ProgramCalendars, entries, is_ics};

const PROGRAM: &str = "KOrganizer";

/// The agents of calendars that are not in one .ics file.
const UNREAD: [&str; 5] = [
    "akonadi_icaldir_resource_",
    "akonadi_davgroupware_resource_",
    "akonadi_google_resource_",
    "akonadi_ews_resource_",
    "akonadi_openxchange_resource_",
];

pub(super) fn find(home: &Home, found: &mut ProgramCalendars) {
    let mut files: Vec<PathBuf> =
        entries(&home.data.join("korganizer")).into_iter().filter(|path| is_ics(path)).collect();
    for file in entries(&home.config) {
        let Some(agent) = file.file_name().and_then(|name| name.to_str()?.strip_suffix("rc")) else { continue };
        if agent.starts_with("akonadi_ical_resource_") {
            let sections = settings::sections(&file);
            let general = sections.iter().find(|section| section.name == "General");
            // KDE marks a value that contains variables.
            let path = general.and_then(|general| general.get("Path[$e]").or_else(|| general.get("Path")));
            files.extend(path.and_then(|path| match path.strip_prefix("file:") {
                Some(_) => Url::parse(path).ok()?.to_file_path().ok(),
                None => home.expand(path),
            }));
        } else if UNREAD.iter().any(|kind| agent.starts_with(kind)) {
            found.cannot_read(PROGRAM);
        }
    }
    for file in files {
        found.file(PROGRAM, &file, None);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::House;
    use super::*;

    #[test]
    fn files_are_found_and_other_calendars_are_counted() {
        let house = House::new();
        for file in [".local/share/korganizer/std.ics", "a.ics", "b.ics"] {
            house.event(file);
        }
        house.write(".config/akonadi_ical_resource_0rc", "[General]\nPath[$e]=$HOME/a.ics\nReadOnly=false\n");
        let url = format!("[General]\nPath=file://{}\n", house.path("b.ics").display());
        house.write(".config/akonadi_ical_resource_1rc", url);
        house.write(".config/akonadi_ical_resource_2rc", "[General]\nPath=/nonexistent.ics\n");
        house.write(".config/akonadi_icaldir_resource_0rc", "[General]\nPath=/x\n");
        house.write(".config/akonadi_davgroupware_resource_0rc", "");
        house.write(".config/akonadi_contacts_resource_0rc", "");
        let found = house.find(find);
        assert_eq!(
            found.shown(),
            ["KOrganizer: ~/.local/share/korganizer/std.ics", "KOrganizer: ~/a.ics", "KOrganizer: ~/b.ics"]
        );
        assert_eq!(found.unread(), BTreeMap::from([("KOrganizer", 2)]));
    }
}
