//! Reads the settings files of other programs: sections of `key = value`, as vdirsyncer, khal, Mozilla, GNOME and KDE write them. It
//! skips other lines, and leaves the meaning of values to its callers.

use std::path::Path;

use crate::regular_file;

/// A longer file is not a settings file.
const MAX_SETTINGS_BYTES: u64 = 8 * 1024 * 1024;

/// One section. Lines before the first section are in a section without a name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    /// The text between the brackets.
    pub(super) name: String,
    /// The number of opening brackets.
    pub(super) depth: usize,
    entries: Vec<(String, String)>,
}

impl Section {
    /// The last value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// The text of a settings file. `None` if it cannot be read.
pub(super) fn read(path: &Path) -> Option<String> {
    let bytes = regular_file::read(path, MAX_SETTINGS_BYTES).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The sections of a file. Empty if it cannot be read.
pub(super) fn sections(path: &Path) -> Vec<Section> {
    read(path).map(|text| parse(&text)).unwrap_or_default()
}

fn parse(text: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        let depth = line.bytes().take_while(|byte| *byte == b'[').count();
        if depth > 0 {
            let name = line[depth..].split(']').next().unwrap_or_default().trim().to_owned();
            sections.push(Section { name, depth, entries: Vec::new() });
        } else if let (Some((key, value)), Some(section)) = (line.split_once('='), sections.last_mut()) {
            section.entries.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_their_keys_and_other_lines_are_skipped() {
        let text = "\u{feff}stray=1\n[one]\n# a = b\n  a = b = c\na=d\r\nnonsense\n\n[[ two ]]  # comment\n; x = y\nPath[$e]=$HOME/x\n[";
        let sections = parse(text);
        let names: Vec<_> = sections.iter().map(|section| (section.name.as_str(), section.depth)).collect();
        assert_eq!(names, [("", 0), ("one", 1), ("two", 2), ("", 1)]);
        assert_eq!(sections[0].get("stray"), Some("1"));
        assert_eq!((sections[1].get("a"), sections[1].get("# a")), (Some("d"), None));
        assert_eq!((sections[2].get("Path[$e]"), sections[2].get("; x")), (Some("$HOME/x"), None));
    }

    #[test]
    fn other_files_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::File::create(path("huge")).unwrap().set_len(MAX_SETTINGS_BYTES + 1).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        std::fs::write(path("binary"), b"\xff\xfe\0[a]\nb=\xff\n").unwrap();
        for name in ["none", "huge", "fifo", "."] {
            assert_eq!(read(&path(name)), None, "{name}");
        }
        assert_eq!(sections(&path("binary")).len(), 1);
    }
}
