//! Default routes as the kernel reports them, over a netlink socket.
//!
//! Addresses are not followed: their lifetimes are renewed all the time, which would wake the machine for nothing. Nor is the
//! removal of a route, which does not say whether another one remains. Leaves to others: what a new route means (`network`).
//!
//! Source: rtnetlink(7), netlink(7).

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::unix::AsyncFd;

use crate::fd;

/// `NETLINK_ROUTE`, which is 0 and so the default.
const ROUTE: Option<Protocol> = None;

/// The groups of IPv4 and IPv6 routes (`RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_ROUTE`).
const GROUPS: u32 = 0x40 | 0x400;

/// The size of a message's header (`struct nlmsghdr`): its length, its type, its flags.
const HEADER_BYTES: usize = 16;

/// The type of a message about a route that exists now (`RTM_NEWROUTE`).
const NEW_ROUTE: u16 = 24;

/// The flag of a route that replaces another (`NLM_F_REPLACE`).
const REPLACES: u16 = 0x100;

/// Offsets in the body of such a message (`struct rtmsg`): the address family, the length of the destination's prefix, and
/// the route's type.
const FAMILY: usize = 0;
const PREFIX_LENGTH: usize = 1;
const ROUTE_TYPE: usize = 7;

/// The longest prefix that counts as a default route: a VPN puts `0.0.0.0/1` and `128.0.0.0/1` in front of `0.0.0.0/0`.
const MAX_PREFIX_BITS: u8 = 1;

/// A route to somewhere (`RTN_UNICAST`), as opposed to one that rejects or drops.
const UNICAST: u8 = 1;

/// `AF_INET6`.
const INET6: u8 = 10;

/// The kernel's reports about routes.
pub(super) struct Routes(AsyncFd<OwnedFd>);

impl Routes {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, ROUTE)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self(fd::readable(socket)?))
    }

    /// Waits until there is a new default route.
    pub(super) async fn appeared(&self) -> io::Result<()> {
        let mut buffer = [0; 8192];
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|socket| Ok(recv(socket, &mut buffer[..], RecvFlags::empty())?.0)) {
                Ok(Ok(length)) if has_default_route(&buffer[..length.min(buffer.len())]) => return Ok(()),
                // The kernel has dropped messages: one of them may have been it.
                Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                    return Ok(());
                }
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) | Err(_) => {}
            }
        }
    }
}

/// Whether one of the messages is about a default route that exists now.
fn has_default_route(mut messages: &[u8]) -> bool {
    while let Some((length, kind, flags)) = header(messages) {
        let body = messages.get(HEADER_BYTES..length).unwrap_or_default();
        if kind == NEW_ROUTE && is_default_route(body, flags) {
            return true;
        }
        // Each message begins at a multiple of four bytes.
        messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

fn is_default_route(body: &[u8], flags: u16) -> bool {
    let [family, prefix_length, kind] = [FAMILY, PREFIX_LENGTH, ROUTE_TYPE].map(|at| body.get(at).copied());
    // Each router advertisement replaces an IPv6 route with the same one with a new lifetime. About IPv4 routes the kernel
    // only reports replacements that differ.
    let renewed = family == Some(INET6) && flags & REPLACES != 0;
    prefix_length.is_some_and(|length| length <= MAX_PREFIX_BITS) && kind == Some(UNICAST) && !renewed
}

/// The length, the type and the flags of the first message; `None` if there is no valid one.
fn header(messages: &[u8]) -> Option<(usize, u16, u16)> {
    let length = u32::from_ne_bytes(messages.get(..4)?.try_into().ok()?);
    let kind = u16::from_ne_bytes(messages.get(4..6)?.try_into().ok()?);
    let flags = u16::from_ne_bytes(messages.get(6..8)?.try_into().ok()?);
    let length = usize::try_from(length).ok().filter(|length| *length >= HEADER_BYTES)?;
    Some((length, kind, flags))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, flags: u16, family: u8, prefix_length: u8, route_type: u8) -> Vec<u8> {
        let body = [family, prefix_length, 0, 0, 254, 3, 0, route_type, 0, 0, 0, 0, 9];
        let mut message = Vec::new();
        message.extend(u32::try_from(HEADER_BYTES + body.len()).unwrap().to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.resize(HEADER_BYTES, 0);
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn only_a_default_route_that_leads_somewhere_counts() {
        let default = message(NEW_ROUTE, 0, 2, 0, UNICAST);
        let others = [
            message(25, 0, 2, 0, UNICAST),
            message(NEW_ROUTE, 0, 2, 24, UNICAST),
            message(NEW_ROUTE, 0, 2, 0, 7),
            message(NEW_ROUTE, REPLACES, INET6, 0, UNICAST),
        ];
        assert!(has_default_route(&default));
        assert!(has_default_route(&message(NEW_ROUTE, REPLACES, 2, 0, UNICAST)), "another router");
        assert!(has_default_route(&message(NEW_ROUTE, 0, INET6, 1, UNICAST)), "one half of a VPN's");
        assert!(!has_default_route(&others.concat()));
        assert!(has_default_route(&[others.concat(), default.clone()].concat()));
        assert!(!has_default_route(&default[..HEADER_BYTES]), "cut off");
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            has_default_route(&bytes);
        }
    }
}
