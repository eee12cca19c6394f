//! The microphone signal: real sound servers with real recorders, a stand-in for what those do not do, and the daemon.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use presenced::config;
use presenced::daemon::clock::SystemClock;
use presenced::policy::{Call, CallState, Reading};
use presenced::signals::{Buses, Observation, Update, microphone};
use presenced::status::report::Health;
use presenced::time::Clock;
use presenced::warning::Code;
use pulseaudio::protocol::stream::StreamFlags;

use crate::stage::house::{FAST, House};
use crate::stage::reports::{has, work};
use crate::stage::signal_bench::{ManualClock, Signal, soon};
use crate::stage::sound::{Kind, MICROPHONE, MONITOR, Recorder, SoundServer};
use crate::stage::sound_stub::{SoundStub, answer_with};

const NOON: &str = "2026-11-23T12:00:00Z";
const SETTLE: Duration = Duration::from_secs(2);

fn at(socket: PathBuf) -> config::Microphone {
    config::Microphone { socket, cookies: Vec::new(), allow: Vec::new(), deny: Vec::new(), settle: Duration::ZERO }
}

fn of(server: &SoundServer) -> config::Microphone {
    config::Microphone { cookies: server.cookies(), ..at(server.socket()) }
}

fn follow<C: Clock + 'static>(clock: &Arc<C>, config: config::Microphone) -> Signal<Call> {
    let unwrap = |update| if let Update::Microphone(observation) = update { Some(observation) } else { None };
    Signal::start(clock, Buses::default(), unwrap, |context| microphone::run(config, context))
}

fn idle() -> Reading<Call> {
    Reading::Known(Call { state: CallState::Idle, app: None })
}

fn call(name: &str) -> Reading<Call> {
    Reading::Known(Call { state: CallState::InCall, app: Some(format!("{name} records")) })
}

fn assert_unknown(observation: &Observation<Call>, words: &str) {
    assert_eq!(observation.reading, Reading::Unknown, "{observation:?}");
    let [warning] = observation.warnings.as_slice() else { panic!("one warning in {observation:?}") };
    assert_eq!(warning.code, Code::MicrophoneUnavailable);
    assert!(warning.text.contains(words), "`{}` has no `{words}`", warning.text);
    assert!(!warning.hint.is_empty());
}

fn lasting(settle: Duration, microphone: config::Microphone) -> config::Microphone {
    config::Microphone { settle, ..microphone }
}

/// What holds of each server.
async fn a_recorder_is_a_call(kind: Kind) {
    let server = SoundServer::start(kind);
    let mut signal = follow(&Arc::new(SystemClock::real()), of(&server));
    let first = signal.next().await;
    assert_eq!((first.reading, first.warnings.len()), (idle(), 0));
    assert_eq!(first.source, server.socket().display().to_string());
    for name in ["Meeting", "Next meeting"] {
        let recorder = server.record(name, MICROPHONE);
        assert_eq!(signal.next().await.reading, call(name));
        drop(recorder);
        assert_eq!(signal.next().await.reading, idle());
    }
}

#[tokio::test]
async fn a_recorder_of_pulseaudio_is_a_call() {
    a_recorder_is_a_call(Kind::PulseAudio).await;
}

#[tokio::test]
async fn a_recorder_of_pipewire_is_a_call() {
    a_recorder_is_a_call(Kind::PipeWire).await;
}

/// Recordings that are not calls cause no update: the next update is the call after them.
async fn what_is_no_call(kind: Kind) {
    let server = SoundServer::start(kind);
    let clock = Arc::new(SystemClock::real());
    let mut signal = follow(&clock, config::Microphone { deny: vec!["obs".to_owned()], ..of(&server) });
    assert_eq!(signal.next().await.reading, idle());
    let _monitor = server.record_and_wait("Recorder", MONITOR);
    let _denied = server.record_and_wait("OBS", MICROPHONE);
    let meter = StreamFlags { peak_detect: true, adjust_latency: true, ..StreamFlags::default() };
    let _meter = Recorder::start(&server, "Volume", MICROPHONE, meter);
    let corked = StreamFlags { start_corked: true, ..StreamFlags::default() };
    let mut paused = Recorder::start(&server, "Paused", MICROPHONE, corked);
    // All four at once, to somebody who was not there when they began.
    let mut late = follow(&clock, config::Microphone { deny: vec!["obs".to_owned()], ..of(&server) });
    assert_eq!(late.next().await.reading, idle());
    paused.cork(false);
    assert_eq!(signal.next().await.reading, call("Paused"));
    paused.cork(true);
    assert_eq!(signal.next().await.reading, idle());
    let voice = server.record("Voice", MICROPHONE);
    assert_eq!(signal.next().await.reading, call("Voice"));
    // A muted voice is still in its call.
    let id = index_of(&server, "Voice");
    server.pactl(&["set-source-output-mute", &id, "1"]);
    drop(voice);
    assert_eq!(signal.next().await.reading, idle());
}

/// The index of the one source output of an application.
fn index_of(server: &SoundServer, application: &str) -> String {
    let list = server.pactl(&["list", "source-outputs"]);
    let one = list.split("Source Output #").find(|one| one.contains(&format!("\"{application}\""))).unwrap();
    one.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn other_recordings_of_pulseaudio_are_not_calls() {
    what_is_no_call(Kind::PulseAudio).await;
}

#[tokio::test]
async fn other_recordings_of_pipewire_are_not_calls() {
    what_is_no_call(Kind::PipeWire).await;
}

/// With a list of applications only they count, and they count wherever they record.
async fn only_what_is_allowed(kind: Kind) {
    let server = SoundServer::start(kind);
    let allow = vec!["zoom".to_owned()];
    let mut signal = follow(&Arc::new(SystemClock::real()), config::Microphone { allow, ..of(&server) });
    assert_eq!(signal.next().await.reading, idle());
    let _other = server.record_and_wait("Dictation", MICROPHONE);
    let mixed = server.record("ZOOM", MONITOR);
    assert_eq!(signal.next().await.reading, call("ZOOM"));
    drop(mixed);
    assert_eq!(signal.next().await.reading, idle());
}

#[tokio::test]
async fn only_what_is_allowed_of_pulseaudio() {
    only_what_is_allowed(Kind::PulseAudio).await;
}

#[tokio::test]
async fn only_what_is_allowed_of_pipewire() {
    only_what_is_allowed(Kind::PipeWire).await;
}

/// A real server, through the daemon, to what others see; and through its restart.
#[tokio::test]
async fn recording_counts_as_a_call() {
    let mut server = SoundServer::start(Kind::PulseAudio);
    server.kill();
    let mut house = House::new().await;
    house.write("config.toml", house.account("work") + "[signals.microphone]\nsettle = \"0s\"\n");
    let socket = server.socket();
    let daemon = house
        .start_with(&FAST, |command| {
            command.env("PULSE_SERVER", format!("unix:{}", socket.display()));
        })
        .await;
    let lost = daemon.report("no server", |report| has(report, Code::MicrophoneUnavailable)).await;
    assert_eq!(lost.signals["microphone"].health, Health::Degraded);
    daemon.report("unknown", |report| report.signals["call"].value == "unknown").await;
    server.resume();
    daemon.report("a server", |report| !has(report, Code::MicrophoneUnavailable)).await;
    let recorder = server.record("Meeting", MICROPHONE);
    let report = daemon.report("a call", |report| report.signals["call"].value == "in-call").await;
    assert_eq!(work(&report).because, "call is in-call (Meeting records)");
    assert_eq!(report.signals["call"].source, socket.display().to_string());
    house.seen("Busy/InACall").await;
    drop(recorder);
    daemon.report("no call", |report| report.signals["call"].value == "idle").await;
    server.kill();
    daemon.report("unknown again", |report| report.signals["call"].value == "unknown").await;
}

/// One signal of two sources, through the daemon: the report names the one that it comes from.
#[tokio::test]
async fn the_files_and_the_microphone_tell_of_calls_together() {
    let (house, stub) = (House::new().await, SoundStub::start());
    house.write("config.toml", house.configuration() + "[signals.microphone]\nsettle = \"0s\"\n");
    let daemon = house
        .start_with(&FAST, |command| {
            command.env("PULSE_SERVER", &stub.socket);
        })
        .await;
    let call = async |value: &str| daemon.report(value, |report| report.signals["call"].value == value).await;
    let files = house.path("call-state").display().to_string();
    assert_eq!(call("idle").await.signals["call"].source, files);
    stub.record(&["Meeting"]);
    let report = call("in-call").await;
    assert_eq!(report.signals["call"].source, stub.socket.display().to_string());
    assert_eq!(work(&report).because, "call is in-call (Meeting records)");
    house.write("call-state", "conference");
    let report = call("conference").await;
    assert_eq!(report.signals["call"].source, files);
    assert_eq!(report.signals["microphone"].value, "in-call");
    stub.record(&[]);
    daemon.report("nobody records", |report| report.signals["microphone"].value == "idle").await;
    // The server goes away, and does not come back.
    std::fs::remove_file(&stub.socket).unwrap();
    stub.hang_up();
    let report = daemon.report("no server", |report| report.signals["microphone"].value == "unknown").await;
    assert_eq!(report.signals["call"].value, "conference", "a call is still known");
    house.write("call-state", "idle");
    let report = call("unknown").await;
    assert_eq!((report.signals["call"].health, report.health), (Health::Degraded, Health::Degraded));
}

#[tokio::test]
async fn a_call_begins_and_ends_when_it_has_settled() {
    let (clock, stub) = (ManualClock::at(NOON), SoundStub::start());
    let mut signal = follow(&clock, lasting(SETTLE, at(stub.socket.clone())));
    assert_eq!(signal.next().await.reading, idle());
    stub.record(&["Meeting"]);
    clock.pass(SETTLE).await;
    assert_eq!(signal.next().await.reading, call("Meeting"));
    stub.record(&[]);
    clock.pass(SETTLE).await;
    assert_eq!(signal.next().await.reading, idle());
}

/// Waits until the signal sleeps until then; `None`: until something happens.
async fn sleeps(clock: &ManualClock, until: Option<Duration>) {
    let until = until.map(|wait| clock.now().instant + wait);
    soon("a sleep", async {
        while clock.next_wakeup() != until {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_microphone_test_is_not_a_call_and_a_device_change_ends_no_call() {
    let (clock, stub) = (ManualClock::at(NOON), SoundStub::start());
    let mut signal = follow(&clock, lasting(SETTLE, at(stub.socket.clone())));
    assert_eq!(signal.next().await.reading, idle());
    stub.record(&["Test"]);
    sleeps(&clock, Some(SETTLE)).await;
    clock.advance(SETTLE / 2);
    stub.record(&[]);
    sleeps(&clock, None).await;
    clock.advance(SETTLE * 2);
    stub.record(&["Meeting"]);
    clock.pass(SETTLE).await;
    assert_eq!(signal.next().await.reading, call("Meeting"));
    stub.record(&[]);
    sleeps(&clock, Some(SETTLE)).await;
    clock.advance(SETTLE / 2);
    stub.record(&["Meeting"]);
    sleeps(&clock, None).await;
    clock.advance(SETTLE * 2);
    // Of several who was named is named on.
    let mut asked = stub.asked();
    let before = *asked.borrow();
    stub.record(&["Other", "Meeting"]);
    soon("to be asked", asked.wait_for(|asked| *asked > before)).await.unwrap();
    sleeps(&clock, None).await;
    stub.record(&["Next meeting"]);
    assert_eq!(signal.next().await.reading, call("Next meeting"));
}

#[tokio::test]
async fn after_a_restart_idleness_needs_its_full_time() {
    let (clock, stub) = (ManualClock::at(NOON), SoundStub::start());
    stub.set(&["Meeting"]);
    let mut signal = follow(&clock, lasting(SETTLE, at(stub.socket.clone())));
    assert_eq!(signal.next().await.reading, call("Meeting"), "what goes on at first has settled");
    for comes_back in [true, false] {
        stub.set(&[]);
        stub.hang_up();
        assert_unknown(&signal.next().await, "the sound server closed the connection");
        clock.pass(Duration::from_millis(100)).await;
        let unknown = signal.next().await;
        assert_eq!((unknown.reading, unknown.warnings.len()), (Reading::Unknown, 0));
        if comes_back {
            stub.record(&["Meeting"]);
            assert_eq!(signal.next().await.reading, call("Meeting"));
        } else {
            clock.pass(SETTLE).await;
            assert_eq!(signal.next().await.reading, idle());
        }
    }
}

#[tokio::test]
async fn a_server_that_comes_is_noticed_by_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().canonicalize().unwrap().join("pulse/native");
    let clock = ManualClock::at(NOON);
    let mut signal = follow(&clock, at(socket.clone()));
    assert_unknown(&signal.next().await, "no sound server answers");
    let stub = SoundStub::start();
    std::fs::create_dir(socket.parent().unwrap()).unwrap();
    std::fs::rename(&stub.socket, &socket).unwrap();
    // The clock stands still, so it does not try again.
    assert_eq!(signal.next().await.reading, idle());
    // A file that is left behind by a server that was killed.
    std::fs::remove_file(&socket).unwrap();
    std::fs::write(&socket, "").unwrap();
    stub.hang_up();
    assert_unknown(&signal.next().await, "closed the connection");
    assert_unknown(&signal.next().await, "no sound server answers (Connection refused");
}

#[tokio::test]
async fn a_storm_of_changes_is_looked_at_twice_a_second() {
    const GATHERED: Duration = Duration::from_millis(500);
    let (clock, stub) = (ManualClock::at(NOON), SoundStub::start());
    let mut asked = stub.asked();
    let mut signal = follow(&clock, at(stub.socket.clone()));
    assert_eq!(signal.next().await.reading, idle());
    for count in 2..=5 {
        stub.tell();
        soon("to be asked", asked.wait_for(|asked| *asked == count)).await.unwrap();
        sleeps(&clock, None).await;
    }
    for count in 6..=8 {
        for _ in 0..10 {
            stub.tell();
        }
        sleeps(&clock, Some(GATHERED)).await;
        clock.advance(GATHERED);
        soon("to be asked", asked.wait_for(|asked| *asked == count)).await.unwrap();
        // It debounces again what it has reported before.
        sleeps(&clock, Some(GATHERED)).await;
    }
    stub.record(&["Meeting"]);
    clock.advance(GATHERED);
    assert_eq!(signal.next().await.reading, call("Meeting"));
}

/// A message of the protocol.
fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], &[0xff; 4], &[0; 12], body].concat()
}

#[tokio::test]
async fn other_programs_are_not_taken_for_a_sound_server() {
    let head = |length: u32| [&length.to_be_bytes()[..], &[0xff; 4], &[0; 12]].concat();
    let refusal = |code: u8| framed(&[b"L\0\0\0\0L\0\0\0\x01L\0\0\0", &[code][..]].concat());
    let cases: [(Vec<u8>, &str); 11] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "unexpected sound"),
        (head(u32::MAX), "a message of 4294967295 bytes"),
        (framed(b"x\xff\xff\xff\xffcookie"), "a message cut short"),
        (framed(b""), "a message cut short"),
        (framed(b"B\x07B\x07"), "expected U32, got U8"),
        (framed(b"L\0\0\0\x02L\0\0\0\x07"), "an unexpected answer"),
        // Version 9 of the protocol, which is of 2006.
        (framed(b"L\0\0\0\x02L\0\0\0\x01L\0\0\0\x09"), "version 9 of the protocol"),
        (refusal(1), "refuses connections without its cookie"),
        (refusal(17), "Incompatible protocol version"),
        (refusal(200), "unknown to the client"),
        (head(100), "the sound server closed the connection"),
    ];
    for (bytes, words) in cases {
        let (_folder, socket) = answer_with(bytes.clone(), true);
        let mut signal = follow(&ManualClock::at(NOON), at(socket));
        let observation = signal.next().await;
        assert_unknown(&observation, words);
        signal.stop().await;
    }
    // One that was understood until now.
    let (clock, stub) = (ManualClock::at(NOON), SoundStub::start());
    let mut signal = follow(&clock, at(stub.socket.clone()));
    assert_eq!(signal.next().await.reading, idle());
    stub.send(&head(100));
    clock.pass(Duration::from_secs(5)).await;
    assert_unknown(&signal.next().await, "does not answer within 5 s");
    for begun in [Vec::new(), head(100)] {
        let (_folder, socket) = answer_with(begun, false);
        let clock = ManualClock::at(NOON);
        let mut signal = follow(&clock, at(socket));
        clock.pass(Duration::from_secs(5)).await;
        assert_unknown(&signal.next().await, "does not answer within 5 s");
    }
}
