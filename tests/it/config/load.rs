//! Reading the file from disk, and the secret files it names.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use presenced::config::{self, Config, Problems};

use super::{ACCOUNT, environment};

fn load(path: &Path) -> Result<Config, Problems> {
    config::load(path, &environment())
}

/// The message and the help of the one problem.
fn only(problems: &Problems) -> (&str, &str) {
    let all: Vec<_> = problems.iter().collect();
    assert_eq!(all.len(), 1, "{all:#?}");
    (&all[0].message, all[0].help.as_deref().unwrap_or_default())
}

#[test]
fn a_missing_file_says_where_one_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let problems = load(&dir.path().join("config.toml")).unwrap_err();
    let (message, help) = only(&problems);
    assert_eq!(message, "the file does not exist");
    assert!(help.contains("desktop.toml") && help.contains("$PRESENCED_CONFIG"), "{help}");
    assert!(help.contains("/home/me/.config/presenced/config.toml"), "{help}");
    assert!(problems.render(80, false).starts_with(&format!("a problem in {}", dir.path().display())));
}

#[test]
fn a_folder_a_huge_file_and_binary_data_are_problems() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(only(&load(dir.path()).unwrap_err()).0, "this is a folder");

    let file = dir.path().join("config.toml");
    fs::write(&file, "#".repeat(1024 * 1024 + 1)).unwrap();
    assert_eq!(only(&load(&file).unwrap_err()).0, "the file is larger than 1 MB");

    fs::write(&file, b"a = 1\nb = \"\xff\xfe\"\n").unwrap();
    let problems = load(&file).unwrap_err();
    assert_eq!(only(&problems).0, "not UTF-8 from here on");
    let position = problems.iter().next().unwrap().position.unwrap();
    assert_eq!((position.line, position.column), (2, 6));
    problems.render(80, false);
}

#[test]
fn relative_paths_start_from_the_files_folder() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    fs::write(&file, format!("{ACCOUNT}[signals.call]\npath = \"calls\"\n")).unwrap();
    assert_eq!(load(&file).unwrap().signals.call.unwrap().path, dir.path().join("calls"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    fs::write(&file, format!("\u{feff}{}", ACCOUNT.replace('\n', "\r\n"))).unwrap();
    load(&file).unwrap();
}

#[test]
fn a_secret_file_is_readable_by_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let (file, secret) = (dir.path().join("config.toml"), dir.path().join("secret"));
    let account = ACCOUNT.replace("device-code\"", "client-secret\", secret = { file = \"secret\" }");
    fs::write(&file, format!("{account}user = \"fa8bf3dc-eca7-46b7-bad1-db199b62afc3\"\n")).unwrap();

    let missing = load(&file).unwrap_err();
    assert_eq!(only(&missing).0, "the secret file does not exist");
    assert_eq!(missing.iter().next().unwrap().position.unwrap().line, 4);

    fs::write(&secret, "hunter2").unwrap();
    for (mode, is_private) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o644, false)] {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        let loaded = load(&file);
        assert_eq!(loaded.is_ok(), is_private, "{mode:o}");
        if let Err(problems) = loaded {
            let (message, help) = only(&problems);
            assert_eq!(message, format!("others can read the secret file (mode {mode:03o})"));
            assert!(help.contains(&format!("chmod 600 {}", secret.display())), "{help}");
        }
    }

    // Kubernetes mounts secrets as links: the mode of what they point to counts.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&secret, dir.path().join("data")).unwrap();
    symlink("data", &secret).unwrap();
    load(&file).unwrap();

    fs::remove_file(&secret).unwrap();
    fs::create_dir(&secret).unwrap();
    assert_eq!(only(&load(&file).unwrap_err()).0, "the secret file is a folder");
}
