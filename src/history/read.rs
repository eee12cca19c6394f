//! Reading the file: every line that can be read, in order.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;

use super::{MAX_FILE_BYTES, Record};
use crate::regular_file;

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// The records, in the order in which they were written. Their times may go back, if the clock was set back.
    pub records: Vec<Record>,
    /// How many lines could not be read.
    pub skipped: usize,
    /// When the daemon last showed that it was alive, to the minute.
    pub alive_at: Option<Timestamp>,
}

/// Reads the file.
///
/// # Errors
/// It cannot be read, or does not exist.
pub fn read(path: &Path) -> io::Result<Read> {
    let file = regular_file::open(path)?;
    let alive_at = Timestamp::new(file.metadata()?.mtime(), 0).ok();
    let mut bytes = Vec::new();
    // No history is larger than that; a larger file is something else.
    file.take(2 * MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    let mut read = Read { alive_at, ..Read::default() };
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(record) => read.records.push(record),
            Err(_) => read.skipped += 1,
        }
    }
    Ok(read)
}
