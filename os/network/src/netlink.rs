//! rtnetlink: requests to the kernel about links, addresses and routes, and the kernel's own news about links.
//!
//! What the messages mean is the business of [`crate::link`] and [`crate::address`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};
use thiserror::Error;

/// What the kernel fills at most with one datagram (NLMSG_GOODSIZE), with room to spare.
const BUFFER: usize = 64 * 1024;
/// The address of the kernel.
const KERNEL: SocketAddrNetlink = SocketAddrNetlink::new(0, 0);

/// Why the kernel did not do what it was asked for.
#[derive(Debug, Error)]
pub enum RequestError {
    #[error("cannot talk to the kernel's network")]
    Socket(#[source] io::Error),
    #[error("the kernel refuses")]
    Refused(#[source] io::Error),
    #[error("the kernel's answer cannot be understood")]
    Answer(#[source] netlink_packet_core::DecodeError),
}

impl RequestError {
    /// The error number with which the kernel refused.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            RequestError::Refused(error) => Errno::from_io_error(error),
            _ => None,
        }
    }
}

/// A socket for requests. The kernel answers each one before the next.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
}

/// A socket that hears of every change to something.
#[derive(Debug)]
pub struct News(OwnedFd);

/// What it hears of: groups of linux/rtnetlink.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Topic {
    /// RTMGRP_LINK
    Links = 1,
    /// RTMGRP_NEIGH: the hardware addresses of other machines.
    Neighbours = 4,
}

/// What there is to hear.
#[derive(Debug)]
pub enum Heard {
    Message(RouteNetlinkMessage),
    /// So much happened that some of it was lost: everything is to be asked for.
    Lost,
    Nothing,
}

impl Netlink {
    pub fn open() -> io::Result<Netlink> {
        Ok(Netlink {
            fd: open(SocketFlags::empty(), 0)?,
            sequence: 0,
        })
    }

    /// Asks for a change, with flags such as `NLM_F_CREATE`.
    pub fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), RequestError> {
        self.request(message, NLM_F_ACK | flags).map(drop)
    }

    /// Asks for everything of the message's kind.
    pub fn dump(
        &mut self,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, RequestError> {
        self.request(message, NLM_F_DUMP)
    }

    fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, RequestError> {
        let socket = |errno: Errno| RequestError::Socket(errno.into());
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        sendto(&self.fd, &bytes, SendFlags::empty(), &KERNEL).map_err(socket)?;

        let mut answers = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = match recv(&self.fd, &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(socket(errno)),
            };
            for answer in messages(&buffer[..length]) {
                let answer = answer.map_err(RequestError::Answer)?;
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) if error.code.is_none() => return Ok(answers),
                    NetlinkPayload::Error(error) => {
                        return Err(RequestError::Refused(error.to_io()));
                    }
                    NetlinkPayload::InnerMessage(message) => answers.push(message),
                    _ => {}
                }
            }
        }
    }
}

impl News {
    pub fn open(topic: Topic) -> io::Result<News> {
        Ok(News(open(SocketFlags::NONBLOCK, topic as u32)?))
    }

    /// Everything that can be heard now.
    pub fn hear(&self) -> io::Result<Vec<Heard>> {
        let mut heard = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            match recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => heard.extend(messages(&buffer[..length]).map(|message| {
                    match message.map(|message| message.payload) {
                        Ok(NetlinkPayload::InnerMessage(message)) => Heard::Message(message),
                        Ok(NetlinkPayload::Overrun(_)) | Err(_) => Heard::Lost,
                        Ok(_) => Heard::Nothing,
                    }
                })),
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => heard.push(Heard::Lost),
                Err(Errno::AGAIN) => return Ok(heard),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for News {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn open(flags: SocketFlags, groups: u32) -> io::Result<OwnedFd> {
    let fd = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | flags,
        // NETLINK_ROUTE is 0, which is what no protocol means.
        None,
    )?;
    bind(&fd, &SocketAddrNetlink::new(0, groups))?;
    Ok(fd)
}

type Message = NetlinkMessage<RouteNetlinkMessage>;

/// The messages of one datagram.
fn messages(
    mut bytes: &[u8],
) -> impl Iterator<Item = Result<Message, netlink_packet_core::DecodeError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let message = Message::deserialize(bytes);
        // Each begins at a multiple of four (netlink(7)); after one of a wrong length nothing can be found any more.
        let length = bytes
            .first_chunk()
            .map_or(0, |length| u32::from_ne_bytes(*length) as usize);
        bytes = match length {
            0..16 => &[],
            length => bytes.get(length.next_multiple_of(4)..).unwrap_or_default(),
        };
        Some(message)
    })
}
