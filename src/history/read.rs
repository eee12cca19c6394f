//! Reading the file: every line that can be read, in their order.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;

use super::{LARGEST, Record};

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// The records, in the order in which they were written. The clock may have been set back in between.
    pub records: Vec<Record>,
    /// How many lines could not be read.
    pub skipped: usize,
    /// When the daemon last gave a sign of life, to the minute.
    pub alive_at: Option<Timestamp>,
}

/// Reads the file.
///
/// # Errors
/// It cannot be read, or is not there.
pub fn read(path: &Path) -> io::Result<Read> {
    let file = File::open(path)?;
    let alive_at = Timestamp::new(file.metadata()?.mtime(), 0).ok();
    let mut bytes = Vec::new();
    // No history is longer: what is, is something else.
    file.take(2 * LARGEST).read_to_end(&mut bytes)?;
    let mut read = Read { alive_at, ..Read::default() };
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(record) => read.records.push(record),
            Err(_) => read.skipped += 1,
        }
    }
    Ok(read)
}
