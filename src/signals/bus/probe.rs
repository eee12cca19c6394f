//! Whether the buses answer at all, and what systemd's clock service says: one-off questions, for `doctor`.
//!
//! Leaves to others: following a bus (the parent module).

use std::time::Duration;

use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::{DBusProxy, PropertiesProxy};
use zbus::names::InterfaceName;

use super::BusKind;
use crate::signals::Buses;

/// How long a bus may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

const CLOCK_SERVICE: &str = "org.freedesktop.timedate1";

/// Whether the system bus answers; if not, the reason.
pub(crate) async fn system_bus(buses: &Buses) -> Result<(), String> {
    connect(buses, BusKind::System).await.map(drop)
}

/// Whether the session bus answers; if not, the reason.
pub(crate) async fn session_bus(buses: &Buses) -> Result<(), String> {
    connect(buses, BusKind::Session).await.map(drop)
}

/// Whether the network synchronizes the machine's clock; `None`: no service on the system bus says.
pub(crate) async fn clock_is_synchronized(buses: &Buses) -> Option<bool> {
    let asked = async {
        let bus = connect(buses, BusKind::System).await.ok()?;
        let properties = PropertiesProxy::builder(&bus).destination(CLOCK_SERVICE).ok()?;
        let properties = properties.path("/org/freedesktop/timedate1").ok()?.build().await.ok()?;
        let interface = InterfaceName::from_static_str_unchecked(CLOCK_SERVICE);
        properties.get(interface, "NTPSynchronized").await.ok()?.try_into().ok()
    };
    tokio::time::timeout(ANSWER_TIMEOUT, asked).await.ok().flatten()
}

/// A connection to a bus that has answered.
async fn connect(buses: &Buses, which: BusKind) -> Result<Connection, String> {
    let connected = async {
        let bus = Builder::address(buses.address(which)?)?.build().await?;
        DBusProxy::new(&bus).await?.get_id().await?;
        Ok::<_, zbus::Error>(bus)
    };
    let timed = tokio::time::timeout(ANSWER_TIMEOUT, connected).await;
    timed.map_err(|_| format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))?.map_err(|error| error.to_string())
}
