//! Those who talk to this palmtree: who they are, what they send, and what they have not read yet.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nodeos_spec::control::{Answer, Command, MAX_MESSAGE};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use rustix::process::{self, Uid};
use thiserror::Error;

use crate::events::{Event, Watched};
use crate::sentence::sentence;
use crate::tail;

/// Who does not close its connection holds a descriptor; a person has a few windows open at most.
const MAX_CLIENTS: usize = 32;
/// What may wait for a client, in bytes: the whole of two logs, as JSON makes it longer. Who follows a log that grows faster
/// than it is read loses the connection, not palmtree its memory.
const MAX_QUEUED: usize = 8 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientId(u64);

#[derive(Debug)]
pub(crate) struct Clients {
    listener: Option<OwnedFd>,
    uid: Uid,
    clients: BTreeMap<ClientId, Client>,
    next: u64,
}

#[derive(Debug)]
struct Client {
    fd: OwnedFd,
    queue: VecDeque<Vec<u8>>,
    /// The logs that it is told of as they grow.
    follows: Vec<PathBuf>,
}

#[derive(Debug, Error)]
pub enum ListenError {
    #[error("palmtree runs already in this session: it answers at {}", path.display())]
    AlreadyThere { path: PathBuf },
    #[error("cannot listen at {}", path.display())]
    Listen { path: PathBuf, source: io::Error },
}

impl Clients {
    /// Nobody, for ever.
    pub(crate) fn none() -> Clients {
        Clients {
            listener: None,
            uid: process::geteuid(),
            clients: BTreeMap::new(),
            next: 0,
        }
    }

    /// Listens at a path, in place of whoever listened there and is gone.
    pub(crate) fn listen(path: &Path) -> Result<Clients, ListenError> {
        let failed = |errno: Errno| ListenError::Listen {
            path: path.to_owned(),
            source: errno.into(),
        };
        if connect(path).is_ok() {
            return Err(ListenError::AlreadyThere {
                path: path.to_owned(),
            });
        }
        let _ = fs::remove_file(path);
        let fd = socket(SocketFlags::NONBLOCK).map_err(failed)?;
        let address = SocketAddrUnix::new(path).map_err(failed)?;
        net::bind(&fd, &address).map_err(failed)?;
        // Not decisive, who connects is asked for its user.
        let _ = rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR);
        net::listen(&fd, 16).map_err(failed)?;
        Ok(Clients {
            listener: Some(fd),
            ..Clients::none()
        })
    }

    pub(crate) fn watched(&self) -> impl Iterator<Item = Watched<'_>> {
        let clients = self.clients.iter().flat_map(|(id, client)| {
            let reading = (client.fd.as_fd(), PollFlags::IN, Event::Command(*id));
            let writing = (client.fd.as_fd(), PollFlags::OUT, Event::Writable(*id));
            [Some(reading), (!client.queue.is_empty()).then_some(writing)]
        });
        let listener = self.listener.iter();
        listener
            .map(|fd| (fd.as_fd(), PollFlags::IN, Event::Connection))
            .chain(clients.flatten())
    }

    /// Takes whoever waits to be taken.
    pub(crate) fn accept(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        while let Ok(fd) = net::accept_with(listener, flags) {
            let uid = sockopt::socket_peercred(&fd).map(|peer| peer.uid);
            if uid != Ok(self.uid) || self.clients.len() >= MAX_CLIENTS {
                continue;
            }
            self.next += 1;
            let client = Client {
                fd,
                queue: VecDeque::new(),
                follows: Vec::new(),
            };
            self.clients.insert(ClientId(self.next), client);
        }
    }

    /// What a client wants, if it wants something. Who says what is not understood is told so.
    pub(crate) fn receive(&mut self, id: ClientId) -> Option<Command> {
        let client = self.clients.get(&id)?;
        let mut buffer = vec![0; MAX_MESSAGE];
        match net::recv(&client.fd, &mut buffer, RecvFlags::TRUNC) {
            // An empty packet looks the same as the end, and says as much.
            Ok((_, 0)) => {
                self.clients.remove(&id);
                None
            }
            Ok((_, length)) => {
                let command = buffer
                    .get(..length)
                    .ok_or_else(|| format!("a message has at most {MAX_MESSAGE} bytes"))
                    .and_then(|packet| Command::parse(packet).map_err(|error| sentence(&error)));
                command
                    .map_err(|message| self.send(id, &Answer::Failed { message }))
                    .ok()
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(_) => {
                self.clients.remove(&id);
                None
            }
        }
    }

    /// Sends an answer, now or when the client takes it. A client that is gone needs none.
    pub(crate) fn send(&mut self, id: ClientId, answer: &Answer) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.queue.push_back(answer.to_packet());
        if client.queue.iter().map(Vec::len).sum::<usize>() > MAX_QUEUED {
            self.clients.remove(&id);
            return;
        }
        self.flush(id);
    }

    /// Sends what the client takes now.
    pub(crate) fn flush(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        while let Some(packet) = client.queue.front() {
            match net::send(&client.fd, packet, SendFlags::NOSIGNAL) {
                Ok(_) => drop(client.queue.pop_front()),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.clients.remove(&id);
                    return;
                }
            }
        }
    }

    /// From now on the client is told what these logs get.
    pub(crate) fn follow(&mut self, id: ClientId, logs: Vec<PathBuf>) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.follows = logs;
        }
    }

    /// Tells those who follow a log what it got.
    pub(crate) fn tell(&mut self, log: &Path, bytes: &[u8]) {
        let follows = |client: &Client| client.follows.iter().any(|path| path == log);
        let ids: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|(_, client)| follows(client))
            .map(|(id, _)| *id)
            .collect();
        if ids.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        for part in tail::parts(&text) {
            let answer = Answer::Text {
                text: part.to_owned(),
                more: true,
            };
            for id in &ids {
                self.send(*id, &answer);
            }
        }
    }
}

/// A connection to whoever listens at a path.
pub(crate) fn connect(path: &Path) -> rustix::io::Result<OwnedFd> {
    let fd = socket(SocketFlags::empty())?;
    net::connect(&fd, &SocketAddrUnix::new(path)?)?;
    Ok(fd)
}

/// One that keeps packets apart.
fn socket(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | flags,
        None,
    )
}
