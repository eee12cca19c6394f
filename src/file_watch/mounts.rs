//! The mounts that this process sees: a file system that is mounted over a watched folder, or unmounted from it, is not an event
//! of that folder.
//!
//! The kernel reports a change of the table to whoever polls it (`proc_pid_mountinfo(5)`). Leaves to others: whom it concerns.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::fd;
use crate::fill::Fill as _;

const TABLE: &str = "/proc/self/mountinfo";

/// Follows the table of mounts.
#[derive(Debug)]
pub(super) struct Mounts {
    polled: AsyncFd<OwnedFd>,
    known: BTreeSet<Mount>,
}

/// A mount's number, and where it is.
type Mount = (u64, PathBuf);

impl Mounts {
    /// Follows it from now on. Needs a Tokio runtime.
    pub(super) fn follow() -> io::Result<Self> {
        let polled = fd::urgent(fs::File::open(TABLE)?.into())?;
        Ok(Self { polled, known: parse(&fs::read(TABLE)?) })
    }

    /// Waits until something is mounted or unmounted; says where.
    pub(super) async fn changed(&mut self) -> io::Result<BTreeSet<PathBuf>> {
        loop {
            self.polled.ready(Interest::PRIORITY).await?.clear_ready();
            let before = std::mem::replace(&mut self.known, parse(&fs::read(TABLE)?));
            let changed = before.symmetric_difference(&self.known);
            let changed: BTreeSet<PathBuf> = changed.map(|(_, place)| place.clone()).collect();
            if !changed.is_empty() {
                return Ok(changed);
            }
        }
    }
}

/// Reads the table: in each line, the mount's number is the first field, and its place the fifth.
fn parse(table: &[u8]) -> BTreeSet<Mount> {
    let mount = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b' ');
        let number = str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        Some((number, unescaped(fields.nth(3)?)))
    };
    table.split(|byte| *byte == b'\n').filter_map(mount).fill()
}

/// A path in which a space, a tab, a line feed and a backslash are written as `\ooo`.
fn unescaped(mut text: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(text.len());
    while let Some((first, rest)) = text.split_first() {
        let code = (*first == b'\\').then(|| str::from_utf8(rest.get(..3)?).ok()).flatten();
        let (byte, rest) = match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => (byte, &rest[3..]),
            None => (*first, rest),
        };
        path.push(byte);
        text = rest;
    }
    OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_known_by_their_number_and_place() {
        let table = b"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            36 22 0:32 / /mnt/my\\040disk rw - tmpfs tmpfs rw\nnonsense\n";
        let known: Vec<_> = parse(table).into_iter().collect();
        assert_eq!(known, [(22, PathBuf::from("/")), (36, PathBuf::from("/mnt/my disk"))]);
        assert_eq!(unescaped(b"a\\9\\01"), PathBuf::from("a\\9\\01"));
    }
}
