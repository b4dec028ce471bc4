//! Becoming another program: streams, credentials, and at last its code.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nodeos_sys::error::OsError;
use nodeos_sys::signals;
use nodeos_sys::terminal;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, setsid};
use rustix::stdio;
use thiserror::Error;

use crate::credentials::{self, AssumeCredentialsError, Credentials};

/// What is to run.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: OsString,
    /// What it is told its name is, where that is not its path.
    pub name: Option<OsString>,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    /// As it will see it.
    pub dir: OsString,
    /// Run instead where the program cannot be: a person at a terminal is to have something.
    pub otherwise: Option<Box<Program>>,
}

/// Standard input, output and error.
#[derive(Debug, Clone, Copy)]
pub enum Streams<'a> {
    /// A terminal for all three, which becomes the controlling one of a new session of processes.
    Terminal(BorrowedFd<'a>),
    /// Nothing to read; what is written goes here.
    Output {
        output: BorrowedFd<'a>,
        error: BorrowedFd<'a>,
    },
    /// Each its own.
    Each {
        input: BorrowedFd<'a>,
        output: BorrowedFd<'a>,
        error: BorrowedFd<'a>,
    },
}

/// A process that runs.
#[derive(Debug)]
pub struct Running {
    pub pid: Pid,
    /// Means this process, also when its number is used again.
    pub pidfd: OwnedFd,
}

/// What goes wrong in the process that is to become the program.
#[derive(Debug, Error)]
pub enum BecomeError {
    #[error("cannot enter its control group")]
    Cgroup {
        #[source]
        source: io::Error,
    },
    #[error("cannot set up its streams")]
    Streams { source: OsError },
    #[error(transparent)]
    Credentials(AssumeCredentialsError),
    #[error("cannot start {}", path.display())]
    Exec {
        path: OsString,
        #[source]
        source: io::Error,
    },
}

/// Writing 0 moves who writes: Documentation/admin-guide/cgroup-v2.rst of the kernel.
pub fn join(cgroup: BorrowedFd<'_>) -> Result<(), BecomeError> {
    let write = || {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = fs::openat(cgroup, "cgroup.procs", flags, fs::Mode::empty())?;
        rustix::io::write(&file, b"0")
    };
    write()
        .map(drop)
        .map_err(|errno: Errno| BecomeError::Cgroup {
            source: errno.into(),
        })
}

/// Returns only if it fails.
pub fn become_program(
    credentials: &Credentials,
    program: &Program,
    streams: &Streams<'_>,
) -> Result<(), BecomeError> {
    set_streams(streams).map_err(|errno| BecomeError::Streams {
        source: OsError(errno),
    })?;
    credentials::assume(credentials).map_err(BecomeError::Credentials)?;
    signals::unblock_all().map_err(|errno| BecomeError::Streams {
        source: OsError(errno),
    })?;
    let mut next = Some(program);
    let mut first_error = None;
    while let Some(program) = next {
        let error = execute(program);
        if let Streams::Terminal(_) = streams {
            let text = format!("cannot start {}: {error}\r\n", program.path.display());
            let _ = rustix::io::write(std::io::stderr().as_fd(), text.as_bytes());
        }
        first_error.get_or_insert(BecomeError::Exec {
            path: program.path.clone(),
            source: error,
        });
        next = program.otherwise.as_deref();
    }
    first_error.map_or(Ok(()), Err)
}

fn execute(program: &Program) -> io::Error {
    let mut command = Command::new(&program.path);
    command
        .args(&program.args)
        .env_clear()
        .envs(program.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&program.dir);
    if let Some(name) = &program.name {
        command.arg0(OsStr::new(name));
    }
    command.exec()
}

/// Leads a new session of processes with them.
pub fn set_streams(streams: &Streams<'_>) -> Result<(), Errno> {
    setsid()?;
    match streams {
        Streams::Terminal(terminal) => {
            stdio::dup2_stdin(terminal)?;
            stdio::dup2_stdout(terminal)?;
            stdio::dup2_stderr(terminal)?;
            // From the program that asked for the name. A session of processes without a controlling terminal lacks job
            // control and works otherwise.
            let _ = terminal::take(*terminal);
        }
        Streams::Output { output, error } => {
            let null = fs::open(
                "/dev/null",
                OFlags::RDONLY | OFlags::CLOEXEC,
                fs::Mode::empty(),
            )?;
            replace(null.as_fd(), *output, *error)?;
        }
        Streams::Each {
            input,
            output,
            error,
        } => replace(*input, *output, *error)?,
    }
    Ok(())
}

fn replace(
    input: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
    error: BorrowedFd<'_>,
) -> Result<(), Errno> {
    // Each may be the very descriptor that a call before it is about to replace.
    let output = rustix::io::fcntl_dupfd_cloexec(output, 3)?;
    let error = rustix::io::fcntl_dupfd_cloexec(error, 3)?;
    stdio::dup2_stdin(input)?;
    stdio::dup2_stdout(&output)?;
    stdio::dup2_stderr(&error)
}
