//! Runs a command that prints a secret: without a shell, limited in time and size, and never outliving the caller.

use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::config::Environment;
use crate::failure::{Failure, FailureKind};
use crate::program;

/// Long enough for a command that asks a service.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Longer than any token.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;

/// How much of the first line of standard error is quoted.
const MAX_QUOTE_CHARS: usize = 200;

/// The output of `command`, without surrounding white space. `what` names it in failures; the arguments never appear there,
/// since they may contain a secret.
///
/// # Errors
/// [`FailureKind::Passing`] if it fails or takes longer than 30 s, which a missing network may cause, or if the system has no
/// process left for it;
/// [`FailureKind::Refused`] if it cannot be run or prints nothing, more than 64 KiB, or something other than UTF-8.
pub(super) async fn output(command: &[String], what: &str, environment: &Environment) -> Result<SecretString, Failure> {
    output_within(command, what, environment, TIMEOUT).await
}

async fn output_within(
    command: &[String],
    what: &str,
    environment: &Environment,
    timeout: Duration,
) -> Result<SecretString, Failure> {
    let refused = |text: String| Failure::new(FailureKind::Refused, text);
    let Some((program, arguments)) = command.split_first() else {
        return Err(refused(format!("{what} is empty")).with_hint("name a program in `command`"));
    };
    // It gets its own variables, but not the secrets of other accounts.
    let mut child = program::async_command(program, environment)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            let text = format!("{what} `{program}` cannot be run: {error}");
            if program::is_passing(&error) {
                return Failure::new(FailureKind::Passing, text);
            }
            refused(text).with_hint(
                "`command` is run without a shell: give the program's full path, and each argument separately",
            )
        })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(timeout, async {
        let (printed, complaint, status) = tokio::join!(start(stdout), start_of_all(stderr), child.wait());
        Ok((Zeroizing::new(printed?), complaint?, status?))
    });
    let Ok(ended) = ended.await else {
        let text = format!("{what} `{program}` did not end within {timeout:?}");
        return Err(Failure::new(FailureKind::Passing, text));
    };
    let (printed, complaint, status) =
        ended.map_err(|error: std::io::Error| refused(format!("{what} `{program}` failed: {error}")))?;
    if printed.len() > MAX_OUTPUT_BYTES {
        return Err(refused(format!("{what} `{program}` prints more than {} KiB", MAX_OUTPUT_BYTES / 1024)));
    }
    if !status.success() {
        let text = format!("{what} `{program}` failed with {status}{}", quote(&complaint));
        return Err(Failure::new(FailureKind::Passing, text));
    }
    match std::str::from_utf8(&printed) {
        Ok(printed) if !printed.trim().is_empty() => Ok(printed.trim().into()),
        Ok(_) => Err(refused(format!("{what} `{program}` prints nothing"))),
        Err(_) => Err(refused(format!("{what} `{program}` prints something that is not UTF-8"))),
    }
}

/// At most one byte more than the limit. If the command writes more, its pipe is closed.
async fn start(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MAX_OUTPUT_BYTES as u64 + 1).read_to_end(&mut start).await?;
    }
    Ok(start)
}

/// The same, but it reads the rest too: a long standard error is not a mistake.
async fn start_of_all(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let Some(mut pipe) = pipe else { return Ok(Vec::new()) };
    let start = start(Some(&mut pipe)).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(start)
}

fn quote(complaint: &[u8]) -> String {
    let complaint = String::from_utf8_lossy(complaint);
    let first = complaint.lines().map(str::trim).find(|line| !line.is_empty());
    first.map_or_else(String::new, |line| {
        let quoted: String = line.chars().filter(|character| !character.is_control()).take(MAX_QUOTE_CHARS).collect();
        format!(": {quoted}")
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use secrecy::ExposeSecret as _;
    use tempfile::TempDir;

    use super::*;

    fn nowhere() -> Environment {
        Environment {
            home: PathBuf::new(),
            runtime_dir: None,
            config_dir: PathBuf::new(),
            state_dir: PathBuf::new(),
            cache_dir: PathBuf::new(),
            lookup: Arc::new(|_| None),
            secret_vars: Vec::new(),
        }
    }

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(ToOwned::to_owned).to_vec()
    }

    async fn run(script: &str) -> Result<String, Failure> {
        output(&shell(script), "the command", &nowhere()).await.map(|secret| secret.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn what_is_printed_is_the_secret() {
        assert_eq!(run("printf ' s3cret \\r\\n'; echo noise >&2").await, Ok("s3cret".to_owned()));
    }

    #[tokio::test]
    async fn a_variable_with_a_secret_is_not_passed_on_but_others_are() {
        // Every test has this one.
        let environment = Environment { secret_vars: vec!["CARGO_PKG_NAME".to_owned()], ..nowhere() };
        let script = "echo ${CARGO_PKG_NAME:-none} ${CARGO_PKG_VERSION:-none}";
        let printed = output(&shell(script), "the command", &environment).await.unwrap();
        assert_eq!(printed.expose_secret(), concat!("none ", env!("CARGO_PKG_VERSION")));
    }

    #[tokio::test]
    async fn a_failing_command_is_quoted() {
        let failure = run("echo; echo >&2; printf 'not\\033 signed in\\nmore' >&2; exit 3").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Passing);
        assert_eq!(failure.text, "the command `/bin/sh` failed with exit status: 3: not signed in");

        let failure = run("head -c 90000 /dev/zero | tr '\\0' x >&2; exit 1").await.unwrap_err();
        assert!(failure.text.ends_with(&format!("1: {}", "x".repeat(200))), "{}", failure.text);
    }

    #[tokio::test]
    async fn a_broken_setup_is_refused() {
        for (script, wrong) in
            [("true", "prints nothing"), ("printf '\\377'", "not UTF-8"), ("yes", "more than 64 KiB")]
        {
            let failure = run(script).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Refused, "{script}");
            assert!(failure.text.contains(wrong), "{}", failure.text);
        }
        let missing =
            output(&["/nonexistent/az".to_owned(), "s3cret".to_owned()], "the command", &nowhere()).await.unwrap_err();
        assert_eq!(missing.kind, FailureKind::Refused);
        assert!(missing.text.contains("`/nonexistent/az` cannot be run") && !missing.text.contains("s3cret"));
        assert_eq!(output(&[], "the command", &nowhere()).await.unwrap_err().kind, FailureKind::Refused);
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_given_up() {
        let failure =
            output_within(&shell("exec sleep 600"), "it", &nowhere(), Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.text.as_str()),
            (FailureKind::Passing, "it `/bin/sh` did not end within 50ms")
        );
    }

    #[tokio::test]
    async fn a_command_dies_with_its_caller() {
        let folder = TempDir::new().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600", pid_file.display());
        let asked = tokio::spawn(async move { output(&shell(&script), "the command", &nowhere()).await });
        while !pid_file.exists() {
            tokio::task::yield_now().await;
        }
        let pid = std::fs::read_to_string(&pid_file).unwrap().trim().to_owned();
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        // It is gone, or a zombie that waits to be reaped.
        let lives = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        while lives() {
            tokio::task::yield_now().await;
        }
    }
}
