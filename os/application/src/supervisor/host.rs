//! What the host says, and what is done then.

use std::time::Duration;

use nodeos_sandbox::log::{Log, sentence};
use nodeos_spec::application::frame::{Frame, Kind, MESSAGES};
use nodeos_spec::application::message::{HostMessage, MachineMessage};
use nodeos_sys::error::OsError;
use rustix::process::{Signal, kill_process_group, pidfd_send_signal};
use rustix::time::{ClockId, Timespec, clock_settime};

use crate::link::{Heard, Host};
use crate::stats;
use crate::streams::Carried;

use super::commands::{Command, Task};
use super::life::Ready;
use super::{APPLICATION, Supervisor};

/// What a terminal sends, it sends to all processes of a job (termios(3), "ISIG"); everything else is for the one.
const FOR_THE_JOB: [Signal; 6] = [
    Signal::INT,
    Signal::QUIT,
    Signal::TSTP,
    Signal::CONT,
    Signal::HUP,
    Signal::WINCH,
];

/// By these somebody asks a program to end. What ends then is not started again.
const FOR_THE_END: [Signal; 2] = [Signal::INT, Signal::TERM];

impl Supervisor {
    /// Takes in all that has come.
    pub(super) fn hear(&mut self, log: &mut Log) {
        while let Some(link) = &mut self.link {
            match link.hear() {
                Heard::Frame(frame) => self.frame(frame, log),
                Heard::Nothing => return,
                Heard::Other {
                    now: Host::There,
                    before,
                } => self.host_is_there(before),
                Heard::Other { .. } => self.host_is_gone(log),
                Heard::Nonsense(error) => {
                    log.say(&format!("the host says what makes no sense: {error}"));
                    self.host_is_gone(log);
                    return;
                }
            }
        }
    }

    /// A port without a host at its other end cannot be waited for.
    pub(super) fn look_for_host(&mut self, log: &mut Log) {
        if self
            .link
            .as_ref()
            .is_some_and(|link| link.host != Host::There)
        {
            self.hear(log);
        }
    }

    /// A host that comes after another one is told how things are. What the first is told has waited for it.
    fn host_is_there(&mut self, before: Host) {
        if before == Host::Awaited {
            return;
        }
        if let Some(carried) = &mut self.application.carried {
            carried.begin_anew();
        }
        if self.application.process().is_none() {
            return;
        }
        self.say(&MachineMessage::Started);
        if let Ready::Since(port) = self.application.ready {
            self.say(&MachineMessage::Ready { port });
        }
    }

    /// Who asked for the commands is not there to hear them.
    fn host_is_gone(&mut self, log: &mut Log) {
        log.note("the host is gone; what the application writes is lost until it comes again");
        self.commands.values().for_each(Command::kill);
    }

    fn frame(&mut self, frame: Frame, log: &mut Log) {
        if frame.stream == MESSAGES {
            if frame.kind == Kind::Data {
                match HostMessage::parse(&frame.payload) {
                    Ok(message) => self.perform(message, log),
                    Err(error) => {
                        let text = format!("the machine does not understand: {}", sentence(&error));
                        self.say(&MachineMessage::Note { text });
                    }
                }
            }
            return;
        }
        let Some(link) = &mut self.link else {
            return;
        };
        let all = self.commands.values_mut().map(|it| &mut it.carried);
        for carried in all.chain(&mut self.application.carried) {
            let Carried { input, outputs } = carried;
            if input.is(frame.stream) {
                match frame.kind {
                    Kind::Data => input.push(&frame.payload, link),
                    Kind::End => input.end(link),
                    Kind::Credit => {}
                }
                return;
            }
            if let Some(output) = outputs.iter_mut().find(|it| it.is(frame.stream)) {
                output.credited(frame.credited());
                return;
            }
        }
    }

    fn perform(&mut self, message: HostMessage, log: &mut Log) {
        match message {
            HostMessage::Signal { command, signal } => self.signal(command, signal, log),
            HostMessage::Stop { grace_ms } => {
                self.stop(grace_ms.map(Duration::from_millis), log);
            }
            HostMessage::Restart => self.restart(log),
            HostMessage::Run {
                command,
                argv,
                env,
                terminal,
            } => self.command(
                command,
                Task::Run {
                    argv,
                    env,
                    terminal,
                },
            ),
            HostMessage::WindowSize {
                command,
                columns,
                rows,
            } => {
                if let Some(command) = self.commands.get(&command) {
                    command.carried.set_size(columns, rows);
                }
            }
            HostMessage::Pack { command, path } => self.command(command, Task::Pack { path }),
            HostMessage::Unpack { command, path } => self.command(command, Task::Unpack { path }),
            HostMessage::Update { command, remove } => {
                self.command(command, Task::Update { remove })
            }
            HostMessage::Stats => {
                let stats = stats::now(&self.groups);
                self.say(&MachineMessage::Stats(stats));
            }
            HostMessage::Time { unix_ns } => self.set_time(unix_ns),
            // Only at the end.
            HostMessage::Goodbye => {}
        }
    }

    /// One that has ended needs none any more.
    pub(super) fn signal(&mut self, command: u32, number: i32, log: &mut Log) {
        let Some(signal) = Signal::from_named_raw(number) else {
            let text = format!("there is no signal {number}");
            self.say(&MachineMessage::Note { text });
            return;
        };
        let is_for_the_end = command == APPLICATION && FOR_THE_END.contains(&signal);
        if is_for_the_end {
            self.application.wants_no_other_run();
        }
        let process = match command {
            APPLICATION => self.application.process(),
            _ => self.commands.get(&command).and_then(Command::process),
        };
        let Some(process) = process else {
            // Between two of its runs nobody hears the signal.
            if is_for_the_end {
                self.stop(None, log);
            }
            return;
        };
        // It leads its job, whose number is its own until it is reaped, which it is not.
        let _ = match FOR_THE_JOB.contains(&signal) {
            true => kill_process_group(process.pid, signal),
            false => pidfd_send_signal(&process.pidfd, signal),
        };
    }

    fn set_time(&mut self, unix_ns: u64) {
        let time = Duration::from_nanos(unix_ns);
        let Ok(time) = Timespec::try_from(time) else {
            return;
        };
        if let Err(errno) = clock_settime(ClockId::Realtime, time) {
            let text = format!("cannot set the time: {}", OsError(errno));
            self.say(&MachineMessage::Note { text });
        }
    }
}
