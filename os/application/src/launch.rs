//! Starting a process of the application's: in its view, as its user, with streams that this program has the other ends of.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};

use nodeos_sandbox::cgroup::CgroupError;
use nodeos_sandbox::credentials::{self, AssumeCredentialsError, Credentials};
use nodeos_sandbox::filter::{Filter, FilterError};
use nodeos_sandbox::process::{
    BecomeError, Program, Running, Streams, become_program, join, set_streams,
};
use nodeos_sandbox::report::{Report, heard};
use nodeos_spec::application::ApplicationSpec;
use nodeos_spec::application::message::Terminal;
use nodeos_sys::error::OsError;
use nodeos_sys::fork::fork;
use nodeos_sys::standard;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{self, PidfdFlags, Resource, Rlimit, pidfd_open};
use rustix::pty::{self, OpenptFlags};
use rustix::termios::{Winsize, tcsetwinsize};
use rustix::thread::CapabilitySet;
use thiserror::Error;

use crate::cgroup::Group;
use crate::view::View;

/// Ports below need a capability (ip(7), "ip_unprivileged_port_start").
const FIRST_FREE_PORT: u16 = 1024;
/// How many files a process may open. The first is what programs expect that use select(2), and Node.js raises it to the
/// second, systemd's. The kernel's own 4,096 would be too few for a server.
const FILES: Rlimit = Rlimit {
    current: Some(1024),
    maximum: Some(524_288),
};
/// env(1): the program cannot be run, there is none, or something else went wrong.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;
pub(crate) const OTHER_FAILURE: u8 = 125;

#[derive(Debug, Error)]
pub(crate) enum LaunchError {
    #[error("cannot make its streams")]
    Streams { source: OsError },
    #[error("cannot make a process")]
    Fork { source: OsError },
    #[error("cannot hear from the process that was made")]
    Hear {
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// What the process itself said before it ended.
    #[error("{reason}")]
    Refused { reason: String, code: u8 },
}

impl LaunchError {
    /// As env(1) has it.
    pub(crate) fn code(&self) -> u8 {
        match self {
            LaunchError::Refused { code, .. } => *code,
            _ => OTHER_FAILURE,
        }
    }
}

/// What goes wrong in the process itself.
#[derive(Debug, Error)]
enum BecomeOursError {
    #[error("cannot begin anew")]
    Reset {
        #[source]
        source: io::Error,
    },
    #[error("cannot enter the application's root")]
    Enter { source: OsError },
    #[error("cannot start in the folder {path}")]
    Folder { path: String, source: OsError },
    #[error("cannot set up its streams")]
    Streams { source: OsError },
    #[error(transparent)]
    Credentials(AssumeCredentialsError),
    #[error(transparent)]
    Program(#[from] BecomeError),
}

impl BecomeOursError {
    fn code(&self) -> u8 {
        match self {
            BecomeOursError::Program(BecomeError::Exec { source, .. }) => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => NOT_FOUND,
                _ => CANNOT_RUN,
            },
            _ => OTHER_FAILURE,
        }
    }
}

/// Those of this program, whose reads and writes do not wait.
#[derive(Debug)]
pub(crate) enum Ours {
    Pipes {
        stdin: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    Terminal(OwnedFd),
    /// The console has it all.
    Console,
}

/// Those of the process.
#[derive(Debug)]
pub(crate) enum Theirs {
    Pipes {
        stdin: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    Terminal(OwnedFd),
    Console,
}

/// How processes are started.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) view: View,
    credentials: Credentials,
}

/// Who does the work of a process that becomes no other program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    /// The application's user.
    User,
    /// Root.
    Root,
}

impl Launcher {
    pub(crate) fn new(view: View, spec: &ApplicationSpec) -> Result<Launcher, FilterError> {
        let capabilities = match spec.ports.iter().any(|port| *port < FIRST_FREE_PORT) {
            true => CapabilitySet::NET_BIND_SERVICE,
            false => CapabilitySet::empty(),
        };
        Ok(Launcher {
            view,
            credentials: Credentials {
                uid: Uid::from_raw(spec.uid),
                gid: Gid::from_raw(spec.gid),
                capabilities,
                filter: Filter::for_capabilities(capabilities)?,
            },
        })
    }

    /// Pipes for all three. They belong to the application's user, who may open /dev/stdout for instance.
    pub(crate) fn pipes(&self) -> Result<(Ours, Theirs), LaunchError> {
        let make = || {
            let (in_theirs, in_ours) = pipe_with(PipeFlags::CLOEXEC)?;
            let (out_ours, out_theirs) = pipe_with(PipeFlags::CLOEXEC)?;
            let (error_ours, error_theirs) = pipe_with(PipeFlags::CLOEXEC)?;
            for theirs in [&in_theirs, &out_theirs, &error_theirs] {
                self.own(theirs)?;
            }
            // Each end has flags of its own: those of the application wait, as it expects.
            for ours in [&in_ours, &out_ours, &error_ours] {
                fs::fcntl_setfl(ours, OFlags::NONBLOCK)?;
            }
            let ours = Ours::Pipes {
                stdin: in_ours,
                stdout: out_ours,
                stderr: error_ours,
            };
            let theirs = Theirs::Pipes {
                stdin: in_theirs,
                stdout: out_theirs,
                stderr: error_theirs,
            };
            Ok((ours, theirs))
        };
        make().map_err(streams_error)
    }

    /// A terminal, which is seen at /dev/pts in the view.
    pub(crate) fn terminal(&self, wanted: &Terminal) -> Result<(Ours, Theirs), LaunchError> {
        let make = || {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let ours = fs::openat(self.view.terminals(), "ptmx", flags, Mode::empty())?;
            pty::unlockpt(&ours)?;
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let theirs = pty::ioctl_tiocgptpeer(&ours, flags)?;
            self.own(&theirs)?;
            set_size(ours.as_fd(), wanted.columns, wanted.rows)?;
            Ok((Ours::Terminal(ours), Theirs::Terminal(theirs)))
        };
        make().map_err(streams_error)
    }

    fn own(&self, stream: &OwnedFd) -> Result<(), Errno> {
        fs::fchown(
            stream,
            Some(self.credentials.uid),
            Some(self.credentials.gid),
        )
    }

    /// Starts a program. Returns when it runs, or has not started.
    pub(crate) fn program(
        &self,
        group: &Group,
        program: &Program,
        theirs: &Theirs,
    ) -> Result<Running, LaunchError> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(streams_error)?;
        let mut report = Report(File::from(writer));
        let become_it = || -> Result<(), BecomeOursError> {
            self.enter(group)?;
            let path = program.dir.to_string_lossy().into_owned();
            process::chdir(&program.dir).map_err(|errno| BecomeOursError::Folder {
                path,
                source: OsError(errno),
            })?;
            Ok(become_program(
                &self.credentials,
                program,
                &theirs.streams(),
            )?)
        };
        let pid = fork(|| match become_it() {
            Ok(()) => 0,
            Err(error) => {
                report.failed(&error);
                i32::from(error.code())
            }
        })
        .map_err(fork_error)?;
        drop(report);
        let mut told = Vec::new();
        // Ends when the process has either ended or become the program.
        File::from(reader)
            .read_to_end(&mut told)
            .map_err(|source| LaunchError::Hear { source })?;
        let Some(reason) = heard(&told).1 else {
            return running(pid);
        };
        let waited = rustix::io::retry_on_intr(|| {
            process::waitpid(Some(pid), process::WaitOptions::empty())
        });
        let code = match waited {
            Ok(Some((_, status))) => status.exit_status(),
            _ => None,
        };
        Err(LaunchError::Refused {
            reason,
            code: code
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(OTHER_FAILURE),
        })
    }

    /// Starts a process that does `work` with its standard streams. `let_go` drops, in the copy, what this program has of
    /// other processes' streams: as long as somebody has them they do not end. What fails is in what is returned beside the
    /// process, when it has ended.
    pub(crate) fn work<E: Error + 'static>(
        &self,
        group: &Group,
        user: As,
        theirs: &Theirs,
        let_go: impl FnOnce(),
        work: impl FnOnce() -> Result<(), E>,
    ) -> Result<(Running, File), LaunchError> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(streams_error)?;
        let mut report = Report(File::from(writer));
        let prepare = || -> Result<(), BecomeOursError> {
            self.enter(group)?;
            set_streams(&theirs.streams()).map_err(|errno| BecomeOursError::Streams {
                source: OsError(errno),
            })?;
            match user {
                As::User => {
                    credentials::assume(&self.credentials).map_err(BecomeOursError::Credentials)
                }
                As::Root => Ok(()),
            }
        };
        let pid = fork(|| {
            let_go();
            if let Err(error) = prepare() {
                return report.failed(&error);
            }
            match work() {
                Ok(()) => 0,
                Err(error) => report.failed(&error),
            }
        })
        .map_err(fork_error)?;
        Ok((running(pid)?, File::from(reader)))
    }

    /// In the copy: leaves what is this program's alone.
    fn enter(&self, group: &Group) -> Result<(), BecomeOursError> {
        join(group.as_fd())?;
        let reset = || -> io::Result<()> {
            // That this program is spared when memory runs out is not inherited.
            std::fs::write("/proc/self/oom_score_adj", "0")?;
            process::setrlimit(Resource::Nofile, FILES)?;
            // Nobody may look into this process while it has what it is about to give up.
            process::set_dumpable_behavior(process::DumpableBehavior::NotDumpable)?;
            Ok(())
        };
        reset().map_err(|source| BecomeOursError::Reset { source })?;
        self.view.enter().map_err(|errno| BecomeOursError::Enter {
            source: OsError(errno),
        })
    }
}

impl Theirs {
    fn streams(&self) -> Streams<'_> {
        let console = standard::error();
        match self {
            Theirs::Pipes {
                stdin,
                stdout,
                stderr,
            } => Streams::Each {
                input: stdin.as_fd(),
                output: stdout.as_fd(),
                error: stderr.as_fd(),
            },
            Theirs::Terminal(terminal) => Streams::Terminal(terminal.as_fd()),
            Theirs::Console => Streams::Output {
                output: console,
                error: console,
            },
        }
    }
}

/// Why a process that does some work did not do it, of what [`Launcher::work`] has returned.
pub(crate) fn failure(mut report: &File) -> Option<String> {
    let mut told = Vec::new();
    report.read_to_end(&mut told).ok()?;
    heard(&told).1
}

pub(crate) fn set_size(terminal: BorrowedFd<'_>, columns: u16, rows: u16) -> Result<(), Errno> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size)
}

fn running(pid: process::Pid) -> Result<Running, LaunchError> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(fork_error)?;
    Ok(Running { pid, pidfd })
}

fn streams_error(errno: Errno) -> LaunchError {
    LaunchError::Streams {
        source: OsError(errno),
    }
}

fn fork_error(errno: Errno) -> LaunchError {
    LaunchError::Fork {
        source: OsError(errno),
    }
}
