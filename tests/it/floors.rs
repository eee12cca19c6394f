//! The floors of ARCHITECTURE.md are the floors of the source: every module is in the table, none imports a floor above its own
//! or another edge, and no modules import each other in a circle. The core's own limits are linted: its `clippy.toml` refuses
//! every kind of I/O, which is tried here with planted breaches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crate and the module in it, such as `presenced` and `["signals", "lock"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Module {
    krate: &'static str,
    path: Vec<String>,
}

/// The crates of the workspace, with the folder of their source.
const CRATES: [(&str, &str); 3] = [
    ("presenced", "src"),
    ("presenced_core", "crates/presenced-core/src"),
    ("presenced_emulator", "crates/presenced-emulator/src"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The module that a file holds.
fn module_of(file: &Path, folder: &Path, krate: &'static str) -> Module {
    let below = file.strip_prefix(folder).expect("a file below").with_extension("");
    let mut path: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) && path != ["main"] {
        path.pop();
    }
    Module { krate, path }
}

/// The code of a file without comments and without its unit tests, which stand on a stage of their own.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every module that a file's code names by a path from a crate's root or from itself (`crate::`, `super::`, `presenced_core::`).
fn named_modules(text: &str, module: &Module, is_module_file: bool) -> BTreeSet<Module> {
    let mut named = BTreeSet::new();
    for (at, _) in text.match_indices("::") {
        let head: String = text[..at].chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let head: String = head.chars().rev().collect();
        let before = text[..at - head.len()].chars().next_back();
        if before == Some(':') || head.is_empty() {
            continue;
        }
        let mut rest = &text[at + 2..];
        let (krate, mut base) = match head.as_str() {
            "crate" => (module.krate, Vec::new()),
            "super" => {
                let mut base = module.path.clone();
                base.pop();
                while let Some(further) = rest.strip_prefix("super::") {
                    base.pop();
                    rest = further;
                }
                (module.krate, base)
            }
            "self" if is_module_file => (module.krate, module.path.clone()),
            other => match CRATES.iter().find(|(name, _)| *name == other) {
                Some((name, _)) => (*name, Vec::new()),
                None => continue,
            },
        };
        let tails = if let Some(group) = rest.strip_prefix('{') { group_heads(group) } else { vec![path_head(rest)] };
        for tail in tails {
            base.extend(tail.iter().cloned());
            named.insert(Module { krate, path: base.clone() });
            base.truncate(base.len() - tail.len());
        }
    }
    named
}

/// The leading segments of a path: `policy::decide::Decision` → policy, decide, Decision.
fn path_head(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    text[..end].split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The paths at the top of `{a::B, c::{D, E}}`, without the opening brace.
fn group_heads(text: &str) -> Vec<Vec<String>> {
    let mut depth = 0;
    let mut heads = vec![String::new()];
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(String::new()),
            _ if depth == 0 => heads.last_mut().expect("one at least").push(c),
            _ => {}
        }
    }
    heads.iter().map(|head| path_head(head.trim())).filter(|path| !path.is_empty()).collect()
}

/// All modules, each with the modules that its code names.
fn imports() -> BTreeMap<Module, BTreeSet<Module>> {
    let mut imports: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (krate, folder) in CRATES {
        let folder = root().join(folder);
        for file in source_files(&folder) {
            let is_test = |part: &str| part == "tests" || part.ends_with("_tests") || part == "simulation";
            let module = module_of(&file, &folder, krate);
            if module.path.iter().any(|part| is_test(part)) {
                continue;
            }
            let is_module_file = file.ends_with("mod.rs") || file.ends_with("lib.rs");
            let text = code(&fs::read_to_string(&file).expect("a source file"));
            imports.entry(module.clone()).or_default().extend(named_modules(&text, &module, is_module_file));
        }
    }
    imports
}

/// The floors of the table, from the roof down: the name, and what is on it.
fn floors() -> Vec<(String, BTreeSet<String>)> {
    let document = include_str!("../../ARCHITECTURE.md");
    let (_, table) = document.split_once("\n| floor | modules |").expect("the table of floors");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| "));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" | ");
        let name = cells.next().expect("a floor").trim().to_owned();
        let modules = cells.next().expect("its modules").split('`').skip(1).step_by(2);
        let plain = |module: &str| module.trim_end_matches('/').trim_end_matches(".rs").replace('-', "_");
        (name, modules.map(plain).collect())
    })
    .collect()
}

/// The unit of the table that a module belongs to: a module at the top of the program, a module of the core, or the emulator.
fn unit(module: &Module) -> Option<String> {
    match module.krate {
        "presenced_emulator" => Some("presenced_emulator".to_owned()),
        _ => module.path.first().cloned(),
    }
}

#[test]
fn the_table_of_floors_lists_every_module() {
    let listed: BTreeSet<String> = floors().into_iter().flat_map(|(_, modules)| modules).collect();
    let mut found: BTreeSet<String> = imports().keys().filter_map(unit).collect();
    // A module of tests has its place in the table too.
    found.insert("simulation".to_owned());
    let listed: BTreeSet<String> = listed.into_iter().filter(|name| name != "presenced_core").collect();
    assert_eq!(listed, found, "left: ARCHITECTURE.md, right: the source");
}

#[test]
fn no_module_imports_its_own_floor_or_one_above() {
    let floors = floors();
    let floor_of = |unit: &str| floors.iter().position(|(_, modules)| modules.contains(unit));
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (module, named) in imports() {
        let Some(from) = unit(&module) else { continue };
        for target in named.iter().filter_map(unit) {
            let (Some(mine), Some(theirs)) = (floor_of(&from), floor_of(&target)) else { continue };
            seen += 1;
            // On a floor other than the edges, modules may use each other; that they do so without a circle is tested below.
            let allowed = from == target || theirs > mine || (theirs == mine && floors[mine].0 != "edges");
            if !allowed {
                wrong.push(format!("{}::{} imports {target}", module.krate, module.path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "a module uses only floors below its own (ARCHITECTURE.md):\n{}", wrong.join("\n"));
    assert!(seen > 300, "only {seen} imports were found");
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let imports = imports();
    // Of each folder: which of the modules in it import which others.
    let mut arrows: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (module, named) in &imports {
        for target in named.iter().filter(|target| target.krate == module.krate) {
            let shared = module.path.iter().zip(&target.path).take_while(|(a, b)| a == b).count();
            let (Some(from), Some(to)) = (module.path.get(shared), target.path.get(shared)) else { continue };
            let mut sibling = module.path[..shared].to_vec();
            sibling.push(to.clone());
            let folder = Module { krate: module.krate, path: module.path[..shared].to_vec() };
            if imports.contains_key(&Module { krate: module.krate, path: sibling }) {
                arrows.entry(folder).or_default().entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    let mut circles = Vec::new();
    for (folder, arrows) in &arrows {
        for from in arrows.keys() {
            if let Some(circle) = circle(arrows, from) {
                circles.push(format!("{}::{}: {}", folder.krate, folder.path.join("::"), circle.join(" → ")));
            }
        }
    }
    circles.sort();
    assert!(circles.is_empty(), "modules that import each other:\n{}", circles.join("\n"));
}

/// The shortest way from a module back to itself.
fn circle(arrows: &BTreeMap<String, BTreeSet<String>>, start: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in arrows.get(way.last()?).into_iter().flatten() {
                let mut way = way.clone();
                way.push(next.clone());
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

/// What may open a file at a path by itself, besides `regular_file`, and what it opens.
const OPENERS: [(&str, &str); 7] = [
    ("src/regular_file.rs", "every other file"),
    ("src/whole_file/mod.rs", "its own drafts, and folders"),
    (
        "src/cli/logging/files.rs",
        "the day's log, a new file that nobody planted; no link is followed, and nothing is waited for",
    ),
    ("src/config/load.rs", "a configuration that may be a pipe, before there is a loop"),
    ("src/cli/emulator/mod.rs", "what the command line names, before there is a loop"),
    ("src/cli/service/paths.rs", "units of systemd, which a command looks at"),
    ("src/cli/doctor/clock.rs", "the system's time zones, which a command looks at"),
];

/// A pipe, a device or a huge file must not stop the daemon, whichever path it is at.
#[test]
fn every_file_is_opened_in_one_way() {
    let opens = ["File::open(", "fs::read(", "fs::read_to_string(", "OpenOptions::new("];
    // The kernel's files, and the one that describes the system, are what they are.
    let of_the_system = ["/proc/", "TABLE)", "\"/etc/os-release\"", "fdinfo"];
    let mut wrong = Vec::new();
    for file in source_files(&root().join("src")) {
        let name = file.strip_prefix(root()).expect("a file below").display().to_string();
        if OPENERS.iter().any(|(opener, _)| *opener == name) || name.ends_with("tests.rs") {
            continue;
        }
        for line in code(&fs::read_to_string(&file).expect("a source file")).lines() {
            let is_open = opens.iter().any(|open| line.contains(open));
            if is_open && !of_the_system.iter().any(|part| line.contains(part)) {
                wrong.push(format!("{name}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "use crate::regular_file:\n{}", wrong.join("\n"));
}

/// A copy of the core with one more line in `session/timing.rs` does not pass the lint, and does without it.
#[test]
fn a_planted_breach_of_the_core_fails_the_lint() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |from: &str| {
        for file in source_files(&root().join(from)) {
            let to = folder.path().join(file.strip_prefix(root()).expect("a file of the repository"));
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            fs::copy(&file, &to).expect("a copy");
        }
    };
    copy("crates/presenced-core/src");
    for file in ["Cargo.lock", "crates/presenced-core/clippy.toml", "crates/presenced-core/Cargo.toml"] {
        fs::copy(root().join(file), folder.path().join(file)).expect("a copy");
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let (workspace, rest) = manifest.split_once("\n[package]\n").expect("the workspace's part");
    let (_, lints) = rest.split_once("\n[workspace.lints.rust]\n").expect("the lints");
    let lints = format!("[workspace.lints.rust]\n{lints}");
    let workspace =
        workspace.replace("\"crates/presenced-core\", \"crates/presenced-emulator\"", "\"crates/presenced-core\"");
    fs::write(folder.path().join("Cargo.toml"), format!("{workspace}\n{lints}")).expect("a manifest");

    let timing = folder.path().join("crates/presenced-core/src/session/timing.rs");
    let honest = fs::read_to_string(&timing).expect("a module of the core");
    let lint = |breach: &str| {
        fs::write(&timing, format!("{honest}\n#[expect(dead_code)]\nfn planted() {{\n    {breach}\n}}\n"))
            .expect("a breach");
        let output = Command::new(env!("CARGO"))
            .args(["clippy", "--offline", "--quiet", "--package", "presenced-core", "--", "-D", "warnings"])
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", folder.path().join("target"))
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .expect("cargo runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (passes, why) = lint("");
    assert!(passes, "the core without a breach:\n{why}");
    for breach in [
        "drop(std::fs::read(\"/etc/hostname\"));",
        "drop(std::net::TcpStream::connect(\"127.0.0.1:1\"));",
        "let _ = std::time::Instant::now();",
        "let _ = jiff::Timestamp::now();",
        "let _ = jiff::tz::TimeZone::system();",
        "let _ = std::env::var(\"HOME\");",
        "drop(std::process::Command::new(\"true\"));",
        "std::thread::sleep(std::time::Duration::ZERO);",
    ] {
        let (passes, why) = lint(breach);
        assert!(!passes && why.contains("disallowed"), "{breach}\n{why}");
    }
    for breach in ["let _ = crate::graph::Client::new;", "let _ = tokio::spawn;"] {
        let (passes, why) = lint(breach);
        assert!(!passes && why.contains("error[E0"), "{breach}\n{why}");
    }
}
