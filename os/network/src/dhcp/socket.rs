//! The two sockets of a DHCP client: one below IP, for a client without an address, and one of UDP for one that has it.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nodeos_sys::packet as packet_socket;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, eth, recv, sendto,
    socket_with, sockopt,
};
use socket2::{SockFilter, SockRef};

use crate::dhcp::packet::{self, CLIENT_PORT, SERVER_PORT};

/// No packet of an Ethernet is longer, but for jumbo frames, whose ends no DHCP message reaches.
const LONGEST: usize = 2048;
/// Packets that arrive between two system calls.
const EARLY: usize = 64;
/// What everybody on an Ethernet hears.
const EVERYBODY: [u8; 6] = [0xff; 6];

/// A socket of AF_PACKET ([packet(7)](https://man7.org/linux/man-pages/man7/packet.7.html)): it sends from, and receives
/// for, any address, also one that the kernel does not have.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    index: u32,
}

/// A plain socket of the client's port, on one interface.
#[derive(Debug)]
pub struct UdpSocket(OwnedFd);

impl PacketSocket {
    pub fn open(index: u32) -> io::Result<PacketSocket> {
        let fd = socket_with(
            AddressFamily::PACKET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            Some(eth::IP),
        )?;
        SockRef::from(&fd).attach_filter(&replies_on(index))?;
        let socket = PacketSocket { fd, index };
        // What arrived before the filter was there may be of any interface. It is not more than this, unless somebody floods
        // the network, and then the numbers of exchanges still tell what is ours.
        for _ in 0..EARLY {
            if socket.receive()?.is_none() {
                break;
            }
        }
        Ok(socket)
    }

    /// Sends a message to all servers, from no address.
    pub fn broadcast(&self, message: &[u8]) -> io::Result<()> {
        let packet = packet::broadcast(message);
        let to =
            packet_socket::send_to(self.fd.as_fd(), self.index, ETHERNET_IP, EVERYBODY, &packet);
        Ok(to?)
    }

    /// The next packet, none when there is none; what is in it may be anything.
    pub fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        receive(&self.fd)
    }
}

impl UdpSocket {
    pub fn open(interface: &str) -> io::Result<UdpSocket> {
        let fd = socket_with(
            AddressFamily::INET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        // Several interfaces, several sockets of the same port.
        sockopt::set_socket_reuseaddr(&fd, true)?;
        sockopt::set_socket_broadcast(&fd, true)?;
        SockRef::from(&fd).bind_device(Some(interface.as_bytes()))?;
        bind(&fd, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT))?;
        Ok(UdpSocket(fd))
    }

    /// Sends a message to a server, or to all of them at the broadcast address. The kernel chooses the interface's address
    /// as that of the sender.
    pub fn send(&self, to: Ipv4Addr, message: &[u8]) -> io::Result<()> {
        sendto(
            &self.0,
            message,
            SendFlags::empty(),
            &SocketAddrV4::new(to, SERVER_PORT),
        )?;
        Ok(())
    }

    /// The next message, none when there is none.
    pub fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        receive(&self.0)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn receive(fd: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; LONGEST];
    match recv(fd, &mut buffer[..], RecvFlags::empty()) {
        Ok((length, _)) => {
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The number of IPv4 on an Ethernet.
const ETHERNET_IP: u16 = 0x0800;

/// A filter in the kernel for packets of one interface to the client's port. Without it every packet of a busy machine
/// would wake this program.
fn replies_on(index: u32) -> [SockFilter; 11] {
    // The instructions of linux/filter.h, as bpf_asm names them.
    const LD_WORD: u16 = 0x20;
    const LD_HALF: u16 = 0x28;
    const LD_BYTE: u16 = 0x30;
    const LD_HALF_AT_X: u16 = 0x48;
    const LDX_HEADER_LENGTH: u16 = 0xb1;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    /// SKF_AD_OFF + SKF_AD_IFINDEX: the interface that a packet came by.
    const INTERFACE: u32 = 0xffff_f000 + 8;
    const UDP: u32 = 17;
    let op = SockFilter::new;
    [
        op(LD_WORD, 0, 0, INTERFACE),
        op(JUMP_IF_EQUAL, 0, 8, index),
        op(LD_BYTE, 0, 0, 9),
        op(JUMP_IF_EQUAL, 0, 6, UDP),
        op(LD_HALF, 0, 0, 6),
        op(JUMP_IF_SET, 4, 0, 0x1fff),
        op(LDX_HEADER_LENGTH, 0, 0, 0),
        op(LD_HALF_AT_X, 0, 0, 2),
        op(JUMP_IF_EQUAL, 0, 1, CLIENT_PORT.into()),
        op(RETURN, 0, 0, u32::MAX),
        op(RETURN, 0, 0, 0),
    ]
}
