//! The loop: waits for events, and has each of them handled.

mod commands;
mod stopping;
mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nodeos_sys::signals::{self, SignalFd};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, OFlags};
use rustix::io::Errno;
use rustix::pipe::{self, PipeFlags};
use rustix::process::{self, Pid, Uid, WaitOptions};
use thiserror::Error;

use crate::clients::{Clients, ListenError};
use crate::config::{self, Problem};
use crate::ending::Ending;
use crate::events::{self, Event, StreamId, Watched};
use crate::journal;
use crate::launch::{self, Program};
use crate::logs::Logs;
use crate::paths::Paths;
use crate::sentence::sentence;
use crate::supervisor::stopping::Stopping;
use crate::unit::{Unit, UnitId};

/// How much of a service's output is taken at a time, so that a loud one does not keep the others waiting. It is what a
/// pipe holds.
const AT_ONCE: usize = 64 << 10;

/// This program's file (proc_pid_exe(5)).
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Why palmtree does not run. What goes wrong later is in its log.
#[derive(Debug, Error)]
pub enum SuperviseError {
    #[error("cannot receive signals")]
    Signals { source: io::Error },
    #[error("cannot wait for events")]
    Wait { source: io::Error },
    /// There is another palmtree in this session.
    #[error(transparent)]
    AlreadyThere(ListenError),
}

/// Everything that this palmtree knows.
struct Supervisor<'a> {
    paths: &'a Paths,
    uid: Uid,
    logs: Logs,
    clients: Clients,
    /// In the file's order.
    units: Vec<Unit>,
    streams: BTreeMap<StreamId, Stream>,
    /// What is wrong with the file, as it was read the last time.
    problems: Vec<Problem>,
    /// The home's own program, while it runs.
    init: Option<Pid>,
    stopping: Option<Stopping>,
    last_id: u64,
}

/// The end of a pipe that a service writes into, and where that goes.
struct Stream {
    reader: OwnedFd,
    log: PathBuf,
}

/// Runs until the session is asked to end, and has ended.
pub fn run(paths: &Paths) -> Result<(), SuperviseError> {
    let failed = |errno: Errno| SuperviseError::Signals {
        source: errno.into(),
    };
    signals::block_all().map_err(failed)?;
    let signals = SignalFd::new().map_err(failed)?;
    // PID 1 is given the orphans anyway; elsewhere they have to be asked for.
    let _ = process::set_child_subreaper(Some(process::getpid()));

    let mut supervisor = Supervisor::new(paths)?;
    supervisor.run_init();
    supervisor.load();
    while !supervisor.is_over() {
        let timeout = supervisor
            .deadline()
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let events = events::wait(&signals, &supervisor.watched(), timeout).map_err(|errno| {
            SuperviseError::Wait {
                source: errno.into(),
            }
        })?;
        for event in events {
            supervisor.handle(event);
        }
        supervisor.attend();
    }
    supervisor.finish();
    Ok(())
}

impl<'a> Supervisor<'a> {
    fn new(paths: &'a Paths) -> Result<Supervisor<'a>, SuperviseError> {
        let mut logs = Logs::default();
        let clients = match Clients::listen(&paths.socket) {
            Ok(clients) => clients,
            Err(error @ ListenError::AlreadyThere { .. }) => {
                return Err(SuperviseError::AlreadyThere(error));
            }
            // Services without svc are better than none.
            Err(error) => {
                let line = journal::line(format_args!("{}", sentence(&error)));
                logs.append(&paths.journal(), line.as_bytes());
                Clients::none()
            }
        };
        Ok(Supervisor {
            paths,
            uid: process::geteuid(),
            logs,
            clients,
            units: Vec::new(),
            streams: BTreeMap::new(),
            problems: Vec::new(),
            init: None,
            stopping: None,
            last_id: 0,
        })
    }

    fn say(&mut self, sentence: fmt::Arguments<'_>) {
        self.write(&self.paths.journal(), journal::line(sentence).as_bytes());
    }

    /// Writes to a log, and tells those who follow it. What root's own program says is the machine's business, so that goes
    /// to the console, too, which is standard error in root's session.
    fn write(&mut self, log: &Path, bytes: &[u8]) {
        if self.uid.is_root() && log == self.paths.log_of("init") {
            let _ = io::stderr().write_all(bytes);
        }
        self.logs.append(log, bytes);
        self.clients.tell(log, bytes);
    }

    /// Starts the home's own program, if it has one. The services do not wait for it.
    fn run_init(&mut self) {
        let path = &self.paths.init;
        let Some(command) = path.to_str().filter(|_| is_of_the_home(path)) else {
            return;
        };
        let program = Program {
            command,
            args: &[],
            env: &BTreeMap::new(),
            cwd: None,
        };
        let log = self.paths.log_of("init");
        let started = self
            .pipe(log.clone())
            .map_err(|source| source.to_string())
            .and_then(|writer| {
                let stderr = writer.try_clone().map_err(|source| source.to_string())?;
                launch::start(
                    self.paths,
                    program,
                    Stdio::from(writer),
                    Stdio::from(stderr),
                )
                .map_err(|error| sentence(&error))
            });
        match started {
            Ok(pid) => self.init = Some(pid),
            Err(why) => self.write(&log, format!("palmtree: {why}\n").as_bytes()),
        }
    }

    /// Reads the file for the first time, and starts what is enabled.
    fn load(&mut self) {
        match config::read(&self.paths.config, self.uid) {
            Ok(config) => {
                self.take_problems(config.problems);
                for service in config.services {
                    self.add(service);
                }
            }
            Err(error) => {
                let mut text = sentence(&error);
                if self.uid.is_root() {
                    // Nobody can log in, then.
                    text.push_str("; to repair it, start the machine with the word single");
                }
                self.take_problems(vec![Problem { name: None, text }]);
            }
        }
    }

    fn take_problems(&mut self, problems: Vec<Problem>) {
        for problem in &problems {
            self.say(format_args!("{}", problem.text));
            // Of root's session that is the console, where people may wait for services that do not come.
            let line = format!("palmtree: {}\r\n", problem.text);
            let _ = io::stderr().write_all(line.as_bytes());
        }
        self.problems = problems;
    }

    fn watched(&self) -> Vec<Watched<'_>> {
        let streams = self
            .streams
            .iter()
            .map(|(id, stream)| (stream.reader.as_fd(), PollFlags::IN, Event::Output(*id)));
        let brokered = self.units.iter().filter_map(|unit| {
            let connection = unit.connection()?;
            Some((connection.as_fd(), PollFlags::IN, Event::Broker(unit.id)))
        });
        self.clients
            .watched()
            .chain(streams)
            .chain(brokered)
            .collect()
    }

    fn deadline(&self) -> Option<Instant> {
        let stopping = self.stopping.as_ref().and_then(Stopping::deadline);
        let units = self.units.iter().filter_map(Unit::deadline);
        units.chain(stopping).min()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::ChildEnded => self.reap(),
            Event::StopRequested => self.begin_to_stop(),
            Event::ReloadRequested => {
                // Whoever sends a signal reads the log.
                let _ = self.reload();
            }
            Event::Connection => self.clients.accept(),
            Event::Command(client) => {
                if let Some(command) = self.clients.receive(client) {
                    self.obey(client, command);
                }
            }
            Event::Writable(client) => self.clients.flush(client),
            Event::Output(stream) => self.take_output(stream),
            Event::Broker(unit) => self.hear_broker(unit),
        }
    }

    /// Takes away every process that has ended.
    fn reap(&mut self) {
        loop {
            match process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if let Some(ending) = Ending::of(status) {
                        self.child_ended(pid, ending);
                    }
                }
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => break,
            }
        }
        self.check_left_behind();
    }

    fn child_ended(&mut self, pid: Pid, ending: Ending) {
        if self.init == Some(pid) {
            self.init = None;
            if !ending.is_success() {
                let path = self.paths.init.display();
                self.say(format_args!("{path} ended with {ending}"));
            }
        } else if let Some(unit) = self.units.iter().find(|unit| unit.is_child(pid)) {
            self.main_process_ended(unit.id, ending);
        }
    }

    /// A pipe whose other end is read into a log.
    fn pipe(&mut self, log: PathBuf) -> io::Result<OwnedFd> {
        let (reader, writer) = pipe::pipe_with(PipeFlags::CLOEXEC)?;
        // Of the two only the reader must not wait: the service's end behaves as programs expect.
        fs::fcntl_setfl(&reader, fs::fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
        if let Err(error) = self.logs.open(&log) {
            self.say(format_args!("{}", sentence(&error)));
        }
        self.last_id += 1;
        self.streams
            .insert(StreamId(self.last_id), Stream { reader, log });
        Ok(writer)
    }

    /// Moves what a service has written into its log.
    fn take_output(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let mut buffer = vec![0; AT_ONCE];
        match rustix::io::read(&stream.reader, &mut buffer) {
            Ok(length @ 1..) => {
                let log = stream.log.clone();
                self.write(&log, &buffer[..length]);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Everybody who could write has ended.
            Ok(_) | Err(_) => {
                let Some(Stream { log, .. }) = self.streams.remove(&id) else {
                    return;
                };
                if !self.streams.values().any(|stream| stream.log == log) {
                    self.logs.close(&log);
                }
            }
        }
    }

    /// Takes what lies in the pipes, for somebody who wants to read it or before it is too late.
    fn take_all_output(&mut self) {
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        for id in ids {
            self.take_output(id);
        }
    }

    fn unit(&mut self, id: UnitId) -> Option<&mut Unit> {
        self.units.iter_mut().find(|unit| unit.id == id)
    }

    /// Does what is due by the clock.
    fn attend(&mut self) {
        let now = Instant::now();
        let due: Vec<UnitId> = self
            .units
            .iter()
            .filter(|unit| unit.deadline().is_some_and(|deadline| deadline <= now))
            .map(|unit| unit.id)
            .collect();
        for id in due {
            self.deadline_passed(id);
        }
        self.go_on_stopping(now);
    }
}

/// How long processes have between TERM and KILL: the original's five seconds.
const GRACE: Duration = Duration::from_secs(5);

/// Whether a file is the home's own. In a home without one, what the system image has in its place is seen: a file as much of the
/// image as this program is, which an overlay shows as of another device than those of the home.
fn is_of_the_home(path: &Path) -> bool {
    let device = |path: &Path| path.metadata().map(|found| found.dev()).ok();
    let found = device(path);
    found.is_some() && found != device(Path::new(OWN_PROGRAM))
}
