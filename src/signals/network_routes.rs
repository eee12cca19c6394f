//! Default routes as the kernel tells of them: a netlink socket that is readable when one came.
//!
//! Addresses are not listened to: their lifetimes are renewed all the time, and would wake the machine for nothing.
//! Leaves to others: what a new route means (`network`).
//!
//! Source: rtnetlink(7).

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `NETLINK_ROUTE`, which is 0 and so the default.
const ROUTE: Option<Protocol> = None;

/// The groups of IPv4 and IPv6 routes (`RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_ROUTE`).
const GROUPS: u32 = 0x40 | 0x400;

/// A message's header (`struct nlmsghdr`): its length, then its type.
const HEADER: usize = 16;

/// The type of a message about a route that is there now (`RTM_NEWROUTE`).
const NEW_ROUTE: u16 = 24;

/// Where the body of such a message (`struct rtmsg`) has the length of the destination's prefix, and the route's type.
const PREFIX_LENGTH: usize = 1;
const ROUTE_TYPE: usize = 7;

/// A route to somewhere (`RTN_UNICAST`), as against one that refuses or drops.
const UNICAST: u8 = 1;

/// Listens to the kernel.
pub(super) struct Routes(AsyncFd<OwnedFd>);

impl Routes {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, ROUTE)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        #[expect(deprecated, reason = "its successor is unsafe; an `OwnedFd` does keep its descriptor open")]
        let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Self(socket))
    }

    /// Waits until there is a new default route.
    pub(super) async fn appeared(&self) -> io::Result<()> {
        let mut buffer = [0; 8192];
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|socket| Ok(recv(socket, &mut buffer[..], RecvFlags::empty())?.0)) {
                Ok(Ok(length)) if tells_of_default_route(&buffer[..length.min(buffer.len())]) => return Ok(()),
                // More came than the kernel keeps: one of them may have been it.
                Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                    return Ok(());
                }
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) | Err(_) => {}
            }
        }
    }
}

/// Whether one of the messages tells of a default route that is there now.
fn tells_of_default_route(mut messages: &[u8]) -> bool {
    while let Some((length, kind)) = header(messages) {
        let body = messages.get(HEADER..length).unwrap_or_default();
        if kind == NEW_ROUTE && body.get(PREFIX_LENGTH) == Some(&0) && body.get(ROUTE_TYPE) == Some(&UNICAST) {
            return true;
        }
        // Each begins at a multiple of four bytes.
        messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// The length and the type of the first message; `None` when there is none that could be.
fn header(messages: &[u8]) -> Option<(usize, u16)> {
    let length = u32::from_ne_bytes(messages.get(..4)?.try_into().ok()?);
    let kind = u16::from_ne_bytes(messages.get(4..6)?.try_into().ok()?);
    let length = usize::try_from(length).ok().filter(|length| *length >= HEADER)?;
    Some((length, kind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, prefix_length: u8, route_type: u8) -> Vec<u8> {
        let body = [2, prefix_length, 0, 0, 254, 3, 0, route_type, 0, 0, 0, 0, 9];
        let mut message = Vec::new();
        message.extend(u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.resize(HEADER, 0);
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn only_a_default_route_that_leads_somewhere_is_one() {
        let default = message(NEW_ROUTE, 0, UNICAST);
        let others = [message(25, 0, UNICAST), message(NEW_ROUTE, 24, UNICAST), message(NEW_ROUTE, 0, 7)];
        assert!(tells_of_default_route(&default));
        assert!(!tells_of_default_route(&others.concat()));
        assert!(tells_of_default_route(&[others.concat(), default.clone()].concat()));
        assert!(!tells_of_default_route(&default[..HEADER]), "cut off");
    }

    proptest! {
        #[test]
        fn no_bytes_upset_it(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            tells_of_default_route(&bytes);
        }
    }
}
