//! The life of a machine: boot, one program, the end. Nothing here returns.

use alloc::format;
use core::panic::PanicInfo;

use nodeos_spec::cmdline;
use nodeos_sys::entry::{self, Invocation};
use nodeos_sys::error::OsError;
use nodeos_sys::spawn::Terminal;
use rustix::event;
use rustix::fs;
use rustix::io::Errno;
use rustix::process::{self, Pid, WaitStatus};
use rustix::system::{self, RebootCommand};
use thiserror::Error;

use crate::events::{self, End, Event, Events, ReceiveSignalsError};
use crate::log::{self, Log};
use crate::processes::{self, Left, Scope};
use crate::program::{self, Giver, Plan, StartProgramError};
use crate::steps::{self, RequiredStepFailed};
use crate::stop::{Stop, Verdict};
use crate::{console, files, mounts};

const COMMAND_LINE: &core::ffi::CStr = c"/proc/cmdline";

/// Where the program starts. Its home, if it has one, may not be mounted yet.
const START_DIR: &core::ffi::CStr = c"/";

#[derive(Debug, Error)]
enum RunMachineError {
    #[error(transparent)]
    Steps(RequiredStepFailed),
    #[error("cannot use the console")]
    Console { source: OsError },
    #[error(transparent)]
    Start(StartProgramError),
    #[error(transparent)]
    Signals(ReceiveSignalsError),
    #[error("cannot {}", verb(*.end))]
    End { end: End, source: OsError },
}

/// PID 1 of a machine. `blocked` is how blocking all signals went, `proc` how mounting /proc went.
pub(crate) fn run(
    mut log: Log,
    invocation: &Invocation,
    blocked: Result<(), Errno>,
    proc: Result<(), RequiredStepFailed>,
) -> ! {
    let end = live(&mut log, invocation, blocked, proc).unwrap_or_else(|error| {
        log.error(&error);
        End::PowerOff
    });
    finish(&mut log, end)
}

/// What is left to do after a panic, which only a mistake in this program can cause.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    log::last_words(format_args!("internal error: {info}"));
    if process::getpid() == Pid::INIT {
        fs::sync();
        // In a container this ends the container alone, or is refused.
        let _ = system::reboot(RebootCommand::PowerOff);
    }
    // EX_SOFTWARE of sysexits.h.
    entry::exit_now(70)
}

fn live(
    log: &mut Log,
    invocation: &Invocation,
    blocked: Result<(), Errno>,
    proc: Result<(), RequiredStepFailed>,
) -> Result<End, RunMachineError> {
    // Ctrl-Alt-Del is to raise INT. Where there is no such key this fails, of no consequence.
    let _ = system::reboot(RebootCommand::CadOff);
    let mut events = Events::new(blocked, events::on_machine).map_err(RunMachineError::Signals)?;

    let devices = steps::run(log, steps::DEVICES);
    log.open_machine(console::open_for_log().ok());
    proc.and(devices).map_err(RunMachineError::Steps)?;
    let command_line = files::read(COMMAND_LINE).unwrap_or_default();
    let command_line = alloc::string::String::from_utf8_lossy(&command_line);
    let chart = cmdline::value(&command_line, cmdline::CHART).is_some();
    mark(log, chart, "init");
    steps::run(log, steps::REST).map_err(RunMachineError::Steps)?;
    events.watch_buttons();

    let spec = program::boot_spec(log);
    let plan = program::plan(invocation, &spec, Giver::Kernel).map_err(RunMachineError::Start)?;
    let console = console::open_for_program().map_err(|errno| RunMachineError::Console {
        source: OsError(errno),
    })?;
    console::set_size(&console, &command_line);
    if !spec.banner.is_empty() {
        let system = system::uname();
        let (release, machine) = (
            system.release().to_string_lossy(),
            system.machine().to_string_lossy(),
        );
        log.to_console(&format!("{}, Linux {release} {machine}\n", spec.banner));
    }
    mark(log, chart, "program");
    let started = program::start(
        &plan,
        Terminal::OwnSession(rustix::fd::AsFd::as_fd(&console)),
        Some(START_DIR),
    );
    drop(console);
    let main = started.map_err(RunMachineError::Start)?;

    supervise(log, &mut events, &plan, main, spec.stop_grace)
}

/// Waits until nobody is left, by the program's own doing or because the machine is to stop.
fn supervise(
    log: &mut Log,
    events: &mut Events,
    plan: &Plan,
    main: Pid,
    grace: core::time::Duration,
) -> Result<End, RunMachineError> {
    let mut stop: Option<Stop> = None;
    let mut end = End::PowerOff;
    loop {
        let asked = stop.is_some();
        let left = processes::reap(|pid, status| {
            if pid == main && !asked {
                report(log, plan, status);
            }
        });
        if left == Left::Nobody {
            return Ok(end);
        }
        match events
            .next(stop.as_ref().map(Stop::deadline))
            .map_err(RunMachineError::Signals)?
        {
            Event::Requested(requested) if stop.is_none() => {
                end = requested;
                stop = Some(Stop::begin(log, Scope::Everything, grace));
            }
            Event::DeadlinePassed => {
                if stop.as_mut().map(|stop| stop.expired(log)) == Some(Verdict::GiveUp) {
                    return Ok(end);
                }
            }
            // The first request counts. Who has ended is reaped at the head of the loop.
            Event::ChildEnded | Event::Requested(_) | Event::Forwarded(_) => {}
        }
    }
}

/// A program that ends well says so itself, or has nothing to say.
fn report(log: &mut Log, plan: &Plan, status: WaitStatus) {
    let name = plan
        .args
        .first()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code @ 1..), _) => log.say(format_args!("{name} has ended with code {code}")),
        (_, Some(signal)) => log.say(format_args!("{name} was ended by signal {signal}")),
        _ => {}
    }
}

/// Saves what is to be saved, and ends the machine. If even that fails, waits for somebody to switch it off.
fn finish(log: &mut Log, end: End) -> ! {
    fs::sync();
    mounts::unmount_all(log);
    log.say(format_args!("{}", verb(end)));
    let command = match end {
        End::PowerOff if ends_by_restart() => RebootCommand::Restart,
        End::PowerOff => RebootCommand::PowerOff,
        End::Restart => RebootCommand::Restart,
        End::Halt => RebootCommand::Halt,
    };
    if let Err(errno) = system::reboot(command) {
        log.error(&RunMachineError::End {
            end,
            source: OsError(errno),
        });
    }
    loop {
        // All signals are blocked, so this ends only if the kernel has no memory left to wait with.
        let _ = event::poll(&mut [], None);
    }
}

/// Whether the hypervisor takes a restart for the end of the machine, as its command line says.
fn ends_by_restart() -> bool {
    let line = files::read(COMMAND_LINE).unwrap_or_default();
    let line = alloc::string::String::from_utf8_lossy(&line);
    cmdline::value(&line, cmdline::OFF) == Some(cmdline::OFF_BY_RESTART)
}

fn verb(end: End) -> &'static str {
    match end {
        End::PowerOff => "power off",
        End::Restart => "restart",
        End::Halt => "halt",
    }
}

/// Tells the host how far the boot is, and when, if it asked for that.
fn mark(log: &Log, chart: bool, stage: &str) {
    if chart {
        let time = events::since_boot();
        log.to_console(&format!(
            "{} {stage} {}.{:06}\n",
            cmdline::MARK,
            time.as_secs(),
            time.subsec_micros()
        ));
    }
}
