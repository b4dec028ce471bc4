//! The two streams a command writes to, as values, so that tests can read what was written.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

/// Where results and narration go.
pub struct Streams {
    /// Results, and nothing else.
    pub out: Box<dyn Write + Send>,
    /// Narration and errors. Shared, because a build narrates from several threads.
    pub err: SharedWriter,
    /// Whether bars may be drawn on `err`.
    pub err_is_terminal: bool,
}

/// A writer that several threads hold. What cannot be written is lost: narration that nobody reads is no failure.
#[derive(Clone)]
pub struct SharedWriter(Arc<Mutex<dyn Write + Send>>);

/// Standard output does not take what we write.
#[derive(Debug, Error)]
#[error("cannot write to standard output")]
pub struct WriteOutputError(#[source] pub io::Error);

impl Streams {
    /// The streams of this process.
    pub fn of_process() -> Streams {
        Streams {
            out: Box::new(io::stdout()),
            err: SharedWriter::new(io::stderr()),
            err_is_terminal: io::stderr().is_terminal(),
        }
    }

    /// Writes a piece of the result.
    pub fn print(&mut self, text: &str) -> Result<(), WriteOutputError> {
        self.print_bytes(text.as_bytes())
    }

    /// Writes a piece of the result that need not be UTF-8, such as a command line with a path in it.
    pub fn print_bytes(&mut self, bytes: &[u8]) -> Result<(), WriteOutputError> {
        self.out
            .write_all(bytes)
            .and_then(|()| self.out.flush())
            .map_err(WriteOutputError)
    }

    /// Writes a value as indented JSON, with a line end.
    pub fn print_json(&mut self, value: &impl serde::Serialize) -> Result<(), WriteOutputError> {
        let mut text = serde_json::to_string_pretty(value)
            .expect("our reports hold only strings, numbers and lists");
        text.push('\n');
        self.print(&text)
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("err_is_terminal", &self.err_is_terminal)
            .finish_non_exhaustive()
    }
}

impl SharedWriter {
    /// Shares a writer.
    pub fn new(writer: impl Write + Send + 'static) -> SharedWriter {
        SharedWriter(Arc::new(Mutex::new(writer)))
    }

    /// Writes one line of narration whole, so that lines of several threads do not mix.
    pub fn line(&self, text: &str) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer
            .write_all(format!("{text}\n").as_bytes())
            .and_then(|()| writer.flush());
    }
}

impl SharedWriter {
    /// Writes what somebody else has to say, as it is.
    pub fn bytes(&self, bytes: &[u8]) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(bytes).and_then(|()| writer.flush());
    }
}

impl Write for SharedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.flush()
    }
}

impl fmt::Debug for SharedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedWriter")
    }
}
