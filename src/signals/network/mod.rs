//! The network is back: not a reading that rules can use, only a hint that a retry is worthwhile now.
//!
//! On every machine the kernel reports a new default route (`routes`). `NetworkManager` and systemd-networkd, where one of them
//! runs, report what the kernel does not know: that a captive portal has been passed, or that another connection is in use.
//! Nothing depends on any of them: without a report, a backoff takes its time. Leaves to others: what is retried.

mod routes;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use tokio::sync::Notify;
use zbus::message::Type;
use zbus::zvariant::Value;
use zbus::{Connection, MatchRule, Message};

use crate::signals::backoff::Backoff;
use crate::signals::bus::{self, BusError, BusKind, Signals};
use crate::signals::{Context, Update};
use routes::Routes;

/// The least time between two reports, for a network that comes and goes.
const MIN_REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// A service that reports the network by a change of its properties.
struct NetworkService {
    name: &'static str,
    path: &'static str,
    interface: &'static str,
    /// Whether this value of a property means that the network is up.
    is_up: fn(property: &str, value: &Value<'_>) -> bool,
}

/// Source: the D-Bus reference of `NetworkManager`; org.freedesktop.network1(5).
const NETWORK_SERVICES: [NetworkService; 2] = [
    NetworkService {
        name: "org.freedesktop.NetworkManager",
        path: "/org/freedesktop/NetworkManager",
        interface: "org.freedesktop.NetworkManager",
        is_up: |property, value| match (property, value) {
            // NM_STATE_CONNECTED_GLOBAL
            ("State", Value::U32(state)) => *state == 70,
            // `/` means that there is no connection.
            ("PrimaryConnection", Value::ObjectPath(path)) => path.as_str() != "/",
            _ => false,
        },
    },
    NetworkService {
        name: "org.freedesktop.network1",
        path: "/org/freedesktop/network1",
        interface: "org.freedesktop.network1.Manager",
        is_up: |property, value| match (property, value) {
            ("OnlineState", Value::Str(state)) => state == "online",
            ("OperationalState", Value::Str(state)) => state == "routable",
            _ => false,
        },
    },
];

/// Follows the network. Never returns.
pub async fn run(context: Context) {
    let (back, route_appeared) = (Notify::new(), Notify::new());
    let services = Services { context: &context, back: &back, route_appeared: &route_appeared };
    tokio::join!(
        follow_routes(&back, &route_appeared),
        bus::keep_following(&context, services),
        report(&context, &back)
    );
}

/// Reports to the daemon, at most once in [`MIN_REPORT_INTERVAL`].
async fn report(context: &Context, back: &Notify) {
    loop {
        back.notified().await;
        if context.updates.send(Update::NetworkBack).await.is_err() {
            // The receiver is gone: the daemon is shutting down and will drop this task.
            std::future::pending::<()>().await;
        }
        let next = context.clock.now().instant + MIN_REPORT_INTERVAL;
        context.clock.sleep_until(next).await;
    }
}

async fn follow_routes(back: &Notify, route_appeared: &Notify) {
    let followed: io::Result<Infallible> = async {
        let routes = Routes::listen()?;
        loop {
            routes.appeared().await?;
            tracing::debug!("there is a new default route");
            back.notify_one();
            route_appeared.notify_one();
        }
    }
    .await;
    tracing::debug!(?followed, "routes cannot be followed");
}

/// Follows the services on the system bus.
struct Services<'a> {
    context: &'a Context,
    back: &'a Notify,
    route_appeared: &'a Notify,
}

impl bus::Follow for Services<'_> {
    const BUS: BusKind = BusKind::System;

    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, BusError> {
        let rules = NETWORK_SERVICES.iter().map(NetworkService::rule).collect::<zbus::Result<_>>()?;
        let mut changes = Signals::listen(&*self.context.clock, bus, rules).await?;
        *backoff = Backoff::new();
        loop {
            if let Some(name) = sender_of(&changes.next().await?) {
                tracing::debug!(by = name, "the network is up");
                self.back.notify_one();
            }
        }
    }

    /// If there is no bus, as in many containers, the next route is the time to look for one again: no earlier sign of it
    /// comes for free. A bus that is only slow to answer is tried again as usual.
    async fn lost(&mut self, lost: &BusError) {
        match lost {
            BusError::Zbus(_) => self.route_appeared.notified().await,
            BusError::NoAnswer => {}
        }
    }
}

impl NetworkService {
    /// The rule for changes of its properties, for every owner of its name.
    fn rule(&self) -> zbus::Result<MatchRule<'static>> {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(self.name)?
            .path(self.path)?
            .interface("org.freedesktop.DBus.Properties")?
            .member("PropertiesChanged")?
            .arg(0, self.interface)?;
        Ok(rule.build())
    }
}

/// The name of the service that reports by this change that the network is up; `None`: the change means something else.
fn sender_of(change: &Message) -> Option<&'static str> {
    let body = change.body();
    let (interface, changed, _): (&str, HashMap<&str, Value<'_>>, Vec<&str>) = body.deserialize().ok()?;
    let service = NETWORK_SERVICES.iter().find(|service| service.interface == interface)?;
    changed.iter().any(|(property, value)| (service.is_up)(property, value)).then_some(service.name)
}
