//! The host's end of the machine: the virtio-serial port on which it says what only it knows.
//!
//! A machine without the port, or whose host has nothing to say, works all the same.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nodeos_sandbox::port;
use nodeos_spec::host::{HostMessage, MAX_LINE, MachineMessage, PORT};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::OFlags;
use rustix::termios::{Winsize, tcsetwinsize};

/// The port, open.
#[derive(Debug)]
pub(crate) struct Host {
    port: File,
    /// What has arrived of a line that is not whole yet.
    pending: Vec<u8>,
}

/// What came from the host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Message(HostMessage),
    /// Nothing that is whole, or nothing that is understood.
    Nothing,
    /// The host is not there any more.
    End,
}

/// Whether reading waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Waits,
    DoesNot,
}

impl Host {
    /// None where the machine has no such port.
    pub(crate) fn open(reading: Reading) -> Option<Host> {
        let flags = match reading {
            Reading::Waits => OFlags::empty(),
            Reading::DoesNot => OFlags::NONBLOCK,
        };
        let port = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(port::find(Path::new(port::CLASS), PORT)?)
            .ok()?;
        Some(Host {
            port,
            pending: Vec::new(),
        })
    }

    /// Reads once, if there is no whole line yet.
    pub(crate) fn hear(&mut self) -> Heard {
        if let Some(message) = next_line(&mut self.pending) {
            return message;
        }
        let mut chunk = [0; 4096];
        match self.port.read(&mut chunk) {
            Ok(0) => Heard::End,
            Ok(count) => {
                self.pending.extend_from_slice(&chunk[..count]);
                if self.pending.len() > MAX_LINE {
                    return Heard::End;
                }
                next_line(&mut self.pending).unwrap_or(Heard::Nothing)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Heard::Nothing,
                _ => Heard::End,
            },
        }
    }

    /// True where another message has come already.
    pub(crate) fn has_more(&self) -> bool {
        self.pending.contains(&b'\n')
    }

    /// Says something. A host that does not listen misses it.
    pub(crate) fn say(&mut self, message: &MachineMessage) {
        let _ = self
            .port
            .write_all(format!("{}\n", message.to_line()).as_bytes());
    }
}

impl AsFd for Host {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.as_fd()
    }
}

/// The console, which is standard error, gets the size of the terminal that shows it. Who runs on it is told by a signal.
pub(crate) fn set_console_size(columns: u16, rows: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // A console that is no terminal has no size.
    let _ = tcsetwinsize(io::stderr(), size);
}

/// Takes the first whole line out of what has arrived.
fn next_line(pending: &mut Vec<u8>) -> Option<Heard> {
    let end = pending.iter().position(|&byte| byte == b'\n')?;
    let line: Vec<u8> = pending.drain(..=end).collect();
    let message = HostMessage::parse(&line[..end]);
    Some(message.map_or(Heard::Nothing, Heard::Message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_nonsense_is_passed_over() {
        let size = HostMessage::ConsoleSize {
            columns: 80,
            rows: 24,
        };
        let text = format!("{}\nnonsense\n{}", size.to_line(), size.to_line());
        let mut pending = text.into_bytes();
        assert_eq!(next_line(&mut pending), Some(Heard::Message(size.clone())));
        assert_eq!(next_line(&mut pending), Some(Heard::Nothing));
        assert_eq!(next_line(&mut pending), None);
        pending.push(b'\n');
        assert_eq!(next_line(&mut pending), Some(Heard::Message(size)));
        assert!(pending.is_empty());
    }
}
