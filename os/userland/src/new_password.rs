//! A password from somebody: asked on the terminal, or read from standard input.

use std::io::{self, BufRead, Read};

use nodeos_accounts::password::{self, UnfitPasswordError};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::termios;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::applet::Stop;
use crate::line::Echo;
use crate::question::{self, Answer, AskError};
use crate::terminal::SingleKeys;

/// Why there is no password.
#[derive(Debug, Error)]
enum GetPasswordError {
    #[error("standard input is not a terminal on which a password could be asked")]
    NoTerminal,
    #[error("cannot set the terminal")]
    Set(#[source] Errno),
    #[error(transparent)]
    Ask(AskError),
    #[error("no password was given")]
    Abandoned,
    #[error("the two passwords differ")]
    Differ,
    #[error("the password is not taken")]
    Unfit(#[source] UnfitPasswordError),
    #[error("cannot read a password from standard input")]
    Read(#[source] io::Error),
}

/// Asks for a new password, twice.
pub(crate) fn ask_new() -> Result<Zeroizing<String>, Stop> {
    let first = ask_one("new password: ")?;
    password::check_fit(&first).map_err(|error| Stop::failed(GetPasswordError::Unfit(error)))?;
    if *first != *ask_one("the same once more: ")? {
        return Err(Stop::failed(GetPasswordError::Differ));
    }
    Ok(first)
}

/// Asks for a password that may be anything.
pub(crate) fn ask_one(prompt: &str) -> Result<Zeroizing<String>, Stop> {
    let stdin = io::stdin();
    let terminal = stdin.as_fd();
    if !termios::isatty(terminal) {
        let hint = "give it on standard input and say so: --help shows the option";
        return Err(Stop::failed(GetPasswordError::NoTerminal).hint(hint));
    }
    let _keys =
        SingleKeys::new(terminal).map_err(|errno| Stop::failed(GetPasswordError::Set(errno)))?;
    match question::ask(terminal, prompt, password::LONGEST, Echo::Hidden) {
        Ok(Answer::Text(text)) => Ok(text),
        Ok(Answer::Abandoned | Answer::Gone) => Err(Stop::failed(GetPasswordError::Abandoned)),
        Err(error) => Err(Stop::failed(GetPasswordError::Ask(error))),
    }
}

/// The next line of standard input as a new password.
pub(crate) fn read_new() -> Result<Zeroizing<String>, Stop> {
    let line = read_line()?;
    password::check_fit(&line).map_err(|error| Stop::failed(GetPasswordError::Unfit(error)))?;
    Ok(line)
}

/// The next line of standard input. Standard input keeps what comes after it.
pub(crate) fn read_line() -> Result<Zeroizing<String>, Stop> {
    let cannot_read = |error| Stop::failed(GetPasswordError::Read(error));
    // One byte more than a password has, and the end of the line.
    let mut line = Zeroizing::new(String::with_capacity(password::LONGEST + 2));
    let length = io::stdin()
        .lock()
        .take(password::LONGEST as u64 + 2)
        .read_line(&mut line)
        .map_err(cannot_read)?;
    if length == 0 {
        return Err(Stop::failed(GetPasswordError::Abandoned));
    }
    if line.ends_with('\n') {
        line.pop();
    }
    Ok(line)
}
