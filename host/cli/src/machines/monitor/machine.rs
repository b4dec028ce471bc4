//! The monitor's side of the machine: what it says, what its programs write, and its end.

use nodeos_spec::application::frame::{Frame, Kind, MESSAGES, STREAMS, streams_of};
use nodeos_spec::application::message::{HostMessage, MachineMessage};
use nodeos_vm::frames::{FrameSocket, Received};
use nodeos_vm::process;

use super::client::Role;
use nodeos_build::sentence::sentence;

use super::{Application, Flow, Monitor, OFF_WITHIN, Trouble};
use crate::machines::ending::describe;
use crate::machines::logs::Stream;
use crate::machines::protocol::{Ending, HostStats, MonitorMessage, shortened};
use crate::machines::record::{Pause, now_ms};
use crate::machines::room;

impl Flow {
    /// The client has got so much.
    fn owe(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.owed = self.owed.saturating_add(bytes);
    }

    /// The client has passed so much on.
    pub(super) fn paid(&mut self, bytes: u32) {
        self.owed = self.owed.saturating_sub(bytes);
    }

    /// The client is gone, and will not pass on what it has.
    pub(super) fn forgive(&mut self) -> u32 {
        std::mem::take(&mut self.owed)
    }
}

impl Monitor {
    pub(super) fn accept_machine(&mut self) {
        let Some(Ok((stream, _))) = self.machine_listener.as_ref().map(|at| at.accept()) else {
            return;
        };
        self.machine_listener = None;
        match FrameSocket::new(stream) {
            Ok(mut socket) => {
                self.early.drain(..).for_each(|frame| socket.queue(&frame));
                self.machine = Some(socket);
            }
            Err(error) => self.lose_machine(&error),
        }
    }

    /// Has a frame sent to the machine, now or when it is there.
    pub(super) fn give_machine(&mut self, frame: Frame) {
        match &mut self.machine {
            Some(machine) => machine.queue(&frame),
            None if self.ending.is_none() => self.early.push(frame),
            None => {}
        }
    }

    pub(super) fn say_to_machine(&mut self, message: &HostMessage) {
        self.give_machine(Frame::data(MESSAGES, message.to_line().as_bytes()));
    }

    /// Whether there may be more to read.
    pub(super) fn read_machine(&mut self) -> bool {
        let Some(machine) = &mut self.machine else {
            return false;
        };
        match machine.receive() {
            Ok(Received {
                frames,
                is_over,
                is_dry,
            }) => {
                frames.into_iter().for_each(|frame| self.hear(&frame));
                if is_over {
                    // QEMU closes it when it ends, and is about to.
                    self.machine = None;
                    self.end_within(OFF_WITHIN);
                }
                !is_over && !is_dry
            }
            Err(error) => {
                self.lose_machine(&error);
                false
            }
        }
    }

    fn hear(&mut self, frame: &Frame) {
        self.was_heard = true;
        if frame.stream != MESSAGES {
            self.pass_to_client(frame);
            return;
        }
        match MachineMessage::parse(&frame.payload) {
            Ok(message) => self.learn(message),
            Err(error) => self.note(shortened(format!(
                "the machine says what cannot be understood: {}",
                sentence(&error)
            ))),
        }
    }

    fn learn(&mut self, message: MachineMessage) {
        match message {
            MachineMessage::Started => {
                self.application = Application::default();
                self.record.running_after_ms.get_or_insert(self.age_ms());
                // One that was ready before is another now.
                self.record.ready_after_ms = None;
                self.record.pause = None;
                self.save();
                self.tell(&MonitorMessage::Started);
            }
            MachineMessage::Ready { .. } => {
                let after_ms = self.age_ms();
                if self.record.ready_after_ms.is_none() {
                    self.record.ready_after_ms = Some(after_ms);
                    self.save();
                }
                self.tell(&MonitorMessage::Ready { after_ms });
            }
            // Who asked for it knows.
            MachineMessage::Ended {
                again_in_ms: Some(_),
                ..
            } if self.application.is_to_restart => self.application.is_to_restart = false,
            MachineMessage::Ended {
                how,
                out_of_memory,
                memory_peak,
                memory_limit,
                again_in_ms: Some(delay_ms),
            } => {
                let ending = Ending::Application {
                    how,
                    out_of_memory,
                    memory_peak,
                    memory_limit,
                };
                self.pause(ending, Some(now_ms().saturating_add(delay_ms)));
                let how = describe(how);
                self.note(format!(
                    "the application ended with {how}, and is started again in {delay_ms} ms"
                ));
            }
            MachineMessage::Ended {
                how,
                out_of_memory,
                memory_peak,
                memory_limit,
                again_in_ms: None,
            } => self.application_ended(Ending::Application {
                how,
                out_of_memory,
                memory_peak,
                memory_limit,
            }),
            MachineMessage::Rests {
                how,
                out_of_memory,
                memory_peak,
                memory_limit,
            } => {
                self.application.rests = true;
                let ending = Ending::Application {
                    how,
                    out_of_memory,
                    memory_peak,
                    memory_limit,
                };
                self.pause(ending.clone(), None);
                self.tell(&MonitorMessage::Rests { ending });
                self.stop_if_forgotten();
            }
            MachineMessage::NotStarted { reason } => {
                let reason = shortened(reason);
                self.application_ended(Ending::NotStarted { reason });
            }
            MachineMessage::Note { text } => self.note(shortened(text)),
            MachineMessage::CommandEnded { command, how } => {
                self.command_ended(command, &MonitorMessage::CommandEnded { how });
            }
            MachineMessage::CommandFailed {
                command,
                reason,
                code,
            } => {
                let reason = shortened(reason);
                self.command_ended(command, &MonitorMessage::CommandFailed { reason, code });
            }
            MachineMessage::Stats(machine) => {
                let host = self.host_stats();
                let message = MonitorMessage::Stats { machine, host };
                let clients = self.clients.values_mut();
                clients
                    .filter(|client| client.role == Role::Stats)
                    .for_each(|client| client.say(&message));
            }
        }
    }

    /// It has ended, and is to be started again: at this time, in milliseconds since 1970, or when its files change.
    fn pause(&mut self, ending: Ending, again_ms: Option<u64>) {
        self.record.ready_after_ms = None;
        self.record.pause = Some(Pause { ending, again_ms });
        self.save();
    }

    /// Its last word has come, and all that it wrote: the machine may power off.
    fn application_ended(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
        self.say_to_machine(&HostMessage::Goodbye);
        self.end_within(OFF_WITHIN);
    }

    fn command_ended(&mut self, number: u32, message: &MonitorMessage) {
        let command = self.commands.remove(&number).filter(|_| number > 0);
        let client = command.and_then(|command| command.client);
        if let Some(client) = client.and_then(|id| self.clients.get_mut(&id)) {
            client.say(message);
        }
    }

    fn host_stats(&self) -> HostStats {
        let Some(pid) = self.qemu.as_ref().map(super::Qemu::pid) else {
            return HostStats::default();
        };
        HostStats {
            memory: process::proportional_memory(pid).unwrap_or_default(),
            cpu_seconds: process::cpu_seconds(pid).unwrap_or_default(),
        }
    }

    /// What a program has written, or that it has taken its input.
    fn pass_to_client(&mut self, frame: &Frame) {
        // Streams come in threes, from the application's standard input on.
        let Some(number) = frame.stream.checked_sub(STREAMS.stdin).map(|from| from / 3) else {
            return;
        };
        let streams = streams_of(number);
        if number == 0 && frame.kind == Kind::Data {
            let stream = if frame.stream == streams.stderr {
                Stream::Err
            } else {
                Stream::Out
            };
            self.keep(stream, &frame.payload);
        }
        let Some(command) = self.commands.get_mut(&number) else {
            return;
        };
        let client = command.client.and_then(|id| self.clients.get_mut(&id));
        let (ours, flow) = if frame.stream == streams.stdin {
            (STREAMS.stdin, None)
        } else if frame.stream == streams.stdout {
            (STREAMS.stdout, Some(&mut command.stdout))
        } else {
            (STREAMS.stderr, Some(&mut command.stderr))
        };
        match (client, flow) {
            (Some(client), flow) => {
                if let Some(flow) = flow.filter(|_| frame.kind == Kind::Data) {
                    flow.owe(frame.payload.len());
                }
                client.socket.queue(&Frame {
                    stream: ours,
                    ..frame.clone()
                });
            }
            (None, Some(flow)) if frame.kind == Kind::Data => {
                if let Some(credit) = flow.window.passed_on(frame.payload.len()) {
                    self.give_machine(Frame::credit(frame.stream, credit));
                }
            }
            (None, _) => {}
        }
    }

    /// Keeps it in the log. That it cannot be kept stops nothing, and is told once.
    fn keep(&mut self, stream: Stream, bytes: &[u8]) {
        let Err(error) = self.log.write(now_ms(), stream, bytes) else {
            return;
        };
        if self.record.log_gap.is_some() {
            return;
        }
        let path = self.log.path();
        let mut text = format!(
            "not all that the application writes is kept: cannot write {}: {error}",
            path.display()
        );
        if let Some(hint) = room::hint(&path, &error) {
            text.push_str(&format!("; {hint}"));
        }
        self.record.log_gap = Some(text.clone());
        self.save();
        self.note(text);
    }

    pub(super) fn read_console(&mut self) {
        let Some(qemu) = &mut self.qemu else { return };
        let shown = qemu.read_console();
        if !shown.is_empty() {
            self.show_console(&shown);
        }
    }

    /// QEMU's process is gone. What it said before is heard first.
    pub(super) fn qemu_ended(&mut self) {
        let Some(status) = self.qemu.as_mut().and_then(super::Qemu::status) else {
            return;
        };
        self.accept_machine();
        while self.read_machine() {}
        self.machine = None;
        self.drain_console();
        self.qemu = None;
        self.machine_listener = None;
        self.early.clear();
        let panicked = super::qemu::tail(&self.folder.path).contains("Kernel panic");
        self.qmp = None;
        let reason = match (status.code(), panicked) {
            (_, true) => "the machine's kernel panicked".to_owned(),
            (Some(0), false) => "the machine ended before its application did".to_owned(),
            _ => format!("QEMU ended with {}", crate::foreground::describe(status)),
        };
        self.fail(Trouble::of(reason));
        self.commands_are_lost();
    }

    fn drain_console(&mut self) {
        while let Some(qemu) = &mut self.qemu {
            let shown = qemu.read_console();
            if shown.is_empty() {
                break;
            }
            self.show_console(&shown);
        }
    }

    /// Commands end with their machine, without a word of it.
    fn commands_are_lost(&mut self) {
        let message = MonitorMessage::CommandFailed {
            reason: "the machine has ended".to_owned(),
            code: LOST,
        };
        let numbers: Vec<u32> = self.commands.keys().copied().collect();
        for number in numbers {
            self.command_ended(number, &message);
        }
    }
}

/// The exit code of a command whose machine ended: that of what was killed.
const LOST: u8 = crate::machines::command::KILLED;
