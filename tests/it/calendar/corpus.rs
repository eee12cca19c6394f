//! The corpus of the fuzz targets, each file through the checks that they make. What fuzzing found is among them.

use std::path::Path;

#[path = "../../../fuzz/checks/calendar.rs"]
mod checks;

#[expect(clippy::print_stdout, reason = "names the file that a failure is about")]
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        check(&std::fs::read(&path).unwrap());
        files += 1;
    }
    assert!(files >= 10, "the corpus is in {}", folder.display());
}

#[test]
fn no_file_of_the_corpus_breaks_a_promise() {
    replay("calendar_file", checks::file);
}

#[test]
fn no_rule_of_the_corpus_breaks_a_promise() {
    replay("calendar_rule", checks::rule);
}
