//! presenced's own client of the socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use presenced::policy::Claim;
use presenced::presence::Presence;
use presenced::status::report::State;
use presenced::status::{Client, ClientError};
use tempfile::TempDir;

use super::start;
use crate::stage::fake_daemon::{Asked, HANG, report};

/// Runs something with a client, in its own runtime.
pub(super) fn client<T>(
    socket: &Path,
    ask: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(HANG, async { ask(Client::connect(socket).await?).await }).await.unwrap()
    })
}

#[test]
fn the_client_sends_what_the_server_accepts() {
    let (_folder, daemon) = start();
    let seen = client(&daemon.socket, async |mut client| {
        client.set_override(Claim::Hold(Presence::Presenting), Some(Duration::from_mins(45))).await?;
        client.clear_override().await?;
        let name = "on-air".parse().unwrap();
        client.set_signal(&name, &"yes, \"really\" ü".parse().unwrap(), None).await?;
        client.clear_signal(&name).await?;
        client.reload().await?;
        client.status().await
    });
    assert_eq!(seen.unwrap(), report());
    assert_eq!(
        daemon.asked(),
        [
            Asked::SetOverride(Claim::Hold(Presence::Presenting), Some(Duration::from_mins(45))),
            Asked::ClearOverride,
            Asked::SetSignal("on-air".into(), "yes, \"really\" ü".into(), None),
            Asked::ClearSignal("on-air".into()),
            Asked::Reload,
        ]
    );
}

#[test]
fn the_client_watches_until_the_daemon_stops() {
    let (_folder, daemon) = start();
    let socket = daemon.socket.clone();
    client(&socket, async move |client| {
        let mut watch = client.watch().await?;
        assert_eq!(watch.next().await?, Some(report()));
        daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::Retrying);
        assert_eq!(watch.next().await?.unwrap().accounts["work"].state, State::Retrying);
        daemon.stop();
        assert_eq!(watch.next().await?, None);
        Ok(())
    })
    .unwrap();
}

#[test]
fn the_client_distinguishes_what_went_wrong() {
    let folder = TempDir::new().unwrap();
    let ask = |path: &Path| client(path, async |mut client| client.status().await).unwrap_err();
    let path = folder.path().join("s");
    assert!(matches!(ask(&path), ClientError::NotRunning { .. }), "no file");
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(ask(&path), ClientError::NotRunning { .. }), "nothing listens");
    std::fs::remove_file(&path).unwrap();

    // Another program's server: garbage, another answer, a close.
    let answers: [&[u8]; 3] = [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", b""];
    let listener = UnixListener::bind(&path).unwrap();
    let serve = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(answer).unwrap();
        }
    });
    assert!(matches!(ask(&path), ClientError::NotUnderstood { .. }));
    assert!(matches!(ask(&path), ClientError::NotUnderstood { .. }));
    assert!(matches!(ask(&path), ClientError::Stopping));
    serve.join().unwrap();
}
