//! The text of the units: the packaged units with the paths of this installation. So packages and `service install` have the same
//! unit.

use std::path::Path;

/// The service.
pub(in crate::cli) const SERVICE: &str = "presenced.service";

/// The socket that starts the service on a request.
pub(super) const SOCKET: &str = "presenced.socket";

const PACKAGED_SERVICE: &str = include_str!("../../../packaging/systemd/presenced.service");
const PACKAGED_SOCKET: &str = include_str!("../../../packaging/systemd/presenced.socket");

/// The lines of the packaged units that depend on the installation.
const EXEC_START: &str = "ExecStart=presenced run\n";
const LISTEN_STREAM: &str = "ListenStream=%t/presenced/presenced.sock\n";

/// The start of the first line of each unit that presenced writes. It identifies the unit later, also to other versions.
const MARK: &str = "# Written by `presenced service install`; ";

/// The rest of that line.
const MARK_HINT: &str =
    "`presenced service uninstall` removes it. Put changes into a drop-in: systemctl --user edit presenced\n";

/// What the service is started with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    /// The program's absolute path.
    pub(super) program: &'a Path,
    /// The configuration, if it is not the default.
    pub(super) config: Option<&'a Path>,
    /// The status socket, if it is not the default.
    pub(super) socket: Option<&'a Path>,
}

/// A path that cannot be written into a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unwritable(pub(super) String);

/// The service's unit.
pub(super) fn service(start: &Start) -> Result<String, Unwritable> {
    let mut words = vec![quoted(start.program, "$")?];
    for (option, path) in [("--config", start.config), ("--socket", start.socket)] {
        if let Some(path) = path {
            words.extend([option.to_owned(), quoted(path, "$$")?]);
        }
    }
    let line = format!("ExecStart={} run\n", words.join(" "));
    Ok(format!("{MARK}{MARK_HINT}{}", PACKAGED_SERVICE.replace(EXEC_START, &line)))
}

/// The socket's unit.
pub(super) fn socket(start: &Start) -> Result<String, Unwritable> {
    let line = match start.socket {
        // The path is the rest of the line, including spaces. Only specifiers need an escape.
        Some(path) => format!("ListenStream={}\n", text(path)?.replace('%', "%%")),
        None => LISTEN_STREAM.to_owned(),
    };
    Ok(format!("{MARK}{MARK_HINT}{}", PACKAGED_SOCKET.replace(LISTEN_STREAM, &line)))
}

/// Whether presenced wrote this unit.
pub(super) fn is_ours(unit: &str) -> bool {
    unit.starts_with(MARK)
}

/// The program that a service unit starts, as written: a path, or a name that systemd looks up.
pub(super) fn program(unit: &str) -> Option<&str> {
    let line = unit.lines().find_map(|line| line.trim_start().strip_prefix("ExecStart="))?.trim_start();
    match line.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => line.split_whitespace().next(),
    }
}

/// A path as a word of a command line (`systemd.service(5)`). `dollar` is the escape of `$`, which starts a variable everywhere
/// except in the program.
fn quoted(path: &Path, dollar: &str) -> Result<String, Unwritable> {
    let mut word = String::from('"');
    for char in text(path)?.chars() {
        match char {
            '"' | '\\' => word.extend(['\\', char]),
            '%' => word += "%%",
            '$' => word += dollar,
            _ => word.push(char),
        }
    }
    Ok(word + "\"")
}

fn text(path: &Path) -> Result<&str, Unwritable> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    text.ok_or_else(|| Unwritable(path.to_string_lossy().escape_debug().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(program: &str) -> Start<'_> {
        Start { program: Path::new(program), config: None, socket: None }
    }

    fn exec_start(start: &Start) -> String {
        let unit = service(start).unwrap();
        let lines: Vec<_> = unit.lines().filter(|line| line.starts_with("ExecStart=")).collect();
        assert_eq!(lines.len(), 1, "{unit}");
        lines[0].to_owned()
    }

    #[test]
    fn the_packaged_units_contain_the_lines_to_replace() {
        assert_eq!(PACKAGED_SERVICE.matches(EXEC_START).count(), 1);
        assert_eq!(PACKAGED_SOCKET.matches(LISTEN_STREAM).count(), 1);
        assert!(!is_ours(PACKAGED_SERVICE));
    }

    #[test]
    fn the_unit_starts_the_program_that_installs_it() {
        let usual = start("/usr/local/bin/presenced");
        assert_eq!(exec_start(&usual), r#"ExecStart="/usr/local/bin/presenced" run"#);
        assert!(is_ours(&service(&usual).unwrap()));
        let other = Start { config: Some(Path::new("/etc/p.toml")), socket: Some(Path::new("/run/p")), ..usual };
        let expected = r#"ExecStart="/usr/local/bin/presenced" --config "/etc/p.toml" --socket "/run/p" run"#;
        assert_eq!(exec_start(&other), expected);
        assert!(socket(&other).unwrap().contains("\nListenStream=/run/p\n"));
    }

    #[test]
    fn special_characters_of_systemd_are_escaped() {
        let odd = Start { config: Some(Path::new(r#"/a b/$X%h\"c"#)), ..start("/o $d/%n") };
        assert_eq!(exec_start(&odd), r#"ExecStart="/o $d/%%n" --config "/a b/$$X%%h\\\"c" run"#);
        assert_eq!(service(&start("/a\nExecStartPre=b")), Err(Unwritable(r"/a\nExecStartPre=b".to_owned())));
        let odd = Start { socket: Some(Path::new("/a b/%n")), ..start("/p") };
        assert!(socket(&odd).unwrap().contains("\nListenStream=/a b/%%n\n"));
    }

    #[test]
    fn the_program_of_a_unit_is_found() {
        assert_eq!(program(PACKAGED_SERVICE), Some("presenced"));
        assert_eq!(program(&service(&start("/opt/my tools/presenced")).unwrap()), Some("/opt/my tools/presenced"));
        assert_eq!(program("[Service]\nExecStart=/usr/bin/presenced --config x run\n"), Some("/usr/bin/presenced"));
        assert_eq!(program("[Service]\n"), None);
    }
}
