//! The life of a container: one program, whose signals and exit code are the container's. Nothing is mounted here,
//! because whoever made the container has done that.

use nodeos_sys::entry::Invocation;
use nodeos_sys::spawn::Terminal;
use rustix::io::Errno;
use rustix::process::{self, Pid};

use crate::events::{self, Event, Events};
use crate::log::Log;
use crate::processes::{self, Left, Scope};
use crate::program::{self, Giver};
use crate::stop::{Stop, Verdict};

/// What a container's managers take for "it could not run" (docker-run(1)).
const CANNOT_RUN: i32 = 125;

/// Runs the container's program and returns its code. `blocked` is how blocking all signals went.
pub(crate) fn run(mut log: Log, invocation: &Invocation, blocked: Result<(), Errno>) -> i32 {
    let scope = if process::getpid() == Pid::INIT {
        Scope::Everything
    } else {
        Scope::Descendants
    };
    if scope == Scope::Descendants {
        // Orphans come to this process then, as they come to PID 1. Without, they go to somebody else who reaps them.
        let _ = process::set_child_subreaper(Some(process::getpid()));
    }
    let mut events = match Events::new(blocked, events::in_container) {
        Ok(events) => events,
        Err(error) => {
            log.error(&error);
            return CANNOT_RUN;
        }
    };
    let spec = program::boot_spec(&mut log);
    let started = program::plan(invocation, &spec, Giver::Person)
        .and_then(|plan| program::start(&plan, Terminal::OwnJob, None));
    let main = match started {
        Ok(main) => main,
        Err(error) => {
            log.error(&error);
            return error.exit_code();
        }
    };

    let mut code = None;
    let mut stop: Option<Stop> = None;
    loop {
        let left = processes::reap(|pid, status| {
            if pid == main {
                code = Some(program::exit_code(status));
            }
        });
        if let (Left::Nobody, code) = (left, code) {
            return code.unwrap_or(CANNOT_RUN);
        }
        if code.is_some() && stop.is_none() {
            stop = Some(Stop::begin(&mut log, scope, spec.stop_grace));
        }
        match events.next(stop.as_ref().map(Stop::deadline)) {
            Ok(Event::Forwarded(signal)) if code.is_none() => {
                // It may have ended this moment.
                let _ = process::kill_process(main, signal);
            }
            Ok(Event::DeadlinePassed) => {
                if stop.as_mut().map(|stop| stop.expired(&mut log)) == Some(Verdict::GiveUp) {
                    return code.unwrap_or(CANNOT_RUN);
                }
            }
            Ok(Event::ChildEnded | Event::Requested(_) | Event::Forwarded(_)) => {}
            Err(error) => {
                log.error(&error);
                return code.unwrap_or(CANNOT_RUN);
            }
        }
    }
}
