//! Making a process of a session, from outside: the copies of `boot` that become it, and how they tell whether they did.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nodeos_sys::error::OsError;
use nodeos_sys::fork::fork;
use nodeos_sys::namespaces;
use nodeos_sys::signals;
use nodeos_sys::terminal;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, pidfd_open, setsid};
use rustix::{process, stdio};
use thiserror::Error;

use super::credentials::{self, AssumeCredentialsError, Credentials};
use super::root::{self, BuildRootError, View};
use crate::log::sentence;

/// What is to run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: OsString,
    /// What it is told its name is, where that is not its path.
    pub(crate) name: Option<OsString>,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    /// In the session.
    pub(crate) dir: OsString,
    /// Run instead where the program cannot be: a person at a terminal is to have something.
    pub(crate) otherwise: Option<Box<Program>>,
}

/// Standard input, output and error.
#[derive(Debug)]
pub(crate) enum Streams<'a> {
    /// A terminal for all three, which becomes the controlling one of a new session of processes.
    Terminal(BorrowedFd<'a>),
    /// Nothing to read; what is written goes here.
    Output {
        output: BorrowedFd<'a>,
        error: BorrowedFd<'a>,
    },
}

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: Pid,
    /// Means this process, also when its number is used again.
    pub(crate) pidfd: OwnedFd,
}

#[derive(Debug, Error)]
pub(crate) enum StartProcessError {
    #[error("cannot make a process")]
    Fork { source: OsError },
    #[error("cannot hear from the process that was made")]
    Pipe {
        #[source]
        source: io::Error,
    },
    /// What the process itself said before it ended.
    #[error("{reason}")]
    Refused { reason: String },
}

/// What goes wrong in the process that is to become the program.
#[derive(Debug, Error)]
enum BecomeError {
    #[error("cannot enter its control group")]
    Cgroup {
        #[source]
        source: io::Error,
    },
    #[error("cannot have namespaces of its own")]
    Leave { source: OsError },
    #[error("cannot enter the session")]
    Enter { source: OsError },
    #[error("cannot set the host name")]
    HostName { source: OsError },
    #[error("cannot set up its streams")]
    Streams { source: OsError },
    #[error("cannot make a process")]
    Fork { source: OsError },
    #[error(transparent)]
    Root(BuildRootError),
    #[error(transparent)]
    Credentials(AssumeCredentialsError),
    #[error("cannot start {}", path.display())]
    Exec {
        path: OsString,
        #[source]
        source: io::Error,
    },
}

/// Makes a new session, with the program as its first process.
pub(crate) fn start_session(
    view: &View<'_>,
    hostname: &str,
    cgroup: BorrowedFd<'_>,
    credentials: &Credentials,
    program: &Program,
    streams: &Streams<'_>,
) -> Result<Running, StartProcessError> {
    start(
        || {
            join(cgroup)?;
            namespaces::leave_for_session()
                .and_then(|()| namespaces::leave_cgroups())
                .map_err(|errno| BecomeError::Leave {
                    source: OsError(errno),
                })
        },
        || {
            root::enter(view).map_err(BecomeError::Root)?;
            rustix::system::sethostname(hostname.as_bytes()).map_err(|errno| {
                BecomeError::HostName {
                    source: OsError(errno),
                }
            })?;
            become_program(credentials, program, streams)
        },
    )
}

/// Starts a program in the session of which `first` is a process.
pub(crate) fn start_in_session(
    first: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
    credentials: &Credentials,
    program: &Program,
    streams: &Streams<'_>,
) -> Result<Running, StartProcessError> {
    start(
        || {
            join(cgroup)?;
            // Nobody in the session may look into this process while it still has what it is about to give up.
            let hidden = process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
            hidden
                .and_then(|()| namespaces::enter_session(first))
                .map_err(|errno| BecomeError::Enter {
                    source: OsError(errno),
                })
        },
        || become_program(credentials, program, streams),
    )
}

/// Two copies, one after the other: the first changes namespaces, which for process ids counts for its children only; the
/// second becomes the program. The first then ends, and the second is this process's child, as it is its subreaper.
fn start(
    prepare: impl FnOnce() -> Result<(), BecomeError>,
    become_it: impl FnOnce() -> Result<(), BecomeError>,
) -> Result<Running, StartProcessError> {
    let fork_error = |errno| StartProcessError::Fork {
        source: OsError(errno),
    };
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(fork_error)?;
    let mut report = Report(File::from(writer));
    let first = fork(|| {
        let second = prepare().and_then(|()| {
            fork(|| match become_it() {
                Ok(()) => 0,
                Err(error) => report.failed(&error),
            })
            .map_err(|errno| BecomeError::Fork {
                source: OsError(errno),
            })
        });
        match second {
            Ok(pid) => report.started(pid),
            Err(error) => report.failed(&error),
        }
    })
    .map_err(fork_error)?;
    drop(report);
    let mut told = Vec::new();
    // Ends when both copies have either ended or become a program.
    File::from(reader)
        .read_to_end(&mut told)
        .map_err(|source| StartProcessError::Pipe { source })?;
    // It ends at once, and is nobody's business.
    let _ =
        rustix::io::retry_on_intr(|| process::waitpid(Some(first), process::WaitOptions::empty()));
    let (pid, reason) = heard(&told);
    let running = pid.map(|pid| {
        pidfd_open(pid, PidfdFlags::empty())
            .map(|pidfd| Running { pid, pidfd })
            .map_err(fork_error)
    });
    match (running, reason) {
        (Some(running), None) => running,
        (_, Some(reason)) => Err(StartProcessError::Refused { reason }),
        (None, None) => Err(StartProcessError::Refused {
            reason: "it ended before it began".to_owned(),
        }),
    }
}

/// What the copies tell `boot`: lines, `pid NUMBER` from the first and `failed SENTENCE` from either.
#[derive(Debug)]
struct Report(File);

impl Report {
    fn started(&mut self, pid: Pid) -> i32 {
        self.line(&format!("pid {}", pid.as_raw_nonzero()));
        0
    }

    fn failed(&mut self, error: &BecomeError) -> i32 {
        self.line(&format!("failed {}", sentence(error)));
        1
    }

    fn line(&mut self, text: &str) {
        // One write: lines of both stay whole (pipe(7), PIPE_BUF). If it fails nobody is there to hear of it.
        let _ = self
            .0
            .write_all(format!("{}\n", text.replace('\n', " ")).as_bytes());
    }
}

fn heard(told: &[u8]) -> (Option<Pid>, Option<String>) {
    let told = String::from_utf8_lossy(told);
    let line = |begin: &str| told.lines().find_map(|line| line.strip_prefix(begin));
    let pid = line("pid ").and_then(|number| number.parse().ok());
    (
        pid.and_then(Pid::from_raw),
        line("failed ").map(str::to_owned),
    )
}

/// Writing 0 moves who writes: Documentation/admin-guide/cgroup-v2.rst of the kernel.
fn join(cgroup: BorrowedFd<'_>) -> Result<(), BecomeError> {
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
fn become_program(
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

fn set_streams(streams: &Streams<'_>) -> Result<(), Errno> {
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
            stdio::dup2_stdin(&null)?;
            // The second may be the very descriptor that the first call is about to replace.
            let error = rustix::io::fcntl_dupfd_cloexec(error, 3)?;
            stdio::dup2_stdout(output)?;
            stdio::dup2_stderr(&error)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_copies_tell_is_a_number_and_maybe_a_reason() {
        let check = |told: &str, pid: Option<i32>, reason: Option<&str>| {
            assert_eq!(
                heard(told.as_bytes()),
                (pid.and_then(Pid::from_raw), reason.map(str::to_owned)),
                "{told}"
            );
        };
        check("pid 12\n", Some(12), None);
        check(
            "failed cannot start /bin/x: No such file\npid 12\n",
            Some(12),
            Some("cannot start /bin/x: No such file"),
        );
        check("failed cannot enter\n", None, Some("cannot enter"));
        check("", None, None);
    }
}
