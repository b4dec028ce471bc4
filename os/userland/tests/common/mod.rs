//! What the tests of programs on a terminal have in common: the other end of a terminal, and that of the broker's socket.

#![allow(dead_code)] // Not every test program uses everything.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodeos_spec::broker::{Reply, Request};
use rustix::event::{self, PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags,
    SocketAddrUnix, SocketFlags, SocketType,
};
use rustix::pty::{self, OpenptFlags};

/// After which a test has failed. Nothing waits for it otherwise.
const DEADLINE: Duration = Duration::from_secs(60);

/// A terminal: what a program gets, and what a person sees and types.
pub(crate) struct Screen {
    keyboard: OwnedFd,
    pub(crate) path: PathBuf,
    /// What was shown and not yet expected.
    shown: String,
}

impl Screen {
    pub(crate) fn new() -> Screen {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let keyboard = pty::openpt(flags).unwrap();
        pty::grantpt(&keyboard).unwrap();
        pty::unlockpt(&keyboard).unwrap();
        let path = pty::ptsname(&keyboard, Vec::new()).unwrap();
        Screen {
            keyboard,
            path: PathBuf::from(path.into_string().unwrap()),
            shown: String::new(),
        }
    }

    /// The program's side.
    pub(crate) fn terminal(&self) -> OwnedFd {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::open(&self.path, flags, Mode::empty()).unwrap()
    }

    pub(crate) fn type_keys(&self, keys: &str) {
        io::write(&self.keyboard, keys.as_bytes()).unwrap();
    }

    /// Waits until the text is shown, and returns what came before it.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some((before, after)) = self.shown.split_once(text) {
                let before = before.to_owned();
                self.shown = after.to_owned();
                return before;
            }
            wait(self.keyboard.as_fd(), deadline, || {
                format!("{text:?} does not come, but {:?}", self.shown)
            });
            let mut bytes = [0; 4096];
            let length = io::read(&self.keyboard, &mut bytes)
                .unwrap_or_else(|errno| panic!("{errno} before {text:?}: {:?}", self.shown));
            self.shown
                .push_str(str::from_utf8(&bytes[..length]).unwrap());
        }
    }

    /// What a terminal does that is switched off.
    pub(crate) fn hang_up(self) {
        drop(self.keyboard);
    }
}

/// The broker's socket, in a process that is none.
pub(crate) struct Listener(OwnedFd);

impl Listener {
    pub(crate) fn new(path: &Path) -> Listener {
        let flags = SocketFlags::CLOEXEC;
        let socket =
            net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        net::listen(&socket, 1).unwrap();
        Listener(socket)
    }

    pub(crate) fn accept(&self) -> Peer {
        wait(self.0.as_fd(), Instant::now() + DEADLINE, || {
            "nobody connects".to_owned()
        });
        Peer(net::accept_with(&self.0, SocketFlags::CLOEXEC).unwrap())
    }
}

/// Who has connected.
pub(crate) struct Peer(OwnedFd);

impl Peer {
    /// The next request and the descriptors that came with it; none when the other end is closed.
    pub(crate) fn receive(&self) -> Option<(Request, Vec<OwnedFd>)> {
        wait(self.0.as_fd(), Instant::now() + DEADLINE, || {
            "no request comes".to_owned()
        });
        let mut packet = vec![0; 65_536];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let message = net::recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut packet)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
        .unwrap();
        let descriptors = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        (message.bytes > 0).then(|| {
            let request = Request::parse(&packet[..message.bytes]).unwrap();
            (request, descriptors)
        })
    }

    /// The name and password of the next request, and the terminal.
    pub(crate) fn receive_logon(&self) -> (String, String, OwnedFd) {
        match self.receive() {
            Some((Request::Logon { user, password }, descriptors)) => {
                let [terminal] = descriptors.try_into().unwrap();
                (user, password, terminal)
            }
            other => panic!("{:?}", other.map(|(request, _)| request)),
        }
    }

    pub(crate) fn send(&self, reply: &Reply) {
        net::send(&self.0, &reply.to_packet(), SendFlags::NOSIGNAL).unwrap();
    }
}

fn wait(fd: BorrowedFd<'_>, deadline: Instant, otherwise: impl Fn() -> String) {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap();
        let mut ready = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        match event::poll(&mut ready, Some(&left)) {
            Ok(0) => panic!("{}", otherwise()),
            Ok(_) => return,
            Err(io::Errno::INTR) => {}
            Err(errno) => panic!("{errno}"),
        }
    }
}
