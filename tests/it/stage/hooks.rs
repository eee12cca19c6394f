//! A daemon at work, and programs beside it that run the hooks of `config/hooks/`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::house::{Daemon, House, guarded};

pub(crate) fn hook(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/hooks").join(name)
}

/// A house whose daemon watches calls at the usual place, and a `presenced` on the `PATH` that speaks to it.
pub(crate) async fn house() -> (House, Daemon) {
    let house = House::new().await;
    house.write("config.toml", house.account("work") + "[signals.lock]\nenabled = false\n[signals.call]\n");
    let daemon = house.start().await;
    let (socket, binary) = (house.path("presenced.sock"), env!("CARGO_BIN_EXE_presenced"));
    program(&house, "presenced", &format!("exec '{binary}' --socket '{}' \"$@\"", socket.display()));
    (house, daemon)
}

/// Puts a shell script on the `PATH`.
pub(crate) fn program(house: &House, name: &str, script: &str) {
    let path = house.path("bin").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What the house has, then the machine.
pub(crate) fn path(house: &House) -> OsString {
    let mut path = house.path("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    path
}

pub(crate) fn start(
    house: &House,
    program: impl AsRef<OsStr>,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Child {
    let program = program.as_ref();
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", path(house))
        .env("HOME", house.path(""))
        .env("XDG_RUNTIME_DIR", house.path(""))
        .env("PRESENCED_SOCKET", house.path("presenced.sock"))
        .envs(environment.iter().copied())
        .current_dir(house.path(""))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("the tests need {} ({error}): see tests/run.sh", program.display()))
}

pub(crate) async fn run(house: &House, program: impl AsRef<OsStr>, arguments: &[&str], environment: &[(&str, &str)]) {
    let status = guarded("a hook's end", start(house, program, arguments, environment).wait()).await.unwrap();
    assert!(status.success(), "{status}");
}

pub(crate) async fn signal(daemon: &Daemon, name: &str, value: &str) {
    let is_so = |report: &presenced::status::report::Report| {
        report.signals.get(name).is_some_and(|signal| signal.value == value)
    };
    daemon.report(&format!("{name} {value}"), is_so).await;
}
