//! What happens to a service: it is started, ends, is waited for, and started again.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nodeos_spec::broker::Reply;
use nodeos_spec::control::Answer;
use nodeos_spec::service::{Output, Service};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::Signal;

use super::{GRACE, Supervisor};
use crate::broker::{self, Connection, Received};
use crate::clock;
use crate::ending::Ending;
use crate::launch::{self, Program};
use crate::reload::Change;
use crate::restart::{self, Decision};
use crate::sentence::sentence;
use crate::unit::{Awaited, Goal, Handle, Phase, Unit, UnitId};

impl Unit {
    pub(super) fn connection(&self) -> Option<&Connection> {
        match self.handle()? {
            Handle::Brokered(connection, _) => Some(connection),
            Handle::Child(_) => None,
        }
    }
}

impl Supervisor<'_> {
    /// Takes a service in, and starts it when it is to run by itself.
    pub(super) fn add(&mut self, service: Service) {
        self.last_id += 1;
        let id = UnitId(self.last_id);
        let enabled = service.enabled;
        self.units.push(Unit::new(id, service, Instant::now()));
        if enabled {
            self.start(id);
        }
    }

    /// Does what has changed in the file.
    pub(super) fn change(&mut self, change: Change) {
        let named = |supervisor: &Self, name: &str| {
            let unit = supervisor
                .units
                .iter()
                .find(|unit| unit.service.name == name && unit.goal != Goal::Gone)?;
            let newest = unit.replacement.as_ref().unwrap_or(&unit.service);
            Some((unit.id, newest.enabled, unit.goal))
        };
        match change {
            Change::Added(service) => self.add(service),
            Change::Removed(name) => {
                if let Some((id, ..)) = named(self, &name) {
                    self.end(id, Goal::Gone);
                }
            }
            Change::Changed(service) => {
                let Some((id, was_enabled, goal)) = named(self, &service.name) else {
                    return;
                };
                let was_up = matches!(goal, Goal::Up | Goal::Again);
                let is_up = if service.enabled == was_enabled {
                    was_up
                } else {
                    service.enabled
                };
                if let Some(unit) = self.unit(id) {
                    unit.replacement = Some(service);
                }
                if is_up {
                    self.restart(id);
                } else {
                    self.end(id, Goal::Down);
                }
            }
        }
    }

    /// Starts a service that does not run.
    pub(super) fn start(&mut self, id: UnitId) {
        let Some(unit) = self.unit(id) else { return };
        unit.goal = Goal::Up;
        let service = unit.service.clone();
        match self.launch(&service) {
            Ok(handle) => {
                let Some(unit) = self.unit(id) else { return };
                // The broker's word that it runs is still to come.
                let runs = matches!(handle, Handle::Child(_));
                unit.enter(Phase::Running { handle }, Instant::now());
                if runs {
                    self.answer(id);
                }
            }
            Err(why) => self.ended(id, Ending::NotStarted(why), Duration::ZERO),
        }
    }

    fn launch(&mut self, service: &Service) -> Result<Handle, String> {
        let [stdout, stderr] = self.outputs(service)?;
        if !service.capabilities.is_empty() {
            return broker::start(&self.paths.broker, service, stdout.as_fd(), stderr.as_fd())
                .map(|connection| Handle::Brokered(connection, None))
                .map_err(|error| sentence(&error));
        }
        let program = Program {
            command: &service.command,
            args: &service.args,
            env: &service.env,
            cwd: service.cwd.as_deref(),
        };
        launch::start(
            self.paths,
            program,
            Stdio::from(stdout),
            Stdio::from(stderr),
        )
        .map(Handle::Child)
        .map_err(|error| sentence(&error))
    }

    /// Standard output and standard error. Both into the same log are one pipe, so that their order is kept.
    fn outputs(&mut self, service: &Service) -> Result<[OwnedFd; 2], String> {
        let [stdout, stderr] = self.targets(service);
        let same = stdout.is_ok() && stdout == stderr;
        let stdout = self.output(stdout)?;
        let stderr = if same {
            stdout.try_clone().map_err(|error| error.to_string())?
        } else {
            self.output(stderr)?
        };
        Ok([stdout, stderr])
    }

    /// The logs of a service, or what it has instead.
    fn targets<'s>(&self, service: &'s Service) -> [Result<PathBuf, &'s Output>; 2] {
        [&service.stdout, &service.stderr].map(|output| match output {
            Output::Log => Ok(self.paths.log_of(&service.name)),
            Output::File(path) => Ok(PathBuf::from(path)),
            other => Err(other),
        })
    }

    /// The logs that a service writes into, each once.
    pub(super) fn logs_of(&self, service: &Service) -> Vec<PathBuf> {
        let mut logs: Vec<PathBuf> = self.targets(service).into_iter().flatten().collect();
        logs.dedup();
        logs
    }

    fn output(&mut self, target: Result<PathBuf, &Output>) -> Result<OwnedFd, String> {
        let opened = match target {
            Ok(log) => self.pipe(log),
            Err(Output::Inherit) => rustix::stdio::stdout().try_clone_to_owned(),
            Err(_) => std::fs::File::options()
                .write(true)
                .open("/dev/null")
                .map(OwnedFd::from),
        };
        opened.map_err(|error| format!("cannot open its output: {}", sentence(&error)))
    }

    /// Tells a service to end, and what is to follow. One that does not run is there already.
    pub(super) fn end(&mut self, id: UnitId, goal: Goal) {
        let Some(unit) = self.unit(id) else { return };
        unit.goal = goal;
        let now = Instant::now();
        match std::mem::replace(&mut unit.phase, Phase::Stopped) {
            Phase::Running { handle } => {
                handle.signal(Signal::TERM);
                // Who is stopped (by STOP) is woken up to hear it.
                handle.signal(Signal::CONT);
                unit.phase = Phase::Ending {
                    handle,
                    deadline: now + GRACE,
                    killed: false,
                    ended: None,
                };
            }
            phase @ Phase::Ending { .. } => unit.phase = phase,
            Phase::Waiting { .. } => {
                unit.since = now;
                self.settle(id);
            }
            phase @ (Phase::Stopped | Phase::Failed) => {
                unit.phase = phase;
                self.settle(id);
            }
        }
    }

    /// Ends a service if it runs, and starts it.
    pub(super) fn restart(&mut self, id: UnitId) {
        let Some(unit) = self.unit(id) else { return };
        unit.early = 0;
        self.end(id, Goal::Again);
    }

    /// The process that a service was started as has ended.
    pub(super) fn main_process_ended(&mut self, id: UnitId, ending: Ending) {
        let Some(unit) = self.unit(id) else { return };
        let now = Instant::now();
        let lived = now.saturating_duration_since(unit.since);
        match std::mem::replace(&mut unit.phase, Phase::Stopped) {
            Phase::Running { handle } => {
                handle.signal_left_behind(Signal::TERM);
                unit.phase = Phase::Ending {
                    handle,
                    deadline: now + GRACE,
                    killed: false,
                    ended: Some((ending, lived)),
                };
            }
            Phase::Ending {
                handle,
                deadline,
                killed,
                ..
            } => {
                unit.phase = Phase::Ending {
                    handle,
                    deadline,
                    killed,
                    ended: Some((ending, lived)),
                };
            }
            phase => unit.phase = phase,
        }
    }

    /// Services whose main process has ended have ended when nobody else of them is left.
    pub(super) fn check_left_behind(&mut self) {
        let mut over = Vec::new();
        for unit in &self.units {
            if let Phase::Ending {
                handle,
                ended: Some((ending, lived)),
                ..
            } = &unit.phase
                && !handle.has_left_behind()
            {
                over.push((unit.id, ending.clone(), *lived));
            }
        }
        for (id, ending, lived) in over {
            self.ended(id, ending, lived);
        }
    }

    /// A service has ended altogether, or could not be started.
    fn ended(&mut self, id: UnitId, ending: Ending, lived: Duration) {
        let now = Instant::now();
        let Some(unit) = self.unit(id) else { return };
        let name = unit.service.name.clone();
        unit.last = Some(ending.clone());
        unit.enter(Phase::Stopped, now);
        let what = match &ending {
            Ending::NotStarted(why) => format!("cannot start {name}: {why}"),
            _ => format!("{name} ended with {ending} after {}", clock::span(lived)),
        };
        if unit.goal != Goal::Up {
            self.say(format_args!("{what}"));
            self.settle(id);
            return;
        }
        match restart::decide(&unit.service, &ending, lived, &mut unit.early) {
            Decision::After(delay) => {
                unit.restarts += 1;
                unit.phase = Phase::Waiting { until: now + delay };
                self.say(format_args!("{what}; next try in {}", clock::span(delay)));
            }
            Decision::Stopped => {
                unit.goal = Goal::Down;
                self.say(format_args!("{what}"));
            }
            Decision::Failed => {
                unit.goal = Goal::Down;
                unit.phase = Phase::Failed;
                self.say(format_args!("{what}"));
            }
        }
        self.answer(id);
    }

    /// A service does not run, and its goal says what follows.
    fn settle(&mut self, id: UnitId) {
        let Some(unit) = self.unit(id) else { return };
        if let Some(service) = unit.replacement.take() {
            unit.service = service;
        }
        match unit.goal {
            Goal::Again => self.start(id),
            Goal::Gone => {
                self.answer(id);
                self.units.retain(|unit| unit.id != id);
            }
            Goal::Up | Goal::Down => self.answer(id),
        }
    }

    /// Tells those who wait for a service what has become of it.
    pub(super) fn answer(&mut self, id: UnitId) {
        let Some(unit) = self.unit(id) else { return };
        let name = &unit.service.name;
        let runs = matches!(unit.phase, Phase::Running { .. });
        let failed = |message: String| Answer::Failed { message };
        let to_running = match (&unit.phase, &unit.last) {
            (Phase::Running { .. }, _) => Answer::Done,
            (_, Some(Ending::NotStarted(why))) => failed(format!("cannot start {name}: {why}")),
            (_, Some(ending)) => failed(format!("{name} ended with {ending}")),
            (_, None) => failed(format!("{name} was stopped before it ran")),
        };
        let to_stopped = if runs {
            failed(format!("{name} was started again meanwhile"))
        } else {
            Answer::Done
        };
        for (client, awaited) in std::mem::take(&mut unit.waiting) {
            let answer = match awaited {
                Awaited::Running => &to_running,
                Awaited::Stopped => &to_stopped,
            };
            self.clients.send(client, answer);
        }
    }

    pub(super) fn deadline_passed(&mut self, id: UnitId) {
        let now = Instant::now();
        let Some(unit) = self.unit(id) else { return };
        let name = unit.service.name.clone();
        match &mut unit.phase {
            Phase::Waiting { .. } => self.start(id),
            Phase::Ending {
                handle,
                deadline,
                killed: killed @ false,
                ended,
            } => {
                match ended {
                    None => handle.signal(Signal::KILL),
                    Some(_) => handle.signal_left_behind(Signal::KILL),
                }
                *killed = true;
                *deadline = now + GRACE;
                let grace = clock::span(GRACE);
                self.say(format_args!("{name} did not stop within {grace}: KILL"));
            }
            Phase::Ending {
                ended: Some((ending, lived)),
                ..
            } => {
                let (ending, lived) = (ending.clone(), *lived);
                self.say(format_args!("{name} has left processes that do not end"));
                self.ended(id, ending, lived);
            }
            _ => {}
        }
    }

    /// Reads what the broker has to say about a service.
    pub(super) fn hear_broker(&mut self, id: UnitId) {
        let Some(received) = self
            .unit(id)
            .and_then(|unit| unit.connection().map(Connection::receive))
        else {
            return;
        };
        let ending = match received {
            Received::Nothing => return,
            Received::Reply(Reply::Started { pid }) => {
                let Some(unit) = self.unit(id) else { return };
                if let Phase::Running { handle } | Phase::Ending { handle, .. } = &mut unit.phase
                    && let Handle::Brokered(_, known) = handle
                {
                    *known = Some(pid);
                }
                if matches!(unit.phase, Phase::Running { .. }) {
                    self.answer(id);
                }
                return;
            }
            Received::Reply(Reply::Exited { code, signal, .. }) => match signal {
                Some(signal) => Ending::Signal(signal),
                None => Ending::Code(code.unwrap_or_default()),
            },
            Received::Reply(Reply::Failed { message }) => {
                // Once it runs, only a signal can have failed, which it may not have lived to get.
                if self
                    .unit(id)
                    .is_some_and(|unit| matches!(unit.handle(), Some(Handle::Brokered(_, Some(_)))))
                {
                    return;
                }
                Ending::NotStarted(message)
            }
            Received::Reply(_) => return,
            Received::Closed => {
                Ending::NotStarted("the session broker has closed the connection".to_owned())
            }
        };
        self.main_process_ended(id, ending);
        self.check_left_behind();
    }
}
