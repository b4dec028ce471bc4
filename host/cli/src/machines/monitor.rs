//! A machine's monitor: the process that owns its QEMU, for as long as that runs. It keeps what the application writes, and
//! passes on what commands and the machine have to say to each other.
//!
//! One loop over sockets, without threads. It waits for nobody: what somebody does not take yet is kept for them, and the
//! windows of the streams (`nodeos_spec::application::flow`) bound how much that can be.

mod client;
mod machine;
pub mod qemu;
mod sleep;
mod sources;
mod volumes;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodeos_build::sentence::sentence;
use nodeos_spec::application::flow::ReceiveWindow;
use nodeos_spec::application::frame::Frame;
use nodeos_spec::application::message::HostMessage;
use nodeos_vm::frames::{FrameSocket, FrameSocketError};
use thiserror::Error;

use crate::machines::logs::LogWriter;
use crate::machines::protocol::{Ending, MonitorMessage};
use crate::machines::record::{Mode, Record, millis, now_ms};
use crate::machines::state::{Folder, StateError};
use crate::machines::{room, sockets};
use client::Client;
use qemu::Qemu;
use sleep::Sleep;
use sources::Signals;
use volumes::Qmp;

/// A machine that has not said a word for so long after its start will not. Booting takes seconds where everything is emulated.
const HEARD_WITHIN: Duration = Duration::from_secs(60);

/// How long a machine may take to power off when its application has ended. It takes a fraction of a second; one that
/// hangs is ended.
const OFF_WITHIN: Duration = Duration::from_secs(10);

/// Notes that are kept for those who come later.
const NOTES: usize = 16;

/// Why there is no monitor.
#[derive(Debug, Error)]
pub enum MonitorError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("there is no machine in {}", .path.display())]
    NoMachine { path: PathBuf },
    #[error("cannot begin")]
    Begin(#[source] io::Error),
    #[error("cannot wait for events")]
    Wait(#[source] io::Error),
}

/// The process's whole state.
#[derive(Debug)]
struct Monitor {
    folder: Folder,
    lock: File,
    record: Record,
    started: Instant,
    signals: Signals,
    listener: UnixListener,
    /// Where QEMU connects; none when it has.
    machine_listener: Option<UnixListener>,
    machine: Option<FrameSocket>,
    /// What is to be said to the machine when QEMU has connected.
    early: Vec<Frame>,
    was_heard: bool,
    qemu: Option<Qemu>,
    /// For a machine with volumes.
    qmp: Option<Qmp>,
    /// Locked for as long as we live.
    volumes: Vec<File>,
    log: LogWriter,
    notes: Vec<String>,
    clients: BTreeMap<u32, Client>,
    next_client: u32,
    /// The application is number 0.
    commands: BTreeMap<u32, Command>,
    next_command: u32,
    application: Application,
    sleep: Sleep,
    /// When QEMU is to be killed, whatever it does.
    kill_at: Option<Instant>,
    /// Why the machine ends, when that is known.
    ending: Option<Ending>,
}

/// Why a machine does not work: the whole sentence, and what the user can do.
#[derive(Debug)]
struct Trouble {
    reason: String,
    hint: Option<String>,
}

impl Trouble {
    /// Where there is nothing to do.
    fn of(reason: String) -> Trouble {
        Trouble { reason, hint: None }
    }
}

/// What is known of the application between two of its runs.
#[derive(Debug, Default)]
struct Application {
    /// It has ended, and somebody is to say when it is started again.
    rests: bool,
    /// Somebody has.
    is_to_restart: bool,
}

/// A program in the machine, and who has its streams.
#[derive(Debug, Default)]
struct Command {
    client: Option<u32>,
    stdin_has_ended: bool,
    stdout: Flow,
    stderr: Flow,
}

/// A stream from the machine.
#[derive(Debug, Default)]
struct Flow {
    /// How many bytes the client has got and not passed on yet.
    owed: u32,
    /// For what no client gets.
    window: ReceiveWindow,
}

/// Watches over the machine in this folder, whose QEMU is started with this command line. The lock of the folder is standard
/// input, and the socket for commands standard output: who started us had both already.
///
/// # Errors
/// [`MonitorError`]. What goes wrong with the machine is told to commands and kept in its folder.
pub fn run(folder: Folder, argv: &[OsString]) -> Result<(), MonitorError> {
    // An error means that we lead a session already.
    let _ = rustix::process::setsid();
    let mut monitor = Monitor::new(folder)?;
    // Who started us waits already, and is to hear also that nothing could be started.
    monitor.accept_client();
    monitor.begin(argv);
    while monitor.ending.is_none() || monitor.qemu.is_some() {
        monitor.step()?;
    }
    monitor.conclude();
    while !monitor.clients.is_empty() {
        monitor.step()?;
    }
    monitor.clean_up();
    Ok(())
}

impl Monitor {
    fn new(folder: Folder) -> Result<Monitor, MonitorError> {
        let begin = MonitorError::Begin;
        let lock = io::stdin().as_fd().try_clone_to_owned().map_err(begin)?;
        let listener = io::stdout().as_fd().try_clone_to_owned().map_err(begin)?;
        let listener = UnixListener::from(listener);
        listener.set_nonblocking(true).map_err(begin)?;
        let record = folder.record()?.ok_or_else(|| MonitorError::NoMachine {
            path: folder.path.clone(),
        })?;
        let log = LogWriter::new(&folder.path);
        Ok(Monitor {
            folder,
            lock: lock.into(),
            record,
            started: Instant::now(),
            signals: Signals::watch().map_err(begin)?,
            listener,
            machine_listener: None,
            machine: None,
            early: Vec::new(),
            was_heard: false,
            qemu: None,
            qmp: None,
            volumes: Vec::new(),
            log,
            notes: Vec::new(),
            clients: BTreeMap::new(),
            next_client: 0,
            commands: BTreeMap::from([(0, Command::default())]),
            next_command: 1,
            application: Application::default(),
            sleep: Sleep::new(),
            kill_at: None,
            ending: None,
        })
    }

    /// Starts the machine. That it does not start is how it ended.
    fn begin(&mut self, argv: &[OsString]) {
        if self.record.mode == Mode::Detached {
            self.end_stdin(0);
        }
        match self.start_qemu(argv) {
            Ok(qemu) => {
                self.record.qemu_pid = Some(qemu.pid());
                self.qemu = Some(qemu);
            }
            Err(trouble) => self.fail(trouble),
        }
        self.record.monitor_pid = Some(std::process::id());
        self.save();
    }

    fn start_qemu(&mut self, argv: &[OsString]) -> Result<Qemu, Trouble> {
        for volume in &self.record.volumes {
            let taken = qemu::take_volume(volume).map_err(Trouble::of)?;
            self.volumes.push(taken);
        }
        let sockets = self.record.sockets.clone();
        let listen = |path| {
            sockets::listen_without_waiting(path).map_err(|error| Trouble {
                reason: sentence(&error),
                hint: error.hint(),
            })
        };
        self.machine_listener = Some(listen(sockets::of_machine(&sockets))?);
        if !self.record.volumes.is_empty() {
            self.qmp = Some(Qmp::new(listen(sockets::of_qemu(&sockets))?));
        }
        Qemu::start(argv, &self.folder.path).map_err(|error| Trouble {
            reason: sentence(&error),
            hint: room::hint(&self.folder.path, &error),
        })
    }

    /// One round: send what there is to send, wait for something to happen, deal with it.
    fn step(&mut self) -> Result<(), MonitorError> {
        self.send();
        if self.is_finished() {
            return Ok(());
        }
        let events = self.wait().map_err(MonitorError::Wait)?;
        for event in events {
            self.handle(event);
        }
        self.look_at_the_clock();
        Ok(())
    }

    /// Nothing is left to wait for.
    fn is_finished(&self) -> bool {
        self.ending.is_some() && self.qemu.is_none() && self.clients.is_empty()
    }

    /// Gives everybody what they take.
    fn send(&mut self) {
        if let Some(machine) = &mut self.machine
            && let Err(error) = machine.send()
        {
            self.lose_machine(&error);
        }
        let is_over = self.record.ended.is_some();
        let gone: Vec<u32> = self
            .clients
            .iter_mut()
            .filter_map(|(id, client)| {
                let has_failed = client.socket.send().is_err();
                // The last word has been said.
                let is_done = is_over && client.socket.unsent() == 0;
                (has_failed || is_done).then_some(*id)
            })
            .collect();
        gone.into_iter().for_each(|id| self.lose_client(id));
    }

    /// Does what is due.
    fn look_at_the_clock(&mut self) {
        if self.sleep.has_been() {
            self.say_to_machine(&HostMessage::Time {
                unix_ns: sleep::unix_ns(),
            });
        }
        let Some(qemu) = &mut self.qemu else { return };
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| now >= at) {
            qemu.kill();
            self.kill_at = None;
            let reason = "the machine did not end in time, and was ended".to_owned();
            self.fail(Trouble::of(reason));
        } else if !self.was_heard && now >= self.started + HEARD_WITHIN {
            qemu.kill();
            self.was_heard = true;
            let seconds = HEARD_WITHIN.as_secs();
            let reason = format!("the machine has not been heard of within {seconds} s");
            self.fail(Trouble::of(reason));
        }
    }

    /// When [`Monitor::look_at_the_clock`] has something to do next.
    fn deadline(&self) -> Option<Instant> {
        let heard = (!self.was_heard).then_some(self.started + HEARD_WITHIN);
        let sleep = Some(self.sleep.next_look());
        let due = [heard, self.kill_at, sleep].into_iter().flatten().min();
        due.filter(|_| self.qemu.is_some())
    }

    /// The machine does not work. The first reason is the one that counts.
    fn fail(&mut self, Trouble { reason, hint }: Trouble) {
        if self.ending.is_none() {
            let tail = qemu::tail(&self.folder.path);
            self.ending = Some(Ending::Failed { reason, tail, hint });
        }
    }

    /// QEMU is gone: says so to everybody, and to whoever comes later.
    fn conclude(&mut self) {
        let ending = self.ending.clone().expect("a machine ends for a reason");
        self.record.end(ending.clone(), now_ms());
        self.save();
        let over = MonitorMessage::Over { ending };
        for client in self.clients.values_mut() {
            client.socket.queue(&over.to_frame());
        }
    }

    /// Leaves of the machine what is to be left of it.
    fn clean_up(&self) {
        // Nobody is there any more to whom a failure could be told; what is left is cleaned up by the next of this name.
        if self.record.mode == Mode::Foreground {
            let _ = self.folder.remove_locked(&self.lock);
        } else {
            sockets::remove(&self.record.sockets);
        }
    }

    /// Keeps what is known of the machine. What cannot be kept is known to us nevertheless.
    fn save(&mut self) {
        if let Err(error) = self.folder.write_record(&self.record) {
            let text = sentence(&error);
            if !self.notes.contains(&text) {
                self.note(text);
            }
        }
    }

    /// Tells those who follow the machine something that stops nothing.
    fn note(&mut self, text: String) {
        self.tell(&MonitorMessage::Note { text: text.clone() });
        if self.notes.len() < NOTES {
            self.notes.push(text);
        }
    }

    /// Tells those who follow the machine.
    fn tell(&mut self, message: &MonitorMessage) {
        let frame = message.to_frame();
        for client in self.clients.values_mut().filter(|client| client.follows()) {
            client.socket.queue(&frame);
        }
    }

    fn lose_machine(&mut self, error: &FrameSocketError) {
        self.machine = None;
        if let Some(qemu) = &mut self.qemu {
            qemu.kill();
        }
        let reason = format!("the machine cannot be talked to: {}", sentence(error));
        self.fail(Trouble::of(reason));
    }

    /// QEMU is killed when its time is over, which can only become less.
    fn end_within(&mut self, time: Duration) {
        let at = Instant::now() + time;
        self.kill_at = Some(self.kill_at.map_or(at, |earlier| earlier.min(at)));
    }

    fn age_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }
}

/// A machine's folder by its path.
pub fn folder(path: &Path) -> Option<Folder> {
    let name = path.file_name()?.to_str()?.parse().ok()?;
    Some(Folder {
        name,
        path: path.to_owned(),
    })
}
