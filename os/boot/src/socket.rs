//! The broker's sockets: packets with descriptors, and who sent them.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nodeos_spec::broker::MAX_MESSAGE;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use rustix::process::{Gid, Uid};
use thiserror::Error;
use zeroize::Zeroizing;

/// How many may wait to be accepted: nobody is kept waiting for long.
const BACKLOG: i32 = 16;
/// The most descriptors that a message of the protocol brings.
const MAX_DESCRIPTORS: usize = 2;

#[derive(Debug, Error)]
pub(crate) enum ListenError {
    #[error("cannot listen on {}", path.display())]
    Listen {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// What came over a connection.
#[derive(Debug)]
pub(crate) enum Received {
    Message {
        /// Wiped afterwards: there may be a password in it.
        bytes: Zeroizing<Vec<u8>>,
        descriptors: Vec<OwnedFd>,
    },
    /// Longer than a message can be, or with more descriptors.
    Nonsense,
    Nothing,
    /// The other side is gone.
    End,
}

/// A socket that only this user, and root, can connect to.
pub(crate) fn listen(path: &Path, uid: Uid, gid: Gid) -> Result<OwnedFd, ListenError> {
    let listen = || -> Result<OwnedFd, std::io::Error> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        chown(path, Some(uid.as_raw()), Some(gid.as_raw()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        net::listen(&socket, BACKLOG)?;
        Ok(socket)
    };
    listen().map_err(|source| ListenError::Listen {
        path: path.to_owned(),
        source,
    })
}

/// The next connection, if there is one, and whose it is.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> Option<(OwnedFd, Uid)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connection = net::accept_with(listener, flags).ok()?;
    let peer = sockopt::socket_peercred(&connection).ok()?;
    Some((connection, peer.uid))
}

/// The next message.
pub(crate) fn receive(connection: BorrowedFd<'_>) -> Received {
    let mut bytes = Zeroizing::new(vec![0; MAX_MESSAGE]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let result = io::retry_on_intr(|| {
        net::recvmsg(
            connection,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
    });
    match result {
        Ok(message) if message.bytes == 0 => Received::End,
        Ok(message)
            if message
                .flags
                .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) =>
        {
            Received::Nonsense
        }
        Ok(message) => {
            bytes.truncate(message.bytes);
            let descriptors = ancillary
                .drain()
                .filter_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(rights) => Some(rights),
                    _ => None,
                })
                .flatten()
                .collect();
            Received::Message { bytes, descriptors }
        }
        Err(Errno::AGAIN) => Received::Nothing,
        Err(_) => Received::End,
    }
}

/// Sends a message. Who does not take it loses it: nobody else is to wait for them.
pub(crate) fn send(connection: impl AsFd, packet: &[u8]) {
    let _ = io::retry_on_intr(|| {
        net::sendmsg(
            &connection,
            &[IoSlice::new(packet)],
            &mut SendAncillaryBuffer::default(),
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        )
    });
}
