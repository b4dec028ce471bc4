//! Sessions, one for each user: starting them, and starting them again when they end.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodeos_sandbox::authorities::Authorities;
use nodeos_sandbox::cgroup::CgroupError;
use nodeos_sandbox::credentials::Credentials;
use nodeos_sandbox::filter::{Filter, FilterError};
use nodeos_sandbox::log::sentence;
use nodeos_sandbox::process::{Program, Running, Streams};
use nodeos_spec::boot::LIBC;
use nodeos_spec::broker::{SessionInfo, SessionState};
use nodeos_spec::cmdline;
use nodeos_spec::session::{Limits, SessionSpec};
use rustix::fd::{AsFd, OwnedFd};
use rustix::thread::CapabilitySet;
use thiserror::Error;

use crate::cgroup;
use crate::partition::Users;
use crate::paths;
use crate::session::process::{self, StartProcessError};
use crate::session::root::{Rights, View};
use crate::socket::{self, ListenError};
use crate::users::User;

/// Between two tries to start a session that does not stay: from the first to the longest pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A session that has run this long was a good one.
const GOOD: Duration = Duration::from_secs(10);
/// Of the machine's memory, for each of a session's filesystems in memory. What is in them counts as the session's own.
const MEMORY_FILES_DIVISOR: u64 = 4;

/// What all sessions have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) hostname: String,
    pub(crate) total_memory: u64,
    pub(crate) spec: SessionSpec,
    pub(crate) users: Users,
    /// Of processes without capabilities, made once.
    pub(crate) filter: Filter,
    pub(crate) authorities: Authorities,
    /// `TERM` of whoever sits at the console.
    pub(crate) term: String,
    /// Where the output of those goes who have nowhere.
    pub(crate) null: OwnedFd,
}

/// A user's session, running or not.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: User,
    pub(crate) listener: OwnedFd,
    pub(crate) cgroup: OwnedFd,
    pub(crate) state: State,
    pause: Duration,
}

#[derive(Debug)]
pub(crate) enum State {
    Running {
        first: Running,
        since: Instant,
    },
    /// To be started at that time, and why it does not run.
    Waiting {
        until: Instant,
        reason: String,
    },
}

#[derive(Debug, Error)]
pub(crate) enum StartSessionError {
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("cannot make the folder {}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Process(#[from] StartProcessError),
    #[error(transparent)]
    Filter(#[from] FilterError),
}

impl Session {
    /// A session that waits to be started.
    pub(crate) fn prepare(user: User, common: &Common) -> Result<Session, StartSessionError> {
        let name = user.name.as_str();
        let limits = limits(&user, common);
        let cgroup = cgroup::of_session(name, limits, common.total_memory)?;
        let listener = socket::listen(&socket_path(&user), user.uid, user.gid)?;
        Ok(Session {
            user,
            listener,
            cgroup,
            state: State::Waiting {
                until: Instant::now(),
                reason: "it has not been started yet".to_owned(),
            },
            pause: FIRST_PAUSE,
        })
    }

    /// Starts it. If that fails it waits again, for longer each time.
    pub(crate) fn start(&mut self, common: &Common) -> Result<(), StartSessionError> {
        match self.try_start(common) {
            Ok(first) => {
                self.state = State::Running {
                    first,
                    since: Instant::now(),
                };
                Ok(())
            }
            Err(error) => {
                self.wait(sentence(&error));
                Err(error)
            }
        }
    }

    /// Its first process has ended, and with it the kernel ends all others.
    pub(crate) fn ended(&mut self, how: &str) {
        if let State::Running { since, .. } = &self.state
            && since.elapsed() >= GOOD
        {
            self.pause = FIRST_PAUSE;
        }
        self.wait(how.to_owned());
    }

    pub(crate) fn info(&self) -> SessionInfo {
        let (state, reason) = match &self.state {
            State::Running { .. } => (SessionState::Running, None),
            State::Waiting { reason, .. } => (SessionState::Ended, Some(reason.clone())),
        };
        SessionInfo {
            user: self.user.name.to_string(),
            uid: self.user.uid.as_raw(),
            state,
            reason,
        }
    }

    fn wait(&mut self, reason: String) {
        self.state = State::Waiting {
            until: Instant::now() + self.pause,
            reason,
        };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn try_start(&self, common: &Common) -> Result<Running, StartSessionError> {
        // Beside the home, which is in memory where the users partition has no root.
        let works = self.user.home.with_file_name(paths::WORK);
        let work = works.join(self.user.name.as_str());
        let is_writable =
            common.users == Users::ReadWrite || !self.user.home.starts_with(paths::USERS);
        if is_writable {
            folder(&works)?;
            folder(&work)?;
        }
        let socket = socket_path(&self.user);
        let view = View {
            home: &self.user.home,
            work: is_writable.then_some(work.as_path()),
            broker_socket: &socket,
            rights: rights(&self.user),
            memory_files: common.total_memory / MEMORY_FILES_DIVISOR,
        };
        // Who has the console's descriptor can read what is typed at it, passwords too.
        let console = std::io::stderr();
        let output = match rights(&self.user) {
            Rights::Root => console.as_fd(),
            Rights::User => common.null.as_fd(),
        };
        let streams = Streams::Output {
            output,
            error: output,
        };
        Ok(process::start_session(
            &view,
            &common.hostname,
            self.cgroup.as_fd(),
            &credentials(&self.user, CapabilitySet::empty(), common.filter.clone()),
            &first_program(&self.user, common),
            &streams,
        )?)
    }
}

pub(crate) fn rights(user: &User) -> Rights {
    if user.is_root() {
        Rights::Root
    } else {
        Rights::User
    }
}

pub(crate) fn credentials(user: &User, capabilities: CapabilitySet, filter: Filter) -> Credentials {
    Credentials {
        uid: user.uid,
        gid: user.gid,
        capabilities,
        filter,
    }
}

/// What every process of a session begins with.
pub(crate) fn environment(user: &User, common: &Common, shell: &str) -> Vec<(String, String)> {
    let mut variables = [
        ("HOME", "/"),
        ("USER", user.name.as_str()),
        ("LOGNAME", user.name.as_str()),
        ("SHELL", shell),
        ("PATH", paths::PATH),
        ("TERM", common.term.as_str()),
        ("LANG", "C.UTF-8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    variables.extend(std::env::var(LIBC).map(|libc| (LIBC.to_owned(), libc)));
    if common.authorities == Authorities::Added {
        let path = format!("/run/system/{}", paths::AUTHORITIES_NAME);
        variables.push((cmdline::AUTHORITIES.to_owned(), path));
    }
    variables
}

pub(crate) fn as_os(
    variables: Vec<(String, String)>,
) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Root's session runs what everybody needs, so nobody's limits are its own unless it says so of itself.
fn limits(user: &User, common: &Common) -> Limits {
    common.spec.limits(&user.name)
}

fn first_program(user: &User, common: &Common) -> Program {
    Program {
        path: paths::PALMTREE.into(),
        name: None,
        args: Vec::new(),
        env: as_os(environment(user, common, paths::SHELL)),
        dir: "/".into(),
        otherwise: None,
    }
}

fn socket_path(user: &User) -> PathBuf {
    Path::new(paths::SOCKETS).join(user.name.as_str())
}

fn folder(path: &Path) -> Result<(), StartSessionError> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(StartSessionError::Folder {
                path: path.to_owned(),
                source,
            })
        }
        _ => Ok(()),
    }
}
