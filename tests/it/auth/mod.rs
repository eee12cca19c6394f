//! Sign-in against a server that answers as Entra ID does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod answers;
mod people;
mod renewal;
mod secret_sources;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

/// What is declared with each token request.
const CP1: &str = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;

/// The stored sign-in, as it is on disk.
fn stored(folder: &TempDir) -> Option<String> {
    std::fs::read_to_string(folder.path().join("state/tokens/work.json")).ok()
}

fn only_its_owner_sees_the_sign_in(folder: &TempDir) {
    let tokens = folder.path().join("state/tokens");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&tokens), mode(&tokens.join("work.json"))), (0o700, 0o600));
    let mut files: Vec<_> = std::fs::read_dir(&tokens).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["work.json", "work.lock"]);
}
