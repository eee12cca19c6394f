//! `presenced emulator --tls` with real partners: OpenSSL, curl and Python.

use std::path::{Path, PathBuf};

use tokio::process::{Child, Command};

use super::binary::{fails, next, presenced};
use super::*;

/// A running emulator.
struct Running {
    _child: Child,
    /// The port of https.
    port: String,
    ca: PathBuf,
    /// What it printed up to the account to paste.
    head: String,
}

async fn start(state: &Path, arguments: &[&str]) -> Running {
    let tls = ["--listen", "127.0.0.1:0", "--tls", "--tls-listen", "127.0.0.1:0"];
    let mut child =
        presenced(&[&tls[..], arguments].concat()).env("XDG_STATE_HOME", state).env("HOME", state).spawn().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    let mut head = String::new();
    loop {
        let line = next(&mut lines).await;
        if line.is_empty() {
            break;
        }
        head = head + &line + "\n";
    }
    // The rest is read, so that the program is never blocked.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let after = |label: &str| head.lines().find_map(|line| line.strip_prefix(label)).unwrap().trim().to_owned();
    let port = after("With TLS").strip_prefix("https://localhost:").unwrap().to_owned();
    Running { _child: child, port, ca: after("The CA to trust").into(), head: head.clone() }
}

async fn output(program: &str, arguments: &[&str]) -> (bool, String) {
    let ran = Command::new(program).args(arguments).env_remove("http_proxy").env_remove("https_proxy").output();
    let output = tokio::time::timeout(GUARD, ran).await.expect("it ends").unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[tokio::test]
async fn curl_openssl_and_python_accept_it_with_the_ca_alone() {
    let state = tempfile::tempdir().unwrap();
    let running = start(state.path(), &["--host", "graph.test"]).await;
    let ca = running.ca.to_str().unwrap();
    assert!(running.head.contains(&format!("and https://graph.test:{}", running.port)), "{}", running.head);

    let resolve = format!("graph.test:{}:127.0.0.1", running.port);
    for name in ["localhost", "127.0.0.1", "graph.test"] {
        let url = format!("https://{name}:{}/_emulator/state", running.port);
        let (worked, text) =
            output("curl", &["-sS", "--noproxy", "*", "--resolve", &resolve, "--cacert", ca, &url]).await;
        assert!(worked && text.contains("\"summary\""), "{name}: {text}");
    }
    let url = format!("https://localhost:{}/", running.port);
    assert!(!output("curl", &["-sS", "--noproxy", "*", &url]).await.0, "nobody trusts it without the CA");

    // OpenSSL, strictly.
    let address = format!("127.0.0.1:{}", running.port);
    let strict = ["s_client", "-connect", &address, "-CAfile", ca, "-x509_strict", "-verify_return_error"];
    let (_, text) =
        output("sh", &["-c", &format!("openssl {} -verify_hostname graph.test </dev/null", strict.join(" "))]).await;
    assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    let (worked, text) = output("openssl", &["verify", "-x509_strict", "-CAfile", ca, ca]).await;
    assert!(worked, "{text}");

    // Python, with the flag that is the default since 3.13.
    let script = "import http.client, ssl, sys\n\
        context = ssl.create_default_context(cafile=sys.argv[1])\n\
        context.verify_flags |= ssl.VERIFY_X509_STRICT\n\
        client = http.client.HTTPSConnection('localhost', int(sys.argv[2]), context=context)\n\
        client.request('GET', '/_emulator/state')\n\
        print(client.getresponse().status)\n";
    let (worked, text) = output("python3", &["-c", script, ca, &running.port]).await;
    assert!(worked && text == "200\n", "{text}");
}

#[tokio::test]
async fn the_ca_stays_and_the_certificate_is_new_at_each_start() {
    let state = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let running = start(state.path(), &[]).await;
        let address = format!("127.0.0.1:{}", running.port);
        let (_, text) = output("sh", &["-c", &format!("openssl s_client -connect {address} </dev/null")]).await;
        let certificate =
            text.split("-----BEGIN CERTIFICATE-----").nth(1).expect("a certificate").split("-----END").next();
        seen.push((std::fs::read_to_string(&running.ca).unwrap(), certificate.unwrap().to_owned()));
    }
    assert_eq!(seen[0].0, seen[1].0);
    assert_ne!(seen[0].1, seen[1].1);
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_name_and_is_announced() {
    let (code, text) = fails(&["--tls", "--tls-listen", "0.0.0.0:0"]).await;
    assert_eq!(code, Some(2));
    assert!(
        text.contains("`--tls-listen 0.0.0.0:0` is not a loopback address") && text.contains("--host NAME"),
        "{text}"
    );
    let mut child = presenced(&["--listen", "0.0.0.0:0", "--host", "graph.test"]).spawn().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    loop {
        // Fails if the introduction ends without it.
        let line = next(&mut lines).await;
        assert!(!line.is_empty());
        if line.starts_with("note: everybody who can reach") {
            break;
        }
    }
    let plain = start(tempfile::tempdir().unwrap().path(), &["--host", "graph.test"]).await;
    assert!(!plain.head.contains("everybody"), "{}", plain.head);
}

#[tokio::test]
async fn what_is_no_host_name_is_misuse() {
    for wrong in ["a b", "https://graph.test", "graph.test:8766", "*.test", ""] {
        let (code, text) = fails(&["--host", wrong]).await;
        assert_eq!(code, Some(2), "{wrong}");
        assert!(text.contains("it must be a host name or an IP address without a port"), "{text}");
    }
    assert_eq!(fails(&["--tls-listen", "127.0.0.1:0"]).await.0, Some(2), "there is no --tls");
}

#[tokio::test]
async fn a_damaged_ca_and_a_folder_that_is_none_are_named() {
    let state = tempfile::tempdir().unwrap();
    let failure = async || {
        let mut command = presenced(&["--listen", "127.0.0.1:0", "--tls", "--tls-listen", "127.0.0.1:0"]);
        let run = command.env("XDG_STATE_HOME", state.path()).env("HOME", state.path()).output();
        let output = tokio::time::timeout(GUARD, run).await.expect("it ends").unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let folder = state.path().join("presenced/emulator");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ca-key.pem"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    let (code, text) = failure().await;
    assert_eq!(code, Some(1));
    assert!(
        text.contains("ca-key.pem cannot be used: its `CERTIFICATE` does not end") && text.contains("delete the file"),
        "{text}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "a file").unwrap();
    let (code, text) = failure().await;
    assert_eq!(code, Some(1));
    assert!(text.contains("the folder of the emulator's CA") && text.contains("XDG_STATE_HOME"), "{text}");
}
