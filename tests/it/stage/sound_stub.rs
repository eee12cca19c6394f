//! A stand-in for a sound server: says what a test lets it say, in the protocol or beside it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{self, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use pulseaudio::protocol::{
    self, AuthReply, Command, MAX_VERSION, Prop, Props, SetClientNameReply, SourceInfo, SourceOutputInfo,
    SourceOutputInfoList, SubscriptionEvent, SubscriptionEventFacility, SubscriptionEventType,
};
use tokio::sync::watch;

/// A server whose recorders a test decides on. Serves one client at a time.
pub(crate) struct SoundStub {
    _folder: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    /// `None`: it was killed.
    listener: Option<UnixListener>,
    shared: Arc<Shared>,
}

struct Shared {
    recorders: Mutex<SourceOutputInfoList>,
    client: Mutex<Option<UnixStream>>,
    /// How often somebody asked who records.
    asked: watch::Sender<usize>,
}

impl SoundStub {
    /// A server at which nobody records.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().canonicalize().unwrap().join("native");
        let shared =
            Arc::new(Shared { recorders: Mutex::default(), client: Mutex::default(), asked: watch::Sender::new(0) });
        let mut stub = Self { _folder: folder, socket, listener: None, shared };
        stub.resume();
        stub
    }

    /// Starts it again at the same address.
    pub(crate) fn resume(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        let listener = self.listener.insert(UnixListener::bind(&self.socket).unwrap()).try_clone().unwrap();
        let served = self.shared.clone();
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                // A client that went away.
                let _ = served.serve(client);
            }
        });
    }

    /// Ends it as a crash does: its socket stays behind.
    pub(crate) fn kill(&mut self) {
        rustix::net::shutdown(self.listener.take().unwrap(), rustix::net::Shutdown::Both).unwrap();
        self.hang_up();
    }

    /// These applications record from now on, without an event.
    pub(crate) fn set(&self, applications: &[&str]) {
        let recorder = |(index, name): (usize, &&str)| {
            let mut props = Props::new();
            props.set(Prop::ApplicationName, std::ffi::CString::new(*name).unwrap());
            let index = u32::try_from(index).unwrap();
            SourceOutputInfo { index, client_index: Some(index), props, ..SourceOutputInfo::default() }
        };
        *self.shared.recorders.lock().unwrap() = applications.iter().enumerate().map(recorder).collect();
    }

    /// Tells that something has changed.
    pub(crate) fn tell(&self) {
        let event = SubscriptionEvent {
            event_facility: SubscriptionEventFacility::SourceOutput,
            event_type: SubscriptionEventType::Changed,
            index: Some(0),
        };
        let client = self.shared.client.lock().unwrap();
        protocol::write_command_message(
            &mut client.as_ref().unwrap(),
            u32::MAX,
            &Command::SubscribeEvent(event),
            MAX_VERSION,
        )
        .unwrap();
    }

    /// These applications record from now on.
    pub(crate) fn record(&self, applications: &[&str]) {
        self.set(applications);
        self.tell();
    }

    /// Sends this, whatever it is.
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.shared.client.lock().unwrap().as_ref().unwrap().write_all(bytes).unwrap();
    }

    /// How often somebody asked who records, at each change.
    pub(crate) fn asked(&self) -> watch::Receiver<usize> {
        self.shared.asked.subscribe()
    }

    /// Ends the connection.
    pub(crate) fn hang_up(&self) {
        let client = self.shared.client.lock().unwrap().take().unwrap();
        client.shutdown(Shutdown::Both).unwrap();
    }
}

impl Shared {
    fn serve(&self, client: UnixStream) -> Result<(), protocol::ProtocolError> {
        let mut reader = BufReader::new(client.try_clone()?);
        *self.client.lock().unwrap() = Some(client);
        loop {
            let (number, command) = protocol::read_command_message(&mut reader, MAX_VERSION)?;
            let client = self.client.lock().unwrap();
            let mut to = client.as_ref().ok_or(io::Error::from(io::ErrorKind::BrokenPipe))?;
            if matches!(command, Command::Auth(_)) {
                let reply = AuthReply { version: MAX_VERSION, ..AuthReply::default() };
                protocol::write_reply_message(&mut to, number, &reply, MAX_VERSION)?;
            } else if matches!(command, Command::SetClientName(_)) {
                let reply = SetClientNameReply { client_id: 1 };
                protocol::write_reply_message(&mut to, number, &reply, MAX_VERSION)?;
            } else if matches!(command, Command::GetSourceInfo(_)) {
                protocol::write_reply_message(&mut to, number, &SourceInfo::default(), MAX_VERSION)?;
            } else if command == Command::GetSourceOutputInfoList {
                let recorders = self.recorders.lock().unwrap().clone();
                protocol::write_reply_message(&mut to, number, &recorders, MAX_VERSION)?;
                self.asked.send_modify(|asked| *asked += 1);
            } else {
                protocol::write_ack_message(&mut to, number)?;
            }
        }
    }
}

/// Something that listens where a sound server should, answers the first client with `bytes`, and then hangs up or stays
/// silent.
pub(crate) fn answer_with(bytes: Vec<u8>, hang_up: bool) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().canonicalize().unwrap().join("native");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(&bytes).unwrap();
        if hang_up {
            client.shutdown(Shutdown::Write).unwrap();
        }
        // Until the other end has had enough.
        let _ = io::copy(&mut client, &mut io::sink());
    });
    (folder, socket)
}
