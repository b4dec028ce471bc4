//! The monitor's side of commands: who is connected, what they want, and whose streams they have.

use std::time::Duration;

use nodeos_spec::application::frame::{Frame, Kind, MESSAGES, STREAMS, streams_of};
use nodeos_spec::application::message::HostMessage;
use nodeos_vm::frames::{FrameSocket, Received};
use rustix::process::Signal;

use super::{Command, Monitor, OFF_WITHIN};
use crate::machines::protocol::{CONSOLE, ClientMessage, Ending, MonitorMessage};
use crate::machines::record::{Mode, millis};

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: FrameSocket,
    pub(super) role: Role,
}

/// What a connection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It has not said so yet.
    New,
    /// The application, and maybe its machine's console.
    Owner {
        console: bool,
    },
    Watcher,
    /// The command of this number.
    Command(u32),
    /// Statistics, for which the machine has been asked.
    Stats,
}

impl Client {
    /// Whether it is told what happens to the application.
    pub(super) fn follows(&self) -> bool {
        matches!(self.role, Role::Owner { .. } | Role::Watcher)
    }

    pub(super) fn say(&mut self, message: &MonitorMessage) {
        self.socket.queue(&message.to_frame());
    }
}

impl Monitor {
    pub(super) fn accept_client(&mut self) {
        // Who has gone again before we came is nobody's loss.
        let Ok((stream, _)) = self.listener.accept() else {
            return;
        };
        let Ok(mut socket) = FrameSocket::new(stream) else {
            return;
        };
        if let Some(ended) = &self.record.ended {
            let ending = ended.ending.clone();
            socket.queue(&MonitorMessage::Over { ending }.to_frame());
        }
        let (id, role) = (self.next_client, Role::New);
        self.clients.insert(id, Client { socket, role });
        self.next_client = self.next_client.wrapping_add(1);
        // Who comes before the machine says something is to hear it.
        self.read_client(id);
    }

    pub(super) fn read_client(&mut self, id: u32) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        // Nonsense is not worth more than its end: nobody but commands of ours is there to be told.
        let Received {
            frames, is_over, ..
        } = client.socket.receive().unwrap_or(Received {
            is_over: true,
            ..Received::default()
        });
        for frame in frames {
            if frame.stream != MESSAGES {
                self.pass_to_machine(id, &frame);
            } else if let Ok(message) = serde_json::from_slice(&frame.payload) {
                self.obey(id, message);
            }
        }
        if is_over {
            self.lose_client(id);
        }
    }

    fn obey(&mut self, id: u32, message: ClientMessage) {
        let command = self.command_of(id);
        match message {
            ClientMessage::Attach { console } => self.attach(id, console),
            ClientMessage::Watch => self.follow(id, Role::Watcher),
            ClientMessage::Run {
                argv,
                env,
                terminal,
            } => self.begin_command(id, |command| HostMessage::Run {
                command,
                argv,
                env,
                terminal,
            }),
            ClientMessage::Pack { path } => {
                self.begin_command(id, |command| HostMessage::Pack { command, path });
            }
            ClientMessage::Unpack { path } => {
                self.begin_command(id, |command| HostMessage::Unpack { command, path });
            }
            ClientMessage::Update { remove } => {
                self.begin_command(id, |command| HostMessage::Update { command, remove });
            }
            ClientMessage::Restart => {
                if command == Some(0) {
                    self.application.is_to_restart = true;
                    self.application.rests = false;
                    self.say_to_machine(&HostMessage::Restart);
                }
            }
            ClientMessage::Stats => {
                self.set_role(id, Role::Stats);
                self.say_to_machine(&HostMessage::Stats);
            }
            ClientMessage::Signal { signal } => {
                if let Some(command) = command {
                    self.say_to_machine(&HostMessage::Signal { command, signal });
                }
            }
            ClientMessage::WindowSize { columns, rows } => {
                if let Some(command) = command {
                    self.say_to_machine(&HostMessage::WindowSize {
                        command,
                        columns,
                        rows,
                    });
                }
            }
            ClientMessage::Stop { grace_ms } => self.stop(grace_ms.map(Duration::from_millis)),
            ClientMessage::Kill => self.kill(),
        }
    }

    /// The application's streams are this client's, unless they are another's already.
    fn attach(&mut self, id: u32, console: bool) {
        let application = self.commands.entry(0).or_default();
        if application.client.is_none() {
            application.client = Some(id);
            self.follow(id, Role::Owner { console });
        }
    }

    /// Tells somebody what has happened so far, and what will.
    fn follow(&mut self, id: u32, role: Role) {
        self.set_role(id, role);
        let notes = self.notes.clone();
        let notes = notes.into_iter().map(|text| MonitorMessage::Note { text });
        let started = self
            .record
            .running_after_ms
            .map(|_| MonitorMessage::Started);
        let ready = self
            .record
            .ready_after_ms
            .map(|after_ms| MonitorMessage::Ready { after_ms });
        if let Some(client) = self.clients.get_mut(&id) {
            for message in notes.chain(started).chain(ready) {
                client.say(&message);
            }
        }
    }

    fn set_role(&mut self, id: u32, role: Role) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.role = role;
        }
    }

    fn begin_command(&mut self, id: u32, order: impl FnOnce(u32) -> HostMessage) {
        // One connection, one command.
        if self.clients.get(&id).map(|client| client.role) != Some(Role::New) {
            return;
        }
        let number = self.next_command;
        self.next_command = self.next_command.wrapping_add(1).max(1);
        let command = Command {
            client: Some(id),
            ..Command::default()
        };
        self.commands.insert(number, command);
        self.set_role(id, Role::Command(number));
        self.say_to_machine(&order(number));
    }

    fn command_of(&self, id: u32) -> Option<u32> {
        match self.clients.get(&id)?.role {
            Role::Owner { .. } => Some(0),
            Role::Command(number) => Some(number),
            Role::New | Role::Watcher | Role::Stats => None,
        }
    }

    /// Input of a program, and credit for its output: the numbers of the streams are changed, and nothing else.
    fn pass_to_machine(&mut self, id: u32, frame: &Frame) {
        let Some(number) = self.command_of(id) else {
            return;
        };
        let Some(command) = self.commands.get_mut(&number) else {
            return;
        };
        let streams = streams_of(number);
        let stream = match (frame.stream, frame.kind) {
            (stream, Kind::Data | Kind::End) if stream == STREAMS.stdin => {
                if command.stdin_has_ended {
                    return;
                }
                command.stdin_has_ended = frame.kind == Kind::End;
                streams.stdin
            }
            (stream, Kind::Credit) if stream == STREAMS.stdout => {
                command.stdout.paid(frame.credited());
                streams.stdout
            }
            (stream, Kind::Credit) if stream == STREAMS.stderr => {
                command.stderr.paid(frame.credited());
                streams.stderr
            }
            _ => return,
        };
        self.give_machine(Frame {
            stream,
            ..frame.clone()
        });
    }

    /// A client is gone. A command that it waited for is ended; an application goes on without it.
    pub(super) fn lose_client(&mut self, id: u32) {
        let number = self.command_of(id);
        self.clients.remove(&id);
        let Some(number) = number else { return };
        let Some(command) = self.commands.get_mut(&number) else {
            return;
        };
        command.client = None;
        let streams = streams_of(number);
        let owed = [
            (streams.stdout, command.stdout.forgive()),
            (streams.stderr, command.stderr.forgive()),
        ];
        for (stream, bytes) in owed.into_iter().filter(|(_, bytes)| *bytes > 0) {
            self.give_machine(Frame::credit(stream, bytes));
        }
        self.end_stdin(number);
        if number > 0 {
            let signal = Signal::KILL.as_raw();
            self.say_to_machine(&HostMessage::Signal {
                command: number,
                signal,
            });
        } else if self.record.ended.is_none() && self.record.mode == Mode::Foreground {
            // Nobody has heard its end: it is kept for who asks.
            self.record.mode = Mode::Detached;
            self.save();
            self.stop_if_forgotten();
        }
    }

    /// No more input comes for this program.
    pub(super) fn end_stdin(&mut self, number: u32) {
        if let Some(command) = self.commands.get_mut(&number)
            && !std::mem::replace(&mut command.stdin_has_ended, true)
        {
            self.give_machine(Frame::end(streams_of(number).stdin));
        }
    }

    /// An application at rest without somebody who would start it again is one that has ended.
    pub(super) fn stop_if_forgotten(&mut self) {
        let has_owner = self.commands.get(&0).is_some_and(|it| it.client.is_some());
        if self.application.rests && !has_owner {
            self.stop(None);
        }
    }

    /// Stops the application in good order. One that does not run yet needs none.
    pub(super) fn stop(&mut self, grace: Option<Duration>) {
        if self.record.running_after_ms.is_none() {
            self.kill();
            return;
        }
        if self.ending.is_some() {
            return;
        }
        self.say_to_machine(&HostMessage::Stop {
            grace_ms: grace.map(millis),
        });
        let grace = grace.unwrap_or(Duration::from_millis(self.record.stop_grace_ms));
        self.end_within(grace + OFF_WITHIN);
    }

    /// Ends the machine at once.
    pub(super) fn kill(&mut self) {
        if let Some(qemu) = &mut self.qemu {
            qemu.kill();
        }
        self.ending.get_or_insert(Ending::Killed);
    }

    /// Shows what the console has shown to who wants to see it.
    pub(super) fn show_console(&mut self, bytes: &[u8]) {
        let wants = |client: &&mut Client| client.role == Role::Owner { console: true };
        for client in self.clients.values_mut().filter(wants) {
            client.socket.queue(&Frame::data(CONSOLE, bytes));
        }
    }
}
