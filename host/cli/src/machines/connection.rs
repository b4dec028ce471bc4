//! A command's end of a connection to a monitor, for whom there is nothing to do but to wait for an answer.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nodeos_spec::application::frame::{DecodeFrameError, Decoder, Frame, MESSAGES};
use thiserror::Error;

use crate::machines::protocol::{ClientMessage, LongMessageError, MonitorMessage};

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// A monitor cannot be talked to.
#[derive(Debug, Error)]
pub enum TalkError {
    #[error("cannot talk to the machine's monitor")]
    Write(#[source] io::Error),
    #[error("cannot hear the machine's monitor")]
    Read(#[source] io::Error),
    #[error("the machine's monitor did not answer within {} s", .waited.as_secs())]
    Deadline { waited: Duration },
    #[error("the machine's monitor is of another version of NodeOS")]
    Frame(#[source] DecodeFrameError),
    #[error("the machine's monitor is of another version of NodeOS")]
    Message(#[source] serde_json::Error),
    #[error(transparent)]
    Long(#[from] LongMessageError),
}

impl TalkError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            TalkError::Frame(_) | TalkError::Message(_) => {
                Some("stop it with the nodeos that started it, and start it again".to_owned())
            }
            _ => None,
        }
    }
}

/// Says something to a monitor.
///
/// # Errors
/// [`TalkError::Write`] and [`TalkError::Long`].
pub fn say(mut stream: &UnixStream, message: &ClientMessage) -> Result<(), TalkError> {
    let mut bytes = Vec::new();
    message.to_frame()?.encode(&mut bytes);
    stream.write_all(&bytes).map_err(TalkError::Write)
}

/// Reads frames, waiting for them.
#[derive(Debug)]
pub struct Frames {
    stream: UnixStream,
    decoder: Decoder,
}

impl Frames {
    pub fn new(stream: UnixStream) -> Frames {
        Frames {
            stream,
            decoder: Decoder::default(),
        }
    }

    /// The next frame; none when the monitor has ended.
    ///
    /// # Errors
    /// [`TalkError`]; its deadline is the stream's.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, TalkError> {
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(TalkError::Frame)? {
                return Ok(Some(frame));
            }
            let mut chunk = [0; CHUNK];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => self.decoder.push(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It ended while something of ours was still under way to it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(TalkError::Read(error)),
            }
        }
    }

    /// The next message; none when the monitor has ended.
    ///
    /// # Errors
    /// [`TalkError`].
    pub fn next_message(
        &mut self,
        deadline: Duration,
    ) -> Result<Option<MonitorMessage>, TalkError> {
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TalkError::Deadline { waited: deadline });
            }
            self.stream
                .set_read_timeout(Some(left))
                .map_err(TalkError::Read)?;
            match self.next_frame() {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) if frame.stream == MESSAGES => {
                    return parse(&frame).map(Some);
                }
                Ok(Some(_)) => {}
                Err(TalkError::Read(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(TalkError::Deadline { waited: deadline });
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What a frame of the stream of messages says.
///
/// # Errors
/// [`TalkError::Message`].
pub fn parse(frame: &Frame) -> Result<MonitorMessage, TalkError> {
    serde_json::from_slice(&frame.payload).map_err(TalkError::Message)
}
