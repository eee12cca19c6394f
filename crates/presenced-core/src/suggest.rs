//! Words of a closed list in messages: the word that the user probably meant, or all of them.

/// Longer texts are not compared.
const MAX_WORD_BYTES: usize = 64;

/// The least Jaro-Winkler similarity (0 to 1) at which a word is suggested.
const MIN_SIMILARITY: f64 = 0.78;

/// The word in `words` that is most similar to `written`, ignoring ASCII case. `None` if no word is similar enough.
pub fn nearest<'w>(written: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // A text this long is not a misspelled word, and comparing it would waste time.
    if written.len() > MAX_WORD_BYTES {
        return None;
    }
    let written = written.to_ascii_lowercase();
    words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&written, &word.to_ascii_lowercase()), word))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| word)
}

/// Joins words as in a sentence: "a, b or c".
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

/// Like [`join`], with each word in backquotes: "`a`, `b` or `c`".
pub fn list<'w>(words: impl IntoIterator<Item = &'w str>, conjunction: &str) -> String {
    join(words.into_iter().map(|word| format!("`{word}`")), conjunction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_word_is_found_and_an_unrelated_one_is_not() {
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
