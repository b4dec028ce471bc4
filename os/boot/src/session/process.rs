//! Making a process of a session, from outside: the copies of `boot` that become it, and how they tell whether they did.

use std::fs::File;
use std::io::{self, Read};

use nodeos_sandbox::credentials::Credentials;
use nodeos_sandbox::mounts::MountError;
use nodeos_sandbox::process::{BecomeError, Program, Running, Streams, become_program, join};
use nodeos_sandbox::report::{Report, heard};
use nodeos_sys::error::OsError;
use nodeos_sys::fork::fork;
use nodeos_sys::namespaces;
use rustix::fd::BorrowedFd;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{self, DumpableBehavior, PidfdFlags, pidfd_open};
use thiserror::Error;

use super::root::{self, View};

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
enum BecomeOfSessionError {
    #[error("cannot have namespaces of its own")]
    Leave { source: OsError },
    #[error("cannot enter the session")]
    Enter { source: OsError },
    #[error("cannot set the host name")]
    HostName { source: OsError },
    #[error("cannot make a process")]
    Fork { source: OsError },
    #[error(transparent)]
    Root(MountError),
    #[error(transparent)]
    Program(#[from] BecomeError),
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
                .map_err(|errno| BecomeOfSessionError::Leave {
                    source: OsError(errno),
                })
        },
        || {
            root::enter(view).map_err(BecomeOfSessionError::Root)?;
            rustix::system::sethostname(hostname.as_bytes()).map_err(|errno| {
                BecomeOfSessionError::HostName {
                    source: OsError(errno),
                }
            })?;
            Ok(become_program(credentials, program, streams)?)
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
                .map_err(|errno| BecomeOfSessionError::Enter {
                    source: OsError(errno),
                })
        },
        || Ok(become_program(credentials, program, streams)?),
    )
}

/// Two copies, one after the other: the first changes namespaces, which for process ids counts for its children only; the
/// second becomes the program. The first then ends, and the second is this process's child, as it is its subreaper.
fn start(
    prepare: impl FnOnce() -> Result<(), BecomeOfSessionError>,
    become_it: impl FnOnce() -> Result<(), BecomeOfSessionError>,
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
            .map_err(|errno| BecomeOfSessionError::Fork {
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
