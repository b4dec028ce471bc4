//! Standard output and error, written by a thread that may wait for who reads them.

use std::io::{self, Write};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use nodeos_spec::application::flow::ReceiveWindow;

use super::Event;

/// What is to be written.
#[derive(Debug)]
enum Piece {
    /// Of the stream, whose sender waits to be told.
    Windowed(Vec<u8>),
    /// Of somebody else.
    Unasked(Vec<u8>),
}

/// A stream to be written to.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) window: ReceiveWindow,
    pieces: Option<Sender<Piece>>,
    thread: Option<JoinHandle<()>>,
}

impl Output {
    pub(super) fn begin(stream: u32, mut to: Box<dyn Write + Send>, tell: Sender<Event>) -> Output {
        let (pieces, come) = mpsc::channel::<Piece>();
        let thread = thread::spawn(move || {
            let mut works = true;
            for piece in come {
                let (Piece::Windowed(bytes) | Piece::Unasked(bytes)) = &piece;
                if works {
                    match write(&mut to, bytes) {
                        Ok(()) => {}
                        Err(error) => {
                            works = false;
                            let _ = tell.send(Event::CannotWrite { stream, error });
                        }
                    }
                }
                if let Piece::Windowed(bytes) = piece {
                    // What nobody takes is passed on to nobody.
                    let bytes = bytes.len();
                    let _ = tell.send(Event::Written { stream, bytes });
                }
            }
        });
        Output {
            window: ReceiveWindow::default(),
            pieces: Some(pieces),
            thread: Some(thread),
        }
    }

    pub(super) fn write(&mut self, bytes: Vec<u8>) {
        self.give(Piece::Windowed(bytes));
    }

    pub(super) fn write_unasked(&mut self, bytes: Vec<u8>) {
        self.give(Piece::Unasked(bytes));
    }

    /// Waits until all is written.
    pub(super) fn finish(&mut self) {
        self.pieces = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }

    fn give(&mut self, piece: Piece) {
        if let Some(pieces) = &self.pieces {
            let _ = pieces.send(piece);
        }
    }
}

fn write(to: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
