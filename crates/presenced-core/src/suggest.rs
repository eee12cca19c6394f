//! Words of closed lists in sentences: the one that somebody most likely meant, and all of them.

/// The one of `words` that is nearest to `written`, ignoring ASCII case; `None` when nothing is near enough to be meant.
pub fn nearest<'w>(written: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // A long text is no misspelling of a word, and comparing it would take time for nothing.
    if written.len() > 64 {
        return None;
    }
    let written = written.to_ascii_lowercase();
    words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&written, &word.to_ascii_lowercase()), word))
        .filter(|(likeness, _)| *likeness >= 0.78)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| word)
}

/// The words as people list them: "a, b or c".
pub fn join<S: AsRef<str>>(words: impl IntoIterator<Item = S>, conjunction: &str) -> String {
    let words: Vec<S> = words.into_iter().collect();
    let mut joined = String::new();
    for (position, word) in words.iter().enumerate() {
        let is_last = position + 1 == words.len();
        match position {
            0 => {}
            _ if is_last => joined.extend([" ", conjunction, " "]),
            _ => joined.push_str(", "),
        }
        joined.push_str(word.as_ref());
    }
    joined
}

/// The same, each word in backquotes: "`a`, `b` or `c`".
pub fn list<'w>(words: impl IntoIterator<Item = &'w str>, conjunction: &str) -> String {
    join(words.into_iter().map(|word| format!("`{word}`")), conjunction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word_and_another_word_finds_none() {
        let words = ["tenant", "client_id", "user", "cloud", "auth", "endpoints"];
        assert_eq!(nearest("tennant", words), Some("tenant"));
        assert_eq!(nearest("client-id", words), Some("client_id"));
        assert_eq!(nearest("CLIENT_ID", words), Some("client_id"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest(&"tenant".repeat(20), words), None);
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(list([], "or"), "");
        assert_eq!(join(["a"], "or"), "a");
        assert_eq!(list(["a", "b"], "or"), "`a` or `b`");
        assert_eq!(list(["a", "b", "c"], "and"), "`a`, `b` and `c`");
    }
}
