//! Socket activation by systemd's own tool for it: the real program is started by the first who asks, and takes no socket that is
//! none.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;

use presenced::status::report::State;
use presenced::status::{Client, ClientError};
use tokio::process::{Child, Command};

use crate::stage::house::{House, exists, guarded};

/// Has systemd's tool listen, and start the program of the house when somebody comes.
fn listen(house: &House, listen: &[&str]) -> Child {
    let program = house.command(&["run"]);
    let mut command = Command::new("systemd-socket-activate");
    command.args(listen);
    for (name, value) in program.as_std().get_envs() {
        let Some(value) = value else { continue };
        command.arg(format!("--setenv={}={}", name.to_str().unwrap(), value.to_str().unwrap()));
    }
    command.arg(program.as_std().get_program()).args(program.as_std().get_args());
    command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("systemd-socket-activate is missing: apt-get install systemd")
}

/// Waits until the tool listens, and is the first to ask.
async fn ask_first(socket: &Path) -> Client {
    guarded("the socket", async {
        loop {
            match Client::connect(socket).await {
                Ok(client) => return client,
                Err(ClientError::NotRunning { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await
}

/// The exit code of a program that is started with the wrong sockets, and what it says.
async fn refused(house: &House, arguments: &[&str], come: impl AsyncFnOnce()) -> (Option<i32>, String) {
    let child = listen(house, arguments);
    come().await;
    let output = guarded("its end", child.wait_with_output()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said[said.find("error: ").expect("an error")..].to_owned())
}

#[tokio::test]
async fn the_first_client_starts_it_and_the_socket_outlives_it() {
    let house = House::new().await;
    // What it starts itself must not take the socket for its own.
    let environment = house.path("environment");
    let secret =
        format!(r#"{{ command = ["/bin/sh", "-c", "env > {}; echo emulator-secret"] }}"#, environment.display());
    house.write("config.toml", house.configuration().replace(r#"{ env = "BOT_SECRET" }"#, &secret));
    let socket = house.path("given.sock");
    let mut child = listen(&house, &["--listen", socket.to_str().unwrap()]);

    let mut reports = ask_first(&socket).await.watch().await.unwrap();
    let report = guarded("holding", async {
        loop {
            let report = reports.next().await.unwrap().expect("it runs");
            if report.accounts["work"].state == State::Holding {
                return report;
            }
        }
    })
    .await;
    assert_eq!(report.pid, child.id().unwrap());
    assert!(!exists(&house.path("presenced.sock")), "it made one of its own, too");
    let inherited = std::fs::read_to_string(environment).unwrap();
    assert!(inherited.contains("XDG_RUNTIME_DIR=") && !inherited.contains("LISTEN_"), "{inherited}");

    let inode = std::fs::metadata(&socket).unwrap().ino();
    let pid = rustix::process::Pid::from_raw(report.pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(guarded("its end", child.wait()).await.unwrap().success());
    assert_eq!(house.visible(), "Offline/Offline");
    assert_eq!(std::fs::metadata(&socket).unwrap().ino(), inode, "whose socket it is may go on listening");
}

#[tokio::test]
async fn only_a_status_socket_is_accepted() {
    let house = House::new().await;
    house.write("config.toml", house.configuration());
    let (one, two) = (house.path("one"), house.path("two"));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());

    let both = async || {
        let come = async || tokio::net::UnixStream::connect(one).await.map_err(|error| error.kind());
        guarded("the socket", async {
            // It may have gone already, and close the door on who just came.
            while !matches!(come().await, Ok(_) | Err(ErrorKind::ConnectionReset)) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    let (code, said) = refused(&house, &["--listen", one, "--listen", two], both).await;
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(
        said,
        "error: systemd passed 2 sockets, but presenced uses only one\n\
         hint: use exactly one `ListenStream=` in the socket unit, as in presenced.socket\n"
    );

    let knock = async || {
        let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
        guarded("the socket", async {
            while sender.send_to(b"x", two).is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    std::fs::remove_file(two).unwrap();
    let (code, said) = refused(&house, &["--datagram", "--listen", two], knock).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with("error: systemd passed a socket without connections instead of the status socket\nhint: "),
        "{said}"
    );
    assert!(!exists(&house.path("presenced.sock")), "it went on with a socket of its own");
}
