//! Every signal loses its source and finds it again: unknown in between, with a warning that says what to do, and well again by
//! itself.

use presenced::status::report::{Health, Report};
use presenced::warning::Code;

use crate::stage::bus::Bus;
use crate::stage::compositor_stub::CompositorStub;
use crate::stage::house::{FAST, House, guarded};
use crate::stage::login1::{Login1, Session};
use crate::stage::sound_stub::SoundStub;

const CALENDAR: &str = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n";

/// The signal, what warns of its loss, and its value otherwise.
const SIGNALS: [(&str, Code, &str); 6] = [
    ("calendar", Code::CalendarUnreadable, "free"),
    ("lock", Code::LockUnavailable, "unlocked"),
    ("sleep", Code::SleepUnavailable, "awake"),
    ("call", Code::CallStateInvalid, "idle"),
    ("microphone", Code::MicrophoneUnavailable, "idle"),
    ("idle", Code::IdleUnavailable, "active"),
];

fn is_well(report: &Report) -> bool {
    SIGNALS.iter().all(|(name, _, value)| {
        report.signals.get(*name).is_some_and(|signal| (signal.value.as_str(), signal.health) == (value, Health::Ok))
    }) && report.warnings.is_empty()
}

fn is_lost(report: &Report) -> bool {
    SIGNALS.iter().all(|(name, code, _)| {
        let signal = &report.signals[*name];
        (signal.value.as_str(), signal.health) == ("unknown", Health::Degraded)
            && report.warnings.iter().any(|warning| warning.code == *code && !warning.hint.is_empty())
    })
}

#[tokio::test]
async fn are_unknown_with_a_warning_and_heal_by_themselves() {
    let house = House::new().await;
    let mut bus = Bus::start();
    let mut login1 = Some(Login1::with(&bus, Session::DESKTOP).await);
    let mut compositor = CompositorStub::start(&house.path("wayland-0"), 2);
    let mut sound = SoundStub::start();
    let settings = "[signals.calendar]\nsources = [{ path = \"work.ics\" }]\n[signals.call]\npath = \"call-state\"\n\
                    [signals.lock]\n[signals.microphone]\n[signals.idle]\n";
    house.write("config.toml", house.account("work") + settings);
    house.write("work.ics", CALENDAR);
    let daemon = compositor
        .serve_until(house.start_with(&FAST, |command| {
            command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).env("PULSE_SERVER", &sound.socket);
        }))
        .await;
    compositor.serve_until(daemon.report("everything is healthy", is_well)).await;
    for _ in 0..2 {
        std::fs::remove_file(house.path("work.ics")).unwrap();
        house.write("call-state", "ringing");
        bus.kill();
        drop(login1.take());
        sound.kill();
        compositor.take_the_notifier_back();
        compositor.serve_until(daemon.report("all is lost", is_lost)).await;

        house.write("work.ics", CALENDAR);
        house.write("call-state", "idle");
        bus.resume();
        login1 = Some(Login1::with(&bus, Session::DESKTOP).await);
        sound.resume();
        drop(compositor);
        compositor = CompositorStub::start(&house.path("wayland-0"), 2);
        compositor.serve_until(daemon.report("everything is healthy again", is_well)).await;
    }
    assert_eq!(guarded("the end", daemon.stop()).await.code(), Some(0));
}
