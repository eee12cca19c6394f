//! Text from outside, made safe to show on a terminal, in a log line or in markup.

/// The longest code that is shown, in characters.
const MAX_CODE_CHARS: usize = 64;

/// The text with every control character replaced, so that a name from a file cannot move a terminal's cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
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
    fn a_code_is_short_and_visible() {
        assert_eq!(printable_code("invalid_grant\u{1b}[2J é"), "invalid_grant[2J");
        assert_eq!(printable_code(&"x".repeat(100)).len(), MAX_CODE_CHARS);
    }

    #[test]
    fn markup_in_text_is_shown_and_not_interpreted() {
        assert_eq!(escape_markup("<b a='1' c=\"2\">&é"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;é");
    }
}
