//! Reads the configuration file, and checks the files that it names.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::path::Path;

use super::{Config, Environment, Loaded, Problems, shown_to_others};
use crate::regular_file::{self, Unfit};
use presenced_core::finding::Finding;

/// A longer file is not a configuration.
pub(crate) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads the configuration in the file `path`, and checks that the secret files it names exist and that nobody else can read
/// them. What is at `path` may also be a pipe, which a shell makes of `--config <(…)`; then this waits until somebody writes to it.
///
/// # Errors
/// All problems with it.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, Problems> {
    load_with(path, environment, |file| Ok(fs::File::open(file)?))
}

/// The same for a daemon that runs. It must not wait for whoever writes to a pipe, and a pipe like `<(…)` of a shell is empty when
/// it is read again. So only a regular file is read.
///
/// # Errors
/// All problems with it.
pub fn load_again(path: &Path, environment: &Environment) -> Result<Config, Problems> {
    load_with(path, environment, regular_file::open)
}

fn load_with(
    path: &Path,
    environment: &Environment,
    open: impl FnOnce(&Path) -> Result<fs::File, Unfit>,
) -> Result<Config, Problems> {
    // Relative paths in it start from its folder, even if the process changes its own folder later.
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let bytes = open(&file).and_then(read).map_err(|unfit| unreadable(&file, unfit, environment))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let help = "this is not a presenced configuration; use --config FILE to name another file".to_owned();
        return Err(Problems::of_file(&file, "the file is larger than 1 MB".to_owned(), help));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let start = error.utf8_error().valid_up_to();
        let message = "not UTF-8 from here on";
        let finding = finding(start..start + '\u{fffd}'.len_utf8(), message, "save the file as UTF-8");
        Problems::new(&file, &String::from_utf8_lossy(error.as_bytes()), vec![finding])
    })?;
    let Loaded { config, secret_files, public_files } = Config::parse(&text, &file, environment)?;
    let secrets = secret_files.into_iter().filter_map(|(secret, span)| look_at_secret(&secret, span));
    let certificates = public_files.into_iter().filter_map(|(path, span)| look_at_certificate(&path, span));
    let findings: Vec<Finding> = secrets.chain(certificates).collect();
    if findings.is_empty() { Ok(config) } else { Err(Problems::new(&file, &text, findings)) }
}

/// One byte more than the limit is enough to know that the file is too long.
fn read(file: fs::File) -> Result<Vec<u8>, Unfit> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(file: &Path, unfit: Unfit, environment: &Environment) -> Problems {
    if let Unfit::NotRegular("a pipe" | "a socket" | "a device") = unfit {
        let help =
            "presenced reads a pipe only when it starts; to reload, start it with `--config FILE` and a regular file";
        return Problems::of_file(file, unfit.to_string(), help.to_owned());
    }
    let error = match unfit {
        Unfit::NotRegular(_) => ErrorKind::IsADirectory.into(),
        Unfit::Foreign | Unfit::TooLarge(_) | Unfit::Io(_) => io::Error::from(unfit),
    };
    let (message, help) = if error.kind() == ErrorKind::NotFound {
        let default = environment.config_dir.join("config.toml");
        let help = format!(
            "`presenced init` asks for what is needed and writes one; or start from one of presenced's examples \
             (desktop.toml, sidecar.toml). It is looked for at --config FILE, then $PRESENCED_CONFIG, then {}",
            default.display()
        );
        ("the file does not exist".to_owned(), help)
    } else if error.kind() == ErrorKind::IsADirectory {
        ("this is a folder".to_owned(), "name the file in it: --config FOLDER/config.toml".to_owned())
    } else {
        let help = "give the user that runs presenced permission to read it";
        (format!("the file cannot be read: {error}"), help.to_owned())
    };
    Problems::of_file(file, message, help)
}

/// What is wrong with the secret file at `path`, which the configuration names at `span`. The file itself is not read.
fn look_at_secret(path: &Path, span: Range<usize>) -> Option<Finding> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Some(finding(
                span,
                "the secret file does not exist",
                &format!("put the secret into {shown}, and: chmod 600 {shown}"),
            ));
        }
        Err(error) => {
            let help = "give the user that runs presenced permission to read it";
            return Some(finding(span, &format!("the secret file cannot be read: {error}"), help));
        }
    };
    if metadata.is_dir() {
        return Some(finding(span, "the secret file is a folder", "name the file in it"));
    }
    shown_to_others(&metadata).map(|mode| {
        let message = format!("others can read the secret file (mode {mode:03o})");
        finding(span, &message, &format!("chmod 600 {shown} (in Kubernetes: defaultMode: 0400)"))
    })
}

/// What is wrong with the certificate at `path`, whose key is elsewhere.
fn look_at_certificate(path: &Path, span: Range<usize>) -> Option<Finding> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Some(finding(span, "the certificate is a folder", "name the file in it")),
        Ok(_) => None,
        Err(error) => {
            let help = format!(
                "put the certificate into {}, as PEM (docs/sign-in-bots.md shows how to create one)",
                path.display()
            );
            Some(finding(span, &format!("the certificate cannot be read: {error}"), &help))
        }
    }
}

fn finding(span: Range<usize>, message: &str, help: &str) -> Finding {
    Finding { span: Some(span), message: message.to_owned(), help: Some(help.to_owned()) }
}
