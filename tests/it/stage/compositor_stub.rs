//! A stand-in for a Wayland compositor, as far as it tells of idleness: `ext-idle-notify-v1`, of either version.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use wayland_protocols::ext::idle_notify::v1::server::ext_idle_notification_v1::{self, ExtIdleNotificationV1};
use wayland_protocols::ext::idle_notify::v1::server::ext_idle_notifier_v1::{self, ExtIdleNotifierV1};
use wayland_server::protocol::wl_seat::{self, WlSeat};
use wayland_server::{
    Client, DataInit, Dispatch, Display, DisplayHandle, GlobalDispatch, ListeningSocket, New, backend::GlobalId,
};

/// A compositor with one seat. Ends when it is dropped.
pub(crate) struct CompositorStub {
    display: Display<Seats>,
    listener: ListeningSocket,
    seats: Seats,
    notifier: GlobalId,
}

#[derive(Default)]
struct Seats {
    /// For each one requested: whether to ignore inhibitors, and the time in milliseconds.
    asked: Vec<(bool, u32)>,
    notifications: Vec<ExtIdleNotificationV1>,
}

impl CompositorStub {
    /// One that listens at `socket`, with this version of the protocol.
    pub(crate) fn start(socket: &Path, version: u32) -> Self {
        let display: Display<Seats> = Display::new().unwrap();
        let notifier = display.handle().create_global::<Seats, ExtIdleNotifierV1, ()>(version, ());
        let listener = ListeningSocket::bind_absolute(socket.to_owned()).unwrap();
        let stub = Self { display, listener, seats: Seats::default(), notifier };
        stub.add_seat();
        stub
    }

    /// Another seat.
    pub(crate) fn add_seat(&self) {
        self.display.handle().create_global::<Seats, WlSeat, ()>(7, ());
    }

    /// Takes `ext-idle-notify-v1` back.
    pub(crate) fn take_the_notifier_back(&self) {
        self.display.handle().remove_global::<Seats>(self.notifier.clone());
    }

    /// For each notification requested: whether to ignore inhibitors, and the time in milliseconds.
    pub(crate) fn asked(&self) -> &[(bool, u32)] {
        &self.seats.asked
    }

    /// Reports that a seat is idle, or has input again. Seats are numbered in the order of the requests.
    pub(crate) fn tell(&mut self, seat: usize, idle: bool) {
        let notification = &self.seats.notifications[seat];
        if idle {
            notification.idled();
        } else {
            notification.resumed();
        }
        self.display.flush_clients().unwrap();
    }

    /// Somebody who has connected; nobody serves them.
    pub(crate) fn accept(&self) -> Option<UnixStream> {
        self.listener.accept().unwrap()
    }

    /// Serves until `done` ends.
    pub(crate) async fn serve_until<T>(&mut self, done: impl Future<Output = T>) -> T {
        let mut done = std::pin::pin!(done);
        loop {
            self.turn();
            tokio::select! {
                biased;
                done = &mut done => return done,
                () = tokio::task::yield_now() => {}
            }
        }
    }

    /// Serves until this many notifications were requested.
    pub(crate) async fn is_asked_for(&mut self, count: usize) {
        while self.seats.asked.len() < count {
            self.turn();
            tokio::task::yield_now().await;
        }
    }

    fn turn(&mut self) {
        if let Some(stream) = self.accept() {
            self.display.handle().insert_client(stream, Arc::new(())).unwrap();
        }
        self.display.dispatch_clients(&mut self.seats).unwrap();
        self.display.flush_clients().unwrap();
    }
}

impl GlobalDispatch<WlSeat, ()> for Seats {
    fn bind(_: &mut Self, _: &DisplayHandle, _: &Client, seat: New<WlSeat>, (): &(), init: &mut DataInit<'_, Self>) {
        init.init(seat, ());
    }
}

impl GlobalDispatch<ExtIdleNotifierV1, ()> for Seats {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        notifier: New<ExtIdleNotifierV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(notifier, ());
    }
}

impl Dispatch<WlSeat, ()> for Seats {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlSeat,
        _: wl_seat::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl Dispatch<ExtIdleNotifierV1, ()> for Seats {
    fn request(
        seats: &mut Self,
        _: &Client,
        _: &ExtIdleNotifierV1,
        request: ext_idle_notifier_v1::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        use ext_idle_notifier_v1::Request::{GetIdleNotification, GetInputIdleNotification};
        let (input_only, timeout, id) = if let GetIdleNotification { id, timeout, .. } = request {
            (false, timeout, id)
        } else if let GetInputIdleNotification { id, timeout, .. } = request {
            (true, timeout, id)
        } else {
            panic!("nothing else is asked for: {request:?}")
        };
        seats.asked.push((input_only, timeout));
        seats.notifications.push(init.init(id, ()));
    }
}

impl Dispatch<ExtIdleNotificationV1, ()> for Seats {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &ExtIdleNotificationV1,
        _: ext_idle_notification_v1::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}
