//! The network that comes back: no reading, only word that trying again is worth it now.
//!
//! The kernel tells of a new default route on every machine. `NetworkManager` and systemd-networkd, where one of them
//! runs, tell what the kernel does not know: that a portal has let the machine out, or that another connection leads there
//! now. Nothing depends on any of them: without a word a backoff takes its time. Leaves to others: what is tried again.

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
use crate::signals::bus::{self, Lost, Signals, Which};
use crate::signals::{Context, Update};
use routes::Routes;

/// A network that comes and goes is told of no more often than this.
const APART: Duration = Duration::from_secs(5);

/// A service that tells of the network by a change of its properties.
struct Teller {
    name: &'static str,
    path: &'static str,
    interface: &'static str,
    /// Whether a property has come to a value that means: the network is there.
    is_there: fn(property: &str, value: &Value<'_>) -> bool,
}

/// Source: the D-Bus reference of `NetworkManager`; org.freedesktop.network1(5).
const TELLERS: [Teller; 2] = [
    Teller {
        name: "org.freedesktop.NetworkManager",
        path: "/org/freedesktop/NetworkManager",
        interface: "org.freedesktop.NetworkManager",
        is_there: |property, value| match (property, value) {
            // NM_STATE_CONNECTED_GLOBAL
            ("State", Value::U32(state)) => *state == 70,
            // `/` is no connection at all.
            ("PrimaryConnection", Value::ObjectPath(path)) => path.as_str() != "/",
            _ => false,
        },
    },
    Teller {
        name: "org.freedesktop.network1",
        path: "/org/freedesktop/network1",
        interface: "org.freedesktop.network1.Manager",
        is_there: |property, value| match (property, value) {
            ("OnlineState", Value::Str(state)) => state == "online",
            ("OperationalState", Value::Str(state)) => state == "routable",
            _ => false,
        },
    },
];

/// Follows the network. Never returns.
pub async fn run(context: Context) {
    let (back, route_came) = (Notify::new(), Notify::new());
    let services = Services { context: &context, back: &back, route_came: &route_came };
    tokio::join!(follow_routes(&back, &route_came), bus::keep_following(&context, services), tell(&context, &back));
}

/// Tells the daemon, at most every so often.
async fn tell(context: &Context, back: &Notify) {
    loop {
        back.notified().await;
        if context.updates.send(Update::NetworkBack).await.is_err() {
            // Nobody listens any more: the daemon is leaving and will drop this task.
            std::future::pending::<()>().await;
        }
        let next = context.clock.now().instant + APART;
        context.clock.sleep_until(next).await;
    }
}

async fn follow_routes(back: &Notify, route_came: &Notify) {
    let followed: io::Result<Infallible> = async {
        let routes = Routes::listen()?;
        loop {
            routes.appeared().await?;
            tracing::debug!("there is a new default route");
            back.notify_one();
            route_came.notify_one();
        }
    }
    .await;
    tracing::debug!(?followed, "no word of routes");
}

/// Follows the services on the system bus.
struct Services<'a> {
    context: &'a Context,
    back: &'a Notify,
    route_came: &'a Notify,
}

impl bus::Follow for Services<'_> {
    const BUS: Which = Which::System;

    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, Lost> {
        let rules = TELLERS.iter().map(Teller::rule).collect::<zbus::Result<_>>()?;
        let mut changes = Signals::listen(&*self.context.clock, bus, rules).await?;
        *backoff = Backoff::new();
        loop {
            if let Some(name) = teller_of(&changes.next().await?) {
                tracing::debug!(by = name, "the network is there");
                self.back.notify_one();
            }
        }
    }

    /// Where there is no bus, as in many a container, it is looked for again with the next route: there is no sooner sign of
    /// one that costs nothing. One that is only slow to answer is not given up.
    async fn lost(&mut self, lost: &Lost) {
        match lost {
            Lost::Bus(_) => self.route_came.notified().await,
            Lost::Silent => {}
        }
    }
}

impl Teller {
    /// Its changes of properties, whoever owns its name at the time.
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

/// The name of the service that says by a change of its properties that the network is there; `None`: that is not what it
/// says.
fn teller_of(change: &Message) -> Option<&'static str> {
    let body = change.body();
    let (interface, changed, _): (&str, HashMap<&str, Value<'_>>, Vec<&str>) = body.deserialize().ok()?;
    let teller = TELLERS.iter().find(|teller| teller.interface == interface)?;
    changed.iter().any(|(property, value)| (teller.is_there)(property, value)).then_some(teller.name)
}
