//! `logon`: asks who is there, and has the session broker start that user's shell on the terminal.
//!
//! It holds no privilege and compares no password.

use std::path::Path;
use std::time::{Duration, Instant};

use lexopt::Arg;
use nodeos_spec::broker::{self, Reply, Request};
use nodeos_spec::user;
use rustix::event::{self, PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::{self, Errno};
use rustix::{process, termios};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::applet::{Call, DONE, Stop};
use crate::broker::{AskBrokerError, Broker};
use crate::line::Echo;
use crate::question::{self, Answer, AskError, show};
use crate::terminal::SingleKeys;

const BANNER: &str = "Welcome to NodeOS!\n\n";
const USERNAME: &str = "username: ";
const PASSWORD: &str = "password: ";
/// One sentence for both, so that nobody learns which names there are.
const REFUSED: &str = "wrong username or password\n\n";

/// The request with the longest name and password, each of whose characters may be escaped, fits in.
const REQUEST: usize = 4096;

pub(crate) const HELP: &str = "\
Usage: logon

Asks for a user's name and password on the terminal of standard input. If they are right, the user's shell is started
there, in the user's own session. When the shell ends, so does logon; getty and the supervisor begin anew.

Ctrl-C starts over. After a wrong answer it takes a while until the next one is taken.

Options:
  --help  Show this
";

/// How a conversation has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Somebody logged in, and that session is over. The code is the shell's.
    Session { code: i32 },
    /// The terminal is gone.
    TerminalGone,
}

/// Why nobody can log in here.
#[derive(Debug, Error)]
pub enum LogonError {
    #[error("standard input is not a terminal")]
    NoTerminal,
    #[error("cannot set the terminal")]
    Set(#[source] Errno),
    #[error(transparent)]
    Ask(AskError),
    #[error(transparent)]
    Broker(AskBrokerError),
}

impl LogonError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            LogonError::NoTerminal => Some("getty TERMINAL /bin/logon puts it on one"),
            LogonError::Broker(error) if error.is_no_broker() => {
                Some("the broker runs where NodeOS has booted with sessions (the program boot)")
            }
            _ => None,
        }
    }
}

/// What is typed. It has no `Debug`, and the password is wiped.
struct Credentials {
    name: Zeroizing<String>,
    password: Zeroizing<String>,
}

/// What became of a request.
enum Verdict {
    Ended(End),
    /// To be asked again after the time.
    Refused(Duration),
    /// It was right or wrong, but could not be done.
    Failed(String),
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    match parser.next()? {
        None => {}
        Some(Arg::Long("help")) => return Err(Stop::Help),
        Some(argument) => return Err(argument.unexpected().into()),
    }
    match converse(std::io::stdin().as_fd(), Path::new(broker::SOCKET)) {
        Ok(End::Session { .. } | End::TerminalGone) => Ok(DONE),
        Err(error) => {
            let hint = error.hint();
            let stop = Stop::failed(error);
            Err(match hint {
                Some(hint) => stop.hint(hint),
                None => stop,
            })
        }
    }
}

/// Asks on the terminal until somebody has logged in and out again. `socket` is where the broker is.
pub fn converse(terminal: BorrowedFd<'_>, socket: &Path) -> Result<End, LogonError> {
    if !termios::isatty(terminal) {
        return Err(LogonError::NoTerminal);
    }
    // Nobody is asked for a password that nobody can check.
    let mut broker = Broker::connect(socket).map_err(LogonError::Broker)?;
    show(terminal, BANNER.as_bytes()).map_err(LogonError::Ask)?;
    loop {
        // Dropped before the request: the shell may be there before the answer is, and finds the terminal as it should be.
        let keys = SingleKeys::new(terminal).map_err(LogonError::Set)?;
        let Some(credentials) = credentials(terminal).map_err(LogonError::Ask)? else {
            return Ok(End::TerminalGone);
        };
        drop(keys);
        let request = request(credentials);
        let verdict = request_logon(&mut broker, socket, &request, terminal);
        drop(request);
        let (sentence, wait) = match verdict.map_err(LogonError::Broker)? {
            Verdict::Ended(end) => {
                // Where the terminal is still usable, it belongs to this session again.
                let _ = process::ioctl_tiocsctty(terminal);
                return Ok(end);
            }
            Verdict::Refused(wait) => (REFUSED.to_owned(), wait),
            Verdict::Failed(message) => (format!("error: {}\n\n", plain(&message)), Duration::ZERO),
        };
        show(terminal, sentence.as_bytes()).map_err(LogonError::Ask)?;
        let _keys = SingleKeys::new(terminal).map_err(LogonError::Set)?;
        if !ignore_keys(terminal, wait).map_err(LogonError::Set)? {
            return Ok(End::TerminalGone);
        }
    }
}

/// Name and password; none when the terminal is gone.
fn credentials(terminal: BorrowedFd<'_>) -> Result<Option<Credentials>, AskError> {
    loop {
        let name = match question::ask(terminal, USERNAME, user::MAX_NAME, Echo::Shown)? {
            Answer::Text(name) if !name.is_empty() => name,
            Answer::Text(_) | Answer::Abandoned => continue,
            Answer::Gone => return Ok(None),
        };
        let limit = nodeos_accounts::password::LONGEST;
        match question::ask(terminal, PASSWORD, limit, Echo::Hidden)? {
            Answer::Text(password) => return Ok(Some(Credentials { name, password })),
            Answer::Abandoned => {}
            Answer::Gone => return Ok(None),
        }
    }
}

/// The packet that asks for the session.
fn request(mut credentials: Credentials) -> Zeroizing<Vec<u8>> {
    let mut request = Request::Logon {
        user: std::mem::take(&mut credentials.name),
        password: std::mem::take(&mut credentials.password),
    };
    // Large enough from the beginning, so that no copy of it stays behind in memory that was given back.
    let mut packet = Zeroizing::new(Vec::with_capacity(REQUEST));
    serde_json::to_writer(&mut *packet, &request).expect("strings always serialise");
    if let Request::Logon { password, .. } = &mut request {
        password.zeroize();
    }
    packet
}

fn request_logon(
    broker: &mut Broker,
    socket: &Path,
    request: &[u8],
    terminal: BorrowedFd<'_>,
) -> Result<Verdict, AskBrokerError> {
    match broker.send(request, &[terminal]) {
        Err(error) if error.is_broken_connection() => {
            *broker = Broker::connect(socket)?;
            broker.send(request, &[terminal])?;
        }
        result => result?,
    }
    match broker.receive()? {
        Reply::Refused { wait_ms } => Ok(Verdict::Refused(Duration::from_millis(wait_ms))),
        Reply::Failed { message } => Ok(Verdict::Failed(message)),
        Reply::Accepted => match broker.receive()? {
            Reply::Ended { code } => Ok(Verdict::Ended(End::Session { code })),
            Reply::Failed { message } => Ok(Verdict::Failed(message)),
            _ => Err(AskBrokerError::Unexpected),
        },
        _ => Err(AskBrokerError::Unexpected),
    }
}

/// Lets time pass in which nothing that is typed counts. Whether the terminal is still there.
fn ignore_keys(terminal: BorrowedFd<'_>, time: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(true);
        }
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        let mut ready = [PollFd::from_borrowed_fd(terminal, PollFlags::IN)];
        match event::poll(&mut ready, Some(&left)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => match io::read(terminal, &mut [0_u8; 64]) {
                Ok(0) | Err(Errno::IO) => return Ok(false),
                Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err(errno),
            },
            Err(errno) => return Err(errno),
        }
    }
}

/// A sentence of somebody else's without anything that moves the cursor.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
