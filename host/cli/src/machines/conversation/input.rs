//! Standard input, read only as fast as the program in the machine takes it.

use std::io::{self, Read};
use std::sync::mpsc::{self, Sender};
use std::thread;

use nodeos_spec::application::flow::SendWindow;
use nodeos_spec::application::frame::{Frame, MAX_PAYLOAD, STREAMS};

use super::Event;

/// How much is read at once: small enough to always fit into a frame.
const CHUNK: usize = MAX_PAYLOAD / 4;

/// What has been read and not been sent, and how much may be.
#[derive(Debug)]
pub(super) struct Input {
    window: SendWindow,
    pending: Vec<u8>,
    /// Asks for more.
    ask: Option<Sender<()>>,
    is_over: bool,
}

impl Input {
    /// Begins to read. Without anything to read from, the end comes at once.
    pub(super) fn begin(from: Option<Box<dyn Read + Send>>, tell: Sender<Event>) -> Input {
        let mut input = Input {
            window: SendWindow::default(),
            pending: Vec::new(),
            ask: None,
            is_over: false,
        };
        match from {
            Some(from) => input.ask = Some(read(from, tell)),
            None => drop(tell.send(Event::Input(Vec::new()))),
        }
        input
    }

    /// Something has been read; nothing is the end.
    pub(super) fn come(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.is_over = bytes.is_empty();
        self.pending.extend_from_slice(bytes);
        self.frames()
    }

    /// The program has taken some.
    pub(super) fn credited(&mut self, bytes: u32) -> Vec<Frame> {
        self.window.credited(bytes);
        if self.pending.is_empty() {
            return Vec::new();
        }
        self.frames()
    }

    fn frames(&mut self) -> Vec<Frame> {
        let count = self.pending.len().min(self.window.left());
        let mut frames = Vec::new();
        if count > 0 {
            let bytes: Vec<u8> = self.pending.drain(..count).collect();
            self.window.sent(count);
            frames.extend(
                bytes
                    .chunks(MAX_PAYLOAD)
                    .map(|piece| Frame::data(STREAMS.stdin, piece)),
            );
        }
        if self.pending.is_empty() {
            if self.is_over {
                frames.push(Frame::end(STREAMS.stdin));
            } else if let Some(ask) = &self.ask {
                // A thread that is gone has said that this is the end.
                let _ = ask.send(());
            }
        }
        frames
    }
}

/// Reads once each time it is asked, the first time by itself. At the end of this process it may still be waiting.
fn read(mut from: Box<dyn Read + Send>, tell: Sender<Event>) -> Sender<()> {
    let (ask, asked) = mpsc::channel();
    thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            match from.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(count) => chunk.truncate(count),
                // A terminal that is gone, say: no more comes from it.
                Err(_) => chunk.clear(),
            }
            let is_over = chunk.is_empty();
            if tell.send(Event::Input(chunk)).is_err() || is_over || asked.recv().is_err() {
                break;
            }
        }
    });
    ask
}

#[cfg(test)]
mod tests {
    use nodeos_spec::application::flow::WINDOW;

    use super::*;

    fn next(events: &mpsc::Receiver<Event>) -> Vec<u8> {
        match events.recv().unwrap() {
            Event::Input(bytes) => bytes,
            event => panic!("{event:?}"),
        }
    }

    #[test]
    fn input_waits_until_there_is_room_for_it() {
        let (tell, events) = mpsc::channel();
        let all = vec![7; WINDOW as usize + 10];
        let mut input = Input::begin(Some(Box::new(io::Cursor::new(all))), tell);
        let mut sent = 0;
        while sent < WINDOW as usize {
            let frames = input.come(&next(&events));
            sent += frames
                .iter()
                .map(|frame| frame.payload.len())
                .sum::<usize>();
        }
        assert_eq!(input.come(&next(&events)), []);
        assert_eq!(input.credited(100), [Frame::data(STREAMS.stdin, &[7; 10])]);
        assert_eq!(input.come(&next(&events)), [Frame::end(STREAMS.stdin)]);
        assert_eq!(input.credited(WINDOW), []);
    }

    #[test]
    fn no_input_is_one_that_has_ended() {
        let (tell, events) = mpsc::channel();
        let mut input = Input::begin(None, tell);
        assert_eq!(input.come(&next(&events)), [Frame::end(STREAMS.stdin)]);
    }
}
