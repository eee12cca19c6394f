//! A problem that a parser found in a text. The program shows it to the user, with the line and a caret.

use std::ops::Range;

/// One problem in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The bytes that the problem is about; `None` if it is about the whole text.
    pub span: Option<Range<usize>>,
    /// One sentence that says what is wrong.
    pub message: String,
    /// How to fix it, if known.
    pub help: Option<String>,
}

impl Finding {
    /// A finding about the whole text.
    pub fn whole(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), help: Some(help.into()) }
    }
}
