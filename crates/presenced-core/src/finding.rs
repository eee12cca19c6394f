//! What a reader of a text found wrong in it. Showing it to a person, with the line and a caret, is left to the program.

use std::ops::Range;

/// One thing that is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The bytes concerned; `None` for the text as a whole.
    pub span: Option<Range<usize>>,
    /// One sentence that says what is wrong.
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
}

impl Finding {
    /// A finding about the text as a whole.
    pub fn whole(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), help: Some(help.into()) }
    }
}
