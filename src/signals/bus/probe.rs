//! Whether the buses answer at all, and what systemd's clock service says: for somebody who asks once and goes. The signals
//! themselves need none of it.

use std::time::Duration;

use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::{DBusProxy, PropertiesProxy};
use zbus::names::InterfaceName;

use super::Which;
use crate::signals::Buses;

/// How long a bus may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

const CLOCK_SERVICE: &str = "org.freedesktop.timedate1";

/// Whether the system bus answers; if it does not, why.
pub(crate) async fn system_bus(buses: &Buses) -> Result<(), String> {
    connect(buses, Which::System).await.map(drop)
}

/// Whether the session bus answers; if it does not, why.
pub(crate) async fn session_bus(buses: &Buses) -> Result<(), String> {
    connect(buses, Which::Session).await.map(drop)
}

/// Whether the machine's clock is kept right by the network; `None`: nobody on the system bus says.
pub(crate) async fn clock_is_synchronized(buses: &Buses) -> Option<bool> {
    let asked = async {
        let bus = connect(buses, Which::System).await.ok()?;
        let properties = PropertiesProxy::builder(&bus).destination(CLOCK_SERVICE).ok()?;
        let properties = properties.path("/org/freedesktop/timedate1").ok()?.build().await.ok()?;
        let interface = InterfaceName::from_static_str_unchecked(CLOCK_SERVICE);
        properties.get(interface, "NTPSynchronized").await.ok()?.try_into().ok()
    };
    tokio::time::timeout(ANSWER, asked).await.ok().flatten()
}

/// A connection to a bus that has answered.
async fn connect(buses: &Buses, which: Which) -> Result<Connection, String> {
    let connected = async {
        let bus = Builder::address(buses.address(which)?)?.build().await?;
        DBusProxy::new(&bus).await?.get_id().await?;
        Ok::<_, zbus::Error>(bus)
    };
    let timed = tokio::time::timeout(ANSWER, connected).await;
    timed.map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))?.map_err(|error| error.to_string())
}
