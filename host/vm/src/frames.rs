//! Frames (`nodeos_spec::application::frame`) over a Unix socket, for somebody who serves several at once and waits for none.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nodeos_spec::application::frame::{DecodeFrameError, Decoder, Frame};
use rustix::event::PollFlags;
use thiserror::Error;

/// How much is read at once: what a socket holds by default, so that nobody is read from for long while others wait.
const CHUNK: usize = 64 << 10;

/// One end of a socket that frames go over. Nothing here waits.
#[derive(Debug)]
pub struct FrameSocket {
    stream: UnixStream,
    decoder: Decoder,
    /// What is to be written.
    unsent: Vec<u8>,
    /// How much of `unsent` has been written.
    sent: usize,
}

/// What the other end has said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub frames: Vec<Frame>,
    /// The other end has closed the socket: nothing more comes.
    pub is_over: bool,
    /// Nothing was there to be read.
    pub is_dry: bool,
}

/// The other end cannot be talked to.
#[derive(Debug, Error)]
pub enum FrameSocketError {
    #[error("cannot use a socket without waiting")]
    Prepare(#[source] io::Error),
    #[error("cannot read from a socket")]
    Read(#[source] io::Error),
    #[error("cannot write to a socket")]
    Write(#[source] io::Error),
    #[error("what came on a socket is no frame")]
    Nonsense(#[source] DecodeFrameError),
}

impl FrameSocket {
    /// Takes a connected socket.
    ///
    /// # Errors
    /// [`FrameSocketError::Prepare`].
    pub fn new(stream: UnixStream) -> Result<FrameSocket, FrameSocketError> {
        stream
            .set_nonblocking(true)
            .map_err(FrameSocketError::Prepare)?;
        Ok(FrameSocket {
            stream,
            decoder: Decoder::default(),
            unsent: Vec::new(),
            sent: 0,
        })
    }

    /// Puts a frame behind all others that are to be sent.
    pub fn queue(&mut self, frame: &Frame) {
        frame.encode(&mut self.unsent);
    }

    /// How many bytes are still to be sent.
    pub fn unsent(&self) -> usize {
        self.unsent.len() - self.sent
    }

    /// Writes as much as the socket takes now.
    ///
    /// # Errors
    /// [`FrameSocketError::Write`], also where the other end is gone.
    pub fn send(&mut self) -> Result<(), FrameSocketError> {
        while self.unsent() > 0 {
            match self.stream.write(&self.unsent[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FrameSocketError::Write(error)),
            }
        }
        if self.unsent() == 0 {
            // A burst does not keep its memory for as long as the socket is open.
            self.unsent = Vec::new();
            self.sent = 0;
        } else if self.sent > self.unsent.len() / 2 {
            self.unsent.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }

    /// Reads what is there, once.
    ///
    /// # Errors
    /// [`FrameSocketError::Read`] and [`FrameSocketError::Nonsense`].
    pub fn receive(&mut self) -> Result<Received, FrameSocketError> {
        let mut chunk = [0; CHUNK];
        let mut received = Received::default();
        match self.stream.read(&mut chunk) {
            Ok(0) => received.is_over = true,
            Ok(count) => self.decoder.push(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => received.is_dry = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // QEMU and clients end without reading what was still under way to them.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => received.is_over = true,
            Err(error) => return Err(FrameSocketError::Read(error)),
        }
        while let Some(frame) = self
            .decoder
            .next_frame()
            .map_err(FrameSocketError::Nonsense)?
        {
            received.frames.push(frame);
        }
        Ok(received)
    }

    /// What poll(2) has to wait for, beside something to read: room for what is to be sent.
    pub fn interest(&self) -> PollFlags {
        if self.unsent() > 0 {
            PollFlags::OUT
        } else {
            PollFlags::empty()
        }
    }
}

impl AsFd for FrameSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use nodeos_spec::application::frame::{MAX_PAYLOAD, STREAMS};
    use rustix::event::{PollFd, poll};

    use super::*;

    fn pair() -> (FrameSocket, FrameSocket) {
        let (one, other) = UnixStream::pair().unwrap();
        (
            FrameSocket::new(one).unwrap(),
            FrameSocket::new(other).unwrap(),
        )
    }

    #[test]
    fn more_than_a_socket_holds_is_sent_when_it_is_read() {
        let (mut sender, mut receiver) = pair();
        let frame = Frame::data(STREAMS.stdout, &[7; MAX_PAYLOAD]);
        let count = 64;
        (0..count).for_each(|_| sender.queue(&frame));
        sender.send().unwrap();
        assert!(sender.unsent() > 0, "a socket holds 4 MiB");
        assert_eq!(sender.interest(), PollFlags::OUT);
        let mut received = 0;
        while received < count {
            poll(
                &mut [PollFd::new(&receiver, PollFlags::IN)],
                Some(&rustix::event::Timespec {
                    tv_sec: 10,
                    tv_nsec: 0,
                }),
            )
            .unwrap();
            let found = receiver.receive().unwrap();
            assert!(!found.is_over && found.frames.iter().all(|found| *found == frame));
            received += found.frames.len();
            sender.send().unwrap();
        }
        assert_eq!((received, sender.unsent()), (count, 0));
        assert_eq!(sender.interest(), PollFlags::empty());
    }

    #[test]
    fn nothing_is_waited_for_and_an_end_is_seen() {
        let (mut one, other) = pair();
        let dry = Received {
            is_dry: true,
            ..Received::default()
        };
        assert_eq!(one.receive().unwrap(), dry);
        drop(other);
        assert!(one.receive().unwrap().is_over);
        one.queue(&Frame::end(1));
        assert!(matches!(one.send(), Err(FrameSocketError::Write(_))));
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let mut one = FrameSocket::new(one).unwrap();
        other.write_all(&[0, 0, 0, 0, 9, 0, 0, 0, 0]).unwrap();
        assert!(matches!(one.receive(), Err(FrameSocketError::Nonsense(_))));
    }
}
