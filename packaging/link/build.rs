//! Links the release program without unwind tables: a tenth of its size, and never read there. A panic aborts (see the profile
//! in Cargo.toml) once its message with the place is out, and in a stripped program a backtrace would be bare numbers.

#![expect(clippy::disallowed_methods, reason = "Cargo tells a build script by the environment")]

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=packaging/link");
    let is = |name, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let root = env::var_os("CARGO_MANIFEST_DIR").expect("Cargo says where the package is");
        let script = Path::new(&root).join("packaging/link/no-unwind-tables.ld");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
}
