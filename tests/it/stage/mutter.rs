//! A stand-in for GNOME's shell as an idle monitor, with the interface and the paths that Mutter registers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use zbus::message::Header;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::object_server::{InterfaceRef, SignalEmitter};
use zbus::{Connection, fdo, interface};

use super::bus::Bus;

/// Its name on the bus.
pub(crate) const MUTTER: &str = "org.gnome.Mutter.IdleMonitor";
const CORE: &str = "/org/gnome/Mutter/IdleMonitor/Core";

/// Mutter's core idle monitor.
#[derive(Default)]
pub(crate) struct Monitor {
    idle_time: u64,
    last_watch: u32,
    /// The number, the interval (0: until the next input) and the owner of each watch.
    watches: Vec<(u32, u64, OwnedUniqueName)>,
}

#[expect(clippy::needless_pass_by_value, reason = "zbus hands headers over")]
#[interface(name = "org.gnome.Mutter.IdleMonitor")]
impl Monitor {
    fn get_idletime(&self) -> u64 {
        self.idle_time
    }
    fn add_idle_watch(&mut self, interval: u64, #[zbus(header)] header: Header<'_>) -> fdo::Result<u32> {
        if interval == 0 {
            return Err(fdo::Error::InvalidArgs("an interval of nothing".to_owned()));
        }
        Ok(self.add(interval, &header))
    }
    fn add_user_active_watch(&mut self, #[zbus(header)] header: Header<'_>) -> u32 {
        self.add(0, &header)
    }
    fn remove_watch(&mut self, id: u32) {
        self.watches.retain(|watch| watch.0 != id);
    }
    #[zbus(signal)]
    async fn watch_fired(emitter: &SignalEmitter<'_>, id: u32) -> zbus::Result<()>;
}

impl Monitor {
    fn add(&mut self, interval: u64, header: &Header<'_>) -> u32 {
        self.last_watch += 1;
        self.watches.push((self.last_watch, interval, header.sender().unwrap().to_owned().into()));
        self.last_watch
    }
}

/// GNOME's shell, as far as it is an idle monitor.
pub(crate) struct Shell(Connection);

impl Shell {
    pub(crate) async fn start(bus: &Bus, idle_time: Duration) -> Self {
        let connection = bus.connect().await;
        let idle_time = idle_time.as_millis().try_into().unwrap();
        connection.object_server().at(CORE, Monitor { idle_time, ..Monitor::default() }).await.unwrap();
        connection.request_name(MUTTER).await.unwrap();
        Self(connection)
    }

    /// There has been no input for this long.
    pub(crate) async fn sits_idle(&self, idle_time: Duration) {
        let monitor = self.monitor().await;
        let mut state = monitor.get_mut().await;
        let before = std::mem::replace(&mut state.idle_time, idle_time.as_millis().try_into().unwrap());
        let due = |watch: &&(u32, u64, _)| watch.1 > before && watch.1 <= state.idle_time;
        let fired: Vec<_> = state.watches.iter().filter(due).cloned().collect();
        drop(state);
        self.fire(&monitor, fired).await;
    }

    /// Somebody presses a key.
    pub(crate) async fn has_input(&self) {
        let monitor = self.monitor().await;
        let mut state = monitor.get_mut().await;
        state.idle_time = 0;
        let (fired, kept) = std::mem::take(&mut state.watches).into_iter().partition(|watch| watch.1 == 0);
        state.watches = kept;
        drop(state);
        self.fire(&monitor, fired).await;
    }

    /// Mutter notifies only the owner of a watch.
    async fn fire(&self, monitor: &InterfaceRef<Monitor>, watches: Vec<(u32, u64, OwnedUniqueName)>) {
        for (id, _, owner) in watches {
            let emitter = monitor.signal_emitter().clone().set_destination(BusName::from(owner.into_inner()));
            Monitor::watch_fired(&emitter, id).await.unwrap();
        }
    }

    /// How many watches it has.
    pub(crate) async fn watches(&self) -> usize {
        self.monitor().await.get().await.watches.len()
    }

    async fn monitor(&self) -> InterfaceRef<Monitor> {
        self.0.object_server().interface(CORE).await.unwrap()
    }

    pub(crate) async fn ends(self) {
        self.0.close().await.unwrap();
    }
}
