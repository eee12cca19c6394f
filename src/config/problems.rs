//! All problems of a configuration at once, and how they are shown: the line, a caret, a sentence, and how to fix it.
//!
//! It never contains a secret: [`mask`](super::mask) redacts the source before it is kept.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use presenced_core::finding::Finding;
use textwrap::{WordSeparator, WordSplitter};

use super::mask::redact;
use crate::sanitize::{printable, printable_lines};

/// How many problems are kept: a file that is not a configuration at all may have a hundred thousand.
pub(super) const MAX_KEPT: usize = 100;
/// How many of them are rendered.
const MAX_SHOWN: usize = 20;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None`: the whole file.
    pub position: Option<Position>,
    /// One sentence: what is wrong.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
    /// The bytes to point at, all on one line.
    span: Range<usize>,
}

/// A place in the file, counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The problems of one configuration file (or fault plan), in the order of its lines: at least one, and at most the first
/// hundred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: PathBuf,
    /// The file's text without secrets, of the same length in bytes.
    source: Arc<String>,
    list: Vec<Problem>,
    /// Whether there were more than [`MAX_KEPT`].
    there_are_more: bool,
}

impl Problems {
    /// The problems for `findings` in `text`, which was read from `file`.
    pub(crate) fn new(file: &Path, text: &str, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.span.as_ref().map(|span| span.start));
        let there_are_more = findings.len() > MAX_KEPT;
        findings.truncate(MAX_KEPT);
        let list = findings.into_iter().map(|finding| place(finding, text)).collect();
        Self { file: file.to_owned(), source: Arc::new(redact(text)), list, there_are_more }
    }

    /// One problem with the file as a whole.
    pub(super) fn of_file(file: &Path, message: String, help: String) -> Self {
        Self::new(file, "", vec![Finding { span: None, message, help: Some(help) }])
    }

    /// The file they are in.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The problems, in the order of the file's lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// The whole report: a headline, then for each problem its sentence, the line with a caret, and how to fix it. Sentences are
    /// wrapped at `width` columns; `colour` adds ANSI styles.
    pub fn render(&self, width: usize, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width.max(40))
            .with_break_words(false)
            // People copy ids, pairs and commands from reports: a line breaks only at spaces.
            .with_word_separator(WordSeparator::AsciiSpace)
            .with_word_splitter(WordSplitter::NoHyphenation)
            .with_context_lines(1)
            .without_primary_span_start();
        let mut report = self.headline();
        for problem in self.list.iter().take(MAX_SHOWN) {
            report.push_str("\n\n");
            let shown = Shown { problem, source: self.named_source(problem) };
            let mut one = String::new();
            match handler.render_report(&mut one, &shown) {
                Ok(()) => report.push_str(one.trim_matches('\n')),
                Err(fmt::Error) => report.push_str(&printable_lines(&problem.message)),
            }
        }
        report
    }

    fn headline(&self) -> String {
        let file = self.shown_file();
        match self.list.len() {
            1 => format!("a problem in {file}"),
            many if self.there_are_more => format!("more than {many} problems in {file}; the first {MAX_SHOWN}:"),
            many if many > MAX_SHOWN => format!("{many} problems in {file}; the first {MAX_SHOWN}:"),
            many => format!("{many} problems in {file}"),
        }
    }

    /// The file's name, which a terminal may show.
    fn shown_file(&self) -> String {
        printable(&self.file.display().to_string())
    }

    /// The source with the name in the snippet's heading. It is our own type, because miette counts columns in bytes.
    fn named_source(&self, problem: &Problem) -> Option<NamedSource<Arc<String>>> {
        let Position { line, column } = problem.position?;
        let name = format!("{}:{line}:{column}", self.shown_file());
        Some(NamedSource::new(name, Arc::clone(&self.source)))
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    /// One line, for logs: the first problem with its place, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        let Some(first) = self.list.first() else { return Ok(()) };
        if let Some(Position { line, column }) = first.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", first.message)?;
        match self.list.len() - 1 {
            0 => Ok(()),
            more if self.there_are_more => write!(f, " (and more than {more} more)"),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl std::error::Error for Problems {}

/// Computes a finding's line and column, and cuts its span at the end of the line, so that one caret is enough.
fn place(finding: Finding, source: &str) -> Problem {
    let Finding { span, message, help } = finding;
    let Some(span) = span else { return Problem { position: None, message, help, span: 0..0 } };
    let start = source.floor_char_boundary(span.start);
    let line_start = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = source[start..].find(['\r', '\n']).map_or(source.len(), |length| start + length);
    let end = source.floor_char_boundary(span.end).clamp(start, line_end);
    let line = source[..line_start].matches('\n').count() + 1;
    let column = source[line_start..start].chars().count() + 1;
    Problem { position: Some(Position { line, column }), message, help, span: start..end }
}

/// A problem in the form that miette needs.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: Option<NamedSource<Arc<String>>>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable_lines(&self.problem.message))
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(printable_lines(help)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref()?;
        let label = LabeledSpan::new_primary_with_span(None, self.problem.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}
