//! Phrases that no native speaker would write are not allowed in code, messages and documents (CONTRIBUTING.md, "Plain English"). Nor are
//! files of more than 500 lines of code.

use std::fs;
use std::path::{Path, PathBuf};

/// Phrases that are not allowed, in lower case. A space matches the start or the end of a line, and any punctuation too.
const BANNED: [(&str, &str); 29] = [
    (" mend ", "fix"),
    (" mends ", "fixes"),
    (" mended ", "fixed"),
    (" to be had ", "available"),
    (" of before ", "earlier"),
    (" who wants ", "if you want"),
    (" whoever wants ", "if you want"),
    (" goes by ", "uses, follows"),
    (" let be ", "left alone"),
    (" goes on with ", "continues"),
    (" go on with ", "continue"),
    (" of late ", "recently"),
    (" is no ", "is not a"),
    (" are no ", "are not"),
    (" is none ", "does not exist"),
    (" are none ", "do not exist"),
    (" was none ", "did not exist"),
    (" is not well ", "is degraded, is invalid"),
    (" all is well ", "everything works"),
    (" all the same ", "still, anyway"),
    (" is told ", "is reported, learns"),
    (" are told ", "are reported, learn"),
    (" told by ", "reported by"),
    (" told of ", "notified about"),
    (" so many ", "this many"),
    (" what is so ", "the facts"),
    (" has it that ", "says that"),
    (" wanted of ", "needed from"),
    (" does as well ", "also works"),
];

/// Plain English that contains a banned phrase, and one error of Graph.
const ALLOWED: [&str; 9] = [
    "there is no ",
    "there are no ",
    "there is none ",
    "there are none ",
    "there was none ",
    "there were none ",
    "is no longer ",
    "is no more ",
    "is not well formed ",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", ".git", "corpus", "node_modules"].contains(&name.as_str()) {
                files(&path, found);
            }
        } else if [
            ".rs", ".md", ".toml", ".py", ".sh", ".snap", ".service", ".socket", ".conf", ".yaml", ".yml", ".mjs",
        ]
        .iter()
        .any(|end| name.ends_with(end))
        {
            found.push(path);
        }
    }
}

/// The text as words with one space between them, without the markers of comments and strings.
fn words(line: &str) -> String {
    let spaced: String = line
        .to_lowercase()
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '\'' || c == '_' { c } else { ' ' })
        .collect();
    format!(" {} ", spaced.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn nothing_reads_like_a_translation() {
    let mut all = Vec::new();
    for part in ["src", "crates", "tests", "docs", "config", "packaging", "benches", "fuzz", ".ci"] {
        files(&root().join(part), &mut all);
    }
    all.extend(
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "Cargo.toml", "clippy.toml", "deny.toml"]
            .map(|f| root().join(f)),
    );
    let mut wrong = Vec::new();
    let mut lines = 0;
    for file in all.iter().filter(|file| !file.ends_with("plain_english.rs")) {
        for (number, line) in fs::read_to_string(file).expect("text").lines().enumerate() {
            // The value `None`, of Rust or Python, is not English.
            let mut text = words(&line.replace("`None`", "").replace(" None", ""));
            for allowed in ALLOWED {
                text = text.replace(allowed, "");
            }
            for (banned, better) in BANNED {
                if text.contains(banned) {
                    let place = file.strip_prefix(root()).expect("a file below").display();
                    wrong.push(format!("{place}:{}: `{}`; write: {better}", number + 1, banned.trim()));
                }
            }
            lines += 1;
        }
    }
    assert!(lines > 50_000, "only {lines} lines were read");
    assert!(wrong.is_empty(), "CONTRIBUTING.md, \"Plain English\":\n{}", wrong.join("\n"));
}

#[test]
fn the_check_finds_a_phrase_wherever_it_is() {
    for line in
        ["// It is no socket.", "    \"the fix: mend it\",", "and (as it is told)", "fn what_is_so() {} // what is so"]
    {
        let text = words(line);
        assert!(BANNED.iter().any(|(banned, _)| text.contains(banned)), "{line}");
    }
}

#[test]
fn no_source_file_is_too_long_to_have_one_reason_to_change() {
    let mut all = Vec::new();
    for part in ["src", "crates", "tests", "benches"] {
        files(&root().join(part), &mut all);
    }
    for file in all.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let text = fs::read_to_string(file).expect("text");
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count();
        assert!(code <= 500, "{} has {code} lines; 500 at most, 400 as a rule", file.display());
    }
}
