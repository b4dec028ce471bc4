//! The host's end of a Unix socket on which QEMU listens: lines, each with a deadline. Channels and QMP stand on this.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use thiserror::Error;

/// How much is read at once.
const CHUNK: usize = 4096;
/// A longer line is not taken: it would be a machine that fills the host's memory.
const LONGEST_LINE: usize = 16 << 20;
/// Between two tries where a socket is bound but not listening yet: there is no event for that, and it takes QEMU
/// microseconds.
const PATIENCE: Duration = Duration::from_millis(10);

/// A channel could not be used.
#[derive(Debug, Error)]
pub enum ChannelError {
    #[error("cannot connect to {}", .socket.display())]
    Connect {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("nothing came from {} within {} s", .socket.display(), .waited.as_secs())]
    Deadline { socket: PathBuf, waited: Duration },
    #[error("a line from {} is longer than {LONGEST_LINE} bytes", .socket.display())]
    TooLong { socket: PathBuf },
    #[error("cannot read from {}", .socket.display())]
    Read {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write to {}", .socket.display())]
    Write {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The lines that arrive on a channel.
#[derive(Debug)]
pub struct Lines {
    socket: PathBuf,
    stream: UnixStream,
    /// What has arrived and is not returned yet. It outlives a deadline, so that no part of a line is lost.
    pending: Vec<u8>,
}

impl Lines {
    /// Connects to the socket of a channel; QEMU may take until `deadline` to listen.
    ///
    /// # Errors
    /// [`ChannelError::Connect`].
    pub fn connect(socket: &Path, deadline: Duration) -> Result<Lines, ChannelError> {
        let stream = connect(socket, deadline).map_err(|source| ChannelError::Connect {
            socket: socket.to_owned(),
            source,
        })?;
        Ok(Lines {
            socket: socket.to_owned(),
            stream,
            pending: Vec::new(),
        })
    }

    /// Takes the connection of a QEMU that is told to connect.
    ///
    /// # Errors
    /// [`ChannelError::Connect`], also when it has not within `deadline`.
    pub(crate) fn accept(
        listener: &UnixListener,
        socket: &Path,
        deadline: Duration,
    ) -> Result<Lines, ChannelError> {
        let wait = || {
            let time = Timespec::try_from(deadline).ok();
            match poll(&mut [PollFd::new(listener, PollFlags::IN)], time.as_ref())? {
                0 => Err(io::ErrorKind::TimedOut.into()),
                _ => listener.accept(),
            }
        };
        let (stream, _) = wait().map_err(|source| ChannelError::Connect {
            socket: socket.to_owned(),
            source,
        })?;
        Ok(Lines {
            socket: socket.to_owned(),
            stream,
            pending: Vec::new(),
        })
    }

    /// The next line without its line feed; none when the machine has closed the channel or ended. What came after the
    /// last line feed is the last line.
    ///
    /// # Errors
    /// [`ChannelError::Deadline`] when no whole line came in time; it is not lost, and may be asked for again.
    pub fn next(&mut self, deadline: Duration) -> Result<Option<String>, ChannelError> {
        let end = Instant::now() + deadline;
        let mut searched = 0;
        loop {
            if let Some(offset) = self.pending[searched..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                let rest = self.pending.split_off(searched + offset + 1);
                return Ok(Some(text(std::mem::replace(&mut self.pending, rest))));
            }
            searched = self.pending.len();
            if searched > LONGEST_LINE {
                return Err(ChannelError::TooLong {
                    socket: self.socket.clone(),
                });
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ChannelError::Deadline {
                    socket: self.socket.clone(),
                    waited: deadline,
                });
            }
            let closed = self.read(left).map_err(|source| ChannelError::Read {
                socket: self.socket.clone(),
                source,
            })?;
            if closed {
                let last = std::mem::take(&mut self.pending);
                return Ok((!last.is_empty()).then(|| text(last)));
            }
        }
    }

    /// Sends one line.
    ///
    /// # Errors
    /// [`ChannelError::Write`], also when the machine did not take it within `deadline`.
    pub fn send(&mut self, line: &str, deadline: Duration) -> Result<(), ChannelError> {
        let mut write = || {
            self.stream.set_write_timeout(Some(deadline))?;
            self.stream.write_all(format!("{line}\n").as_bytes())
        };
        write().map_err(|source| ChannelError::Write {
            socket: self.socket.clone(),
            source,
        })
    }

    /// Reads once, if something comes in time, and says whether the other side has closed.
    fn read(&mut self, time: Duration) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(time))?;
        let mut chunk = [0; CHUNK];
        match self.stream.read(&mut chunk) {
            Ok(count) => {
                self.pending.extend_from_slice(&chunk[..count]);
                Ok(count == 0)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted => Ok(false),
                // A QEMU that ends with something unread: its end all the same.
                io::ErrorKind::ConnectionReset => Ok(true),
                _ => Err(error),
            },
        }
    }
}

fn text(line: Vec<u8>) -> String {
    String::from_utf8_lossy(&line)
        .trim_end_matches(['\r', '\n'])
        .to_owned()
}

/// Connects to a socket that may not be there yet: waits for changes of its folder, not for time to pass.
fn connect(socket: &Path, deadline: Duration) -> io::Result<UnixStream> {
    let end = Instant::now() + deadline;
    // A name alone is in the current folder, whose name is not empty.
    let folder = socket
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(
        &watch,
        folder,
        inotify::WatchFlags::CREATE | inotify::WatchFlags::ATTRIB,
    )?;
    loop {
        let error = match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let left = end.saturating_duration_since(Instant::now());
        let patience = match error.kind() {
            io::ErrorKind::ConnectionRefused => PATIENCE,
            io::ErrorKind::NotFound => left,
            // A name that is too long, say: no later try will do better.
            _ => return Err(error),
        };
        if left.is_zero() {
            return Err(error);
        }
        let time = Timespec::try_from(patience.min(left)).ok();
        match poll(&mut [PollFd::new(&watch, PollFlags::IN)], time.as_ref()) {
            // What exactly has changed does not matter: the next try tells.
            Ok(1..) => drop(rustix::io::read(&watch, &mut [0_u8; CHUNK])?),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);
    const AT_ONCE: Duration = Duration::from_millis(5);

    fn pair() -> (Lines, UnixStream) {
        let (stream, peer) = UnixStream::pair().unwrap();
        (
            Lines {
                socket: PathBuf::from("channel"),
                stream,
                pending: Vec::new(),
            },
            peer,
        )
    }

    #[test]
    fn lines_are_whole_however_they_arrive_and_survive_a_deadline() {
        let (mut lines, mut peer) = pair();
        peer.write_all(b"one\r\ntwo\nth").unwrap();
        assert_eq!(lines.next(SOON).unwrap().as_deref(), Some("one"));
        assert_eq!(lines.next(SOON).unwrap().as_deref(), Some("two"));
        assert_eq!(
            lines.next(AT_ONCE).unwrap_err().to_string(),
            "nothing came from channel within 0 s"
        );
        peer.write_all(b"ree\nlast").unwrap();
        assert_eq!(lines.next(SOON).unwrap().as_deref(), Some("three"));
        drop(peer);
        assert_eq!(lines.next(SOON).unwrap().as_deref(), Some("last"));
        assert_eq!(lines.next(SOON).unwrap(), None);
    }

    #[test]
    fn what_is_sent_is_a_line() {
        let (mut lines, mut peer) = pair();
        lines.send("hello", SOON).unwrap();
        drop(lines);
        let mut said = String::new();
        peer.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello\n");
    }

    #[test]
    fn connecting_waits_for_the_listener_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let error = Lines::connect(&socket, AT_ONCE).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot connect to {}", socket.display())
        );

        let later = socket.clone();
        let listener =
            std::thread::spawn(move || UnixListener::bind(later).unwrap().accept().unwrap());
        Lines::connect(&socket, SOON).unwrap();
        listener.join().unwrap();
    }
}
