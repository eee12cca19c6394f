//! Text from outside, made safe to show on a terminal, in a log line or in markup.

use std::fmt::{self, Write};

/// The longest code that is shown, in characters.
const MAX_CODE_CHARS: usize = 64;

/// The longest value in a log line, in bytes. The error of a peer may be as long as that peer likes.
const MAX_LOGGED_BYTES: usize = 8 * 1024;

/// The text with every control character replaced, so that a name from a file cannot move a terminal's cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// The same for a text of several lines.
pub(crate) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// A value for a log line, which must stay one line: white space becomes spaces, other control characters are replaced, and what is
/// longer than [`MAX_LOGGED_BYTES`] is cut.
pub(crate) fn logged(value: fmt::Arguments<'_>) -> String {
    let mut line = LogText { text: String::new() };
    if line.write_fmt(value).is_err() {
        line.text.push('…');
    }
    line.text
}

/// What was written, until it is too long.
struct LogText {
    text: String,
}

impl Write for LogText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if self.text.len() + char.len_utf8() > MAX_LOGGED_BYTES {
                return Err(fmt::Error);
            }
            self.text.push(match char {
                '\t' | '\n' | '\r' => ' ',
                control if control.is_control() => char::REPLACEMENT_CHARACTER,
                other => other,
            });
        }
        Ok(())
    }
}

/// A code that a server sent, such as `invalid_grant`: its visible ASCII characters, up to a limit.
pub(crate) fn printable_code(code: &str) -> String {
    code.chars().filter(char::is_ascii_graphic).take(MAX_CODE_CHARS).collect()
}

/// The text as HTML or XML that shows exactly this text.
pub(crate) fn escape_markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced_and_other_text_stays() {
        assert_eq!(printable("日本 é\u{1b}[2J\n\u{9b}"), "日本 é\u{fffd}[2J\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_logged_value_stays_on_its_line_and_ends() {
        let text = "a\r\n\u{1b}]0;title\u{7}\u{9b}2J ü";
        assert_eq!(logged(format_args!("{text}")), "a  \u{fffd}]0;title\u{fffd}\u{fffd}2J ü");
        let long = "ü".repeat(MAX_LOGGED_BYTES);
        let cut = logged(format_args!("{long}{long}"));
        assert_eq!(cut.len(), MAX_LOGGED_BYTES + '…'.len_utf8());
        assert!(cut.ends_with("ü…"));
    }

    #[test]
    fn a_code_is_short_and_visible() {
        assert_eq!(printable_code("invalid_grant\u{1b}[2J é"), "invalid_grant[2J");
        assert_eq!(printable_code(&"x".repeat(100)).len(), MAX_CODE_CHARS);
    }

    #[test]
    fn markup_in_text_is_shown_and_not_interpreted() {
        assert_eq!(escape_markup("<b a='1' c=\"2\">&é"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;é");
    }
}
