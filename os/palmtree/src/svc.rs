//! `svc`: lists, starts and stops one's own services, by asking the palmtree of this session.

mod options;
mod table;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nodeos_spec::broker::ParseMessageError;
use nodeos_spec::control::{Answer, Command, MAX_MESSAGE};
use rustix::fd::OwnedFd;
use rustix::net::{self, RecvFlags, SendFlags};
use thiserror::Error;

use crate::clients;
use crate::paths::Paths;
use crate::streams::Streams;
use crate::svc::options::Options;
use crate::usage::WRONG_USAGE;

#[derive(Debug, Error)]
enum AskError {
    #[error("cannot reach palmtree at {}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("cannot send the command to palmtree")]
    Send { source: io::Error },
    #[error("cannot receive palmtree's answer")]
    Receive { source: io::Error },
    #[error("cannot understand palmtree's answer")]
    Understand { source: ParseMessageError },
    #[error("palmtree has closed the connection")]
    Closed,
    #[error(
        "palmtree has closed the connection: the session ends, or the log grows faster than it is read"
    )]
    ClosedLog,
    #[error("{message}")]
    Refused { message: String },
    #[error("cannot write the result")]
    Write { source: io::Error },
}

impl AskError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            AskError::Connect { .. } => {
                Some("services run in a session; in administrator mode there is none")
            }
            AskError::Receive { .. } => Some("palmtree answers nobody but its own user"),
            AskError::Refused { message } if message.starts_with("there is no service") => {
                Some("svc list shows those that there are")
            }
            _ => None,
        }
    }
}

/// The whole command, without its own name.
pub fn run(args: impl Iterator<Item = OsString>, paths: &Paths, streams: &mut Streams) -> ExitCode {
    let options = match options::parse(args) {
        Ok(options) => options,
        Err(error) => {
            streams.error(&error);
            streams.hint("svc --help shows what it takes");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let done = match options {
        Options::Help => write(streams, options::HELP),
        Options::Version => write(
            streams,
            concat!("svc (NodeOS) ", env!("CARGO_PKG_VERSION"), "\n"),
        ),
        Options::Ask(command) => ask(&paths.socket, &command, streams),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has read enough.
        Err(AskError::Write { source }) if source.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            streams.error(&error);
            if let Some(hint) = error.hint() {
                streams.hint(hint);
            }
            ExitCode::FAILURE
        }
    }
}

fn ask(path: &Path, command: &Command, streams: &mut Streams) -> Result<(), AskError> {
    let palmtree = clients::connect(path).map_err(|errno| AskError::Connect {
        path: path.to_owned(),
        source: errno.into(),
    })?;
    net::send(&palmtree, &command.to_packet(), SendFlags::NOSIGNAL).map_err(|errno| {
        AskError::Send {
            source: errno.into(),
        }
    })?;
    loop {
        match receive(&palmtree)? {
            Some(Answer::Done) => return Ok(()),
            Some(Answer::Failed { message }) => return Err(AskError::Refused { message }),
            Some(Answer::Services { services, problems }) => {
                for problem in problems {
                    let _ = writeln!(streams.err, "warning: {problem}");
                }
                return write(streams, &table::render(&services));
            }
            Some(Answer::Text { text, more }) => {
                write(streams, &text)?;
                if !more {
                    return Ok(());
                }
            }
            None if matches!(command, Command::Logs { .. }) => return Err(AskError::ClosedLog),
            None => return Err(AskError::Closed),
        }
    }
}

/// The next answer; none when palmtree has hung up.
fn receive(palmtree: &OwnedFd) -> Result<Option<Answer>, AskError> {
    let mut buffer = vec![0; MAX_MESSAGE];
    let (_, length) =
        rustix::io::retry_on_intr(|| net::recv(palmtree, &mut buffer[..], RecvFlags::empty()))
            .map_err(|errno| AskError::Receive {
                source: errno.into(),
            })?;
    if length == 0 {
        return Ok(None);
    }
    let packet = buffer.get(..length).unwrap_or(&buffer);
    Answer::parse(packet)
        .map(Some)
        .map_err(|source| AskError::Understand { source })
}

fn write(streams: &mut Streams, text: &str) -> Result<(), AskError> {
    let out = &mut streams.out;
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|source| AskError::Write { source })
}
