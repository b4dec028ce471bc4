//! Packet sockets: [`packet(7)`](https://man7.org/linux/man-pages/man7/packet.7.html). rustix opens them, and lacks their
//! addresses.

use core::mem;

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::{self, Errno};

use crate::error::last_error;

/// Bytes of an Ethernet address.
pub const ADDRESS: usize = 6;

/// Sends one packet without a link header (`SOCK_DGRAM`) to an address on the link of the interface with this index.
/// `protocol` is Ethernet's number of what is in it, 0x0800 for IPv4. The packet goes whole or not at all.
pub fn send_to(
    socket: BorrowedFd<'_>,
    interface: u32,
    protocol: u16,
    to: [u8; ADDRESS],
    packet: &[u8],
) -> io::Result<()> {
    // SAFETY: all members are numbers, for which zeros are values.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::c_ushort;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = interface.try_into().map_err(|_| Errno::NODEV)?;
    address.sll_halen = ADDRESS as libc::c_uchar;
    address.sll_addr[..ADDRESS].copy_from_slice(&to);
    // SAFETY: sendto reads `packet.len()` bytes of `packet`, and of `address` as many as it is told it has; both live over
    // the call, and the descriptor is open as long as it is borrowed.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            libc::MSG_NOSIGNAL,
            (&raw const address).cast(),
            mem::size_of_val(&address) as libc::socklen_t,
        )
    };
    if sent < 0 { Err(last_error()) } else { Ok(()) }
}
