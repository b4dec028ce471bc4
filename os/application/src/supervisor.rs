//! What this program does while the application runs: one loop over everything that can be waited for. What follows from what
//! happens is in the modules below.

mod commands;
mod host;
mod life;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nodeos_sandbox::filter::FilterError;
use nodeos_sandbox::log::Log;
use nodeos_spec::application::ApplicationSpec;
use nodeos_spec::application::frame::MAX_PAYLOAD;
use nodeos_spec::application::message::End;
use nodeos_sys::error::OsError;
use nodeos_sys::signals::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use crate::cgroup::Groups;
use crate::farewell;
use crate::identity;
use crate::launch::Launcher;
use crate::link::{Host, Link, PAUSE_WITHOUT_HOST};
use crate::view::{Follows, Made};

use commands::Command;
use life::Application;

/// How long killed processes may take to end. Only one that waits for a broken device takes longer, and that for ever.
const KILL_PATIENCE: Duration = Duration::from_secs(2);
/// The number of the application among the commands.
const APPLICATION: u32 = 0;

/// Everything that goes on.
#[derive(Debug)]
pub(crate) struct Supervisor {
    spec: ApplicationSpec,
    environment: Vec<(String, String)>,
    follows: Follows,
    launcher: Launcher,
    groups: Groups,
    signals: SignalFd,
    /// None on a machine whose host does not listen.
    link: Option<Link>,
    application: Application,
    commands: BTreeMap<u32, Command>,
    /// How long the system took until it was about to start the application for the first time.
    boot: Duration,
    /// For what is on its way from a program to the host.
    buffer: Box<[u8; MAX_PAYLOAD]>,
}

#[derive(Debug, Error)]
pub(crate) enum SuperviseError {
    #[error("cannot wait for what happens")]
    Wait(#[source] OsError),
    #[error("cannot receive signals")]
    Signals(#[source] OsError),
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Signals,
    Link,
    /// The program with this number has written something, to the output at this place.
    Output(u32, usize),
    /// The program with this number reads on.
    Input(u32),
}

impl Supervisor {
    pub(crate) fn new(
        made: Made,
        groups: Groups,
        port: Option<PathBuf>,
        signals: SignalFd,
    ) -> Result<Supervisor, FilterError> {
        let Made {
            spec,
            view,
            authorities,
            follows,
        } = made;
        Ok(Supervisor {
            environment: identity::environment(&spec, authorities),
            launcher: Launcher::new(view, &spec)?,
            spec,
            follows,
            groups,
            signals,
            link: port.and_then(|port| Link::open(&port)),
            application: Application::default(),
            commands: BTreeMap::new(),
            boot: Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default(),
            buffer: Box::new([0; MAX_PAYLOAD]),
        })
    }

    /// Runs the application until it is not started again, and has the host hear of it.
    pub(crate) fn run(&mut self, log: &mut Log) -> Result<(), SuperviseError> {
        self.start(log);
        self.hear(log);
        while !self.advance(log) {
            for event in self.wait()? {
                match event {
                    Event::Signals => self.receive_signals(log)?,
                    Event::Link => self.hear(log),
                    Event::Output(number, at) => self.output(number, at),
                    Event::Input(number) => self.input(number),
                }
            }
            self.look_for_host(log);
            if let Some(link) = &mut self.link {
                link.write();
            }
        }
        if let Some(link) = &mut self.link {
            farewell::wait(link);
        }
        if !self.groups.is_empty() {
            // Somebody cannot be killed. PID 1 does not wait for ever; it would for them.
            let _ = kill_process(Pid::INIT, Signal::TERM);
        }
        Ok(())
    }

    fn wait(&self) -> Result<Vec<Event>, SuperviseError> {
        let mut sources: Vec<(Event, BorrowedFd<'_>, PollFlags)> =
            vec![(Event::Signals, self.signals.as_fd(), PollFlags::IN)];
        if let Some(link) = &self.link {
            let interest = link.interest();
            sources.extend(interest.map(|flags| (Event::Link, link.as_fd(), flags)));
            let of_commands = self.commands.iter();
            let all = of_commands
                .map(|(number, command)| (*number, &command.carried))
                .chain(self.application.carried.iter().map(|it| (APPLICATION, it)));
            for (number, carried) in all {
                for (at, output) in carried.outputs.iter().enumerate() {
                    let interest = output.interest(link);
                    sources
                        .extend(interest.map(|fd| (Event::Output(number, at), fd, PollFlags::IN)));
                }
                let interest = carried.input.interest();
                sources.extend(interest.map(|fd| (Event::Input(number), fd, PollFlags::OUT)));
            }
        }
        let mut ready: Vec<PollFd<'_>> = sources
            .iter()
            .map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        match poll(&mut ready, self.time_to_next_deed().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(SuperviseError::Wait(OsError(errno))),
        }
        let happened = sources.iter().zip(&ready);
        Ok(happened
            .filter(|(_, ready)| !ready.revents().is_empty())
            .map(|((event, ..), _)| *event)
            .collect())
    }

    fn time_to_next_deed(&self) -> Option<Timespec> {
        let without_host = self.link.as_ref().filter(|link| link.host != Host::There);
        let deadlines = self
            .commands
            .values()
            .filter_map(Command::deadline)
            .chain(self.application.deadline())
            .chain(without_host.map(|_| Instant::now() + PAUSE_WITHOUT_HOST));
        let left = deadlines.min()?.saturating_duration_since(Instant::now());
        // Rounded up: to wake a moment too early would be to go round for nothing.
        Timespec::try_from(left + Duration::from_millis(1)).ok()
    }

    fn receive_signals(&mut self, log: &mut Log) -> Result<(), SuperviseError> {
        loop {
            match self.signals.read() {
                Ok(Some(Signal::CHILD)) => self.reap(),
                // PID 1 stops the machine, and has told everybody, the application too.
                Ok(Some(Signal::TERM)) => self.be_stopped(log),
                // Ctrl-C on the console.
                Ok(Some(Signal::INT)) => self.signal(APPLICATION, Signal::INT.as_raw(), log),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(errno) => return Err(SuperviseError::Signals(OsError(errno))),
            }
        }
    }

    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let how = end(ExitStatus::from_raw(status.as_raw()));
            if self.application.is(pid) {
                self.application_ended(how);
            } else if let Some(command) = self.commands.values_mut().find(|it| it.is(pid)) {
                command.ended(how);
            }
        }
    }

    fn output(&mut self, number: u32, at: usize) {
        let carried = match self.commands.get_mut(&number) {
            Some(command) => Some(&mut command.carried),
            None => self.application.carried.as_mut(),
        };
        let output = carried.and_then(|carried| carried.outputs.get_mut(at));
        if let (Some(link), Some(output)) = (&mut self.link, output) {
            // What has been read before in this round may have filled it.
            if link.has_room() {
                output.read(link, &mut self.buffer);
            }
        }
    }

    fn input(&mut self, number: u32) {
        let carried = match self.commands.get_mut(&number) {
            Some(command) => Some(&mut command.carried),
            None => self.application.carried.as_mut(),
        };
        if let (Some(link), Some(carried)) = (&mut self.link, carried) {
            carried.input.write(link);
        }
    }
}

fn end(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    }
}
