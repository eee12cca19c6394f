//! Shows the log files, one per day (UTC): `presenced.2026-11-24.log`. Each line begins with its time.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Selection;
use crate::cli::error::{Error, Exit};
use crate::cli::terminal::output::print;
use crate::cli::terminal::text::printable;
use crate::file_watch::resolve::{Resolved, WatchSet};
use crate::file_watch::{FileWatch, FileWatcher};
use crate::regular_file;

/// How many bytes are collected before they are printed.
const PRINT_BYTES: usize = 64 * 1024;

/// Shows the log in `dir`.
pub(super) async fn show(dir: &Path, wanted: &Selection) -> Result<Exit, Error> {
    let unreadable = |error: io::Error| {
        Error::new(Exit::Failed, format!("the log in {} cannot be read: {error}", dir.display()))
            .with_hint("run this as the user who runs presenced, or correct `dir` in [log]")
    };
    // Before the files are read, so that no change in between is missed.
    let mut watch = wanted.follow.then(|| watch(dir)).transpose().map_err(unreadable)?;
    let files = files(dir).map_err(unreadable)?;
    if files.is_empty() && watch.is_none() {
        return Err(Error::new(Exit::Failed, format!("there is no log in {} yet", dir.display()))
            .with_hint("presenced writes it if it is running and was started with that folder"));
    }
    let (lines, mut end) = last_lines(&files, wanted).map_err(unreadable)?;
    if !show_lines(lines)? {
        return Ok(Exit::Ok);
    }
    let Some(watch) = &mut watch else { return Ok(Exit::Ok) };
    loop {
        watch.touched().await;
        if !show_new(dir, &mut end).map_err(unreadable)?? {
            return Ok(Exit::Ok);
        }
    }
}

/// Watches the files in `dir`.
fn watch(dir: &Path) -> io::Result<FileWatch> {
    let dir = std::path::absolute(dir)?;
    let mut watch = FileWatcher::new().subscribe();
    watch.scan(|| {
        let mut watch_set = WatchSet::default();
        if let Resolved::Folder(folder) = watch_set.resolve(&dir) {
            watch_set.add_folder(&folder);
        }
        (watch_set, ())
    });
    match watch.failures().first() {
        Some(failure) => Err(io::Error::other(failure.reason.clone())),
        None => Ok(watch),
    }
}

/// The end of what was shown: a file, and a position in it.
#[derive(Debug, Default)]
struct End {
    file: PathBuf,
    at: u64,
}

/// The files, oldest first.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let day = name.to_str().and_then(|name| name.strip_prefix("presenced.")?.strip_suffix(".log"));
        if day.is_some() {
            files.push(dir.join(name));
        }
    }
    files.sort();
    Ok(files)
}

/// The selected lines, and the end of the log.
fn last_lines(files: &[PathBuf], wanted: &Selection) -> io::Result<(VecDeque<String>, End)> {
    let most = wanted.lines.unwrap_or(usize::MAX);
    let mut kept: VecDeque<String> = VecDeque::new();
    let mut end = End::default();
    for file in files.iter().rev() {
        let mut lines = VecDeque::new();
        let at = each_line(file, 0, |line| {
            if is_wanted(line, wanted.since, !lines.is_empty()) {
                lines.push_back(line.to_owned());
                if lines.len() > most - kept.len() {
                    lines.pop_front();
                }
            }
        })?;
        if end.file.as_os_str().is_empty() {
            end = End { file: file.clone(), at };
        }
        let is_older_wanted = wanted.since.is_none() || !lines.is_empty();
        lines.append(&mut kept);
        kept = lines;
        if kept.len() >= most || !is_older_wanted {
            break;
        }
    }
    Ok((kept, end))
}

/// Whether a line is recent enough. A line without a time belongs to the line before it.
fn is_wanted(line: &str, since: Option<Timestamp>, before: bool) -> bool {
    let Some(since) = since else { return true };
    let time = line.split_whitespace().next().and_then(|word| word.parse::<Timestamp>().ok());
    time.map_or(before, |time| time >= since)
}

/// Shows what was added after `end`, also in newer files. `false` if the reader of the output is gone.
fn show_new(dir: &Path, end: &mut End) -> io::Result<Result<bool, Error>> {
    for file in files(dir)? {
        if file < end.file {
            continue;
        }
        if file != end.file {
            *end = End { file, at: 0 };
        }
        let mut lines = VecDeque::new();
        end.at = each_line(&end.file, end.at, |line| lines.push_back(line.to_owned()))?;
        match show_lines(lines) {
            Ok(true) => {}
            other => return Ok(other),
        }
    }
    Ok(Ok(true))
}

/// Prints lines. `false` if the reader of the output is gone.
fn show_lines(lines: VecDeque<String>) -> Result<bool, Error> {
    let mut text = String::new();
    for line in lines {
        // A log may quote text from outside, and the output may be a terminal.
        text.push_str(&line.split('\t').map(printable).collect::<Vec<_>>().join("\t"));
        text.push('\n');
        if text.len() >= PRINT_BYTES && !print(&std::mem::take(&mut text))? {
            return Ok(false);
        }
    }
    Ok(text.is_empty() || print(&text)?)
}

/// Reads the complete lines of a file from a position, and returns where they end. A file that became shorter is read from the
/// start.
fn each_line(file: &Path, from: u64, mut line: impl FnMut(&str)) -> io::Result<u64> {
    let mut file = regular_file::open(file)?;
    let mut at = if file.metadata()?.len() < from { 0 } else { from };
    file.seek(SeekFrom::Start(at))?;
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes)?;
        if bytes.pop() != Some(b'\n') {
            return Ok(at);
        }
        at += read as u64;
        line(&String::from_utf8_lossy(&bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(days: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (day, text) in days {
            fs::write(dir.path().join(format!("presenced.2026-11-{day}.log")), text).unwrap();
        }
        fs::write(dir.path().join("notes.log"), "not part of the log\n").unwrap();
        dir
    }

    fn shown(dir: &Path, lines: Option<usize>, since: Option<&str>) -> Vec<String> {
        let since = since.map(|since| format!("2026-11-{since}Z").parse().unwrap());
        let wanted = Selection { follow: false, lines, since };
        last_lines(&files(dir).unwrap(), &wanted).unwrap().0.into()
    }

    #[test]
    fn the_last_lines_may_span_several_days() {
        let dir = log(&[("22", "a\nb\n"), ("23", "c\n"), ("24", "d\ne\nhalf a li")]);
        assert_eq!(shown(dir.path(), Some(3), None), ["c", "d", "e"]);
        assert_eq!(shown(dir.path(), Some(2), None), ["d", "e"]);
        assert_eq!(shown(dir.path(), Some(0), None), [""; 0]);
        assert_eq!(shown(dir.path(), None, None), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_line_without_a_time_belongs_to_the_line_before() {
        let dir = log(&[
            ("23", "2026-11-23T08:00:00Z  INFO one\n2026-11-23T22:00:00Z  INFO two\n"),
            ("24", "2026-11-24T08:00:00.5Z  WARN three\n  more of it\n"),
        ]);
        let two = ["2026-11-23T22:00:00Z  INFO two", "2026-11-24T08:00:00.5Z  WARN three", "  more of it"];
        assert_eq!(shown(dir.path(), None, Some("23T12:00:00")), two);
        assert_eq!(shown(dir.path(), Some(1), Some("23T12:00:00")), two[2..]);
        assert_eq!(shown(dir.path(), None, Some("24T00:00:00")), two[1..]);
        assert_eq!(shown(dir.path(), None, Some("24T09:00:00")), [""; 0]);
    }

    #[test]
    fn new_lines_are_shown_once_and_across_midnight() {
        let dir = log(&[("23", "a\n")]);
        let mut end =
            last_lines(&files(dir.path()).unwrap(), &Selection { follow: true, lines: None, since: None }).unwrap().1;
        assert_eq!(end.at, 2);
        fs::write(dir.path().join("presenced.2026-11-23.log"), "a\nb\n").unwrap();
        fs::write(dir.path().join("presenced.2026-11-24.log"), "c\nhalf").unwrap();
        assert!(show_new(dir.path(), &mut end).unwrap().unwrap());
        assert_eq!((end.file.ends_with("presenced.2026-11-24.log"), end.at), (true, 2));
    }
}
