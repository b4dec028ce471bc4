//! The last message from an address: it has to be on its way before the address is taken from the interface.
//!
//! The kernel may first have to ask for the receiver's hardware address. It forgets what waits for that when an interface
//! loses its last address.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourMessage, NeighbourState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::clock;
use crate::dhcp::socket::UdpSocket;
use crate::link::Link;
use crate::netlink::{Netlink, News, Topic};

/// A machine of the same link answers within milliseconds, or not at all.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends a message to a server, and waits until it has left, or will not leave.
pub fn send_at_last(
    netlink: &mut Netlink,
    link: &Link,
    server: Ipv4Addr,
    message: &[u8],
) -> io::Result<()> {
    let news = News::open(Topic::Neighbours)?;
    UdpSocket::open(&link.name)?.send(server, message)?;
    let end = clock::now() + PATIENCE;
    while is_looking_for_somebody(netlink, link.index) {
        let left = end.saturating_sub(clock::now());
        if left.is_zero() {
            break;
        }
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&news, PollFlags::IN)], Some(&left)) {
            Ok(_) | Err(Errno::INTR) => drop(news.hear()?),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Whether packets on an interface wait for a hardware address. The server's own, or that of a router on the way to it.
fn is_looking_for_somebody(netlink: &mut Netlink, index: u32) -> bool {
    let everybody = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    // Without an answer there is nothing to wait for.
    let answers = netlink.dump(everybody).unwrap_or_default();
    answers.iter().any(|answer| {
        matches!(answer, RouteNetlinkMessage::NewNeighbour(message)
            if message.header.ifindex == index && message.header.state == NeighbourState::Incomplete)
    })
}
