//! Links the release program without unwind tables, which are a tenth of its size and never read. A panic prints its message and
//! location, then aborts (see the profile in Cargo.toml); in a stripped program, a backtrace would only show addresses.

#![expect(clippy::disallowed_methods, reason = "Cargo passes its settings to a build script in the environment")]

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=packaging/link");
    let is = |name, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let root = env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets the path of the package");
        let script = Path::new(&root).join("packaging/link/no-unwind-tables.ld");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
}
