//! `application`: the program that PID 1 starts on a machine that is there for one application.
//!
//! It puts the application's files together, confines it, runs it, carries what it reads and writes to the host and back, and
//! ends the machine when it has ended. It has one thread and one loop.

#![forbid(unsafe_code)]

mod archive;
mod cgroup;
mod compilers;
mod farewell;
mod identity;
mod launch;
mod layers;
mod link;
mod orders;
mod paths;
mod ready;
mod restart;
mod sizes;
mod stats;
mod streams;
mod supervisor;
mod view;
mod volumes;
mod words;

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use nodeos_sandbox::cgroup::CgroupError;
use nodeos_sandbox::filter::FilterError;
use nodeos_sandbox::log::{Log, sentence};
use nodeos_sandbox::port;
use nodeos_spec::application::frame;
use nodeos_spec::application::message::MachineMessage;
use nodeos_sys::error::OsError;
use nodeos_sys::signals::{self, SignalFd};
use rustix::process::Pid;
use thiserror::Error;

use link::Link;
use supervisor::{SuperviseError, Supervisor};

const HELP: &str = "\
Usage: application

Runs the machine's application, and ends the machine with it.

PID 1 starts it on a machine with the layer application. What it runs is written in application.json, which the host
passes on or which lies in the application's image. Of the kernel's command line it takes:
  nodeos.layers=DEVICE,DEVICE  The images that /app is put together from, the lowest first
  nodeos.follow                The host may change /app while the machine runs
  nodeos.grow                  A volume that is the last partition of its disk takes what the disk has behind it

Options:
  --help  Show this
";

/// Why there is no application to supervise.
#[derive(Debug, Error)]
enum RunError {
    #[error(transparent)]
    View(#[from] view::MakeViewError),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("cannot receive signals")]
    Signals(#[source] OsError),
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
}

impl RunError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            RunError::View(error) => error.hint(),
            _ => None,
        }
    }
}

/// The whole program. `arguments` come without the program's own name; those that the kernel did not know are among them,
/// and no business of ours.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    if arguments.first().is_some_and(|first| first == "--help") {
        use std::io::Write;
        // Who closed the other end has read enough.
        let _ = std::io::stdout().write_all(HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    if rustix::process::getppid() != Some(Pid::INIT) {
        use std::io::Write;
        let text = "error: application is started by PID 1, and by nobody else\nhint: application --help says what it does\n";
        let _ = std::io::stderr().write_all(text.as_bytes());
        return ExitCode::from(2);
    }
    let mut log = Log::open("application");
    match supervise(&mut log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.error(&error);
            if let Some(hint) = error.hint() {
                log.say(&format!("hint: {hint}"));
            }
            tell_host(&error);
            ExitCode::FAILURE
        }
    }
}

/// Everything, until the machine ends.
fn supervise(log: &mut Log) -> Result<(), RunError> {
    let signals = signals::block_all()
        .and_then(|()| SignalFd::new())
        .map_err(|errno| RunError::Signals(OsError(errno)))?;
    let made = view::make(log)?;
    let groups = cgroup::prepare()?;
    let port = port::find(Path::new(port::CLASS), frame::PORT);
    let mut supervisor = Supervisor::new(made, groups, port, signals)?;
    Ok(supervisor.run(log)?)
}

/// The host hears on its port, too, that nothing will run.
fn tell_host(error: &RunError) {
    // When the supervisor itself fails the port is closed, and half a frame may have been written.
    if matches!(error, RunError::Supervise(_)) {
        return;
    }
    let port = port::find(Path::new(port::CLASS), frame::PORT);
    let Some(mut link) = port.and_then(|port| Link::open(&port)) else {
        return;
    };
    let hint = error.hint().map(|hint| format!(" ({hint})"));
    let error: &dyn Error = error;
    let reason = sentence(error) + &hint.unwrap_or_default();
    link.say(&MachineMessage::NotStarted { reason });
    farewell::wait(&mut link);
}
