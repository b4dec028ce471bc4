//! What a monitor waits for: poll(2) over everything that it has open.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nodeos_vm::frames::FrameSocket;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Monitor;
use super::client::Client;

/// When so much is to be said to the machine, nobody is listened to until it has taken some: far more than the windows
/// of a few commands.
const FULL: usize = 4 << 20;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A signal tells us to end.
    Signal,
    /// QEMU's process has ended.
    QemuEnded,
    /// There is something on the serial console.
    Console,
    /// QEMU has connected.
    MachineConnects,
    Machine,
    /// QEMU says something of itself.
    Qmp,
    ClientConnects,
    Client(u32),
}

/// The signals that end a monitor, and its machine with it: a byte for each.
#[derive(Debug)]
pub(super) struct Signals {
    bytes: UnixStream,
}

impl Signals {
    /// Handles them from now on, for as long as the process lives.
    pub(super) fn watch() -> io::Result<Signals> {
        let (bytes, writer) = UnixStream::pair()?;
        bytes.set_nonblocking(true)?;
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Signals { bytes })
    }

    /// Forgets the signals that have come.
    pub(super) fn take(&mut self) {
        let _ = self.bytes.read(&mut [0; 16]);
    }
}

impl Monitor {
    /// Returns what has happened, which may be nothing, at the next deadline at the latest.
    pub(super) fn wait(&self) -> io::Result<Vec<Event>> {
        let is_full = self
            .machine
            .as_ref()
            .is_some_and(|machine| machine.unsent() > FULL);
        let mut sources: Vec<(Event, BorrowedFd<'_>, PollFlags)> = vec![
            (Event::Signal, self.signals.bytes.as_fd(), PollFlags::IN),
            (Event::ClientConnects, self.listener.as_fd(), PollFlags::IN),
        ];
        if let Some(qemu) = &self.qemu {
            sources.push((Event::QemuEnded, qemu.end(), PollFlags::IN));
            let console = qemu.console();
            sources.extend(console.map(|fd| (Event::Console, fd, PollFlags::IN)));
        }
        if let Some(listener) = &self.machine_listener {
            sources.push((Event::MachineConnects, listener.as_fd(), PollFlags::IN));
        }
        if let Some(qmp) = &self.qmp {
            sources.push((Event::Qmp, qmp.fd(), PollFlags::IN));
        }
        let socket = |event, socket: &'_ FrameSocket| (event, socket.interest());
        if let Some(machine) = &self.machine {
            let (event, interest) = socket(Event::Machine, machine);
            sources.push((event, machine.as_fd(), interest | PollFlags::IN));
        }
        for (id, client) in &self.clients {
            let Client { socket, .. } = client;
            // One that is not listened to is still heard when it goes: poll(2) always tells that.
            let listen = if is_full {
                PollFlags::empty()
            } else {
                PollFlags::IN
            };
            sources.push((
                Event::Client(*id),
                socket.as_fd(),
                socket.interest() | listen,
            ));
        }
        let mut fds: Vec<PollFd<'_>> = sources
            .iter()
            .map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        let left = self
            .deadline()
            .map(|at| at.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let happened = sources
            .iter()
            .zip(&fds)
            // Room to write is made use of by the next round, whatever else happens.
            .filter(|(_, fd)| fd.revents().intersects(!PollFlags::OUT));
        Ok(happened.map(|((event, ..), _)| *event).collect())
    }

    /// Deals with one of them.
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Signal => {
                self.signals.take();
                self.stop(None);
            }
            Event::QemuEnded => self.qemu_ended(),
            Event::Console => self.read_console(),
            Event::MachineConnects => self.accept_machine(),
            Event::Machine => drop(self.read_machine()),
            Event::Qmp => self.read_qmp(),
            Event::ClientConnects => self.accept_client(),
            Event::Client(id) => self.read_client(id),
        }
    }
}
