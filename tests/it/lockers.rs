//! Screen lockers of desktops that tell nobody of the lock, for real, by the hooks in `config/hooks/`: sway with swayidle and
//! swaylock, and i3 with xss-lock and i3lock.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::stage::bus::Bus;
use crate::stage::hooks::{hook, house, program, run, signal, start};
use crate::stage::house::{House, exists, guarded};
use crate::stage::login1::{Login1, Session};
use crate::stage::x_server::XServer;

/// Lets a locker leave its process id behind when a hook starts it; where.
fn noticed(house: &House, locker: &str) -> PathBuf {
    let pid = house.path(locker);
    // Renamed, so that it is whole when it is there.
    let note = format!("echo $$ >'{0}.new'; mv '{0}.new' '{0}'", pid.display());
    let path = std::env::var_os("PATH").unwrap();
    program(house, locker, &format!("{note}\nPATH='{}' exec {locker} \"$@\"", path.display()));
    pid
}

/// Sends a signal to the locker that left its process id there.
async fn send(pid: &Path, signal: Signal) {
    guarded("the locker", async {
        while !exists(pid) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let number = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    fs::remove_file(pid).unwrap();
    kill_process(Pid::from_raw(number).unwrap(), signal).unwrap();
}

#[cfg(feature = "wayland")]
#[tokio::test]
async fn of_sway() {
    let (house, daemon) = house().await;
    let swaylock = noticed(&house, "swaylock");
    let config = fs::read_to_string(hook("swayidle.conf")).unwrap();
    let sooner = config.replace("timeout 300 ", "timeout 1 ");
    assert_ne!(sooner, config);
    house.write("swayidle.conf", sooner);
    let config = house.path("swayidle.conf");
    let locks = format!("swayidle -C '{}'", config.display());
    // What docs/desktops.md has for a sway that tells of idleness in another way.
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/desktops.md")).unwrap();
    let line = docs.lines().map(str::trim).find(|line| line.starts_with("swayidle -w ")).expect("a line for swayidle");
    let tells = line.replace("timeout 600 ", "timeout 1 ");
    assert_ne!(tells, line);
    let env = format!("exec env 'PATH={}'", crate::stage::hooks::path(&house).display());
    let mut sway = crate::stage::compositor::Compositor::reserve();
    sway.start_sway_with(&format!("{env} {locks}\n{env} {tells}\n"));
    // Nobody touches anything for a second.
    signal(&daemon, "signal.away", "yes").await;
    signal(&daemon, "lock", "locked").await;
    // With this signal swaylock unlocks.
    send(&swaylock, Signal::USR1).await;
    signal(&daemon, "lock", "unlocked").await;
}

#[tokio::test]
async fn of_i3() {
    let (house, daemon) = house().await;
    let i3lock = noticed(&house, "i3lock");
    // Where its first lines say that it should be.
    let script = fs::read_to_string(hook("xss-lock.sh")).unwrap();
    let exec = script.lines().find_map(|line| line.split('`').nth(1)).expect("a line for i3's configuration");
    house.write("i3.conf", format!("# i3 config file (v4)\nfont pango:monospace 8\n{exec}\n"));
    fs::create_dir_all(house.path(".config/presenced")).unwrap();
    fs::copy(hook("xss-lock.sh"), house.path(".config/presenced/xss-lock.sh")).unwrap();

    let mut server = XServer::reserve();
    server.start(&[]);
    server.is_ready();
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let (display, address) = (server.display(), bus.address());
    let at_desk = [("DISPLAY", &*display), ("DBUS_SYSTEM_BUS_ADDRESS", &*address)];
    let _i3 = start(&house, "i3", &["-c", house.path("i3.conf").to_str().unwrap()], &at_desk);
    // As `loginctl lock-session` does, and as by itself when nobody was there for a while.
    for by_itself in [false, true] {
        let mut locked = std::pin::pin!(signal(&daemon, "lock", "locked"));
        // Before xss-lock listens, or has seen that the last locker ended, this is lost, so that it is done again.
        while tokio::time::timeout(Duration::from_millis(50), &mut locked).await.is_err() {
            if by_itself {
                run(&house, "xset", &["s", "reset", "s", "activate"], &at_desk).await;
            } else {
                login1.request_lock("c1").await;
            }
        }
        send(&i3lock, Signal::TERM).await;
        signal(&daemon, "lock", "unlocked").await;
    }
}
