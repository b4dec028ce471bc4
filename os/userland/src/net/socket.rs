//! The socket over which the kernel tells and is told about its network.

use netlink_packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::fd::OwnedFd;
use rustix::io::{self, Errno};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use thiserror::Error;

/// The kernel fills at most 32 KiB at once when it lists (NLMSG_GOODSIZE in af_netlink.c); the rest is room to spare.
const BUFFER: usize = 64 * 1024;

/// Every message begins with its length and is padded to this (netlink(7)).
const ALIGNMENT: usize = 4;

/// A conversation with the kernel.
#[derive(Debug)]
pub(crate) struct Netlink(OwnedFd);

/// Why the kernel told nothing, or did not do it.
#[derive(Debug, Error)]
pub(crate) enum NetlinkError {
    #[error("cannot open a socket to the kernel's network")]
    Open(#[source] Errno),
    #[error("cannot ask the kernel's network")]
    Send(#[source] Errno),
    #[error("cannot receive what the kernel's network answers")]
    Receive(#[source] Errno),
    #[error("the answer of the kernel's network is not understood")]
    Decode(#[source] DecodeError),
    #[error("the answer of the kernel's network is cut off")]
    CutOff,
    /// What the kernel itself says to a request.
    #[error(transparent)]
    Refused(Errno),
}

impl Netlink {
    pub(crate) fn open() -> Result<Netlink, NetlinkError> {
        let open = || -> io::Result<OwnedFd> {
            let flags = SocketFlags::CLOEXEC;
            let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
            Ok(socket)
        };
        open().map(Netlink).map_err(NetlinkError::Open)
    }

    /// Everything that a request of the kind "get" finds.
    pub(crate) fn list(
        &self,
        request: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        self.send(request, NLM_F_REQUEST | NLM_F_DUMP)?;
        self.receive()
    }

    /// Has the kernel change something.
    pub(crate) fn change(
        &self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), NetlinkError> {
        self.send(request, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        self.receive().map(drop)
    }

    fn send(&self, request: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        // Number 0 is the kernel.
        let kernel = SocketAddrNetlink::new(0, 0);
        io::retry_on_intr(|| net::sendto(&self.0, &bytes, SendFlags::empty(), &kernel))
            .map_err(NetlinkError::Send)?;
        Ok(())
    }

    /// All messages up to the one that says it was the last, or that it was done, or why not.
    fn receive(&self) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        let mut messages = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let (_, length) =
                io::retry_on_intr(|| net::recv(&self.0, &mut buffer[..], RecvFlags::TRUNC))
                    .map_err(NetlinkError::Receive)?;
            let mut rest = buffer.get(..length).ok_or(NetlinkError::CutOff)?;
            while !rest.is_empty() {
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(NetlinkError::Decode)?;
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => messages.push(inner),
                    NetlinkPayload::Done(_) => return Ok(messages),
                    NetlinkPayload::Error(error) => {
                        return match error.code {
                            None => Ok(messages),
                            // The kernel has negative numbers here.
                            Some(code) => {
                                let number = code.get().checked_neg().unwrap_or(i32::MAX);
                                Err(NetlinkError::Refused(Errno::from_raw_os_error(number)))
                            }
                        };
                    }
                    _ => {}
                }
                let length = message.header.length as usize;
                let length = length.next_multiple_of(ALIGNMENT).max(ALIGNMENT);
                rest = rest.get(length..).unwrap_or_default();
            }
        }
    }
}
