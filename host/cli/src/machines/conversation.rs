//! A command that lends its standard streams to a program in a machine: an application, or what is run beside it.
//!
//! Each stream has a thread of its own, so that one that waits holds up nobody else. What they do comes together in one
//! place, [`Conversation::hear`].

mod input;
mod output;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nodeos_spec::application::frame::{Frame, Kind, MESSAGES, STREAMS};
use signal_hook::iterator::{Handle, Signals};

use crate::machines::connection::{self, Frames, TalkError};
use crate::machines::protocol::{CONSOLE, ClientMessage, MonitorMessage};
use input::Input;
use output::Output;

/// Something that happened on one of the threads.
#[derive(Debug)]
enum Event {
    Frame(Frame),
    /// The monitor says no more.
    Silence(Option<TalkError>),
    Signal(i32),
    /// Input has come; nothing is its end.
    Input(Vec<u8>),
    /// So many bytes of a stream have been passed on.
    Written {
        stream: u32,
        bytes: usize,
    },
    CannotWrite {
        stream: u32,
        error: std::io::Error,
    },
    Woken,
}

/// Something that is not the conversation's own affair.
#[derive(Debug)]
pub enum Happening {
    Message(MonitorMessage),
    /// This signal has come.
    Signal(i32),
    /// Nobody takes what the program writes to its standard output.
    CannotWrite(std::io::Error),
    /// The monitor is gone.
    Gone(Option<TalkError>),
    /// By a [`Waker`].
    Woken,
}

/// Wakes who hears a conversation, from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Sender<Event>);

impl Waker {
    /// One that has ended needs no waking.
    pub fn wake(&self) {
        let _ = self.0.send(Event::Woken);
    }
}

/// The streams that a program gets.
pub struct Lent {
    /// None is an empty one.
    pub stdin: Option<Box<dyn Read + Send>>,
    pub stdout: Box<dyn Write + Send>,
    pub stderr: Box<dyn Write + Send>,
}

/// The running conversation.
#[derive(Debug)]
pub struct Conversation {
    stream: UnixStream,
    events: Receiver<Event>,
    input: Input,
    stdout: Output,
    stderr: Output,
    signals: Handle,
    waker: Waker,
    /// Nobody takes standard output any more: what comes is thrown away.
    is_deaf: bool,
    reader: Option<JoinHandle<()>>,
}

impl Conversation {
    /// Begins it on a connection that has been told what it is about. These signals come as happenings from now on.
    ///
    /// # Errors
    /// Where the system has no more descriptors, or no signals for us.
    pub fn begin(stream: UnixStream, lent: Lent, signals: &[i32]) -> std::io::Result<Conversation> {
        let (tell, events) = mpsc::channel();
        let reader = read_frames(stream.try_clone()?, tell.clone());
        let signals = forward_signals(signals, tell.clone())?;
        Ok(Conversation {
            stream,
            events,
            input: Input::begin(lent.stdin, tell.clone()),
            stdout: Output::begin(STREAMS.stdout, lent.stdout, tell.clone()),
            stderr: Output::begin(STREAMS.stderr, lent.stderr, tell.clone()),
            signals,
            waker: Waker(tell),
            is_deaf: false,
            reader: Some(reader),
        })
    }

    /// Who has this makes [`Conversation::hear`] return.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Says something to the monitor. One that is gone is noticed by [`Conversation::hear`].
    ///
    /// # Errors
    /// [`TalkError::Long`].
    pub fn say(&self, message: &ClientMessage) -> Result<(), TalkError> {
        match connection::say(&self.stream, message) {
            Err(TalkError::Write(_)) => Ok(()),
            said => said,
        }
    }

    /// Waits for what comes next.
    pub fn hear(&mut self) -> Happening {
        loop {
            let event = self.events.recv().unwrap_or(Event::Silence(None));
            if let Some(happening) = self.deal_with(event) {
                return happening;
            }
        }
    }

    /// Waits for what comes next, until this time. None when it is over.
    pub fn hear_until(&mut self, end: Instant) -> Option<Happening> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let event = match self.events.recv_timeout(left) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => Event::Silence(None),
            };
            if let Some(happening) = self.deal_with(event) {
                return Some(happening);
            }
        }
    }

    fn deal_with(&mut self, event: Event) -> Option<Happening> {
        match event {
            Event::Frame(frame) if frame.stream == MESSAGES => {
                return Some(match connection::parse(&frame) {
                    Ok(message) => Happening::Message(message),
                    Err(error) => Happening::Gone(Some(error)),
                });
            }
            Event::Frame(frame) => self.take(frame),
            Event::Silence(error) => return Some(Happening::Gone(error)),
            Event::Woken => return Some(Happening::Woken),
            Event::Signal(signal) => return Some(Happening::Signal(signal)),
            Event::Input(bytes) => {
                let frames = self.input.come(&bytes);
                self.send(&frames);
            }
            Event::Written { stream, bytes } => self.credit(stream, bytes),
            // That nobody reads errors is no reason to end.
            Event::CannotWrite { stream, .. } if stream == STREAMS.stderr => {}
            Event::CannotWrite { error, .. } => {
                self.is_deaf = true;
                return Some(Happening::CannotWrite(error));
            }
        }
        None
    }

    /// Waits until all that has come is written.
    pub fn finish(mut self) -> Finished {
        self.signals.close();
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.reader.take().map(JoinHandle::join);
        self.stdout.finish();
        self.stderr.finish();
        let failed = self.events.try_iter().find_map(|event| match event {
            Event::CannotWrite { stream, error } if stream == STREAMS.stdout => Some(error),
            _ => None,
        });
        Finished { failed }
    }

    fn take(&mut self, frame: Frame) {
        let length = frame.payload.len();
        match (frame.stream, frame.kind) {
            (stream, Kind::Data) if stream == STREAMS.stdout && self.is_deaf => {
                self.credit(stream, length);
            }
            (stream, Kind::Data) if stream == STREAMS.stdout => self.stdout.write(frame.payload),
            (stream, Kind::Data) if stream == STREAMS.stderr => self.stderr.write(frame.payload),
            (CONSOLE, Kind::Data) => self.stderr.write_unasked(frame.payload),
            (stream, Kind::Credit) if stream == STREAMS.stdin => {
                let frames = self.input.credited(frame.credited());
                self.send(&frames);
            }
            _ => {}
        }
    }

    fn credit(&mut self, stream: u32, bytes: usize) {
        let output = if stream == STREAMS.stdout {
            &mut self.stdout
        } else {
            &mut self.stderr
        };
        if let Some(credit) = output.window.passed_on(bytes) {
            self.send(&[Frame::credit(stream, credit)]);
        }
    }

    fn send(&mut self, frames: &[Frame]) {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut bytes));
        // A monitor that is gone is noticed where it is listened to.
        let _ = (&self.stream).write_all(&bytes);
    }
}

/// How a conversation ended for those who listened.
#[derive(Debug)]
pub struct Finished {
    /// Why standard output took no more, where it did not.
    pub failed: Option<std::io::Error>,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lent").finish_non_exhaustive()
    }
}

fn read_frames(stream: UnixStream, tell: Sender<Event>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut frames = Frames::new(stream);
        loop {
            let event = match frames.next_frame() {
                Ok(Some(frame)) => Event::Frame(frame),
                Ok(None) => Event::Silence(None),
                Err(error) => Event::Silence(Some(error)),
            };
            let is_last = matches!(event, Event::Silence(_));
            if tell.send(event).is_err() || is_last {
                break;
            }
        }
    })
}

fn forward_signals(signals: &[i32], tell: Sender<Event>) -> std::io::Result<Handle> {
    let mut signals = Signals::new(signals)?;
    let handle = signals.handle();
    thread::spawn(move || {
        for signal in signals.forever() {
            if tell.send(Event::Signal(signal)).is_err() {
                break;
            }
        }
    });
    Ok(handle)
}
