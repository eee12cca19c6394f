//! Idleness through the real program: from a stand-in for GNOME's idle monitor, or a real X server, to what others see.

use crate::stage::bus::Bus;
use crate::stage::house::House;
use crate::stage::mutter::Shell;

use std::time::Duration;

const TEN_MINUTES: Duration = Duration::from_mins(10);

#[tokio::test]
async fn idle_is_away_except_in_a_call() {
    let mut house = House::new().await;
    let bus = Bus::start();
    let shell = Shell::start(&bus, Duration::ZERO).await;
    house.write("config.toml", house.configuration() + "[signals.idle]\n");
    let with_bus = |command: &mut tokio::process::Command| {
        command.env("DBUS_SESSION_BUS_ADDRESS", bus.address());
    };
    let daemon = house.start_with(&[], with_bus).await;
    house.seen("Available/Available").await;
    shell.sits_idle(TEN_MINUTES).await;
    house.seen("Away/Away").await;
    let report = daemon.report("idle", |report| report.accounts["work"].rule.as_deref() == Some("idle")).await;
    assert_eq!(report.accounts["work"].because, "idle is idle");
    assert_eq!(report.signals["idle"].value, "idle");
    assert_eq!(report.signals["idle"].source, "org.gnome.Mutter.IdleMonitor");

    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    house.write("call-state", "idle");
    house.seen("Away/Away").await;
    shell.has_input().await;
    house.seen("Available/Available").await;

    // Off, no rule asks for it any more.
    shell.sits_idle(TEN_MINUTES).await;
    house.seen("Away/Away").await;
    house.write("config.toml", house.configuration());
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    house.seen("Available/Available").await;
    daemon.report("off", |report| report.signals["idle"].value == "off").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

/// GNOME's monitor needs nothing that can be left out, as the test above shows in this build too.
#[cfg(not(any(feature = "wayland", feature = "x11")))]
#[tokio::test]
async fn a_build_without_displays_says_what_it_lacks() {
    use presenced::status::report::Warning;
    use presenced::warning::Code;

    let mut house = House::new().await;
    house.write("config.toml", house.configuration() + "[signals.idle]\n");
    let with_displays = |command: &mut tokio::process::Command| {
        command.env("WAYLAND_DISPLAY", "wayland-0").env("DISPLAY", ":0");
    };
    let daemon = house.start_with(&[], with_displays).await;
    let is_told = |warning: &&Warning| warning.code == Code::IdleUnavailable;
    let report = daemon.report("a warning", |report| report.warnings.iter().any(|warning| is_told(&warning))).await;
    assert_eq!(report.signals["idle"].value, "unknown");
    let warning = report.warnings.iter().find(is_told).expect("it was just there");
    for lack in ["this presenced was built without Wayland", "this presenced was built without X11"] {
        assert!(warning.text.contains(lack), "{}", warning.text);
    }
    assert!(
        warning.hint.contains("use a build of presenced with the features `wayland` and `x11`"),
        "{}",
        warning.hint
    );
    // The rest of the configuration keeps working.
    house.seen("Available/Available").await;
    daemon.stop().await;
}

#[cfg(feature = "x11")]
#[tokio::test]
async fn the_environment_leads_to_an_x_server_and_its_cookie() {
    let mut house = House::new().await;
    let mut server = crate::stage::x_server::XServer::reserve();
    let cookie = house.path("Xauthority");
    std::fs::write(&cookie, server.cookie()).expect("a folder of the test's own");
    server.start(&["-auth", cookie.to_str().expect("a path of letters")]);
    house.write("config.toml", house.configuration() + "[signals.idle]\n");
    let with_display = |command: &mut tokio::process::Command| {
        command.env("DISPLAY", server.display());
    };
    let without = house.start_with(&[], with_display).await;
    let refused = |report: &presenced::status::report::Report| {
        report.warnings.iter().any(|warning| warning.text.contains("refuses the connection"))
    };
    let report = without.report("no cookie", refused).await;
    assert_eq!(report.signals["idle"].value, "unknown");
    without.stop().await;

    let with_cookie = |command: &mut tokio::process::Command| {
        command.env("DISPLAY", server.display()).env("XAUTHORITY", &cookie);
    };
    let daemon = house.start_with(&[], with_cookie).await;
    let report = daemon.report("an X server", |report| report.signals["idle"].value == "active").await;
    assert_eq!(report.signals["idle"].source, format!("idle counter of X display {}", server.display()));
    house.seen("Available/Available").await;
    daemon.stop().await;
}
