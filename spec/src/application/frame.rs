//! How bytes of several streams and messages share one port: frames, each with the stream that it belongs to.
//!
//! A frame is a stream's number (four bytes, the lowest first), its kind (one byte), the length of what follows (four bytes),
//! and that much of payload. Messages are lines of JSON of stream [`MESSAGES`], one a frame.

use alloc::vec::Vec;

use thiserror::Error;

/// The port's name.
pub const PORT: &str = "org.nodeos.application";

/// The stream of messages.
pub const MESSAGES: u32 = 0;

/// Standard input, output and error of the application. Those of a command that is run beside it come from [`streams_of`].
pub const STREAMS: Streams = Streams {
    stdin: 1,
    stdout: 2,
    stderr: 3,
};

/// The longest payload, in bytes. Whoever says that more follows does not speak this language.
pub const MAX_PAYLOAD: usize = 64 << 10;

/// Stream, kind, length.
const HEADER: usize = 9;

/// The three streams of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    pub stdin: u32,
    pub stdout: u32,
    pub stderr: u32,
}

/// Those of the command with this number. Numbers are the host's to give; 0 is the application's own.
pub fn streams_of(command: u32) -> Streams {
    let first = command.saturating_mul(3).saturating_add(STREAMS.stdin);
    Streams {
        stdin: first,
        stdout: first.saturating_add(1),
        stderr: first.saturating_add(2),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The payload is the stream's next bytes, or a message.
    Data,
    /// The stream ends here.
    End,
    /// Whoever receives the stream has passed on so many bytes of it (four bytes, the lowest first), and takes as many more.
    Credit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub stream: u32,
    pub kind: Kind,
    pub payload: Vec<u8>,
}

/// What came is no frame. Nothing that follows can be understood either.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeFrameError {
    #[error("{kind} is no kind of frame")]
    Kind { kind: u8 },
    #[error("a frame of {length} bytes is longer than any")]
    Length { length: u32 },
    #[error("a credit of {length} bytes instead of four")]
    Credit { length: usize },
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Data => 0,
            Kind::End => 1,
            Kind::Credit => 2,
        }
    }

    fn of_code(code: u8) -> Result<Kind, DecodeFrameError> {
        match code {
            0 => Ok(Kind::Data),
            1 => Ok(Kind::End),
            2 => Ok(Kind::Credit),
            kind => Err(DecodeFrameError::Kind { kind }),
        }
    }
}

impl Frame {
    /// # Panics
    /// Where the payload is longer than [`MAX_PAYLOAD`].
    pub fn data(stream: u32, payload: &[u8]) -> Frame {
        assert!(payload.len() <= MAX_PAYLOAD, "a payload has its limit");
        Frame {
            stream,
            kind: Kind::Data,
            payload: payload.to_vec(),
        }
    }

    pub fn end(stream: u32) -> Frame {
        Frame {
            stream,
            kind: Kind::End,
            payload: Vec::new(),
        }
    }

    pub fn credit(stream: u32, bytes: u32) -> Frame {
        Frame {
            stream,
            kind: Kind::Credit,
            payload: bytes.to_le_bytes().to_vec(),
        }
    }

    /// Of a frame of kind [`Kind::Credit`]; 0 for all others.
    pub fn credited(&self) -> u32 {
        match (self.kind, <[u8; 4]>::try_from(self.payload.as_slice())) {
            (Kind::Credit, Ok(bytes)) => u32::from_le_bytes(bytes),
            _ => 0,
        }
    }

    /// Appends the frame as it is on the port.
    pub fn encode(&self, to: &mut Vec<u8>) {
        let length = u32::try_from(self.payload.len()).expect("a payload has its limit");
        to.reserve(HEADER + self.payload.len());
        to.extend(self.stream.to_le_bytes());
        to.push(self.kind.code());
        to.extend(length.to_le_bytes());
        to.extend(&self.payload);
    }
}

/// Finds the frames in bytes that come in any pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// How much of `bytes` has been frames already.
    begin: usize,
}

impl Decoder {
    /// Takes in what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        // What was used is let go of when it is most of what there is, so that no byte is moved more than twice.
        if self.begin > self.bytes.len() / 2 {
            self.bytes.drain(..self.begin);
            self.begin = 0;
        }
        self.bytes.extend(bytes);
    }

    /// The next frame, when all of it is there.
    ///
    /// # Errors
    /// [`DecodeFrameError`], and then again for ever.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeFrameError> {
        let left = self.bytes.get(self.begin..).unwrap_or_default();
        let Some((header, rest)) = left.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [a, b, c, d, code, e, f, g, h] = *header;
        let kind = Kind::of_code(code)?;
        let length = u32::from_le_bytes([e, f, g, h]);
        let wanted = usize::try_from(length)
            .ok()
            .filter(|wanted| *wanted <= MAX_PAYLOAD)
            .ok_or(DecodeFrameError::Length { length })?;
        if kind == Kind::Credit && wanted != 4 {
            return Err(DecodeFrameError::Credit { length: wanted });
        }
        let Some(payload) = rest.get(..wanted) else {
            return Ok(None);
        };
        let frame = Frame {
            stream: u32::from_le_bytes([a, b, c, d]),
            kind,
            payload: payload.to_vec(),
        };
        self.begin += HEADER + wanted;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Frame> {
        vec![
            Frame::data(MESSAGES, b"{}"),
            Frame::data(STREAMS.stdout, b""),
            Frame::credit(STREAMS.stdout, 70_000),
            Frame::data(7, &[0; MAX_PAYLOAD]),
            Frame::end(STREAMS.stdin),
        ]
    }

    #[test]
    fn frames_are_found_in_pieces_of_any_length() {
        let mut bytes = Vec::new();
        sample().iter().for_each(|frame| frame.encode(&mut bytes));
        for piece in [1, 2, 8, 9, 10, 4096, bytes.len()] {
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for bytes in bytes.chunks(piece) {
                decoder.push(bytes);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    found.push(frame);
                }
            }
            assert_eq!(found, sample(), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_frame_looks_like_this() {
        let mut bytes = Vec::new();
        Frame::credit(0x0102, 3).encode(&mut bytes);
        assert_eq!(bytes, [2, 1, 0, 0, 2, 4, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(Frame::credit(1, 3).credited(), 3);
        assert_eq!(Frame::end(1).credited(), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        let check = |bytes: &[u8], expected: DecodeFrameError| {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            assert_eq!(decoder.next_frame(), Err(expected));
        };
        check(
            &[0, 0, 0, 0, 9, 0, 0, 0, 0],
            DecodeFrameError::Kind { kind: 9 },
        );
        check(
            &[0, 0, 0, 0, 0, 1, 0, 1, 0],
            DecodeFrameError::Length { length: 65537 },
        );
        check(
            &[0, 0, 0, 0, 2, 1, 0, 0, 0],
            DecodeFrameError::Credit { length: 1 },
        );
    }

    #[test]
    fn every_command_has_streams_of_its_own() {
        assert_eq!(streams_of(0), STREAMS);
        assert_eq!(streams_of(1).stdin, STREAMS.stderr + 1);
        assert_eq!(streams_of(2).stdin, streams_of(1).stderr + 1);
    }
}
