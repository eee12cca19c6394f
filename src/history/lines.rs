//! The lines of the file, one after the other, so that a large file needs little memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Take};

use jiff::Timestamp;
use serde::Deserialize;

use crate::config::History;

/// A longer line is not a record.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// No history is larger; the rest of a larger file is something else.
const MAX_FILE_BYTES: u64 = 2 * History::MAX_SIZE_MAX;

/// The buffer for reading.
const BUFFER_BYTES: usize = 256 * 1024;

/// What a record is about.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Head<'a> {
    pub(super) at: Timestamp,
    pub(super) event: &'a str,
    /// `None`: the daemon or the machine.
    #[serde(default)]
    pub(super) account: Option<&'a str>,
    /// `None`: the account itself.
    #[serde(default)]
    pub(super) user: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// `None`: the line is incomplete, or another version wrote it.
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

/// Reads lines.
pub(super) struct Lines {
    reader: BufReader<Take<File>>,
    line: Vec<u8>,
    /// Where the next line starts.
    next: u64,
}

impl Lines {
    pub(super) fn of(file: File) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER_BYTES, file.take(MAX_FILE_BYTES)), line: Vec::new(), next: 0 }
    }

    /// The next line with its line break, and where it starts. Of a line that is too long, only the start.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let start = self.next;
        self.line.clear();
        let read = (&mut self.reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line)?;
        self.next += read as u64;
        if read as u64 == MAX_LINE_BYTES && self.line.last() != Some(&b'\n') {
            self.skip_line()?;
        }
        Ok((read > 0).then_some((start, self.line.as_slice())))
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let skipped = end.unwrap_or(buffer.len());
            self.reader.consume(skipped);
            self.next += skipped as u64;
            if end.is_some() || skipped == 0 {
                return Ok(());
            }
        }
    }
}
