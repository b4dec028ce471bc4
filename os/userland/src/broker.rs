//! The way to the session broker: packets over its socket.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use nodeos_spec::broker::{MAX_MESSAGE, ParseMessageError, Reply};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::net::{
    self, AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketAddrUnix, SocketFlags, SocketType,
};
use thiserror::Error;

/// A connection to the broker.
#[derive(Debug)]
pub(crate) struct Broker(OwnedFd);

/// Why the broker was not asked, or gave no answer.
#[derive(Debug, Error)]
pub enum AskBrokerError {
    #[error("cannot reach the session broker at {}", path.display())]
    Connect { path: PathBuf, source: Errno },
    #[error("cannot send a request to the session broker")]
    Send(#[source] Errno),
    #[error("cannot receive what the session broker answers")]
    Receive(#[source] Errno),
    #[error("the session broker has hung up")]
    HungUp,
    #[error("the session broker's answer makes no sense")]
    Parse(#[source] ParseMessageError),
    #[error("the session broker answers something else than it was asked")]
    Unexpected,
}

impl AskBrokerError {
    /// Whether there is no broker at all, as in a container or in the single-application system.
    pub(crate) fn is_no_broker(&self) -> bool {
        matches!(
            self,
            AskBrokerError::Connect {
                source: Errno::NOENT,
                ..
            }
        )
    }

    /// Whether it is worth connecting anew: the other end of the connection is gone.
    pub(crate) fn is_broken_connection(&self) -> bool {
        matches!(
            self,
            AskBrokerError::Send(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN)
        )
    }
}

impl Broker {
    pub(crate) fn connect(path: &Path) -> Result<Broker, AskBrokerError> {
        let connect = || -> io::Result<OwnedFd> {
            let address = SocketAddrUnix::new(path)?;
            let kind = SocketType::SEQPACKET;
            let socket = net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
            io::retry_on_intr(|| net::connect(&socket, &address))?;
            Ok(socket)
        };
        match connect() {
            Ok(socket) => Ok(Broker(socket)),
            Err(source) => Err(AskBrokerError::Connect {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Sends one packet with descriptors.
    pub(crate) fn send(
        &self,
        packet: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), AskBrokerError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(AskBrokerError::Send(Errno::NOBUFS));
        }
        let packet = [IoSlice::new(packet)];
        // A broker that is gone is an error number here, not a signal.
        io::retry_on_intr(|| net::sendmsg(&self.0, &packet, &mut ancillary, SendFlags::NOSIGNAL))
            .map_err(AskBrokerError::Send)?;
        Ok(())
    }

    /// Waits for the next packet.
    pub(crate) fn receive(&self) -> Result<Reply, AskBrokerError> {
        let mut packet = vec![0; MAX_MESSAGE];
        let received = io::retry_on_intr(|| {
            let mut parts = [IoSliceMut::new(&mut packet)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            net::recvmsg(&self.0, &mut parts, &mut Default::default(), flags)
        });
        match received {
            Ok(message) if message.bytes == 0 => Err(AskBrokerError::HungUp),
            Err(Errno::CONNRESET) => Err(AskBrokerError::HungUp),
            Ok(message) => Reply::parse(&packet[..message.bytes]).map_err(AskBrokerError::Parse),
            Err(errno) => Err(AskBrokerError::Receive(errno)),
        }
    }
}
