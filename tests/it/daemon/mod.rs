//! The real program against an emulated Graph, as a service manager and a person use it.

mod accounts;
mod claims;
mod failures;
mod lifecycle;
mod signals;

use crate::stage::bus::Bus;
use crate::stage::house::{Daemon, House};
use crate::stage::login1::{Login1, Session};

/// A daemon that watches the lock of an unlocked desktop, and holds Available.
async fn at_a_desk(house: &mut House) -> (Bus, Login1, Daemon) {
    let bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    login1.add("1", Session::DESKTOP).await;
    login1.set_auto(Some("1"));
    house.write("config.toml", house.configuration() + "[signals.lock]\n");
    let daemon = house
        .start_with(&[], |command| {
            command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        })
        .await;
    house.seen("Available/Available").await;
    (bus, login1, daemon)
}
