//! The training's machine: QEMU as our child, and the host's end of the port that carries messages and streams.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nodeos_build::context::Context;
use nodeos_spec::application::HOST_SPEC;
use nodeos_spec::application::flow::ReceiveWindow;
use nodeos_spec::application::frame::{Frame, Kind, MESSAGES, PORT, STREAMS, streams_of};
use nodeos_spec::application::message::{HostMessage, MachineMessage};
use nodeos_spec::broker::ParseMessageError;
use nodeos_vm::frames::{FrameSocket, FrameSocketError};
use nodeos_vm::machine::{Channel, HostFile, Machine, SocketEnd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tempfile::TempDir;
use thiserror::Error;

use crate::machines::monitor::qemu;

/// How often the user's wish to stop is looked at.
const TICK: Duration = Duration::from_millis(100);
/// From QEMU's start to its connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(30);
/// How much of what the application writes is kept in the log. One that writes more has said what matters.
const LOG_BYTES: usize = 1 << 20;
/// More than an application's compiled scripts are.
const MAX_ARCHIVE: usize = 512 << 20;

/// Why there is no archive of what was compiled.
#[derive(Debug, Error)]
pub(super) enum TalkToMachineError {
    #[error("the training was stopped")]
    Cancelled,
    #[error("cannot prepare a machine for it")]
    Prepare(#[source] io::Error),
    #[error("cannot start QEMU")]
    Spawn(#[source] io::Error),
    #[error("the machine cannot be talked to")]
    Socket(#[from] FrameSocketError),
    #[error("the machine says what makes no sense")]
    Message(#[from] ParseMessageError),
    #[error("cannot wait for the machine")]
    Wait(#[source] io::Error),
    #[error("the machine was not heard of within {} s", .waited.as_secs())]
    Silent { waited: Duration },
    #[error("the machine ended before its time")]
    Over,
    #[error("{reason}")]
    NotStarted { reason: String },
    #[error("the application did not end when it was told to")]
    DoesNotEnd,
    #[error("the machine did not hand over what was compiled")]
    NotHandedOver,
    #[error("Node.js has kept nothing of its first start: {reason}")]
    NothingKept { reason: String },
    #[error("the machine handed over more than {} MiB", MAX_ARCHIVE >> 20)]
    TooMuch,
}

/// A machine that ends when this is dropped, and with this process.
#[derive(Debug)]
pub(super) struct TrainingMachine<'a> {
    context: &'a Context,
    child: Child,
    socket: FrameSocket,
    log: File,
    logged: usize,
    messages: VecDeque<MachineMessage>,
    windows: BTreeMap<u32, ReceiveWindow>,
    /// The stream that is kept, and what has come of it.
    kept: Option<u32>,
    output: Vec<u8>,
    _scratch: TempDir,
}

impl Drop for TrainingMachine<'_> {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl<'a> TrainingMachine<'a> {
    /// Boots it with these orders. What it and its application write goes into the log.
    pub(super) fn start(
        context: &'a Context,
        mut machine: Machine,
        orders: &str,
        log: File,
    ) -> Result<TrainingMachine<'a>, TalkToMachineError> {
        let scratch = tempfile::tempdir().map_err(TalkToMachineError::Prepare)?;
        let (file, socket) = (scratch.path().join("orders"), scratch.path().join("port"));
        fs::write(&file, orders).map_err(TalkToMachineError::Prepare)?;
        let listener = UnixListener::bind(&socket).map_err(TalkToMachineError::Prepare)?;
        machine.files.push(HostFile {
            name: HOST_SPEC.to_owned(),
            path: file,
        });
        machine.channels.push(Channel {
            name: PORT.to_owned(),
            socket,
            qemu: SocketEnd::Connects,
        });
        let mut command = qemu::command(&machine.argv());
        let outputs = log.try_clone().and_then(|out| Ok((out, log.try_clone()?)));
        let (stdout, stderr) = outputs.map_err(TalkToMachineError::Prepare)?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        context.progress.command(&command);
        let mut child = command.spawn().map_err(TalkToMachineError::Spawn)?;
        let connected = connection(context, &child, &listener);
        let socket = match connected {
            Ok(socket) => socket,
            Err(error) => {
                end(&mut child);
                return Err(error);
            }
        };
        let mut started = TrainingMachine {
            context,
            child,
            socket,
            log,
            logged: 0,
            messages: VecDeque::new(),
            windows: BTreeMap::new(),
            kept: None,
            output: Vec::new(),
            _scratch: scratch,
        };
        // Nobody types.
        started.socket.queue(&Frame::end(STREAMS.stdin));
        Ok(started)
    }

    pub(super) fn tell(&mut self, message: &HostMessage) {
        let frame = Frame::data(MESSAGES, message.to_line().as_bytes());
        self.socket.queue(&frame);
    }

    /// From now on what this command writes to its standard output is kept.
    pub(super) fn keep_output_of(&mut self, command: u32) {
        self.kept = Some(streams_of(command).stdout);
    }

    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The next message. None when there is none until then.
    pub(super) fn hear(
        &mut self,
        deadline: Instant,
    ) -> Result<Option<MachineMessage>, TalkToMachineError> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(Some(message));
            }
            if self.context.is_cancelled() {
                return Err(TalkToMachineError::Cancelled);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.send()?;
            let events = PollFlags::IN | self.socket.interest();
            wait(&mut [PollFd::new(&self.socket, events)], left)?;
            let received = self.socket.receive()?;
            for frame in received.frames {
                self.take(frame)?;
            }
            if received.is_over && self.messages.is_empty() {
                return Err(TalkToMachineError::Over);
            }
        }
    }

    fn take(&mut self, frame: Frame) -> Result<(), TalkToMachineError> {
        if frame.kind != Kind::Data {
            return Ok(());
        }
        if frame.stream == MESSAGES {
            self.messages
                .push_back(MachineMessage::parse(&frame.payload)?);
            return Ok(());
        }
        let length = frame.payload.len();
        if self.kept == Some(frame.stream) {
            if self.output.len() + length > MAX_ARCHIVE {
                return Err(TalkToMachineError::TooMuch);
            }
            self.output.extend(&frame.payload);
        } else {
            let count = length.min(LOG_BYTES - self.logged);
            self.logged += count;
            // On a full disk it is not kept.
            let _ = self.log.write_all(&frame.payload[..count]);
        }
        let window = self.windows.entry(frame.stream).or_default();
        if let Some(credit) = window.passed_on(length) {
            self.socket.queue(&Frame::credit(frame.stream, credit));
        }
        Ok(())
    }
}

/// Waits for QEMU to connect, or to end because it dislikes its command line.
fn connection(
    context: &Context,
    child: &Child,
    listener: &UnixListener,
) -> Result<FrameSocket, TalkToMachineError> {
    let pid = Pid::from_child(child);
    let ended: OwnedFd = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|error| TalkToMachineError::Wait(error.into()))?;
    let deadline = Instant::now() + CONNECTED_WITHIN;
    loop {
        if context.is_cancelled() {
            return Err(TalkToMachineError::Cancelled);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let waited = CONNECTED_WITHIN;
            return Err(TalkToMachineError::Silent { waited });
        }
        let mut both = [
            PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN),
        ];
        wait(&mut both, left)?;
        if !both[0].revents().is_empty() {
            let (stream, _) = listener.accept().map_err(TalkToMachineError::Wait)?;
            return Ok(FrameSocket::new(stream)?);
        }
        if !both[1].revents().is_empty() {
            return Err(TalkToMachineError::Over);
        }
    }
}

/// Returns when something has happened, or after a tick.
fn wait(descriptors: &mut [PollFd<'_>], left: Duration) -> Result<(), TalkToMachineError> {
    let time = Timespec::try_from(left.min(TICK)).ok();
    match poll(descriptors, time.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(TalkToMachineError::Wait(error.into())),
    }
}

fn end(child: &mut Child) {
    // An error means that it has ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
