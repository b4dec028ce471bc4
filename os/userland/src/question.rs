//! Questions on a terminal, and the lines that answer them.

use rustix::fd::BorrowedFd;
use rustix::io::{self, Errno};
use rustix::termios::{self, QueueSelector};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::line::{Echo, Line, Outcome};

/// What somebody answers.
pub(crate) enum Answer {
    Text(Zeroizing<String>),
    /// Ctrl-C or Ctrl-D.
    Abandoned,
    /// There is no terminal any more.
    Gone,
}

/// The terminal cannot be used.
#[derive(Debug, Error)]
#[error("cannot ask on the terminal")]
pub struct AskError(#[source] Errno);

/// Asks on a terminal that gives single keys. What was typed before the question is no answer to it.
pub(crate) fn ask(
    terminal: BorrowedFd<'_>,
    question: &str,
    limit: usize,
    echo: Echo,
) -> Result<Answer, AskError> {
    // Before the question is shown, so that no answer to it is lost.
    match termios::tcflush(terminal, QueueSelector::IFlush) {
        Err(Errno::IO) => return Ok(Answer::Gone),
        result => result.map_err(AskError)?,
    }
    show(terminal, question.as_bytes())?;
    let mut line = Line::new(limit, echo);
    loop {
        let Some(byte) = key(terminal)? else {
            return Ok(Answer::Gone);
        };
        let mut screen = Vec::new();
        let outcome = line.feed(byte, &mut screen);
        if outcome != Outcome::More {
            screen.push(b'\n');
        }
        show(terminal, &screen)?;
        match outcome {
            Outcome::More => {}
            Outcome::Done => return Ok(Answer::Text(line.into_text())),
            Outcome::Abandoned => return Ok(Answer::Abandoned),
        }
    }
}

/// The next byte that is typed; none where the terminal is gone.
fn key(terminal: BorrowedFd<'_>) -> Result<Option<u8>, AskError> {
    let mut byte = Zeroizing::new([0]);
    match io::retry_on_intr(|| io::read(terminal, &mut *byte)) {
        Ok(0) | Err(Errno::IO) => Ok(None),
        Ok(_) => Ok(Some(byte[0])),
        Err(errno) => Err(AskError(errno)),
    }
}

/// Writes everything. A terminal that is gone is told by reading from it.
pub(crate) fn show(terminal: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), AskError> {
    while !bytes.is_empty() {
        match io::retry_on_intr(|| io::write(terminal, bytes)) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::IO) => return Ok(()),
            Err(errno) => return Err(AskError(errno)),
        }
    }
    Ok(())
}
