//! vdirsyncer: the folders of its collections, from its configuration: sections with JSON values.
//!
//! A collection is a folder below the folder of its storage (`filesystem`), or a file whose name replaces `%s` in the path
//! (`singlefile`). Without collections, the storage itself is the calendar.

use super::settings::{self, Section};
use super::{Home, ProgramCalendars, collections, matching};

pub(super) fn find(home: &Home, found: &mut ProgramCalendars) {
    let config = [
        home.var("VDIRSYNCER_CONFIG").map(|path| home.tilde(&path)),
        Some(home.join(".vdirsyncer/config")),
        Some(home.config.join("vdirsyncer/config")),
    ];
    // vdirsyncer uses the first of these files that exists.
    let Some(config) = config.into_iter().flatten().find(|path| path.is_file()) else { return };
    let sections = settings::sections(&config);
    for (name, storage) in named(&sections, "storage") {
        let Some(path) = text(storage, "path") else { continue };
        let paths = match text(storage, "type").as_deref() {
            Some("filesystem") if text(storage, "fileext").is_none_or(|end| end.eq_ignore_ascii_case(".ics")) => {
                collections(&home.tilde(&path))
            }
            Some("singlefile") if path.to_ascii_lowercase().ends_with(".ics") => {
                matching(&home.tilde(&path.replace("%s", "*")))
            }
            Some(_) | None => continue,
        };
        let identity = partner(&sections, name).and_then(|partner| text(partner, "username"));
        for path in paths {
            found.file("vdirsyncer", &path, identity.clone());
        }
    }
}

/// The sections `[KIND NAME]`, with their names.
fn named<'s>(sections: &'s [Section], kind: &'s str) -> impl Iterator<Item = (&'s str, &'s Section)> {
    sections.iter().filter_map(move |section| {
        let (is, name) = section.name.split_once(char::is_whitespace)?;
        (is == kind).then_some((name.trim(), section))
    })
}

/// The storage that the named storage is synchronized with.
fn partner<'s>(sections: &'s [Section], name: &str) -> Option<&'s Section> {
    let other = named(sections, "pair").find_map(|(_, pair)| match (text(pair, "a")?, text(pair, "b")?) {
        (a, b) if a == name => Some(b),
        (a, b) if b == name => Some(a),
        _ => None,
    })?;
    named(sections, "storage").find(|(name, _)| *name == other).map(|(_, storage)| storage)
}

fn text(section: &Section, key: &str) -> Option<String> {
    serde_json::from_str(section.get(key)?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::House;
    use super::*;

    const CONFIG: &str = r#"
[general]
status_path = "~/.vdirsyncer/status/"

[pair work]
a = "work_local"
b = "work_remote"
collections = ["from a",
    "from b"]

[storage work_local]
type = "filesystem"
path = "~/.calendars/"
fileext = ".ics"

[storage work_remote]
type = "caldav"
url = "https://dav.example/"
username = "me@contoso.com"
password.fetch = ["command", "pass", "dav"]

[pair contacts]
a = "contacts_local"
b = "work_remote"
collections = null

[storage contacts_local]
type = "filesystem"
path = "~/.contacts/"
fileext = ".vcf"

[storage single]
type = "singlefile"
path = "~/single/%s.ics"

[storage broken]
type = "filesystem"
path = nonsense
"#;

    #[test]
    fn each_collection_is_a_calendar_of_the_user_of_its_remote_storage() {
        let house = House::new();
        house.event(".calendars/private/a.ics");
        house.event(".calendars/work/a.ics");
        house.event(".contacts/all/a.ics");
        house.event("single/team.ics");
        house.write(".config/vdirsyncer/config", CONFIG);
        let found = house.find(find);
        assert_eq!(
            found.shown(),
            [
                "vdirsyncer: ~/.calendars/private of me@contoso.com",
                "vdirsyncer: ~/.calendars/work of me@contoso.com",
                "vdirsyncer: ~/single/team.ics",
            ]
        );
    }

    #[test]
    fn a_storage_without_collections_is_the_calendar() {
        let house = House::new();
        house.event("all/a.ics");
        let config = "[storage s]\ntype = \"filesystem\"\npath = \"~/all\"\nfileext = \".ics\"\n";
        house.write(".vdirsyncer/config", config);
        assert_eq!(house.find(find).shown(), ["vdirsyncer: ~/all"]);
        // The file that the variable names comes first.
        house.event("named/a.ics");
        house.write("elsewhere", config.replace("~/all", "~/named"));
        assert_eq!(house.with("VDIRSYNCER_CONFIG", "~/elsewhere").find(find).shown(), ["vdirsyncer: ~/named"]);
    }

    #[test]
    fn an_invalid_configuration_has_no_calendars() {
        let house = House::new();
        for config in
            ["", "[storage", "[storage ]\npath = 1\n", "[storage s]\ntype = \"filesystem\"\npath = \"~/none\"\n"]
        {
            house.write(".config/vdirsyncer/config", config);
            assert_eq!(house.find(find).shown(), [""; 0], "{config}");
        }
    }
}
