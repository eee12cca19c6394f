//! The file of what was set through the socket: JSON with a version, readable only by its owner, whole or absent.
//!
//! Ends are in wall time, so that a person can read them. `written_at` and `uptime` say when that was on both clocks; together they
//! give the time that was left. A file without anything set does not exist.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Word;
use crate::fill::Fill as _;
use crate::kept::{Kept, Lasting, Life};
use crate::policy::Claim;
use crate::presence::Presence;
use crate::regular_file::{self, Unfit};
use crate::status::{SignalName, SignalValue};
use crate::time::Instant;
use crate::whole_file;

/// The version of the form below.
const VERSION: u32 = 1;

/// A file with the most and longest signals has 0.4 MB.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why a file cannot be used, as the end of a sentence about it.
#[derive(Debug)]
pub(in crate::daemon) enum Problem {
    Unread(Unfit),
    Late,
    Newer(u32),
    Damaged(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(unfit) => write!(f, "cannot be read: {unfit}"),
            Self::Late => f.write_str("cannot be read: its file system does not answer"),
            Self::Newer(version) => write!(f, "has version {version}, and this presenced reads version {VERSION}"),
            Self::Damaged(why) => write!(f, "is damaged: {why}"),
        }
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// What is set, as it is written.
#[derive(Serialize, Deserialize)]
pub(in crate::daemon) struct Form {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<Timestamp>,
    written_at: Timestamp,
    /// The clock that counts suspend.
    uptime: SignedDuration,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    manual: Option<FormOverride>,
    signals: BTreeMap<String, FormSignal>,
}

#[derive(Serialize, Deserialize)]
struct FormOverride {
    presence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct FormSignal {
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_by: Option<String>,
}

/// Reads the file; `None`: there is none. Neither a link nor a pipe in its place is followed or waited for.
pub(super) fn read(path: &Path) -> Result<Option<Kept<Word>>, Problem> {
    let mut bytes = Vec::new();
    let opened = regular_file::open_own(path);
    match opened.and_then(|file| regular_file::read_into(&file, MAX_BYTES, &mut bytes)) {
        Err(unfit) if unfit.is_missing() => return Ok(None),
        read => read.map_err(Problem::Unread)?,
    }
    parse(&bytes).map(Some)
}

fn parse(bytes: &[u8]) -> Result<Kept<Word>, Problem> {
    let damaged = |error: serde_json::Error| Problem::Damaged(error.to_string());
    let Versioned { version } = serde_json::from_slice(bytes).map_err(damaged)?;
    if version != VERSION {
        return Err(Problem::Newer(version));
    }
    serde_json::from_slice::<Form>(bytes).map_err(damaged)?.read()
}

impl Form {
    /// What it says.
    pub(in crate::daemon) fn read(self) -> Result<Kept<Word>, Problem> {
        let form = self;
        let instant = Instant::from_origin(Duration::try_from(form.uptime).unwrap_or_default());
        // The time that was left, from the same clock on.
        let end =
            |until: Timestamp| instant + Duration::try_from(until.duration_since(form.written_at)).unwrap_or_default();
        let invalid = |what: &str| Problem::Damaged(format!("it has an invalid {what}"));
        let manual = form.manual.map(|manual| {
            let value = claim(&manual.presence).ok_or_else(|| invalid("presence"))?;
            Ok(Lasting { value, until: manual.until.map(end) })
        });
        let signals = form.signals.into_iter().map(|(name, signal)| {
            let name: SignalName = name.parse().map_err(|_| invalid("name of a signal"))?;
            let value: SignalValue = signal.value.parse().map_err(|_| invalid("value of a signal"))?;
            let writer = signal.set_by.map(|name| crate::sanitize::printable(&name));
            let word = Word { value: value.into(), writer };
            Ok((name.into(), Lasting { value: word, until: signal.until.map(end) }))
        });
        Ok(Kept {
            life: Life { boot: form.boot, login: form.login },
            instant,
            wall: form.written_at,
            manual: manual.transpose()?,
            signals: signals.collect::<Result<Vec<_>, Problem>>()?.into_iter().fill(),
        })
    }

    /// As it is written.
    pub(in crate::daemon) fn of(kept: &Kept<Word>) -> Self {
        let wall = |until: Instant| {
            let left = until.saturating_since(kept.instant);
            kept.wall.checked_add(left).unwrap_or(Timestamp::MAX)
        };
        Self {
            version: VERSION,
            boot: kept.life.boot.clone(),
            login: kept.life.login,
            written_at: kept.wall,
            uptime: SignedDuration::try_from(kept.instant.since_origin()).unwrap_or(SignedDuration::MAX),
            manual: kept
                .manual
                .as_ref()
                .map(|manual| FormOverride { presence: manual.value.to_string(), until: manual.until.map(wall) }),
            signals: kept.signals.iter().map(|(name, signal)| (name.clone(), form_signal(signal, wall))).fill(),
        }
    }
}

fn claim(text: &str) -> Option<Claim> {
    if text == Claim::Nothing.to_string() {
        return Some(Claim::Nothing);
    }
    text.parse::<Presence>().ok().map(Claim::Hold)
}

/// Replaces the file, or removes it if nothing is set. Returns when that is on the disk.
pub(super) fn write(path: &Path, kept: &Kept<Word>) -> io::Result<()> {
    if kept.is_empty() {
        return whole_file::remove(path).map(drop);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(whole_file::folder_of(path))?;
    whole_file::replace(path, &text(kept)?, whole_file::PRIVATE)
}

fn text(kept: &Kept<Word>) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(&Form::of(kept))?;
    text.push(b'\n');
    Ok(text)
}

fn form_signal(signal: &Lasting<Word>, wall: impl Fn(Instant) -> Timestamp) -> FormSignal {
    let Word { value, writer } = &signal.value;
    FormSignal { value: value.clone(), until: signal.until.map(wall), set_by: writer.clone() }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"{
  "version": 1,
  "boot": "6e1c2f5e",
  "login": "2026-11-30T07:58:12.000000123Z",
  "written_at": "2026-11-30T09:00:00Z",
  "uptime": "PT1H",
  "override": {
    "presence": "Busy/InACall",
    "until": "2026-11-30T09:30:00Z"
  },
  "signals": {
    "door": {
      "value": "closed"
    },
    "focus": {
      "value": "deep",
      "until": "2026-11-30T09:25:00Z",
      "set_by": "post-commit"
    }
  }
}
"#;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept/a.json");
        fs::create_dir(path.parent().unwrap()).unwrap();
        (folder, path)
    }

    fn put(path: &Path, text: impl AsRef<[u8]>) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn the_form_of_version_1_never_changes() {
        let kept = parse(TEXT.as_bytes()).unwrap();
        assert_eq!(kept.manual.as_ref().unwrap().value, Claim::Hold(Presence::InACall));
        let minutes = |of: Option<Instant>| of.map(|until| until.since_origin().as_secs() / 60);
        assert_eq!(minutes(kept.manual.as_ref().unwrap().until), Some(90));
        assert_eq!((minutes(kept.signals["focus"].until), kept.signals["door"].until), (Some(85), None));
        assert_eq!(kept.signals["focus"].value.writer.as_deref(), Some("post-commit"));
        assert_eq!(String::from_utf8(text(&kept).unwrap()).unwrap(), TEXT);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_as_such_and_never_waited_for() {
        let (_folder, path) = file();
        assert!(read(&path).unwrap().is_none());
        let long = TEXT.replace("closed", &"x".repeat(300));
        let large = " ".repeat(usize::try_from(MAX_BYTES).unwrap()) + TEXT;
        for (text, why) in [
            ("", "is damaged: EOF"),
            (&TEXT[..200], "is damaged: EOF"),
            ("[1, 2]", "is damaged"),
            ("\0\u{1}", "is damaged"),
            (&TEXT.replace("\"version\": 1", "\"version\": 2"), "has version 2, and this presenced reads version 1"),
            (&TEXT.replace("Busy/InACall", "Busy/Bee"), "is damaged: it has an invalid presence"),
            (&TEXT.replace("door", "a door"), "is damaged: it has an invalid name of a signal"),
            (&TEXT.replace("closed", "a\\nb"), "is damaged: it has an invalid value of a signal"),
            (&long, "is damaged: it has an invalid value of a signal"),
            (&large, "cannot be read: it is larger than 1 MiB"),
        ] {
            put(&path, text);
            let problem = read(&path).unwrap_err().to_string();
            assert!(problem.starts_with(why), "{problem}");
        }
        put(&path, TEXT);
        read(&path).unwrap().unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o622)).unwrap();
        assert!(matches!(read(&path), Err(Problem::Unread(Unfit::Foreign))));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(read(&path), Err(Problem::Unread(Unfit::NotRegular(_)))));
        fs::remove_dir(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        assert!(matches!(read(&path), Err(Problem::Unread(Unfit::NotRegular(_)))));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(read(&path), Err(Problem::Unread(Unfit::NotRegular("a symbolic link")))));
    }

    #[test]
    fn the_next_change_replaces_whatever_was_there() {
        let (folder, path) = file();
        let kept = parse(TEXT.as_bytes()).unwrap();
        put(&path, "not JSON");
        write(&path, &kept).unwrap();
        assert_eq!(read(&path).unwrap(), Some(kept.clone()));
        fs::remove_file(&path).unwrap();
        fs::write(folder.path().join("precious"), "precious").unwrap();
        std::os::unix::fs::symlink(folder.path().join("precious"), &path).unwrap();
        write(&path, &kept).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("precious")).unwrap(), "precious");
        write(&path, &Kept { manual: None, signals: BTreeMap::new(), ..kept }).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_most_and_longest_signals_fit() {
        let word = Word { value: "\u{1F600}".repeat(256), writer: Some("x".repeat(15)) };
        let until = Some(Instant::from_origin(Duration::from_secs(1)));
        let signal = |number: usize| (format!("{number:064}"), Lasting { value: word.clone(), until });
        let signals = (0..super::super::super::board::MAX_NAMED_SIGNALS).map(signal).collect();
        let kept = Kept { signals, ..parse(TEXT.as_bytes()).unwrap() };
        let text = text(&kept).unwrap();
        assert!(text.len() as u64 <= MAX_BYTES / 2, "{}", text.len());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..TEXT.len(), byte in any::<u8>(),
        ) {
            let _ = parse(&bytes);
            let mut text = TEXT.as_bytes().to_vec();
            text[at] = byte;
            if let Ok(kept) = parse(&text) {
                let _ = super::text(&kept).unwrap();
            }
        }
    }
}
