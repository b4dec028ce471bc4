//! The host's end of the machine: a virtio-serial port with frames on it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nodeos_spec::application::frame::{DecodeFrameError, Decoder, Frame, MAX_PAYLOAD, MESSAGES};
use nodeos_spec::application::message::MachineMessage;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::OFlags;

/// What waits to be written when no more is taken from the streams: one frame waits while another one is written.
const ENOUGH: usize = MAX_PAYLOAD;
/// Read at once: what the driver gives at most.
const CHUNK: usize = 4096;
/// Between two looks whether a host is there again. While there is none the port is always ready, so it cannot be waited for.
pub(crate) const PAUSE_WITHOUT_HOST: Duration = Duration::from_millis(250);

/// The port, open.
#[derive(Debug)]
pub(crate) struct Link {
    port: File,
    decoder: Decoder,
    out: Vec<u8>,
    /// How much of `out` has been written.
    written: usize,
    pub(crate) host: Host,
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// Nobody has been there yet: what is to be said waits.
    Awaited,
    There,
    /// Somebody was. What is said meanwhile is lost.
    Gone,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Heard {
    Frame(Frame),
    Nothing,
    /// The host has gone, or has come: both begin anew with every stream.
    Other {
        now: Host,
        before: Host,
    },
    Nonsense(DecodeFrameError),
}

impl Link {
    /// None where it cannot be opened, which a port that nobody else has can.
    pub(crate) fn open(port: &Path) -> Option<Link> {
        let port = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(port)
            .ok()?;
        Some(Link {
            port,
            decoder: Decoder::default(),
            out: Vec::new(),
            written: 0,
            host: Host::Awaited,
        })
    }

    pub(crate) fn say(&mut self, message: &MachineMessage) {
        self.send(&Frame::data(MESSAGES, message.to_line().as_bytes()));
    }

    pub(crate) fn send(&mut self, frame: &Frame) {
        if self.host != Host::Gone {
            frame.encode(&mut self.out);
        }
    }

    /// Whether the streams may give more.
    pub(crate) fn has_room(&self) -> bool {
        self.host != Host::Awaited && self.out.len() - self.written < ENOUGH
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.written == self.out.len()
    }

    /// What to wait for; nothing while nobody is there.
    pub(crate) fn interest(&self) -> Option<PollFlags> {
        match (self.host, self.is_idle()) {
            (Host::There, true) => Some(PollFlags::IN),
            (Host::There, false) => Some(PollFlags::IN | PollFlags::OUT),
            _ => None,
        }
    }

    /// Writes as much as the port takes now.
    pub(crate) fn write(&mut self) {
        while !self.is_idle() {
            match self.port.write(&self.out[self.written..]) {
                Ok(0) => break,
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Also when nobody is there, which reading tells.
                Err(_) => break,
            }
        }
        if self.is_idle() {
            self.out.clear();
            self.written = 0;
            // A burst is over: a small machine has better uses for its memory.
            self.out.shrink_to(2 * MAX_PAYLOAD);
        }
    }

    /// The next frame. Reads, if there is no whole one yet.
    pub(crate) fn hear(&mut self) -> Heard {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => return Heard::Frame(frame),
                Ok(None) => {}
                Err(error) => {
                    // Nothing that follows can be understood.
                    let _ = self.leave();
                    return Heard::Nonsense(error);
                }
            }
            let mut chunk = [0; CHUNK];
            match self.port.read(&mut chunk) {
                // The driver says so while the host has not opened its end.
                Ok(0) if self.host == Host::There => {
                    return self.leave();
                }
                Ok(0) => return Heard::Nothing,
                Ok(count) => {
                    self.decoder.push(&chunk[..count]);
                    if self.host != Host::There {
                        return self.arrive();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return match self.host {
                        Host::There => Heard::Nothing,
                        Host::Awaited | Host::Gone => self.arrive(),
                    };
                }
                Err(_) if self.host == Host::There => {
                    return self.leave();
                }
                Err(_) => return Heard::Nothing,
            }
        }
    }

    fn arrive(&mut self) -> Heard {
        let before = std::mem::replace(&mut self.host, Host::There);
        Heard::Other {
            now: Host::There,
            before,
        }
    }

    fn leave(&mut self) -> Heard {
        let before = std::mem::replace(&mut self.host, Host::Gone);
        self.decoder = Decoder::default();
        self.out = Vec::new();
        self.written = 0;
        Heard::Other {
            now: Host::Gone,
            before,
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.as_fd()
    }
}
