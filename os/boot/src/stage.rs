//! The stages of a boot, one after the other, and what happens where one fails.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nodeos_sandbox::cgroup::CgroupError;
use nodeos_sandbox::filter::{Filter, FilterError};
use nodeos_sandbox::log::Log;
use nodeos_spec::cmdline::{self, ParseUsersPartitionError, UsersPartition};
use nodeos_sys::error::OsError;
use nodeos_sys::signals::{self, SignalFd};
use nodeos_sys::{standard, terminal};
use rustix::process::{getpid, set_child_subreaper};
use rustix::thread::CapabilitySet;
use thiserror::Error;

use crate::administrator::{self, Orders};
use crate::broker::{Broker, RunBrokerError};
use crate::cgroup;
use crate::partition::{self, MountUsersError};
use crate::paths;
use crate::sessions::{Common, Session};
use crate::system::{self, PrepareSystemError};
use crate::users::{self, ListUsersError, User};

const COMMAND_LINE: &str = "/proc/cmdline";

/// Why there are no sessions.
#[derive(Debug, Error)]
pub(crate) enum BootError {
    #[error("cannot read {COMMAND_LINE}")]
    CommandLine(#[source] io::Error),
    #[error(transparent)]
    Words(ParseUsersPartitionError),
    #[error(transparent)]
    Users(MountUsersError),
    #[error(transparent)]
    List(ListUsersError),
    #[error(transparent)]
    System(PrepareSystemError),
    #[error(transparent)]
    Cgroup(CgroupError),
    #[error(transparent)]
    Filter(FilterError),
    #[error("cannot receive signals")]
    Signals(#[source] OsError),
    #[error("cannot open /dev/null")]
    Null(#[source] io::Error),
    #[error("there is no user: the users partition has no folder that can be one")]
    NobodyThere,
    #[error(transparent)]
    Broker(RunBrokerError),
}

impl BootError {
    /// What somebody can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            BootError::Users(error) => Some(error.hint()),
            BootError::NobodyThere => Some("boot with the word single, and add one with useradd"),
            _ => None,
        }
    }

    /// In administrator mode the prompt of Node.js, which names the stage. Otherwise nothing: whoever is at the keyboard
    /// is not root for it, and the machine stops.
    pub(crate) fn rescue(&self, log: &mut Log) -> ExitCode {
        let line = std::fs::read_to_string(COMMAND_LINE).unwrap_or_default();
        if !cmdline::has(&line, cmdline::SINGLE) || cmdline::has(&line, cmdline::COMMANDS) {
            return ExitCode::FAILURE;
        }
        let script = format!("require('repl').start('NodeOS-boot-{}> ')", self.stage());
        let _ = signals::unblock_all();
        let error = Command::new(paths::NODE).arg("-e").arg(script).exec();
        log.say(&format!("cannot start {}: {error}", paths::NODE));
        ExitCode::FAILURE
    }

    fn stage(&self) -> &'static str {
        match self {
            BootError::CommandLine(_) | BootError::Words(_) => "commandLine",
            BootError::Users(_) => "users",
            BootError::List(_) | BootError::NobodyThere => "list",
            BootError::System(_) | BootError::Cgroup(_) | BootError::Null(_) => "system",
            BootError::Filter(_) | BootError::Signals(_) | BootError::Broker(_) => "sessions",
        }
    }
}

/// Everything, until the machine stops.
pub(crate) fn boot(log: &mut Log) -> Result<ExitCode, BootError> {
    let line = std::fs::read_to_string(COMMAND_LINE).map_err(BootError::CommandLine)?;
    let words = UsersPartition::parse(&line, system::root_kind()).map_err(BootError::Words)?;
    system::prepare().map_err(BootError::System)?;
    let state = partition::mount(&words, log).map_err(BootError::Users)?;
    let mut users = users::list(Path::new(paths::USERS), log).map_err(BootError::List)?;
    let facts = system::describe(&users, log).map_err(BootError::System)?;
    if cmdline::has(&line, cmdline::SINGLE) {
        let orders = if cmdline::has(&line, cmdline::COMMANDS) {
            Orders::Host
        } else {
            Orders::Shell
        };
        return Ok(administrator::run(&users, state, orders, log));
    }
    if users.is_empty() {
        return Err(BootError::NobodyThere);
    }
    if !users.iter().any(User::is_root) {
        add_root(&mut users, log);
    }
    cgroup::prepare(facts.total_memory).map_err(BootError::Cgroup)?;
    let common = Common {
        hostname: facts.hostname,
        total_memory: facts.total_memory,
        spec: facts.session_spec,
        users: state,
        filter: Filter::for_capabilities(CapabilitySet::empty()).map_err(BootError::Filter)?,
        authorities: facts.authorities,
        term: std::env::var("TERM").unwrap_or_else(|_| "linux".to_owned()),
        null: system::null().map_err(BootError::Null)?,
    };
    // What the copies of this process start becomes its child, when they end (see session/process.rs).
    let signals = signals::block_all()
        .and_then(|()| set_child_subreaper(Some(getpid())))
        .and_then(|()| SignalFd::new())
        .map_err(|errno| BootError::Signals(OsError(errno)))?;
    // It came with the console as its terminal, which is now for those who log in. The HUP that this brings is blocked.
    let _ = terminal::leave(standard::input());
    let mut sessions = Vec::new();
    for user in users {
        let name = user.name.clone();
        match Session::prepare(user, &common) {
            Ok(session) => sessions.push(session),
            Err(error) => log.say(&format!(
                "there is no session for {name}: {}",
                nodeos_sandbox::log::sentence(&error)
            )),
        }
    }
    let mut broker = Broker::new(Log::open("boot"), common, sessions, signals);
    broker.run().map_err(BootError::Broker)?;
    Ok(ExitCode::SUCCESS)
}

/// Without root nobody asks for names, and nobody looks after the network. Users without both are better than none.
fn add_root(users: &mut Vec<User>, log: &mut Log) {
    match partition::make_root() {
        Ok(true) => {
            log.say("there is no folder root: its services are the image's, and what they write is lost");
            users.insert(0, users::temporary_root());
        }
        Ok(false) => log.say("there is no folder root, and nobody asks for names"),
        Err(error) => log.error(&error),
    }
}
