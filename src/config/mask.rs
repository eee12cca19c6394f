//! Redacts everything in a configuration's text that may be a secret, before any line of it is shown.
//!
//! Reports show source lines, also lines near the wrong one and lines that are not TOML at all. So this works on the text and
//! not on the parsed document: a value is blanked if its key says that it is a secret, wherever it is, even in a comment. An
//! address is shown up to its host: a calendar's address is itself a secret. The *place* of a secret (`file`, `credential`,
//! `env`, `command`) stays readable. If in doubt, it blanks too much.

use std::ops::Range;

/// Parts of a key that say that its value is a secret.
const SECRET: [&str; 6] = ["secret", "password", "passphrase", "token", "assertion", "key"];
/// The keys of a secret's table, and of `[tokens]`, that hold a place, not the secret itself.
const PLACES: [&str; 5] = ["file", "credential", "env", "command", "store"];

/// `text` with `*` for each byte that may belong to a secret, and `?` for each byte of a control character, which could
/// control a terminal. It has as many bytes as `text`, so that spans still fit.
pub(super) fn redact(text: &str) -> String {
    let mut shown = text.as_bytes().to_vec();
    for range in secrets(text).into_iter().chain(passwords_of_urls(text)).chain(addresses(text)).chain(pem_blocks(text))
    {
        blank(&mut shown, range);
    }
    for (at, control) in text.char_indices().filter(|(_, char)| char.is_control()) {
        let ends_line = text[at..].starts_with('\n') || text[at..].starts_with("\r\n");
        if !ends_line && control != '\t' {
            shown[at..at + control.len_utf8()].fill(b'?');
        }
    }
    String::from_utf8(shown).expect("only whole characters are replaced, and by ASCII")
}

fn blank(bytes: &mut [u8], range: Range<usize>) {
    for byte in &mut bytes[range] {
        if !matches!(*byte, b'\r' | b'\n' | b' ') {
            *byte = b'*';
        }
    }
}

/// Finds the values of keys that look like secrets. Takes time linear in the text, so that no file can delay a report.
fn secrets(text: &str) -> Vec<Range<usize>> {
    // Only ASCII case, so that both texts have the same positions.
    let lowered = text.to_ascii_lowercase();
    let mut words: Vec<usize> =
        SECRET.iter().flat_map(|word| lowered.match_indices(word).map(|(start, _)| start)).collect();
    words.sort_unstable();
    let mut found = Vec::new();
    let mut at = 0;
    for start in words {
        if start < at {
            continue;
        }
        let name_end = start + lowered[start..].find(|c| !is_key_char(c)).unwrap_or(text.len() - start);
        let (last_key, rest) = dotted_keys(text, name_end);
        at = rest;
        match text.as_bytes().get(rest) {
            Some(b'=') => {
                let start = skip_blanks(text, rest + 1);
                at = if text[start..].starts_with('{') {
                    pairs(text, start + 1..value_end(text, start), &mut found)
                } else {
                    value(text, last_key, start, &mut found)
                };
            }
            // A table's header: its keys follow, up to the next header.
            Some(b']') => {
                let end = text[rest..].find("\n[").map_or(text.len(), |newline| rest + newline);
                at = pairs(text, rest + 1..end, &mut found);
            }
            Some(_) | None => {}
        }
    }
    found
}

fn skip_blanks(text: &str, at: usize) -> usize {
    at + text[at..].find(|c| !matches!(c, ' ' | '\t')).unwrap_or(text.len() - at)
}

fn is_key_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '-')
}

/// Skips the `"`, blanks and further keys of `secret . "file" =`. Returns the last key and the position of the next byte.
fn dotted_keys(text: &str, mut at: usize) -> (&str, usize) {
    let mut last_key = "";
    loop {
        let rest = &text[at..];
        let Some(next) = rest.find(|c| !matches!(c, ' ' | '\t' | '"' | '\'' | '.')) else {
            return (last_key, text.len());
        };
        // A new key comes only after a dot: `token-command", x = …` is a value with something after it.
        if !rest[..next].contains('.') {
            return (last_key, at + next);
        }
        let key = &rest[next..];
        last_key = &key[..key.find(|c| !is_key_char(c)).unwrap_or(key.len())];
        at += next + last_key.len();
        if last_key.is_empty() {
            return (last_key, at);
        }
    }
}

/// Adds the part to blank of the value of `key` that begins at `start`, and returns its end.
fn value(text: &str, key: &str, start: usize, found: &mut Vec<Range<usize>>) -> usize {
    let end = value_end(text, start);
    let is_place = PLACES.contains(&key);
    if is_place && (matches!(key, "file" | "command") || is_plain_name(&text[start..end])) {
        return end;
    }
    // Without quotes, anything else on this line may belong to the secret.
    let is_delimited = text[start..].starts_with(['"', '\'', '[', '{']);
    let end = if is_delimited || is_place { end } else { line_end(text, end) };
    found.push(start..end);
    end
}

/// Adds the parts to blank of a table's keys and values, and returns their end.
fn pairs(text: &str, table: Range<usize>, found: &mut Vec<Range<usize>>) -> usize {
    let mut at = table.start;
    while at < table.end {
        let pair = &text[at..table.end];
        let Some(separator) = pair.find(['=', ',', '\n', '}']) else {
            found.push(at..table.end);
            break;
        };
        let key = pair[..separator].trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
        if pair[separator..].starts_with('=') {
            // A text that cannot be a key may be the secret itself, in the wrong place.
            if !key.chars().all(is_key_char) {
                found.push(at..at + separator);
            }
            at = value(text, key, skip_blanks(text, at + separator + 1), found);
        } else {
            found.push(at..at + separator);
            at += separator + 1;
        }
    }
    table.end.max(at)
}

/// The end of the value that begins at `start`: after its closing quote or bracket, or at the end of the line.
fn value_end(text: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(next) = text[at..].chars().next() {
        match next {
            '"' | '\'' => at = string_end(text, at, next),
            '[' | '{' => (depth, at) = (depth + 1, at + 1),
            ']' | '}' if depth > 0 => (depth, at) = (depth - 1, at + 1),
            '\n' | ',' | '}' if depth == 0 => return at,
            other => at += other.len_utf8(),
        }
        // Closed, unless something unquoted follows, which then belongs to it until the end of the line.
        if depth == 0 && matches!(next, '"' | '\'' | ']' | '}') {
            let behind = text[at..].trim_start_matches([' ', '\t']);
            if behind.is_empty() || behind.starts_with(['\r', '\n', ',', '}', ']', '#']) {
                return at;
            }
            return line_end(text, at);
        }
    }
    text.len()
}

fn line_end(text: &str, at: usize) -> usize {
    at + text[at..].find('\n').unwrap_or(text.len() - at)
}

/// The end of the string whose opening quote is at `start`: after the closing one. A string of one line ends with the line at
/// the latest.
fn string_end(text: &str, start: usize, quote: char) -> usize {
    let delimiter_length = if text[start..].starts_with(&quote.to_string().repeat(3)) { 3 } else { 1 };
    let delimiter = &text[start..start + delimiter_length];
    let mut at = start + delimiter_length;
    while let Some(next) = text[at..].chars().next() {
        if text[at..].starts_with(delimiter) {
            return at + delimiter_length;
        }
        if next == '\n' && delimiter_length == 1 {
            return at;
        }
        at += next.len_utf8();
        if next == '\\' && quote == '"' {
            at += text[at..].chars().next().filter(|escaped| *escaped != '\n').map_or(0, char::len_utf8);
        }
    }
    text.len()
}

/// Whether a value is a quoted plain name, like those of variables and credentials. A secret seldom is.
fn is_plain_name(value: &str) -> bool {
    let name = value.trim().trim_matches(['"', '\'']);
    name.chars().all(|char| is_key_char(char) || char == '.')
}

/// The user information of URLs: between `://` and `@`.
fn passwords_of_urls(text: &str) -> Vec<Range<usize>> {
    let authorities = text.match_indices("://").map(|(at, scheme)| at + scheme.len());
    authorities
        .filter_map(|start| {
            let rest = &text[start..];
            let authority = &rest[..rest.find(['/', '"', '\'', '\n', '?', '#']).unwrap_or(rest.len())];
            Some(start..start + authority.rfind('@')?)
        })
        .collect()
}

/// Keys and certificates themselves, in PEM. A block without an end ends with the text.
fn pem_blocks(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("-----BEGIN ").map(|start| at + start) {
        at = text[start..].find("-----END ").map_or(text.len(), |end| start + end);
        found.push(start..at);
    }
    found
}

/// What follows the host in addresses, except in those of services (`graph`, `login`), and values of `url` that are not
/// addresses.
fn addresses(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, scheme) in text.match_indices("://") {
        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let before = text[line..at].trim_end_matches(is_key_char);
        let opening = before.chars().next_back().filter(|quote| matches!(quote, '"' | '\''));
        let key = before.trim_end_matches(['"', '\'']).trim_end().strip_suffix('=').map(str::trim_end);
        let is_of_service = key.is_some_and(|key| key.ends_with("graph") || key.ends_with("login"));
        if is_of_service {
            continue;
        }
        let host = at + scheme.len();
        let end = match opening {
            Some(quote) => {
                let is_long = before.ends_with(&quote.to_string().repeat(3));
                string_end(text, line + before.len() - if is_long { 3 } else { 1 }, quote).max(host)
            }
            None => line_end(text, host),
        };
        let end = end - usize::from(opening.is_some_and(|quote| text[host..end].ends_with(quote)));
        let tail = text[host..end].find(['/', '?', '#', ' ', '\n']).map_or(end, |tail| host + tail);
        found.push(tail..end);
    }
    for (at, key) in text.match_indices("url") {
        let (_, rest) = dotted_keys(text, at + key.len());
        let is_key = !text[..at].ends_with(is_key_char) && text[rest..].starts_with('=');
        let start = if is_key { skip_blanks(text, rest + 1) } else { continue };
        let end = value_end(text, start);
        if !text[start..end].contains("://") {
            found.push(start..end);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_blanked_wherever_they_are() {
        for text in [
            "secret = \"hunter2\"",
            "secret = 'hunter2'",
            "secret=hunter2",
            "secret = \"hunter2",
            "secret = \"\"\"\nhunter2\nhunter2\"\"\"",
            "secret = '''hunter2",
            "secret = \"a\\\"hunter2\"",
            "secret = \"a\"hunter2\"",
            "secret = a,hunter2",
            "secret = { value = \"hunter2\" }",
            "secret = { value = hunter2== }",
            "secret = { \"hunter2\" }",
            "secret = { hunter2, x }",
            "secret = { file = \"/run/x\", value = \"hunter2\" }",
            "secret = { env = \"hunter2~x\" }",
            "secret = [\n  \"hunter2\",\n  \"hunter2\"\n]",
            "secret . \"value\" = \"hunter2\"",
            "\"secret\" = \"hunter2\"",
            "secret = { keyring = { service = \"hunter2\" } }",
            "[accounts.work.auth.secret]\nvalue = \"hunter2\"\nother = 'hunter2'\n[session]\n",
            "# secret = \"hunter2\"",
            "Client_Secret = \"hunter2\"",
            "client_secret_value = \"hunter2\"",
            "auth = { method = \"client-secret\" secret = \"hunter2\" }",
            "command = [\"get\", \"--token=hunter2\"]",
            "password = \"hunter2\"\nrefresh-token = \"hunter2\"",
            "graph = \"https://me:hunter2@graph.example\"",
            "sources = [{ url = \"https://cal.example/hunter2/basic.ics\" }]",
            "sources = [{ path = 'webcal://cal.example?hunter2' }]",
            "sources = [\"https://cal.example/hunter2\", \"https://cal.example/#hunter2\"]",
            "url = \"cal.example/hunter2\"",
            "url = https://cal.example/hunter2, x\"hunter2\"",
            "url = \"https:\\u002f\\u002fcal.example/hunter2\"",
            "url = \"\"\"https://cal.example/\nhunter2\"\"\"",
            "url = \"https://cal.example/hunter2",
            "# url = \"https://cal.example/hunter2\"",
            "key = \"hunter2\"",
            "key = { hunter2 }",
            "assertion = 'hunter2'",
            "certificate = \"\"\"-----BEGIN PRIVATE KEY-----\nhunter2\nhunter2\n-----END PRIVATE KEY-----\"\"\"",
            "certificate = '-----BEGIN RSA PRIVATE KEY-----\nhunter2",
        ] {
            let shown = redact(text);
            assert!(!shown.contains("hunter2"), "{text}\n{shown}");
            assert_eq!(shown.len(), text.len());
        }
    }

    #[test]
    fn the_place_of_a_secret_and_everything_else_stay_readable() {
        for text in [
            "auth = { method = \"client-secret\", secret = { file = \"/run/secrets/teams\" } }",
            "auth.secret.credential = \"client-secret\"\nuser = \"x\"",
            "secret = { env = \"CLIENT_SECRET\" } # a variable\n[session]\nexpiration = \"15m\"",
            "secret = { command = [\"pass\", \"show\", \"teams\"] }\non_exit = \"keep\"",
            "[accounts.work.auth.secret]\nfile = \"~/secret\"\n[session]\non_exit = \"keep\"\n",
            "auth = { method = \"token-command\", command = [\"az\", \"account\", \"get-access-token\"] }",
            "graph = \"https://graph.example/v1.0\" # ask me@example.com",
            "endpoints = { graph = \"https://graph.example/v1.0\", login = 'http://127.0.0.1:1/x' }",
            "sources = [{ url = \"https://cal.example\", refresh = \"15m\" }]",
            "auth = { method = \"client-certificate\", certificate = \"~/bot.pem\", key = { file = \"~/bot.key\" } }",
            "assertion = { file = \"$AZURE_FEDERATED_TOKEN_FILE\" }",
            "[tokens]\nstore = \"keyrign\"\n[session]\non_exit = \"keep\"",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn what_follows_a_secret_stays_readable() {
        let text = "auth = { secret = \"hunter2\", method = \"client-secret\" }\nuser = \"x\"";
        assert_eq!(redact(text), "auth = { secret = *********, method = \"client-secret\" }\nuser = \"x\"");
    }

    #[test]
    fn control_characters_cannot_reach_a_terminal() {
        assert_eq!(redact("a\u{1b}[31m\tb\u{85}c\rd\r\ne\0"), "a?[31m\tb??c?d\r\ne?");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_keeps_its_length_and_lines(text in "(secret|token|file| ?= ?|[\"'{}\\[\\],.#\\\\é\r\n]|\"\"\"|://|@|\\PC){0,30}") {
            let shown = redact(&text);
            prop_assert_eq!(shown.len(), text.len());
            prop_assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
        }
    }
}
