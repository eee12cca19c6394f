//! The scanner: turns the bytes of any file into unfolded content lines (RFC 5545, 3.1), each with its line number.
//!
//! It streams. It keeps only one buffer and one logical line in memory, regardless of the file's size. A line without a fold is
//! borrowed from the buffer. It accepts what real files contain: BOMs, UTF-16, every kind of line end, and blank lines inside
//! folds. Bytes that are not UTF-8 are passed on unchanged. Leaves to others: what a line means (`property`).

use std::io::{self, Read};

/// The longest logical line that is kept, in bytes. The rest of a longer line is read and dropped. In real files, only inline
/// attachments get this long, and they are not needed here.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// The most bytes that are read of one calendar file, enough for a million events. The rest is left out and reported.
pub const MAX_FILE_BYTES: u64 = 640 * 1024 * 1024;

/// How many bytes are read at a time.
const CHUNK_BYTES: usize = 32 * 1024;

/// How many bytes are read first. Most files in a folder have a single event and need no more.
const FIRST_CHUNK_BYTES: usize = 4 * 1024;

// A line within a chunk is never too long, even if its characters need half as much space again in UTF-8 as in UTF-16.
const _: () = assert!(2 * CHUNK_BYTES <= MAX_LINE_BYTES);

/// An unfolded line (RFC 5545, 3.1).
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// The number of its first physical line, counted from 1.
    pub(super) number: u32,
    /// Its bytes, without the line end.
    pub(super) bytes: &'a [u8],
    /// Whether its end was dropped because the line is too long.
    pub(super) cut: bool,
}

/// The character encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16 { little_endian: bool },
}

/// Reads content lines from a source.
pub(super) struct Scanner<'r> {
    /// Not generic, so that this is compiled once, and with the optimisation of this crate.
    source: &'r mut dyn Read,
    encoding: Option<Encoding>,
    /// For UTF-16: the bytes that are not decoded yet.
    raw: Vec<u8>,
    /// Space for UTF-8, how much of it is filled, and how much of that is consumed.
    chunk: Vec<u8>,
    filled: usize,
    position: usize,
    read: u64,
    /// Whether the source has ended. It is not asked again.
    ended: bool,
    /// The logical line, unless it is borrowed from the chunk.
    line: Vec<u8>,
    cut: bool,
    number: u32,
}

impl<'r> Scanner<'r> {
    pub(super) fn new(source: &'r mut dyn Read) -> Self {
        Self {
            source,
            encoding: None,
            raw: Vec::new(),
            chunk: vec![0; FIRST_CHUNK_BYTES],
            filled: 0,
            position: 0,
            read: 0,
            ended: false,
            line: Vec::new(),
            cut: false,
            number: 1,
        }
    }

    /// Whether the file is longer than [`MAX_FILE_BYTES`].
    pub(super) fn too_long(&self) -> bool {
        self.read > MAX_FILE_BYTES
    }

    /// The next content line; `None` at the end. Blank lines are skipped.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.skip_blank_lines()?;
        let number = self.number;
        if let Some((length, next)) = self.whole_line() {
            let start = self.position;
            self.position += next;
            self.number = self.number.saturating_add(1);
            return Ok(Some(Line { number, bytes: &self.chunk[start..start + length], cut: false }));
        }
        if self.peek()?.is_none() {
            return Ok(None);
        }
        self.line.clear();
        self.cut = false;
        loop {
            self.take_physical_line()?;
            // Some programs end lines with CR CR LF or put a blank line after each. Neither ends a fold.
            self.skip_blank_lines()?;
            match self.peek()? {
                Some(b' ' | b'\t') => self.position += 1,
                _ => break,
            }
        }
        Ok(Some(Line { number, bytes: &self.line, cut: self.cut }))
    }

    /// The length of the next line, and where the line after it begins, if it is certain that the line is not folded: the
    /// chunk contains its end, which is LF or CR LF, and the beginning of another line.
    fn whole_line(&self) -> Option<(usize, usize)> {
        let rest = &self.chunk[self.position..self.filled];
        let length = memchr::memchr2(b'\n', b'\r', rest)?;
        match rest[length..] {
            [b'\n', after, ..] if begins_line(after) => Some((length, length + 1)),
            [b'\r', b'\n', after, ..] if begins_line(after) => Some((length, length + 2)),
            _ => None,
        }
    }

    /// Appends the rest of the physical line to the logical line, and moves past its end.
    fn take_physical_line(&mut self) -> io::Result<()> {
        while self.peek()?.is_some() {
            let rest = &self.chunk[self.position..self.filled];
            let end = memchr::memchr2(b'\n', b'\r', rest);
            let part = &rest[..end.unwrap_or(rest.len())];
            let room = MAX_LINE_BYTES - self.line.len();
            self.cut |= part.len() > room;
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            self.position += part.len();
            if end.is_some() {
                return self.take_line_end();
            }
        }
        Ok(())
    }

    fn skip_blank_lines(&mut self) -> io::Result<()> {
        while matches!(self.peek()?, Some(b'\n' | b'\r')) {
            self.take_line_end()?;
        }
        Ok(())
    }

    /// Moves past an LF, or past a run of CRs and an optional LF. A run that ends in an LF is one line end; otherwise each CR
    /// is one.
    fn take_line_end(&mut self) -> io::Result<()> {
        let mut returns: u32 = 0;
        while self.peek()? == Some(b'\r') {
            self.position += 1;
            returns = returns.saturating_add(1);
        }
        let ends = if self.peek()? == Some(b'\n') {
            self.position += 1;
            1
        } else {
            returns
        };
        self.number = self.number.saturating_add(ends);
        Ok(())
    }

    /// The next byte, not consumed; `None` at the end.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        while self.position == self.filled {
            if !self.refill()? {
                return Ok(None);
            }
        }
        Ok(Some(self.chunk[self.position]))
    }

    /// Reads more; `false` at the end. The chunk may still be empty if only half a character was read. Kept out of the callers
    /// of [`Self::peek`], which look at a few bytes of every line.
    #[inline(never)]
    fn refill(&mut self) -> io::Result<bool> {
        // What filled the space may go on.
        let grows = self.filled == self.chunk.len();
        (self.position, self.filled) = (0, 0);
        if self.too_long() {
            return Ok(false);
        }
        match self.encoding {
            None => self.detect_encoding(),
            Some(Encoding::Utf8) => {
                if grows {
                    self.chunk.resize(CHUNK_BYTES, 0);
                }
                self.filled = self.read_some(0)?;
                Ok(self.filled > 0)
            }
            Some(Encoding::Utf16 { little_endian }) => {
                self.chunk.resize(CHUNK_BYTES, 0);
                let read = self.read_some(0)?;
                self.raw.extend_from_slice(&self.chunk[..read]);
                self.decode_utf16(little_endian, read == 0);
                Ok(read > 0 || self.filled > 0)
            }
        }
    }

    /// Detects the encoding from the first bytes: from a BOM, or from the zero bytes in UTF-16.
    fn detect_encoding(&mut self) -> io::Result<bool> {
        while self.filled < 3 {
            let read = self.read_some(self.filled)?;
            self.filled += read;
            if read == 0 {
                break;
            }
        }
        let (encoding, mark) = match self.chunk[..self.filled] {
            [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
            [0xFF, 0xFE, ..] => (Encoding::Utf16 { little_endian: true }, 2),
            [0xFE, 0xFF, ..] => (Encoding::Utf16 { little_endian: false }, 2),
            [b'B', 0, ..] => (Encoding::Utf16 { little_endian: true }, 0),
            [0, b'B', ..] => (Encoding::Utf16 { little_endian: false }, 0),
            _ => (Encoding::Utf8, 0),
        };
        self.position = mark;
        self.encoding = Some(encoding);
        if let Encoding::Utf16 { little_endian } = encoding {
            self.raw.extend_from_slice(&self.chunk[mark..self.filled]);
            self.decode_utf16(little_endian, false);
        }
        Ok(self.read > 0)
    }

    /// Decodes all complete characters of `raw` into `chunk`. At the end of the file, incomplete ones become U+FFFD.
    fn decode_utf16(&mut self, little_endian: bool, at_end: bool) {
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if little_endian { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
        };
        let mut whole = self.raw.len() & !1;
        let ends_in_half_a_pair = |whole: usize| (0xD800..0xDC00).contains(&unit(&self.raw[whole - 2..whole]));
        if whole >= 2 && !at_end && ends_in_half_a_pair(whole) {
            whole -= 2;
        }
        let units = self.raw[..whole].chunks_exact(2).map(unit);
        self.chunk.clear();
        for decoded in char::decode_utf16(units) {
            let character = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.chunk.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        (self.position, self.filled) = (0, self.chunk.len());
        self.raw.drain(..whole);
        if at_end {
            self.raw.clear();
        }
    }

    /// Reads once into `chunk`, from `at` on. Returns the number of bytes, 0 at the end.
    fn read_some(&mut self, at: usize) -> io::Result<usize> {
        while !self.ended {
            match self.source.read(&mut self.chunk[at..]) {
                Ok(read) => {
                    self.ended = read == 0;
                    self.read += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }
}

/// Whether a content line begins with this byte. A fold or a line end continues the line before.
const fn begins_line(byte: u8) -> bool {
    !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(bytes: &[u8]) -> Vec<(u32, String)> {
        let mut bytes = bytes;
        let mut scanner = Scanner::new(&mut bytes);
        let mut lines = Vec::new();
        while let Some(line) = scanner.next_line().unwrap() {
            lines.push((line.number, String::from_utf8_lossy(line.bytes).into_owned()));
        }
        lines
    }

    /// Returns one byte at a time, so that reads end everywhere.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1).min(into.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn every_kind_of_line_end_is_accepted() {
        let expected = [(1, "A:1".to_owned()), (2, "B:23".to_owned()), (4, "C:4".to_owned())];
        for end in ["\n", "\r\n", "\r\r\n", "\r"] {
            let file = ["A:1", "B:2", " 3", "C:4", ""].join(end);
            assert_eq!(scan(file.as_bytes()), expected, "{end:?}");
            let mut trickle = Trickle(file.as_bytes());
            let mut trickled = Scanner::new(&mut trickle);
            for (number, text) in &expected {
                let line = trickled.next_line().unwrap().unwrap();
                assert_eq!((line.number, line.bytes), (*number, text.as_bytes()), "{end:?}");
            }
        }
    }

    #[test]
    fn a_character_that_is_split_by_a_fold_is_joined() {
        assert_eq!(scan(b"SUMMARY:K\xC3\r\n \xB6ln\r\n"), [(1, "SUMMARY:K\u{f6}ln".to_owned())]);
    }

    #[test]
    fn byte_order_marks_are_removed() {
        let text = "A:\u{1F600}\u{e9}\nB:2\n";
        let mut utf8 = vec![0xEF, 0xBB, 0xBF];
        utf8.extend_from_slice(text.as_bytes());
        let little: Vec<u8> = std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        for file in [utf8, little, big] {
            assert_eq!(scan(&file), [(1, "A:\u{1F600}\u{e9}".to_owned()), (2, "B:2".to_owned())]);
            let mut trickle = Trickle(&file);
            let mut trickled = Scanner::new(&mut trickle);
            assert_eq!(trickled.next_line().unwrap().unwrap().bytes, "A:\u{1F600}\u{e9}".as_bytes());
        }
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_not() {
        let mut file = b"A:".to_vec();
        file.resize(10 * MAX_LINE_BYTES, b'x');
        file.extend_from_slice(b"\n more\nB:2");
        let mut bytes = file.as_slice();
        let mut scanner = Scanner::new(&mut bytes);
        let line = scanner.next_line().unwrap().unwrap();
        assert_eq!((line.number, line.bytes.len(), line.cut), (1, MAX_LINE_BYTES, true));
        let line = scanner.next_line().unwrap().unwrap();
        assert_eq!((line.number, line.bytes, line.cut), (3, b"B:2".as_slice(), false));
        assert!(scanner.next_line().unwrap().is_none());
    }

    #[test]
    fn a_line_is_the_same_wherever_a_chunk_ends() {
        let lines = ["B:2", " 3", "C:4", "\t5", "", " 6", "D:7", "", "E:8", ""];
        for end in ["\n", "\r\n", "\r\r\n", "\r"] {
            for border in [FIRST_CHUNK_BYTES, FIRST_CHUNK_BYTES + CHUNK_BYTES] {
                for before in 0..40 {
                    let first = format!("A:{}", "x".repeat(border - 2 - before));
                    let file = format!("{first}{end}{}", lines.join(end));
                    let found: Vec<String> = scan(file.as_bytes()).into_iter().map(|(_, text)| text).collect();
                    assert_eq!(found, [&first, "B:23", "C:456", "D:7", "E:8"], "{end:?}, {border}, {before}");
                }
            }
        }
    }

    /// Says that it has ended, and then goes on. A file that is being written does that.
    struct Resumed<'a>(std::slice::Iter<'a, &'a [u8]>);

    impl Read for Resumed<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let mut part = self.0.next().copied().unwrap_or_default();
            part.read(into)
        }
    }

    #[test]
    fn a_source_that_has_ended_is_not_read_again() {
        for first in ["A:1\n", "A:1", "A"] {
            let parts = [first.as_bytes(), b"", b"B:2\n"];
            let mut source = Resumed(parts.iter());
            let mut scanner = Scanner::new(&mut source);
            assert_eq!(scanner.next_line().unwrap().unwrap().bytes, first.trim_end().as_bytes());
            assert!(scanner.next_line().unwrap().is_none());
            assert!(scanner.next_line().unwrap().is_none());
        }
    }

    #[test]
    fn an_empty_file_has_no_lines() {
        assert_eq!(scan(b""), []);
        assert_eq!(scan(b"\r\n\r\n"), []);
        assert_eq!(scan(b"A"), [(1, "A".to_owned())]);
    }
}
