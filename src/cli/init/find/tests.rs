//! A home folder with other programs' files, for the tests of all modules here, and the tests of the search itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::config::Environment;

const EVENT: &str =
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20261124T090000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

/// A home folder.
pub(in crate::cli::init) struct House {
    folder: Arc<tempfile::TempDir>,
    variables: BTreeMap<String, String>,
}

impl House {
    pub(in crate::cli::init) fn new() -> Self {
        Self { folder: Arc::new(tempfile::tempdir().unwrap()), variables: BTreeMap::new() }
    }

    /// The same home with an environment variable.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut variables = self.variables.clone();
        variables.insert(name.to_owned(), value.to_owned());
        Self { folder: Arc::clone(&self.folder), variables }
    }

    pub(in crate::cli::init) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(in crate::cli::init) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A calendar file with one event.
    pub(in crate::cli::init) fn event(&self, name: &str) {
        self.write(name, EVENT);
    }

    pub(in crate::cli::init) fn environment(&self) -> Environment {
        let variables = self.variables.clone();
        Environment {
            runtime_dir: Some(self.path("run")),
            config_dir: self.path(".config/presenced"),
            state_dir: self.path("state"),
            cache_dir: self.path("cache"),
            lookup: Arc::new(move |name| variables.get(name).cloned()),
            ..Environment::bare(self.path(""))
        }
    }

    /// Searches for one program.
    pub(super) fn find(&self, program: fn(&Home, &mut ProgramCalendars<'_>)) -> Shown {
        let home = Home::new(&self.environment());
        let mut found = ProgramCalendars::new(&home);
        program(&home, &mut found);
        Shown { lines: self.lines(&found.calendars), unread: found.unread }
    }

    fn lines(&self, found: &[Find]) -> Vec<String> {
        found.iter().map(|find| shown(find, &self.environment())).collect()
    }

    fn search(&self) -> Findings {
        Search::start(&self.environment()).wait(|| {})
    }
}

/// The results for one program, as text.
pub(super) struct Shown {
    lines: Vec<String>,
    unread: BTreeMap<&'static str, usize>,
}

impl Shown {
    pub(super) fn shown(&self) -> &[String] {
        &self.lines
    }

    pub(super) fn unread(&self) -> BTreeMap<&'static str, usize> {
        self.unread.clone()
    }
}

fn shown(find: &Find, environment: &Environment) -> String {
    let whose = if find.identity.is_empty() { String::new() } else { format!(" of {}", find.identity.join(", ")) };
    format!("{}: {}{whose}", find.programs.join(", "), find.source.shown(environment))
}

#[test]
fn a_calendar_of_several_programs_is_listed_once_and_counted() {
    let house = House::new();
    for file in ["work/a.ics", "work/b.ics", "private/a.ics"] {
        house.event(&format!(".calendars/{file}"));
    }
    let config = "[storage s]\ntype = \"filesystem\"\npath = \"~/.calendars\"\nfileext = \".ics\"\n";
    house.write(".config/vdirsyncer/config", config);
    house.write(
        ".config/khal/config",
        "[calendars]\n[[all]]\npath = ~/.calendars/*\ntype = discover\n[[also]]\npath = ~/.calendars/work/\naddresses = me@contoso.com\n",
    );
    let findings = house.search();
    let lines = house.lines(&findings.calendars);
    let expected = ["vdirsyncer, khal: ~/.calendars/private", "vdirsyncer, khal: ~/.calendars/work of me@contoso.com"];
    assert_eq!(lines, expected);
    let extents = findings.calendars.iter().map(|find| find.extent.as_ref().unwrap());
    let extents: Vec<_> = extents.map(|extent| (extent.files, extent.events, extent.is_whole)).collect();
    assert_eq!(extents, [(1, 1, true), (2, 2, true)]);
    assert!(!findings.is_cut);
}

#[test]
fn a_usual_folder_is_listed_only_without_a_better_match() {
    let house = House::new();
    house.event(".calendars/work/a.ics");
    house.event(".local/share/calendars/a.ics");
    let lines = |house: &House| house.lines(&house.search().calendars);
    assert_eq!(
        lines(&house),
        ["a folder for calendars: ~/.calendars", "a folder for calendars: ~/.local/share/calendars"]
    );
    house.write(".config/khal/config", "[calendars]\n[[work]]\npath = ~/.calendars/work\n");
    assert_eq!(lines(&house), ["khal: ~/.calendars/work", "a folder for calendars: ~/.local/share/calendars"]);
    house.write(".config/khal/config", "[calendars]\n[[all]]\npath = ~\n");
    assert_eq!(lines(&house), ["khal: ~/"]);
}

#[test]
fn hostile_folders_do_no_harm() {
    let house = House::new();
    let calendars = house.path(".calendars");
    fs::create_dir_all(calendars.join("a/b")).unwrap();
    std::os::unix::fs::symlink(&calendars, calendars.join("a/b/again")).unwrap();
    std::os::unix::fs::symlink("self.ics", calendars.join("self.ics")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, calendars.join("f.ics"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::File::create(calendars.join("huge.ics")).unwrap().set_len(1 << 40).unwrap();
    house.write(".calendars/binary.ics", [0xff, 0, 0x1b, b'['].repeat(10_000));
    house.event(".calendars/good.ics");
    let findings = house.search();
    let extent = findings.calendars[0].extent.as_ref().unwrap();
    assert_eq!((findings.calendars.len(), extent.events, extent.is_whole), (1, 1, true));
    let unread: Vec<_> = extent.unread.iter().map(|unread| unread.path.file_name().unwrap()).collect();
    assert!(unread.contains(&"huge.ics".as_ref()), "{unread:?}");
}

#[test]
fn a_path_that_a_configuration_cannot_contain_is_counted_as_unread() {
    let house = House::new();
    house.event("a$HOME/a.ics");
    house.write(
        ".config/vdirsyncer/config",
        "[storage s]\ntype = \"filesystem\"\npath = \"~/a$HOME\"\nfileext = \".ics\"\n",
    );
    let findings = house.search();
    assert_eq!((findings.calendars.len(), findings.unread), (0, BTreeMap::from([("vdirsyncer", 1)])));
}

#[test]
fn a_message_is_shown_and_the_wait_is_limited() {
    let (sender, steps) = mpsc::channel();
    let mut told = 0;
    let findings = Search { steps }.wait(|| told += 1);
    assert_eq!((findings.is_cut, told), (true, 1));
    drop(sender);
    // Calendars that are still being counted are already listed.
    let (sender, steps) = mpsc::channel();
    for _ in PROGRAMS {
        sender.send(Step::Listed(Vec::new(), BTreeMap::new())).unwrap();
    }
    assert!(!Search { steps }.wait(|| {}).is_cut);
    drop(sender);
    let (_, steps) = mpsc::channel();
    assert!(Search { steps }.wait(|| panic!("there is no wait")).is_cut);
}

#[test]
fn patterns_match_names() {
    for (pattern, name, is_fit) in [
        ("*", "", true),
        ("*", "abc", true),
        ("a*c", "abbc", true),
        ("a*c", "abcd", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*.ics", "x.ics", true),
        ("**a**", "bab", true),
        ("*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ("é?", "éü", true),
    ] {
        assert_eq!(fits(pattern, name), is_fit, "{pattern} {name}");
    }
}
