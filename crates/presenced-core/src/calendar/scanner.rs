//! The scanner: bytes of any file in, unfolded content lines out, each with the number of the line it began on.
//!
//! It streams: one buffer and one logical line are all it holds, however long the file or the line. It takes what real
//! files hold: BOMs, UTF-16, every kind of line end, blank lines inside folds. Leaves to others: what a line means
//! (`property`), and bytes that are not UTF-8 (kept as they are; texts are read lossily).

use std::io::{self, Read};

/// The longest logical line that is kept, in bytes. What is beyond is read and dropped. Inline attachments are the only
/// lines of real files that get near it, and nobody needs those here.
const MAX_LINE: usize = 64 * 1024;

/// The most of a calendar file that is read, in bytes: a million events.
pub const MAX_FILE: u64 = 640 * 1024 * 1024;

/// How much is read at a time.
const CHUNK: usize = 32 * 1024;

/// An unfolded line (RFC 5545, 3.1).
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// The number of its first physical line, from 1.
    pub(super) number: u32,
    /// Its bytes, without the line end.
    pub(super) bytes: &'a [u8],
    /// Whether the end of it was dropped because it is too long.
    pub(super) cut: bool,
}

/// How the bytes spell characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16 { little_endian: bool },
}

/// Reads content lines from `source`.
#[derive(Debug)]
pub(super) struct Scanner<R> {
    source: R,
    /// What one read fills.
    buffer: Box<[u8]>,
    encoding: Option<Encoding>,
    /// Bytes as read; with UTF-16, what has not yet been decoded.
    raw: Vec<u8>,
    /// UTF-8, and how much of it is consumed.
    chunk: Vec<u8>,
    position: usize,
    read: u64,
    line: Vec<u8>,
    cut: bool,
    number: u32,
}

impl<R: Read> Scanner<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; CHUNK].into_boxed_slice(),
            encoding: None,
            raw: Vec::new(),
            chunk: Vec::new(),
            position: 0,
            read: 0,
            line: Vec::new(),
            cut: false,
            number: 1,
        }
    }

    /// Whether the file went on beyond the most that is read of one.
    pub(super) fn too_long(&self) -> bool {
        self.read > MAX_FILE
    }

    /// How many bytes have been read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// The next content line that is not blank; `None` at the end.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        self.cut = false;
        self.skip_blank_lines()?;
        let number = self.number;
        if self.peek()?.is_none() {
            return Ok(None);
        }
        loop {
            self.take_physical_line()?;
            // Some writers end lines with CR CR LF, some put a blank line after each: neither ends a fold.
            self.skip_blank_lines()?;
            match self.peek()? {
                Some(b' ' | b'\t') => self.position += 1,
                _ => break,
            }
        }
        Ok(Some(Line { number, bytes: &self.line, cut: self.cut }))
    }

    /// Appends what is left of the physical line to the logical one, and moves behind its end.
    fn take_physical_line(&mut self) -> io::Result<()> {
        while self.peek()?.is_some() {
            let rest = &self.chunk[self.position..];
            let end = memchr::memchr2(b'\n', b'\r', rest);
            let part = &rest[..end.unwrap_or(rest.len())];
            let room = MAX_LINE - self.line.len();
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

    /// Moves behind one LF, or behind a run of CRs and the LF that may follow it: with an LF that is one line end,
    /// without each CR was one.
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
        while self.position == self.chunk.len() {
            if !self.refill()? {
                return Ok(None);
            }
        }
        Ok(Some(self.chunk[self.position]))
    }

    /// Reads on; `false` at the end. The chunk may be empty even so, when only half a character came.
    fn refill(&mut self) -> io::Result<bool> {
        self.position = 0;
        self.chunk.clear();
        if self.too_long() {
            return Ok(false);
        }
        let Some(encoding) = self.encoding else {
            return self.detect_encoding();
        };
        match encoding {
            Encoding::Utf8 => {
                let read = read_some(&mut self.source, &mut self.buffer, &mut self.chunk)?;
                self.read += read as u64;
                Ok(read > 0)
            }
            Encoding::Utf16 { little_endian } => {
                let read = read_some(&mut self.source, &mut self.buffer, &mut self.raw)?;
                self.read += read as u64;
                self.decode_utf16(little_endian, read == 0);
                Ok(read > 0 || !self.chunk.is_empty())
            }
        }
    }

    /// Reads the first bytes, which tell the encoding: by a BOM, or by the zeros of UTF-16's ASCII.
    fn detect_encoding(&mut self) -> io::Result<bool> {
        while self.raw.len() < 3 {
            let read = read_some(&mut self.source, &mut self.buffer, &mut self.raw)?;
            self.read += read as u64;
            if read == 0 {
                break;
            }
        }
        let (encoding, mark) = match self.raw.as_slice() {
            [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
            [0xFF, 0xFE, ..] => (Encoding::Utf16 { little_endian: true }, 2),
            [0xFE, 0xFF, ..] => (Encoding::Utf16 { little_endian: false }, 2),
            [b'B', 0, ..] => (Encoding::Utf16 { little_endian: true }, 0),
            [0, b'B', ..] => (Encoding::Utf16 { little_endian: false }, 0),
            _ => (Encoding::Utf8, 0),
        };
        self.raw.drain(..mark);
        self.encoding = Some(encoding);
        match encoding {
            Encoding::Utf8 => self.chunk = std::mem::take(&mut self.raw),
            Encoding::Utf16 { little_endian } => self.decode_utf16(little_endian, false),
        }
        Ok(self.read > 0)
    }

    /// Decodes all whole characters of `raw` into `chunk`; at the end of the file, halves too, as U+FFFD.
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
        for decoded in char::decode_utf16(units) {
            let character = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.chunk.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.raw.drain(..whole);
        if at_end {
            self.raw.clear();
        }
    }
}

/// Reads once into `buffer` and appends that; how many bytes came, 0 at the end.
fn read_some(source: &mut impl Read, buffer: &mut [u8], into: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Ok(read) => {
                into.extend_from_slice(&buffer[..read]);
                return Ok(read);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(bytes: &[u8]) -> Vec<(u32, String)> {
        let mut scanner = Scanner::new(bytes);
        let mut lines = Vec::new();
        while let Some(line) = scanner.next_line().unwrap() {
            lines.push((line.number, String::from_utf8_lossy(line.bytes).into_owned()));
        }
        lines
    }

    /// Gives one byte at a time, so that everything is cut everywhere.
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
    fn every_line_end_ends_a_line() {
        let expected = [(1, "A:1".to_owned()), (2, "B:23".to_owned()), (4, "C:4".to_owned())];
        for end in ["\n", "\r\n", "\r\r\n", "\r"] {
            let file = ["A:1", "B:2", " 3", "C:4", ""].join(end);
            assert_eq!(scan(file.as_bytes()), expected, "{end:?}");
            let mut trickled = Scanner::new(Trickle(file.as_bytes()));
            for (number, text) in &expected {
                let line = trickled.next_line().unwrap().unwrap();
                assert_eq!((line.number, line.bytes), (*number, text.as_bytes()), "{end:?}");
            }
        }
    }

    #[test]
    fn a_character_cut_by_a_fold_is_whole_again() {
        assert_eq!(scan(b"SUMMARY:K\xC3\r\n \xB6ln\r\n"), [(1, "SUMMARY:K\u{f6}ln".to_owned())]);
    }

    #[test]
    fn byte_order_marks_are_no_part_of_the_text() {
        let text = "A:\u{1F600}\u{e9}\nB:2\n";
        let mut utf8 = vec![0xEF, 0xBB, 0xBF];
        utf8.extend_from_slice(text.as_bytes());
        let little: Vec<u8> = std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        for file in [utf8, little, big] {
            assert_eq!(scan(&file), [(1, "A:\u{1F600}\u{e9}".to_owned()), (2, "B:2".to_owned())]);
            let mut trickled = Scanner::new(Trickle(&file));
            assert_eq!(trickled.next_line().unwrap().unwrap().bytes, "A:\u{1F600}\u{e9}".as_bytes());
        }
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let mut file = b"A:".to_vec();
        file.resize(10 * MAX_LINE, b'x');
        file.extend_from_slice(b"\n more\nB:2");
        let mut scanner = Scanner::new(file.as_slice());
        let line = scanner.next_line().unwrap().unwrap();
        assert_eq!((line.number, line.bytes.len(), line.cut), (1, MAX_LINE, true));
        let line = scanner.next_line().unwrap().unwrap();
        assert_eq!((line.number, line.bytes, line.cut), (3, b"B:2".as_slice(), false));
        assert!(scanner.next_line().unwrap().is_none());
    }

    #[test]
    fn nothing_is_no_line() {
        assert_eq!(scan(b""), []);
        assert_eq!(scan(b"\r\n\r\n"), []);
        assert_eq!(scan(b"A"), [(1, "A".to_owned())]);
    }
}
