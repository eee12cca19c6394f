//! A private sound server on a socket in a temporary folder: the real `PulseAudio`, or the real `PipeWire` with its session
//! manager and its `PulseAudio` face, each with a virtual speaker and microphone; and programs that record.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::ffi::CString;
use std::fs::{DirBuilder, File};
use std::io::BufReader;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pulseaudio::protocol::{
    self, AuthParams, AuthReply, ChannelMap, CorkStreamParams, CreateRecordStreamReply, MAX_VERSION, Prop, Props,
    RecordStreamParams, SampleFormat, SampleSpec, SetClientNameReply, SubscriptionMask, stream,
};

use super::bus::Bus;

/// A hang guard for the server's own answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many times, every 5 ms, to look whether it listens.
const TRIES: usize = 4000;

/// The sink of the private server; what it plays is recorded from [`MONITOR`].
const SPEAKERS: &str = "speakers";
/// What is played, recorded again.
pub(crate) const MONITOR: &str = "speakers.monitor";
/// A source that is not a monitor.
pub(crate) const MICROPHONE: &str = "microphone";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    PulseAudio,
    PipeWire,
}

/// A process that ends with the test.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A sound server that ends with the test.
pub(crate) struct SoundServer {
    kind: Kind,
    folder: tempfile::TempDir,
    bus: Option<Bus>,
    /// The server is the last; those before it, which it needs, stay through a restart.
    processes: Vec<Process>,
}

impl SoundServer {
    /// Starts a server that has its devices when this returns.
    pub(crate) fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["pulse", "home"] {
            DirBuilder::new().mode(0o700).create(folder.path().join(part)).unwrap();
        }
        let bus = (kind == Kind::PipeWire).then(Bus::start);
        let mut server = Self { kind, folder, bus, processes: Vec::new() };
        if kind == Kind::PipeWire {
            server.processes.push(server.spawn("pipewire", &[]));
            server.wait_for("pipewire-0");
            server.processes.push(server.spawn("wireplumber", &[]));
        }
        server.resume();
        server
    }

    /// Starts it again at the same address.
    pub(crate) fn resume(&mut self) {
        let server = match self.kind {
            Kind::PulseAudio => {
                let script = self.folder.path().join("script.pa");
                let socket = self.socket();
                std::fs::write(
                    &script,
                    format!("load-module module-native-protocol-unix socket={}\n", socket.display()),
                )
                .unwrap();
                let script = script.to_str().unwrap().to_owned();
                self.spawn(
                    "pulseaudio",
                    &[
                        "--daemonize=no",
                        "--exit-idle-time=-1",
                        "--use-pid-file=no",
                        "--disable-shm=yes",
                        "-n",
                        "-F",
                        &script,
                    ],
                )
            }
            Kind::PipeWire => self.spawn("pipewire-pulse", &[]),
        };
        self.processes.push(server);
        self.wait_for("pulse/native");
        let microphone = format!("source_name={MICROPHONE}");
        let sink_name = format!("sink_name={SPEAKERS}");
        self.pactl(&["load-module", "module-null-sink", &sink_name]);
        match self.kind {
            Kind::PulseAudio => {
                self.pactl(&["load-module", "module-remap-source", &microphone, &format!("master={MONITOR}")]);
            }
            Kind::PipeWire => {
                let name = format!("sink_name={MICROPHONE}");
                self.pactl(&[
                    "load-module",
                    "module-null-sink",
                    &name,
                    "media.class=Audio/Source/Virtual",
                    "channel_map=mono",
                ]);
            }
        }
        // A module of PipeWire's is loaded before its devices are there.
        let has_devices = || self.lists("sources", MICROPHONE) && self.lists("sources", MONITOR);
        Client::connect(self, "a test").wait(SubscriptionMask::SOURCE, has_devices);
    }

    /// Kills it, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.processes.pop();
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("pulse/native")
    }

    /// Where its cookie is, if it has one.
    pub(crate) fn cookies(&self) -> Vec<PathBuf> {
        vec![self.folder.path().join("home/.config/pulse/cookie")]
    }

    /// Records from `device` as an application of this name.
    pub(crate) fn record(&self, application: &str, device: &str) -> Process {
        self.spawn("parec", &["--raw", &format!("--client-name={application}"), &format!("--device={device}")])
    }

    /// Records from `device` until this returns: the server lists it.
    pub(crate) fn record_and_wait(&self, application: &str, device: &str) -> Process {
        let process = self.record(application, device);
        let name = format!("\"{application}\"");
        let is_listed = || self.pactl(&["list", "source-outputs"]).contains(&name);
        Client::connect(self, "a test").wait(SubscriptionMask::SOURCE_OUTPUT, is_listed);
        process
    }

    fn lists(&self, what: &str, name: &str) -> bool {
        self.pactl(&["list", "short", what]).lines().any(|line| line.split('\t').nth(1) == Some(name))
    }

    pub(crate) fn pactl(&self, arguments: &[&str]) -> String {
        let output = self.command("pactl", arguments).output();
        let output = output.expect("these tests need `pactl`: install the Debian package `pulseaudio-utils`");
        assert!(output.status.success(), "pactl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn spawn(&self, program: &str, arguments: &[&str]) -> Process {
        let log = File::create(self.folder.path().join(program)).unwrap();
        let mut command = self.command(program, arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let package = if program == "parec" { "pulseaudio-utils" } else { program };
        Process(command.spawn().unwrap_or_else(|error| {
            panic!("these tests need `{program}`: install the Debian package `{package}` ({error})")
        }))
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let folder = self.folder.path();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("HOME", folder.join("home"))
            .env("XDG_RUNTIME_DIR", folder)
            .env("XDG_CONFIG_HOME", folder.join("home/.config"))
            .env("PULSE_SERVER", self.socket())
            .env("PULSE_RUNTIME_PATH", folder.join("pulse"))
            .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
            .env(
                "DBUS_SESSION_BUS_ADDRESS",
                self.bus.as_ref().map_or("unix:path=/nonexistent".to_owned(), Bus::address),
            )
            .env_remove("DISPLAY");
        command
    }

    /// Waits until somebody listens at this socket. A program that has just started cannot report it, so this looks again and
    /// again, but not for ever.
    fn wait_for(&self, name: &str) {
        for _ in 0..TRIES {
            if UnixStream::connect(self.folder.path().join(name)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("waited in vain for {name}");
    }
}

/// A connection to the server, by the protocol itself.
struct Client {
    stream: BufReader<UnixStream>,
    version: u16,
}

impl Client {
    fn connect(server: &SoundServer, application: &str) -> Self {
        let stream = UnixStream::connect(server.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        rustix::net::sockopt::set_socket_passcred(&stream, true).unwrap();
        let mut client = Self { stream: BufReader::new(stream), version: MAX_VERSION };
        let auth =
            AuthParams { version: MAX_VERSION, supports_shm: false, supports_memfd: false, cookie: vec![0; 256] };
        let answer: AuthReply = client.ask(&protocol::Command::Auth(auth));
        client.version = answer.version.min(MAX_VERSION);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, CString::new(application).unwrap());
        let _: SetClientNameReply = client.ask(&protocol::Command::SetClientName(props));
        client
    }

    /// Waits until it is so, which may change when the server has this kind of news.
    fn wait(&mut self, news: SubscriptionMask, is_so: impl Fn() -> bool) {
        self.send(&protocol::Command::Subscribe(news));
        protocol::read_ack_message(&mut self.stream).unwrap();
        while !is_so() {
            protocol::read_command_message(&mut self.stream, self.version).expect("news from the server");
        }
    }

    fn ask<T: protocol::CommandReply>(&mut self, command: &protocol::Command) -> T {
        self.send(command);
        protocol::read_reply_message(&mut self.stream, self.version).unwrap().1
    }

    fn send(&mut self, command: &protocol::Command) {
        protocol::write_command_message(self.stream.get_mut(), 1, command, self.version).unwrap();
    }
}

/// A client that records by the protocol itself, as a program does that measures or pauses.
pub(crate) struct Recorder {
    client: Client,
    channel: u32,
}

impl Recorder {
    /// Records from `device` with these flags.
    pub(crate) fn start(server: &SoundServer, application: &str, device: &str, flags: stream::StreamFlags) -> Self {
        let mut client = Client::connect(server, application);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, CString::new(application).unwrap());
        props.set(Prop::MediaName, c"a recording");
        let params = RecordStreamParams {
            sample_spec: SampleSpec { format: SampleFormat::Float32Le, channels: 1, sample_rate: 25 },
            channel_map: ChannelMap::mono(),
            source_name: Some(CString::new(device).unwrap()),
            buffer_attr: stream::BufferAttr { max_length: u32::MAX, fragment_size: 4, ..Default::default() },
            flags,
            props,
            ..RecordStreamParams::default()
        };
        let answer: CreateRecordStreamReply = client.ask(&protocol::Command::CreateRecordStream(params));
        Self { client, channel: answer.channel }
    }

    /// Pauses or resumes.
    pub(crate) fn cork(&mut self, cork: bool) {
        let params = CorkStreamParams { channel: self.channel, cork };
        self.client.send(&protocol::Command::CorkRecordStream(params));
    }
}
