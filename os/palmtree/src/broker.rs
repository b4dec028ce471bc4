//! Services with capabilities: the broker starts them, tells of their end, and sends them signals. Each has a connection
//! of its own, so that every reply is about its service.

use std::io;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use nodeos_spec::broker::{MAX_MESSAGE, Reply, Request};
use nodeos_spec::service::Service;
use rustix::cmsg_space;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::process::Signal;
use thiserror::Error;

use crate::clients;

/// The connection through which a service runs.
#[derive(Debug)]
pub(crate) struct Connection {
    fd: OwnedFd,
    /// The service's, as the broker counts.
    name: String,
}

/// What came through one.
#[derive(Debug)]
pub(crate) enum Received {
    Reply(Reply),
    Nothing,
    /// The broker is gone, or says what nobody understands.
    Closed,
}

#[derive(Debug, Error)]
pub(crate) enum AskBrokerError {
    #[error("cannot reach the session broker at {}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("cannot ask the session broker to start it")]
    Send { source: io::Error },
}

/// Asks for the service to be started with this standard output and standard error.
pub(crate) fn start(
    path: &Path,
    service: &Service,
    stdout: BorrowedFd<'_>,
    stderr: BorrowedFd<'_>,
) -> Result<Connection, AskBrokerError> {
    let unreachable = |errno: Errno| AskBrokerError::Connect {
        path: path.to_owned(),
        source: errno.into(),
    };
    let fd = clients::connect(path).map_err(unreachable)?;
    let flags = fcntl_getfl(&fd).map_err(unreachable)?;
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK).map_err(unreachable)?;
    let request = Request::StartService {
        name: service.name.clone(),
        command: service.command.clone(),
        args: service.args.clone(),
        env: service.env.clone(),
        cwd: service.cwd.clone(),
        capabilities: service.capabilities.clone(),
        stdout: None,
        stderr: None,
    };
    let outputs = [stdout, stderr];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&outputs));
    let packet = request.to_packet();
    net::sendmsg(
        &fd,
        &[IoSlice::new(&packet)],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .map_err(|errno| AskBrokerError::Send {
        source: errno.into(),
    })?;
    Ok(Connection {
        fd,
        name: service.name.clone(),
    })
}

impl Connection {
    /// Sends the service a signal. A broker that is gone is heard of by reading.
    pub(crate) fn signal(&self, signal: Signal) {
        let request = Request::StopService {
            name: self.name.clone(),
            signal: signal.as_raw(),
        };
        let _ = net::send(&self.fd, &request.to_packet(), SendFlags::NOSIGNAL);
    }

    pub(crate) fn receive(&self) -> Received {
        let mut buffer = vec![0; MAX_MESSAGE];
        match net::recv(&self.fd, &mut buffer, RecvFlags::TRUNC) {
            Ok((_, length @ 1..)) => buffer
                .get(..length)
                .and_then(|packet| Reply::parse(packet).ok())
                .map_or(Received::Closed, Received::Reply),
            Err(Errno::AGAIN | Errno::INTR) => Received::Nothing,
            Ok(_) | Err(_) => Received::Closed,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
