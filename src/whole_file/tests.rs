use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

use super::*;

fn names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

fn place() -> (TempDir, PathBuf, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    let draft = folder.path().join(".file.draft");
    (folder, path, draft)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_is_replaced_or_created_but_never_created_over_another() {
    let (folder, path, _) = place();
    create_new(&path, b"one", PRIVATE).unwrap();
    assert_eq!(create_new(&path, b"two", PRIVATE).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"one".to_vec(), 0o600));
    replace(&path, b"three", 0o644).unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"three".to_vec(), 0o644));
    assert_eq!(names(&folder), ["file"]);
    assert!(remove(&path).unwrap() && !remove(&path).unwrap());
    // Be it a link to nothing.
    symlink("nothing", &path).unwrap();
    assert_eq!(create_new(&path, b"four", PRIVATE).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(names(&folder), ["file"]);
}

#[test]
fn a_draft_that_is_dropped_leaves_the_old_file_and_nothing_else() {
    let (folder, path, draft) = place();
    replace(&path, b"old", PRIVATE).unwrap();
    let mut dropped = Draft::new(&path, PRIVATE).unwrap();
    dropped.write_all(b"new").unwrap();
    assert_eq!((fs::read(&draft).unwrap(), mode(&draft)), (b"new".to_vec(), 0o600));
    drop(dropped);
    assert_eq!((fs::read(&path).unwrap(), names(&folder)), (b"old".to_vec(), vec!["file".to_owned()]));
}

#[test]
fn leftovers_of_killed_processes_are_swept_and_block_nothing() {
    let (folder, path, _) = place();
    replace(&path, b"old", PRIVATE).unwrap();
    for draft in drafts(&path) {
        fs::write(&draft, "half of a secr").unwrap();
        // As a process without the right mode, or an administrator, may have left it.
        fs::set_permissions(&draft, Permissions::from_mode(0o444)).unwrap();
    }
    replace(&path, b"new", PRIVATE).unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), 0o600));
    assert_eq!(names(&folder), ["file"]);

    drafts(&path).for_each(|draft| fs::write(draft, "half of a secr").unwrap());
    assert!(remove(&path).unwrap());
    assert!(names(&folder).is_empty(), "what is left of a secret goes with it");
}

#[test]
fn a_kill_between_linking_and_unlinking_costs_nothing() {
    let (folder, path, draft) = place();
    fs::write(&path, "whole").unwrap();
    fs::hard_link(&path, &draft).unwrap();
    drop(Draft::new(&path, PRIVATE).unwrap());
    assert_eq!((fs::read(&path).unwrap(), names(&folder)), (b"whole".to_vec(), vec!["file".to_owned()]));
}

#[test]
fn planted_links_and_pipes_are_removed_and_never_followed() {
    let (folder, path, draft) = place();
    let victim = folder.path().join("victim");
    let plant_symlink = || symlink(&victim, &draft).unwrap();
    let plant_hard_link = || fs::hard_link(&victim, &draft).unwrap();
    let plant_pipe = || rustix::fs::mkfifoat(CWD, &draft, rustix::fs::Mode::RUSR).unwrap();
    fs::write(&victim, "untouched").unwrap();
    fs::set_permissions(&victim, Permissions::from_mode(0o640)).unwrap();
    let plants: [&dyn Fn(); 3] = [&plant_symlink, &plant_hard_link, &plant_pipe];
    for plant in plants {
        plant();
        replace(&path, b"secret", PRIVATE).unwrap();
        assert_eq!((fs::read(&victim).unwrap(), mode(&victim)), (b"untouched".to_vec(), 0o640));
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(names(&folder), ["file", "victim"]);
    }
    // The name itself may be a link too: it is replaced, and what it leads to stays.
    fs::remove_file(&path).unwrap();
    symlink(&victim, &path).unwrap();
    replace(&path, b"secret", PRIVATE).unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
}

#[test]
fn an_obstacle_that_cannot_be_removed_blocks_nothing_until_all_names_are_taken() {
    let (_folder, path, draft) = place();
    fs::create_dir(&draft).unwrap();
    replace(&path, b"one", PRIVATE).unwrap();
    drafts(&path).skip(1).for_each(|draft| fs::create_dir(draft).unwrap());
    assert_eq!(replace(&path, b"two", PRIVATE).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(fs::read(&path).unwrap(), b"one");
}

#[test]
fn a_live_writer_keeps_its_draft_and_the_last_to_finish_wins() {
    let (folder, path, draft) = place();
    let mut slow = Draft::new(&path, PRIVATE).unwrap();
    slow.write_all(b"slow").unwrap();
    replace(&path, b"quick", PRIVATE).unwrap();
    assert_eq!(fs::read(&draft).unwrap(), b"slow", "nobody takes it for a leftover");
    assert_eq!(names(&folder), [".file.draft", "file"]);
    slow.replace().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"slow");

    let writers: Vec<_> = (0..MAX_DRAFTS).map(|_| Draft::new(&path, PRIVATE).unwrap()).collect();
    assert_eq!(Draft::new(&path, PRIVATE).unwrap_err().kind(), ErrorKind::ResourceBusy);
    drop(writers);
    assert_eq!(names(&folder), ["file"]);
}

#[test]
fn many_writers_at_once_leave_one_whole_file() {
    let (folder, path, _) = place();
    let whole = |writer: u8| vec![writer; 10_000];
    replace(&path, &whole(0), PRIVATE).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let seen = fs::read(&path).unwrap();
                assert_eq!(seen, whole(seen[0]));
            }
        });
        let writers: Vec<_> = (1..8)
            .map(|writer| {
                let path = &path;
                scope.spawn(move || (0..30).try_for_each(|_| replace(path, &whole(writer), PRIVATE)))
            })
            .collect();
        for writer in writers {
            writer.join().unwrap().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    assert_eq!(names(&folder), ["file"]);
}

#[test]
fn without_a_folder_it_is_an_error() {
    let (folder, path, _) = place();
    let below = folder.path().join("missing/file");
    assert_eq!(replace(&below, b"", PRIVATE).unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(&path, "no folder").unwrap();
    assert_eq!(replace(&path.join("file"), b"", PRIVATE).unwrap_err().kind(), ErrorKind::NotADirectory);
}
