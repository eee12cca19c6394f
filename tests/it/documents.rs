//! What the documents say about the code is true.

use std::fs;
use std::path::Path;

/// The rows of the tables of docs/security.md name tests: `` `file` `test`, `test`; … ``.
#[test]
fn each_threat_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let security = include_str!("../../docs/security.md");
    let box_checks: String = ["desk_checks", "logind_checks", "service_checks"]
        .map(|name| fs::read_to_string(root.join(format!("tests/systemd/{name}.py"))).expect("the box's checks"))
        .concat();
    let mut tests = 0;
    for row in security.lines().filter(|line| line.starts_with("| ")) {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().expect("a last column");
        if shown_by == "shown by" {
            continue;
        }
        for place in shown_by.split("; ") {
            let mut names = place.split('`').skip(1).step_by(2);
            let source = if place.starts_with("box ") {
                box_checks.clone()
            } else {
                let file = names.next().unwrap_or_else(|| panic!("no file in `{place}`"));
                fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
            };
            for name in names {
                let exists = ["fn", "def"].iter().any(|word| source.contains(&format!("{word} {name}(")));
                assert!(exists, "docs/security.md names `{name}`, which is not in {place}");
                tests += 1;
            }
        }
    }
    assert!(tests > 40, "only {tests} tests were found");
}

/// The words of an enum as they are on the wire: its variants in kebab-case.
fn words(source: &str, name: &str) -> Vec<String> {
    let (_, body) = source.split_once(&format!("pub enum {name} {{\n")).expect("the enum");
    let (body, _) = body.split_once("\n}").expect("its end");
    let variants = body.lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
    let mut words: Vec<String> = variants.map(|line| line.trim_end_matches(',').to_owned()).collect();
    for word in &mut words {
        let cut: Vec<String> = word
            .char_indices()
            .map(|(at, letter)| {
                let dash = if at > 0 && letter.is_uppercase() { "-" } else { "" };
                format!("{dash}{}", letter.to_lowercase())
            })
            .collect();
        *word = cut.concat();
    }
    words
}

/// The first column of the table below a heading.
fn first_column(document: &str, heading: &str) -> Vec<String> {
    let (_, section) = document.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let section = section.split("\n## ").next().expect("a section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split(['`', ' ']).next().expect("a word").to_owned()).collect()
}

#[test]
fn each_warning_and_each_state_is_in_the_troubleshooting() {
    let document = include_str!("../../docs/troubleshooting.md");
    let codes = words(include_str!("../../crates/presenced-core/src/warning.rs"), "Code");
    assert!(codes.contains(&"lock-unproved".to_owned()), "{codes:?}");
    assert_eq!(first_column(document, "Warnings"), codes, "in the order of src/warning.rs");
    let mut states = first_column(document, "The state of an account");
    states.dedup();
    states.retain(|word| word != "the");
    let mut expected: Vec<_> = presenced::session::State::ALL.iter().map(ToString::to_string).collect();
    states.sort();
    expected.sort();
    assert_eq!(states, expected);
}

/// The rows of the table below a heading, without its head.
fn rows<'a>(document: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let (_, section) = document.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let section = section.split("\n## ").next().expect("a section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.skip(1).map(|row| row.split(" | ").collect()).collect()
}

#[test]
fn the_emulators_document_says_what_each_behaviour_rests_on() {
    let found = rows(include_str!("../../docs/emulator.md"), "What it rests on");
    let known: Vec<[String; 3]> = presenced_emulator::BEHAVIOURS
        .iter()
        .map(|known| [known.case.to_owned(), known.answer.to_owned(), known.basis.to_string()])
        .collect();
    assert_eq!(found, known);
}

#[test]
fn the_emulators_document_has_the_versions_that_are_tested() {
    let mut tested = Vec::new();
    for line in include_str!("../clients/requirements.txt").lines() {
        tested.extend(line.split_once("=="));
    }
    for line in include_str!("../clients/package.json").lines() {
        tested.extend(line.trim().trim_end_matches(',').trim_matches('"').split_once("\": \""));
    }
    let found = rows(include_str!("../../docs/emulator.md"), "What is tested");
    assert_eq!(found.len(), 6, "{found:?}");
    for row in found {
        let (name, version) = (row[0].trim_matches('`'), row[1]);
        assert!(tested.contains(&(name, version)), "docs/emulator.md has another version of {name} than tests/clients");
    }
}

/// `[text](other.md#part)`: the file is there, and so is the heading.
#[test]
fn links_between_the_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<_> = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name)).into();
    documents.extend(fs::read_dir(root.join("docs")).expect("documents").map(|entry| entry.expect("an entry").path()));
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut links = 0;
    for document in documents {
        let text = fs::read_to_string(&document).expect("a document");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let there = document.with_file_name(if file.is_empty() {
                document.file_name().unwrap().to_str().unwrap()
            } else {
                file
            });
            assert!(there.exists(), "{}: {target}", document.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&there).expect("a document");
                let mut anchors = text.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(anchors.any(|anchor| anchor == heading), "{}: no heading for {target}", document.display());
            }
            links += 1;
        }
    }
    assert!(links > 30, "only {links} links were found");
}

/// How a heading is linked to.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// CONTRIBUTING.md: a test waits for a state, never for a while. `clippy.toml` cannot say so, since the tests start programs.
/// Where time itself is what a test is about, and why.
const TIMED: [(&str, &str); 2] = [
    ("process_limit.rs", "tokio ends an idle thread after 10 s, and a thread that does not end has no event"),
    ("storm.rs", "the storm has a rhythm; it waits for nothing"),
];

#[test]
fn no_test_waits_for_a_while() {
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")];
    let mut read = 0;
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source");
            read += 1;
            if TIMED.iter().any(|(name, _)| path.ends_with(name)) {
                continue;
            }
            for banned in ["sleep", "interval"].map(|name| format!("tokio::time::{name}")) {
                assert!(!source.contains(&banned), "{} has {banned}", path.display());
            }
        }
    }
    assert!(read > 50, "only {read} files were found");
}
