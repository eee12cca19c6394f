//! Stand-ins for screen savers on a private bus, with the interfaces and paths that their desktops register.

use zbus::Connection;
use zbus::object_server::SignalEmitter;

use super::bus::Bus;

/// A screen saver.
pub(crate) trait Saver {
    /// Starts it.
    async fn start(bus: &Bus, active: bool) -> Connection;
    /// Turns it on or off, and sends the signal.
    async fn set(connection: &Connection, active: bool);
}

/// Screen savers differ only in their name and path.
macro_rules! saver {
    ($saver:ident, $name:literal, $path:literal) => {
        pub(crate) struct $saver(bool);

        #[zbus::interface(name = $name)]
        impl $saver {
            fn get_active(&self) -> bool {
                self.0
            }
            #[zbus(signal)]
            async fn active_changed(emitter: &SignalEmitter<'_>, active: bool) -> zbus::Result<()>;
        }

        impl Saver for $saver {
            async fn start(bus: &Bus, active: bool) -> Connection {
                let connection = bus.connect().await;
                connection.object_server().at($path, Self(active)).await.unwrap();
                connection.request_name($name).await.unwrap();
                connection
            }

            async fn set(connection: &Connection, active: bool) {
                let saver = connection.object_server().interface::<_, Self>($path).await.unwrap();
                saver.get_mut().await.0 = active;
                Self::active_changed(saver.signal_emitter(), active).await.unwrap();
            }
        }
    };
}

saver!(Gnome, "org.gnome.ScreenSaver", "/org/gnome/ScreenSaver");
saver!(Cinnamon, "org.cinnamon.ScreenSaver", "/org/cinnamon/ScreenSaver");
saver!(Mate, "org.mate.ScreenSaver", "/org/mate/ScreenSaver");
saver!(Xfce, "org.xfce.ScreenSaver", "/org/xfce/ScreenSaver");
saver!(Kde, "org.freedesktop.ScreenSaver", "/ScreenSaver");
saver!(NewKde, "org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver");
