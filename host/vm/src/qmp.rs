//! QMP, QEMU's control protocol: JSON lines over a Unix socket (qemu-qmp-ref(7)).

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::inotify;
use serde_json::{Value, json};
use thiserror::Error;

use crate::keys;

/// How long QEMU may take for an answer. It answers between two instructions of the machine.
const ANSWER: Duration = Duration::from_secs(20);

/// QEMU could not be told what to do.
#[derive(Debug, Error)]
pub enum QmpError {
    #[error("cannot connect to QEMU's control socket")]
    Connect(#[source] io::Error),
    #[error("QEMU does not answer to {command}")]
    Talk {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("QEMU refuses {command}: {reason}")]
    Refused { command: String, reason: String },
    #[error("there is no key for {character:?}")]
    NoKey { character: char },
}

/// A connection to a machine's QEMU.
#[derive(Debug)]
pub struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the socket; QEMU may take until `deadline` to listen.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn connect(socket: &Path, deadline: Duration) -> Result<Qmp, QmpError> {
        let stream = connect(socket, deadline).map_err(QmpError::Connect)?;
        stream.set_read_timeout(Some(ANSWER)).map_err(QmpError::Connect)?;
        let mut qmp = Qmp { stream: BufReader::new(stream) };
        qmp.message().map_err(QmpError::Connect)?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and returns what it returns. Events that come meanwhile are skipped.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let talk_error = |source| QmpError::Talk { command: command.to_owned(), source };
        let line = json!({ "execute": command, "arguments": arguments }).to_string() + "\n";
        self.stream.get_mut().write_all(line.as_bytes()).map_err(talk_error)?;
        loop {
            let mut message = self.message().map_err(talk_error)?;
            if let Some(answer) = message.get_mut("return") {
                return Ok(answer.take());
            }
            if let Some(error) = message.get("error") {
                let reason = error.get("desc").and_then(Value::as_str).unwrap_or("it gives no reason").to_owned();
                return Err(QmpError::Refused { command: command.to_owned(), reason });
            }
        }
    }

    /// Types `text` on the machine's keyboard, as on one with the layout of the United States.
    ///
    /// # Errors
    /// [`QmpError::NoKey`] for what such a keyboard does not have.
    pub fn type_keys(&mut self, text: &str) -> Result<(), QmpError> {
        for character in text.chars() {
            let codes = keys::codes(character).ok_or(QmpError::NoKey { character })?;
            let events: Vec<Value> = codes.iter().map(|code| json!({ "type": "qcode", "data": code })).collect();
            self.execute("send-key", json!({ "keys": events }))?;
        }
        Ok(())
    }

    /// Presses ctrl-alt-del.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn ctrl_alt_del(&mut self) -> Result<(), QmpError> {
        let keys = ["ctrl", "alt", "delete"].map(|code| json!({ "type": "qcode", "data": code }));
        self.execute("send-key", json!({ "keys": keys })).map(drop)
    }

    /// Writes what the machine's screen shows into `file`, in the PPM format.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn screendump(&mut self, file: &Path) -> Result<(), QmpError> {
        self.execute("screendump", json!({ "filename": file })).map(drop)
    }

    fn message(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => serde_json::from_str(&line).map_err(io::Error::other),
        }
    }
}

/// Connects to a socket that may not be there yet: waits for changes of its folder, not for time to pass.
pub(crate) fn connect(socket: &Path, deadline: Duration) -> io::Result<UnixStream> {
    let end = Instant::now() + deadline;
    let folder = socket.parent().unwrap_or(Path::new("/"));
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, folder, inotify::WatchFlags::CREATE | inotify::WatchFlags::ATTRIB)?;
    loop {
        let error = match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(error);
        }
        // Bound but not listening yet: there is no event for that, and it takes QEMU microseconds.
        let patience = match error.kind() {
            io::ErrorKind::ConnectionRefused => Duration::from_millis(10),
            _ => left,
        };
        let time = rustix::event::Timespec::try_from(patience.min(left)).ok();
        let mut fds = [rustix::event::PollFd::new(&watch, rustix::event::PollFlags::IN)];
        if rustix::event::poll(&mut fds, time.as_ref())? > 0 {
            // What exactly has changed does not matter: the next try tells.
            rustix::io::read(&watch, &mut [0_u8; 4096])?;
        }
    }
}
