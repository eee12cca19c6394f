//! The socket's file: who owns it, and who may use it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use presenced::status::BindError;
use tempfile::TempDir;

use super::{start, status_line};
use crate::stage::fake_daemon::{FakeDaemon, report};

#[test]
fn only_the_owner_gets_in() {
    let (folder, daemon) = start();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&daemon.socket), 0o600);
    assert_eq!(mode(&folder.path().join("presenced")), 0o700);
    assert_eq!(mode(&folder.path().join("presenced/presenced.sock.lock")), 0o600);
}

#[test]
fn a_folder_that_exists_keeps_its_mode() {
    let folder = TempDir::new().unwrap();
    let shared = folder.path().join("presenced");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _daemon = FakeDaemon::start(folder.path(), report());
    assert_eq!(std::fs::metadata(&shared).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn a_dead_socket_is_replaced_and_our_own_is_removed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("presenced.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a dropped listener leaves its file");
    let daemon = FakeDaemon::try_start(&path, report()).unwrap();
    assert_eq!(status_line(&daemon.request("GET", "/healthz", "").0), "HTTP/1.1 200 OK");
    daemon.stop();
    assert!(!path.exists());
    // Once more: the remaining lock file does not block a new daemon.
    FakeDaemon::try_start(&path, report()).unwrap().stop();
}

#[test]
fn a_second_daemon_gets_the_pid_of_the_first() {
    let (_folder, daemon) = start();
    let refused = FakeDaemon::try_start(&daemon.socket, report()).err().expect("refused");
    assert!(matches!(refused, BindError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{refused:?}");
    assert!(refused.to_string().contains("presenced is already running (pid "), "{refused}");
    // Even without the lock, a daemon that answers is not replaced.
    std::fs::remove_file(daemon.socket.with_extension("sock.lock")).unwrap();
    let refused = FakeDaemon::try_start(&daemon.socket, report()).err().expect("refused");
    assert!(matches!(refused, BindError::InUse { pid: Some(_), .. }), "{refused:?}");
    assert_eq!(status_line(&daemon.request("GET", "/healthz", "").0), "HTTP/1.1 200 OK");
}

#[test]
fn one_of_many_simultaneous_daemons_wins() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("presenced.sock");
    drop(UnixListener::bind(&path).unwrap());
    let barrier = std::sync::Barrier::new(8);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = std::iter::repeat_with(|| {
            scope.spawn(|| {
                barrier.wait();
                FakeDaemon::try_start(&path, report())
            })
        })
        .take(8)
        .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(matches!(refused, BindError::InUse { .. }), "{refused:?}");
    }
}

#[test]
fn only_sockets_are_ever_removed() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("thesis.txt");
    std::fs::write(&file, "years of work").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &link, &folder.path().to_path_buf()] {
        let refused = FakeDaemon::try_start(path, report()).err().expect("refused");
        assert!(matches!(refused, BindError::NotASocket { .. }), "{refused:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "years of work");
    assert!(link.is_symlink());
}

#[test]
fn a_file_that_took_the_sockets_place_stays() {
    let (_folder, daemon) = start();
    let path = daemon.socket.clone();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "another program's").unwrap();
    daemon.stop();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "another program's");
}

#[test]
fn unusable_paths_say_why() {
    let folder = TempDir::new().unwrap();
    let long = folder.path().join("x".repeat(120));
    let refused = FakeDaemon::try_start(&long, report()).err().expect("refused");
    assert!(matches!(refused, BindError::PathTooLong { length, .. } if length > 120), "{refused:?}");
    assert!(refused.to_string().contains("at most 107"), "{refused}");

    std::fs::write(folder.path().join("file"), "").unwrap();
    let refused = FakeDaemon::try_start(&folder.path().join("file/presenced.sock"), report()).err().expect("refused");
    assert!(refused.to_string().starts_with("cannot create the folder "), "{refused}");
    assert!(refused.hint().contains("--socket"));
    // The longest path that fits.
    let room = 107 - folder.path().as_os_str().len() - 1;
    FakeDaemon::try_start(&folder.path().join("y".repeat(room)), report()).unwrap().stop();
}
