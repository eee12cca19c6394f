//! Text in columns: measures it as a terminal shows it, and cuts or wraps it to fit.

pub(in crate::cli) use crate::sanitize::printable;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The number of columns that a printable text takes.
pub(in crate::cli) fn columns(text: &str) -> usize {
    text.width()
}

/// The text, padded with spaces to `width` columns.
pub(in crate::cli) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The text cut at its end to at most `width` columns, with `…` in place of the rest.
pub(in crate::cli) fn cut_end(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let (head, _) = split_at_column(text, width.saturating_sub(1));
    // The first character may be wider than the space.
    let head = if columns(head) < width { head } else { "" };
    format!("{head}…")
}

/// The text cut at its start to at most `width` columns, for paths: their end says more.
pub(in crate::cli) fn cut_start(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let tail = text.char_indices().map(|(start, _)| &text[start..]).find(|tail| columns(tail) <= room);
    format!("…{}", tail.unwrap_or_default())
}

/// The text in lines of at most `width` columns, broken at spaces, or within a word if the word is longer than a line. Line
/// breaks of the text are kept, and a line that fits is not changed.
pub(in crate::cli) fn wrap(text: &str, width: usize) -> Vec<String> {
    text.lines().flat_map(|line| wrap_line(&printable(line), width)).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    if columns(line) <= width {
        return vec![line.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in line.split_whitespace() {
        let mut rest = word;
        loop {
            let current = lines.last_mut().expect("there is always at least one line");
            let gap = usize::from(!current.is_empty());
            if columns(current) + gap + columns(rest) <= width {
                current.push_str(&" "[..gap]);
                current.push_str(rest);
                break;
            }
            if !current.is_empty() {
                lines.push(String::new());
                continue;
            }
            let (head, tail) = split_at_column(rest, width);
            current.push_str(head);
            if tail.is_empty() {
                break;
            }
            lines.push(String::new());
            rest = tail;
        }
    }
    lines
}

/// Splits so that the first part has at most `width` columns, but at least one character. Measures the part as a whole, because a
/// character can change the width of the one before it: `©` takes one column, and two when U+FE0F makes it an emoji. Does not
/// split the two, if a shorter part is left.
fn split_at_column(text: &str, width: usize) -> (&str, &str) {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let ends = text.char_indices().map(|(start, char)| start + char.len_utf8());
    let fitting = ends.take_while(|end| columns(&text[..*end]) <= width);
    let belongs_to_the_last = |end: usize| text[end..].chars().next().is_some_and(|next| next.width() == Some(0));
    text.split_at(fitting.filter(|end| !belongs_to_the_last(*end)).last().unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_are_marked() {
        assert_eq!(cut_end("2 sources, 1204 events", 12), "2 sources, …");
        assert_eq!(cut_end("short", 5), "short");
        assert_eq!(cut_start("/run/user/1000/presenced/call-state", 12), "…/call-state");
        assert_eq!(cut_end("日本語の名前", 6), "日本…");
        assert_eq!(cut_end("日本語", 2), "…");
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("keep:\n   ^^^\n", 8), ["keep:", "   ^^^"]);
        assert_eq!(wrap("a\u{1b}[2Jb", 20), ["a\u{fffd}[2Jb"]);
        assert_eq!(wrap("", 8), [""; 0]);
    }

    #[test]
    fn a_character_stays_with_the_one_that_changes_its_width() {
        assert_eq!(wrap("abc©\u{fe0f}d", 4), ["abc", "©\u{fe0f}d"]);
        assert_eq!(wrap("ab©\u{fe0f}d", 4), ["ab©\u{fe0f}", "d"]);
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_no_word_is_lost(text in "[a-zé日©\u{fe0f} \n]{0,200}", width in 2_usize..60) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| columns(line) <= width), "{lines:?}");
            let squeezed = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(squeezed(&lines.concat()), squeezed(&text));
        }

        #[test]
        fn cuts_fit(text in "\\PC{0,80}", width in 2_usize..60) {
            prop_assert!(columns(&cut_end(&text, width)) <= width);
            prop_assert!(columns(&cut_start(&text, width)) <= width);
        }
    }
}
