//! Stand-ins for the programs that presenced starts. They are first on PATH, and save their environment and their arguments.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::house::House;

/// What a stand-in for systemctl does: it installs and shows a service, but does not start it.
pub(crate) const SYSTEMCTL: &str = "case \"$*\" in\n\
    *show*UnitPath*) echo \"UnitPath=$HOME/.config/systemd/user\" ;;\n\
    *show*) printf 'LoadState=loaded\\nActiveState=inactive\\nUnitFileState=enabled\\n' ;;\n\
    *restart*) exit 1 ;;\n\
    esac";

/// Puts stand-ins into the house, each with what it does after it was saved, and returns a PATH with them.
pub(crate) fn furnish(house: &House, programs: &[(&str, &str)]) -> String {
    let bin = house.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(house.path("kept")).unwrap();
    for (name, does) in programs {
        let kept = house.path("kept").display().to_string();
        // Renamed only when it is complete.
        let keep =
            format!("cat /proc/$$/environ /proc/$$/cmdline > {kept}/draft.$$\nmv {kept}/draft.$$ {kept}/{name}.$$");
        house.write(&format!("bin/{name}"), format!("#!/bin/sh\n{keep}\n{does}\n"));
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

/// Whether a program was started since [`take`] was called last.
pub(crate) fn is_started(house: &House, program: &str) -> bool {
    let mut kept = std::fs::read_dir(house.path("kept")).unwrap().map(|entry| entry.unwrap().file_name());
    kept.any(|name| name.to_str().unwrap().starts_with(program))
}

/// Takes what a program saved: for each start, its process id, and its environment and arguments.
pub(crate) fn take(house: &House, program: &str) -> Vec<(i32, String)> {
    let mut taken = Vec::new();
    for entry in std::fs::read_dir(house.path("kept")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(pid) = name.strip_prefix(program).and_then(|rest| rest.strip_prefix('.')) {
            let saved = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            taken.push((pid.parse().unwrap(), saved));
            std::fs::remove_file(path).unwrap();
        }
    }
    taken
}

/// presenced as `binary`, with this configuration.
pub(crate) fn presenced(binary: &Path, house: &House, config: &Path, arguments: &[&str], path: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .env("HOME", house.path("."))
        .env("XDG_RUNTIME_DIR", house.path("."))
        .env("PRESENCED_CONFIG", config)
        .env("BOT_SECRET", "emulator-secret")
        .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The program at a path that it can be installed from: not in a build folder.
pub(crate) fn installed(house: &House) -> PathBuf {
    let (built, installed) = (Path::new(env!("CARGO_BIN_EXE_presenced")), house.path("presenced"));
    if std::fs::hard_link(built, &installed).is_err() {
        std::fs::copy(built, &installed).unwrap();
    }
    installed
}
