//! A desktop's keyring: the real `gnome-keyring-daemon` on a private bus, whose default collection a password unlocks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashMap;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use futures_util::StreamExt as _;
use zbus::fdo::{DBusProxy, MonitoringProxy};
use zbus::message::Type;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};
use zbus::{Connection, MatchRule, MessageStream};

use super::bus::Bus;
use super::house::guarded;

const PASSWORD: &str = "open sesame";
const NAME: &str = "org.freedesktop.secrets";
const SERVICE: &str = "/org/freedesktop/secrets";
const COLLECTION: &str = "/org/freedesktop/secrets/collection/login";

/// A bus with a keyring that ends with the test.
pub(crate) struct Desktop {
    pub(crate) bus: Bus,
    folder: tempfile::TempDir,
    keyring: Option<Child>,
}

impl Desktop {
    /// A desktop to which somebody signed in, which made and unlocked the keyring.
    pub(crate) async fn new() -> Self {
        let mut desktop = Self { bus: Bus::start(), folder: tempfile::tempdir().unwrap(), keyring: None };
        desktop.start_keyring(Some(PASSWORD)).await;
        desktop
    }

    /// Starts the keyring that was killed, as signing in to the desktop does.
    pub(crate) async fn start_again(&mut self) {
        self.start_keyring(Some(PASSWORD)).await;
    }

    /// Starts the keyring, and unlocks it where there is a password. It is on the bus when this returns.
    async fn start_keyring(&mut self, password: Option<&str>) {
        let mut command = Command::new("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]).args(password.map(|_| "--unlock"));
        self.on_desktop(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keyring = command
            .spawn()
            .expect("these tests need `gnome-keyring-daemon`: install the Debian package `gnome-keyring`");
        keyring.stdin.take().unwrap().write_all(password.unwrap_or_default().as_bytes()).unwrap();
        self.keyring = Some(keyring);
        let bus = self.bus.connect().await;
        let bus = DBusProxy::new(&bus).await.unwrap();
        guarded("the keyring on the bus", async {
            while !bus.name_has_owner(NAME.try_into().unwrap()).await.unwrap() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Kills the keyring, as a crash does. It is gone from the bus when this returns.
    pub(crate) async fn kill_keyring(&mut self) {
        let mut keyring = self.keyring.take().unwrap();
        keyring.kill().unwrap();
        keyring.wait().unwrap();
        let bus = self.bus.connect().await;
        let bus = DBusProxy::new(&bus).await.unwrap();
        while bus.name_has_owner(NAME.try_into().unwrap()).await.unwrap() {
            tokio::task::yield_now().await;
        }
    }

    fn on_desktop(&self, command: &mut Command) {
        command
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("XDG_DATA_HOME", self.folder.path())
            .env("DBUS_SESSION_BUS_ADDRESS", self.bus.address());
    }

    async fn call<B>(&self, bus: &Connection, interface: &str, method: &str, body: &B) -> zbus::Message
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        bus.call_method(Some(NAME), SERVICE, Some(interface), method, body).await.unwrap()
    }

    /// Locks the default collection.
    pub(crate) async fn lock(&self) {
        let bus = self.bus.connect().await;
        let paths = vec![ObjectPath::try_from(COLLECTION).unwrap()];
        self.call(&bus, "org.freedesktop.Secret.Service", "Lock", &paths).await;
    }

    /// Unlocks it, as its own question to the person does.
    pub(crate) async fn unlock(&self) {
        let bus = self.bus.connect().await;
        let plain = ("plain", Value::from(""));
        let answer = self.call(&bus, "org.freedesktop.Secret.Service", "OpenSession", &plain).await;
        let (_, session): (OwnedValue, OwnedObjectPath) = answer.body().deserialize().unwrap();
        let master = (session, Vec::<u8>::new(), PASSWORD.as_bytes(), "text/plain");
        let body = (ObjectPath::try_from(COLLECTION).unwrap(), master);
        let interface = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface";
        self.call(&bus, interface, "UnlockWithMasterPassword", &body).await;
    }

    /// From now on the calls by which a wait looks at the lock, and those that have the keyring ask a person.
    pub(crate) async fn watch_questions(&self) -> MessageStream {
        let bus = self.bus.connect().await;
        let calls = |interface, member| {
            let rule = MatchRule::builder().msg_type(Type::MethodCall).interface(interface).unwrap();
            rule.member(member).unwrap().build()
        };
        let rules =
            [calls("org.freedesktop.DBus.Properties", "Get"), calls("org.freedesktop.Secret.Service", "Unlock")];
        MonitoringProxy::new(&bus).await.unwrap().become_monitor(&rules, 0).await.unwrap();
        MessageStream::from(bus)
    }

    /// Whether whoever waits looks at the lock twice, the second time because it hears of something, and has nobody asked in
    /// between.
    pub(crate) async fn is_only_looked_at(&self, mut questions: MessageStream) -> bool {
        let mut next = async || loop {
            let message = guarded("a call", questions.next()).await.unwrap().unwrap();
            // Messages to a monitor about itself are not calls.
            if message.message_type() == Type::MethodCall {
                break message.header().member().unwrap().to_string();
            }
        };
        let first = next().await;
        self.secret_tool(&["store", "--label=x", "--collection=session", "a", "b"], "x");
        (first.as_str(), next().await.as_str()) == ("Get", "Get")
    }

    /// How many secrets have these attributes, including locked ones.
    pub(crate) async fn count(&self, attributes: &[(&str, &str)]) -> usize {
        let bus = self.bus.connect().await;
        let attributes: HashMap<_, _> = attributes.iter().copied().collect();
        let answer = self.call(&bus, "org.freedesktop.Secret.Service", "SearchItems", &attributes).await;
        let (unlocked, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) = answer.body().deserialize().unwrap();
        unlocked.len() + locked.len()
    }

    /// Runs `secret-tool` with `input` and says what it prints.
    pub(crate) fn secret_tool(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new("secret-tool");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        self.on_desktop(&mut command);
        let mut child =
            command.spawn().expect("these tests need `secret-tool`: install the Debian package `libsecret-tools`");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        if let Some(mut keyring) = self.keyring.take() {
            let _ = keyring.kill();
            let _ = keyring.wait();
        }
    }
}
