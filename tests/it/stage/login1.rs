//! A stand-in for logind on a private bus: sessions that a test makes, locks and ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use zbus::object_server::{InterfaceRef, SignalEmitter};
use zbus::zvariant::{ObjectPath, OwnedFd, OwnedObjectPath, Value};
use zbus::{Connection, fdo, interface};

use super::bus::Bus;

const NAME: &str = "org.freedesktop.login1";
const MANAGER: &str = "/org/freedesktop/login1";
const USER: &str = "/org/freedesktop/login1/user/_1";

/// A session as logind shows it.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) locked: bool,
    pub(crate) active: bool,
    pub(crate) class: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) remote: bool,
    pub(crate) seat: &'static str,
    pub(crate) desktop: &'static str,
    /// Set where it is served.
    pub(crate) id: String,
    pub(crate) state: &'static str,
    pub(crate) scope: &'static str,
    /// `IdleHint`, and `IdleSinceHint` in microseconds of wall time; 0: nobody ever set it.
    pub(crate) idle: (bool, u64),
}

impl Session {
    /// An unlocked desktop.
    pub(crate) const DESKTOP: Self = Self {
        locked: false,
        active: true,
        class: "user",
        kind: "wayland",
        remote: false,
        seat: "seat0",
        desktop: "",
        id: String::new(),
        state: "active",
        scope: "session-c1.scope",
        idle: (false, 0),
    };

    /// A text console, or an unlocked desktop that was started on one.
    pub(crate) fn console() -> Self {
        Self { kind: "tty", ..Self::DESKTOP }
    }

    /// A remote shell.
    pub(crate) fn ssh() -> Self {
        Self { remote: true, seat: "", ..Self::console() }
    }
}

#[interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.locked
    }
    #[zbus(property)]
    fn active(&self) -> bool {
        self.active
    }
    #[zbus(property)]
    fn class(&self) -> &str {
        self.class
    }
    #[zbus(property, name = "Type")]
    fn kind(&self) -> &str {
        self.kind
    }
    #[zbus(property)]
    fn remote(&self) -> bool {
        self.remote
    }
    #[zbus(property(emits_changed_signal = "const"))]
    fn seat(&self) -> (&str, OwnedObjectPath) {
        (self.seat, ObjectPath::try_from("/").unwrap().into())
    }
    #[zbus(property)]
    fn desktop(&self) -> &str {
        self.desktop
    }
    #[zbus(property)]
    fn id(&self) -> &str {
        &self.id
    }
    #[zbus(property(emits_changed_signal = "false"))]
    fn state(&self) -> &str {
        self.state
    }
    #[zbus(property(emits_changed_signal = "const"))]
    fn scope(&self) -> &str {
        self.scope
    }
    #[zbus(property)]
    fn idle_hint(&self) -> bool {
        self.idle.0
    }
    #[zbus(property)]
    fn idle_since_hint(&self) -> u64 {
        self.idle.1
    }
    #[zbus(signal)]
    async fn lock(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}

/// How the user's session is found.
#[derive(Default)]
struct Answers {
    auto: Option<String>,
    display: Option<String>,
    listed: Vec<String>,
    /// The session of a process; of any other, the caller's.
    processes: HashMap<u32, String>,
    preparing: bool,
    /// How often `PreparingForSleep` was read.
    asked_about_sleep: usize,
    /// The other ends of the inhibitors handed out; `None` if logind refuses them.
    inhibitors: Option<Vec<UnixStream>>,
    /// `InhibitDelayMaxUSec`.
    delay_max: u64,
}

struct Manager {
    answers: Arc<Mutex<Answers>>,
    inhibited: Arc<Notify>,
    uid: u32,
}

#[interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn get_session(&self, id: &str) -> fdo::Result<OwnedObjectPath> {
        assert_eq!(id, "auto");
        self.session_of_the_caller()
    }
    #[zbus(name = "GetSessionByPID")]
    fn get_session_by_pid(&self, pid: u32) -> fdo::Result<OwnedObjectPath> {
        assert!(i32::try_from(pid).is_ok(), "{pid} is not a process id");
        let known = self.answers.lock().unwrap().processes.get(&pid).cloned();
        known.map_or_else(|| self.session_of_the_caller(), |id| Ok(path(&id)))
    }
    fn get_user(&self, uid: u32) -> fdo::Result<OwnedObjectPath> {
        let known = uid == self.uid;
        known.then(|| ObjectPath::try_from(USER).unwrap().into()).ok_or_else(|| fdo::Error::Failed(uid.to_string()))
    }
    fn list_sessions(&self) -> Vec<(String, u32, String, String, OwnedObjectPath)> {
        let listed = self.answers.lock().unwrap().listed.clone();
        let entry = |id: String, uid| (id.clone(), uid, "somebody".to_owned(), "seat0".to_owned(), path(&id));
        // Somebody else's session comes first.
        std::iter::once(entry("foreign".to_owned(), self.uid + 1))
            .chain(listed.into_iter().map(|id| entry(id, self.uid)))
            .collect()
    }
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> fdo::Result<OwnedFd> {
        assert_eq!((what, mode), ("sleep", "delay"));
        assert!(["presenced", "xss-lock"].contains(&who) && !why.is_empty());
        let mut answers = self.answers.lock().unwrap();
        let denied = || fdo::Error::AccessDenied("no inhibitors today".to_owned());
        let inhibitors = answers.inhibitors.as_mut().ok_or_else(denied)?;
        let (ours, theirs) = UnixStream::pair().unwrap();
        inhibitors.push(ours);
        drop(answers);
        self.inhibited.notify_one();
        Ok(std::os::fd::OwnedFd::from(theirs).into())
    }
    #[zbus(property)]
    fn preparing_for_sleep(&self) -> bool {
        let mut answers = self.answers.lock().unwrap();
        answers.asked_about_sleep += 1;
        answers.preparing
    }
    #[zbus(property, name = "InhibitDelayMaxUSec")]
    fn inhibit_delay_max(&self) -> u64 {
        self.answers.lock().unwrap().delay_max
    }
    #[zbus(signal)]
    async fn session_new(emitter: &SignalEmitter<'_>, id: &str, path: ObjectPath<'_>) -> zbus::Result<()>;
    #[zbus(signal)]
    async fn session_removed(emitter: &SignalEmitter<'_>, id: &str, path: ObjectPath<'_>) -> zbus::Result<()>;
    #[zbus(signal)]
    async fn prepare_for_sleep(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;
}

impl Manager {
    fn session_of_the_caller(&self) -> fdo::Result<OwnedObjectPath> {
        let none = || fdo::Error::Failed("the caller belongs to no session".to_owned());
        self.answers.lock().unwrap().auto.as_deref().map(path).ok_or_else(none)
    }
}

struct User(Arc<Mutex<Answers>>);

#[interface(name = "org.freedesktop.login1.User")]
impl User {
    #[zbus(property)]
    fn display(&self) -> (String, OwnedObjectPath) {
        match &self.0.lock().unwrap().display {
            Some(id) => (id.clone(), path(id)),
            None => (String::new(), ObjectPath::try_from("/").unwrap().into()),
        }
    }
}

fn path(id: &str) -> OwnedObjectPath {
    ObjectPath::try_from(format!("/org/freedesktop/login1/session/{id}")).unwrap().into()
}

/// A logind that ends when it is dropped.
pub(crate) struct Login1 {
    bus: Connection,
    answers: Arc<Mutex<Answers>>,
    inhibited: Arc<Notify>,
}

impl Login1 {
    /// A logind without sessions.
    pub(crate) async fn start(bus: &Bus) -> Self {
        let bus = bus.connect().await;
        let answers = Answers { inhibitors: Some(Vec::new()), delay_max: 5_000_000, ..Answers::default() };
        let (answers, inhibited) = (Arc::new(Mutex::new(answers)), Arc::new(Notify::new()));
        let manager =
            Manager { answers: answers.clone(), inhibited: inhibited.clone(), uid: rustix::process::getuid().as_raw() };
        bus.object_server().at(MANAGER, manager).await.unwrap();
        bus.object_server().at(USER, User(answers.clone())).await.unwrap();
        let login1 = Self { bus, answers, inhibited };
        login1.serve("foreign", Session::DESKTOP).await;
        login1.bus.request_name(NAME).await.unwrap();
        login1
    }

    /// A logind with one session, which is the caller's.
    pub(crate) async fn with(bus: &Bus, session: Session) -> Self {
        let login1 = Self::start(bus).await;
        login1.serve("c1", session).await;
        login1.set_auto(Some("c1"));
        login1
    }

    async fn serve(&self, id: &str, session: Session) {
        let session = Session { id: id.to_owned(), ..session };
        self.bus.object_server().at(path(id), session).await.unwrap();
    }

    /// Makes a session and announces it.
    pub(crate) async fn add(&self, id: &str, session: Session) {
        self.serve(id, session).await;
        self.answers.lock().unwrap().listed.push(id.to_owned());
        self.manager().await.session_new(id, path(id).as_ref()).await.unwrap();
    }

    /// Ends a session and announces it.
    pub(crate) async fn remove(&self, id: &str) {
        self.bus.object_server().remove::<Session, _>(path(id)).await.unwrap();
        self.answers.lock().unwrap().listed.retain(|listed| listed != id);
        self.manager().await.session_removed(id, path(id).as_ref()).await.unwrap();
    }

    /// What `GetSession("auto")` gives.
    pub(crate) fn set_auto(&self, id: Option<&str>) {
        self.answers.lock().unwrap().auto = id.map(str::to_owned);
    }

    /// Makes a session the user's display, and announces that.
    pub(crate) async fn set_display(&self, id: &str) {
        self.answers.lock().unwrap().display = Some(id.to_owned());
        let user: InterfaceRef<User> = self.bus.object_server().interface(USER).await.unwrap();
        user.get().await.display_changed(user.signal_emitter()).await.unwrap();
    }

    /// Sets `LockedHint`.
    pub(crate) async fn set_locked(&self, id: &str, locked: bool) {
        let session = self.session(id).await;
        session.get_mut().await.locked = locked;
        session.get().await.locked_hint_changed(session.signal_emitter()).await.unwrap();
    }

    /// Sets `IdleHint`, as a desktop does at this time.
    pub(crate) async fn set_idle(&self, id: &str, idle: bool, since: &str) {
        let since = since.parse::<jiff::Timestamp>().unwrap().as_microsecond().try_into().unwrap();
        let session = self.session(id).await;
        session.get_mut().await.idle = (idle, since);
        session.get().await.idle_hint_changed(session.signal_emitter()).await.unwrap();
    }

    /// Sets `Active`.
    pub(crate) async fn set_active(&self, id: &str, active: bool) {
        let session = self.session(id).await;
        session.get_mut().await.active = active;
        session.get().await.active_changed(session.signal_emitter()).await.unwrap();
    }

    /// Sets `Type`, as a compositor does that took control of its session.
    pub(crate) async fn set_kind(&self, id: &str, kind: &'static str) {
        let session = self.session(id).await;
        session.get_mut().await.kind = kind;
        session.get().await.type_changed(session.signal_emitter()).await.unwrap();
    }

    /// This process belongs to this session.
    pub(crate) fn set_process(&self, pid: u32, id: &str) {
        self.answers.lock().unwrap().processes.insert(pid, id.to_owned());
    }

    /// Ends a session of which processes are left. Only `systemd` tells, of its scope.
    pub(crate) async fn close(&self, id: &str, systemd: &Connection) {
        self.session(id).await.get_mut().await.state = "closing";
        let changed = ("org.freedesktop.systemd1.Unit", HashMap::<&str, Value<'_>>::new(), ["SubState"]);
        let path = "/org/freedesktop/systemd1/unit/session_2dc1_2escope";
        let interface = "org.freedesktop.DBus.Properties";
        systemd.emit_signal(None::<&str>, path, interface, "PropertiesChanged", &changed).await.unwrap();
    }

    /// Asks a session to lock itself.
    pub(crate) async fn request_lock(&self, id: &str) {
        self.session(id).await.lock().await.unwrap();
    }

    /// Announces sleep or its end.
    pub(crate) async fn prepare_for_sleep(&self, start: bool) {
        self.answers.lock().unwrap().preparing = start;
        self.manager().await.prepare_for_sleep(start).await.unwrap();
    }

    /// The machine wakes up, and nobody announces it, as after hibernation with systemd 255.
    pub(crate) fn wakes_up_silently(&self) {
        self.answers.lock().unwrap().preparing = false;
    }

    /// How often it was asked whether it prepares for sleep.
    pub(crate) fn asked_about_sleep(&self) -> usize {
        self.answers.lock().unwrap().asked_about_sleep
    }

    /// Waits for the inhibitor that is asked for next, or was and not taken here; gives the end that sees it closed.
    pub(crate) async fn inhibitor(&self) -> UnixStream {
        loop {
            if let Some(inhibitor) = self.answers.lock().unwrap().inhibitors.as_mut().unwrap().pop() {
                return inhibitor;
            }
            self.inhibited.notified().await;
        }
    }

    /// Grants inhibitors no more than this.
    pub(crate) fn set_delay_max(&self, delay_max: std::time::Duration) {
        self.answers.lock().unwrap().delay_max = delay_max.as_micros().try_into().unwrap();
    }

    /// Gives no inhibitors.
    pub(crate) fn deny_inhibitors(&self) {
        self.answers.lock().unwrap().inhibitors = None;
    }

    /// Announces `count` sessions that come and go at once.
    pub(crate) async fn storm(&self, count: usize) {
        let manager = self.manager().await;
        for number in 0..count {
            let id = format!("s{number}");
            manager.session_new(&id, path(&id).as_ref()).await.unwrap();
            manager.session_removed(&id, path(&id).as_ref()).await.unwrap();
        }
    }

    /// Gives the name up and takes it again, as a restart does; what it serves in between is made by `change`.
    pub(crate) async fn restart(&self, change: impl AsyncFnOnce(&Self)) {
        self.bus.release_name(NAME).await.unwrap();
        change(self).await;
        self.bus.request_name(NAME).await.unwrap();
    }

    /// Changes `LockedHint` without a signal, as while nobody listens.
    pub(crate) async fn set_locked_silently(&self, id: &str, locked: bool) {
        self.session(id).await.get_mut().await.locked = locked;
    }

    async fn session(&self, id: &str) -> InterfaceRef<Session> {
        self.bus.object_server().interface(path(id)).await.unwrap()
    }

    async fn manager(&self) -> InterfaceRef<Manager> {
        self.bus.object_server().interface(MANAGER).await.unwrap()
    }
}
