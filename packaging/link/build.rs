//! Links the release program smaller: without unwind tables, and with packed relocations.
//!
//! Unwind tables are a tenth of its size and never read. A panic prints its message and location, then aborts (see the profile in
//! Cargo.toml); in a stripped program, a backtrace would only show addresses.
//!
//! Packed relocations (`DT_RELR`) take a few kilobytes instead of a twentieth of the program, and the loader reads that much less.
//! glibc knows them since version 2.36, so a program that was built with a newer glibc needs one to run.

#![expect(clippy::disallowed_methods, reason = "Cargo passes its settings to a build script in the environment")]

use std::env;
use std::path::Path;
use std::process::Command;

/// The first glibc that knows packed relocations.
const KNOWS_RELR: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=packaging/link");
    let is = |name, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let root = env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets the path of the package");
        let script = Path::new(&root).join("packaging/link/no-unwind-tables.ld");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
        let is_for_this_machine = env::var("HOST").ok() == env::var("TARGET").ok();
        if is("CARGO_CFG_TARGET_ENV", "gnu")
            && is_for_this_machine
            && glibc().is_some_and(|version| version >= KNOWS_RELR)
        {
            println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// This machine's glibc: `getconf` prints `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
