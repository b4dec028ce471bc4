//! The application's life: started, ended, started again or not.

use std::time::{Duration, Instant};

use nodeos_sandbox::log::{Log, sentence};
use nodeos_sandbox::process::{Program, Running};
use nodeos_spec::application::frame::STREAMS;
use nodeos_spec::application::message::{End, MachineMessage};
use nodeos_sys::error::OsError;
use rustix::process::{Pid, Signal, pidfd_send_signal};

use crate::cgroup::Group;
use crate::compilers::Compilers;
use crate::launch::{LaunchError, Ours, Theirs};
use crate::link::Host;
use crate::ready::Watch;
use crate::restart;
use crate::streams::Carried;
use crate::view::Follows;
use crate::words;

use super::{KILL_PATIENCE, Supervisor};

/// Everything about it that changes.
#[derive(Debug, Default)]
pub(crate) struct Application {
    life: Life,
    group: Option<Group>,
    /// Kept from one run to the next: to the host they are the same streams.
    pub(super) carried: Option<Carried>,
    pub(super) ready: Ready,
    /// While they wait.
    compilers: Option<Compilers>,
    wish: Wish,
    /// How often it has ended early without a longer life in between.
    early: u32,
    /// Of all that have been killed for lack of memory, those before this run.
    kills_before: u64,
}

#[derive(Debug, Default)]
enum Life {
    #[default]
    NotYet,
    Running {
        process: Running,
        since: Instant,
        /// It was told to end, and is made to then.
        kill_at: Option<Instant>,
    },
    /// It has ended, and what it has written is on its way. After `until` nobody is left who could write more.
    Ended {
        how: End,
        lived: Duration,
        until: Instant,
    },
    /// It has ended as `last` says, and is started again.
    Waiting { until: Instant, last: Ended },
    /// It has ended as `last` says, and whoever follows changes decides when it is started again.
    Resting { last: Ended },
    /// It is not started again; `last` is what the host hears when the commands have ended, too, at the latest at `until`.
    Over {
        until: Instant,
        last: MachineMessage,
    },
}

/// How a run of it ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    how: End,
    out_of_memory: bool,
    memory_peak: u64,
    memory_limit: u64,
}

/// What somebody wants to happen when it has ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// What the spec says.
    #[default]
    None,
    Again,
    NotAgain,
}

/// Whether something listens on the first port.
#[derive(Debug, Default)]
pub(super) enum Ready {
    #[default]
    NeverMind,
    Awaited(Watch),
    Since(u16),
}

impl Application {
    pub(super) fn is(&self, pid: Pid) -> bool {
        matches!(&self.life, Life::Running { process, .. } if process.pid == pid)
    }

    pub(super) fn process(&self) -> Option<&Running> {
        match &self.life {
            Life::Running { process, .. } => Some(process),
            _ => None,
        }
    }

    /// Somebody has asked it to end: that it does is not to be undone.
    pub(super) fn wants_no_other_run(&mut self) {
        self.wish = Wish::NotAgain;
    }

    /// When [`Supervisor::advance`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.life {
            Life::Running { kill_at, .. } => {
                let look = match &self.ready {
                    Ready::Awaited(watch) => Some(watch.next_look),
                    _ => None,
                };
                let compilers = self.compilers.as_ref().map(|compilers| compilers.until);
                kill_at.iter().copied().chain(look).chain(compilers).min()
            }
            // Its streams end of themselves, but for those that somebody outside has got hold of.
            Life::Ended { until, .. } => (*until > Instant::now()).then_some(*until),
            Life::Waiting { until, .. } | Life::Over { until, .. } => Some(*until),
            Life::NotYet | Life::Resting { .. } => None,
        }
    }
}

impl Supervisor {
    /// Starts it. What fails is said, and ends the machine.
    pub(super) fn start(&mut self, log: &mut Log) {
        self.application.wish = Wish::None;
        self.application.kills_before = self.groups.out_of_memory_kills();
        match self.try_start() {
            Ok(process) => {
                let port = self.spec.ports.first();
                self.application.compilers =
                    port.and_then(|_| Compilers::hold(process.pid, self.boot));
                self.application.ready =
                    port.map_or(Ready::NeverMind, |port| Ready::Awaited(Watch::new(*port)));
                self.application.life = Life::Running {
                    process,
                    since: Instant::now(),
                    kill_at: None,
                };
                self.say(&MachineMessage::Started);
            }
            Err(error) => {
                let reason = sentence(&error);
                log.say(&reason);
                self.finish(MachineMessage::NotStarted { reason });
            }
        }
    }

    fn try_start(&mut self) -> Result<Running, LaunchError> {
        let (ours, theirs) = match self.link {
            Some(_) => self.launcher.pipes()?,
            None => (Ours::Console, Theirs::Console),
        };
        let carried = Carried::new(STREAMS, ours).map_err(|errno| LaunchError::Streams {
            source: OsError(errno),
        })?;
        let group = match self.application.group.take() {
            Some(group) => group,
            None => self.groups.make("main")?,
        };
        let argv = &self.spec.argv;
        let program = Program {
            path: argv.first().map(Into::into).unwrap_or_default(),
            name: None,
            args: argv.iter().skip(1).map(Into::into).collect(),
            env: super::commands::as_os(&self.environment),
            dir: self.spec.cwd.clone().into(),
            otherwise: None,
        };
        let process = self.launcher.program(&group, &program, &theirs)?;
        self.application.group = Some(group);
        match (&mut self.application.carried, &mut self.link) {
            (Some(known), Some(link)) => known.renew(carried, link),
            (known, _) => *known = Some(carried),
        }
        Ok(process)
    }

    /// Its first process has ended. Whoever else is there of it goes with it.
    pub(super) fn application_ended(&mut self, how: End) {
        let Life::Running { since, .. } = &self.application.life else {
            return;
        };
        let now = Instant::now();
        self.application.life = Life::Ended {
            how,
            lived: now - *since,
            until: now + KILL_PATIENCE,
        };
        self.application.ready = Ready::NeverMind;
        self.application.compilers = None;
        self.kill_application();
    }

    /// Tells it to end and the machine with it. Who has been stopped (STOP) is woken up to hear it.
    pub(super) fn stop(&mut self, grace: Option<Duration>, log: &mut Log) {
        log.note("the application is to stop");
        self.end_it(Wish::NotAgain, grace);
        self.tell_to_end();
    }

    /// Somebody else has told it to end. Once more would be a second signal, at which many programs do not wait any longer.
    pub(super) fn be_stopped(&mut self, log: &mut Log) {
        log.note("the machine is to stop");
        self.end_it(Wish::NotAgain, None);
    }

    pub(super) fn restart(&mut self, log: &mut Log) {
        log.note("the application is to be started anew");
        self.end_it(Wish::Again, None);
        self.tell_to_end();
    }

    fn tell_to_end(&self) {
        if let Life::Running { process, .. } = &self.application.life {
            for signal in [Signal::TERM, Signal::CONT] {
                // If it has ended meanwhile that is what was wanted.
                let _ = pidfd_send_signal(&process.pidfd, signal);
            }
        }
    }

    /// From now on it has its grace period.
    fn end_it(&mut self, wish: Wish, grace: Option<Duration>) {
        // Who wants it to stop has the last word.
        if self.application.wish != Wish::NotAgain {
            self.application.wish = wish;
        }
        let now = Instant::now();
        match &mut self.application.life {
            Life::Running { kill_at, .. } => {
                let at = now + grace.unwrap_or(self.spec.stop_grace);
                *kill_at = Some(kill_at.map_or(at, |known| known.min(at)));
            }
            Life::Waiting { until, .. } => *until = now,
            Life::NotYet | Life::Ended { .. } | Life::Resting { .. } | Life::Over { .. } => {}
        }
    }

    fn kill_application(&self) {
        if let Some(group) = &self.application.group {
            group.kill();
        }
    }

    /// Does what it is time for. True when the machine is to end, and the host has been told all.
    pub(super) fn advance(&mut self, log: &mut Log) -> bool {
        let now = Instant::now();
        self.finish_commands();
        let compilers = &mut self.application.compilers;
        compilers.take_if(|compilers| compilers.until <= now);
        match &mut self.application.life {
            Life::NotYet => {}
            Life::Running { kill_at, .. } => {
                if kill_at.is_some_and(|at| at <= now) {
                    *kill_at = None;
                    self.kill_application();
                }
                self.look_whether_ready(now);
            }
            Life::Ended { how, lived, until } => {
                let (how, lived, has_waited) = (*how, *lived, *until <= now);
                if self.has_written_all(has_waited) {
                    self.decide(how, lived, log);
                    return self.advance(log);
                }
            }
            Life::Waiting { until, last } if *until <= now => {
                let last = *last;
                self.go_on(last, log);
                return self.advance(log);
            }
            Life::Resting { last } if self.application.wish != Wish::None => {
                let last = *last;
                self.go_on(last, log);
                return self.advance(log);
            }
            Life::Waiting { .. } | Life::Resting { .. } => {}
            Life::Over { until, last } => {
                if self.commands.is_empty() || *until <= now {
                    let last = last.clone();
                    if let (Some(carried), Some(link)) =
                        (&mut self.application.carried, &mut self.link)
                    {
                        carried.end(link);
                    }
                    self.say(&last);
                    return true;
                }
            }
        }
        false
    }

    fn look_whether_ready(&mut self, now: Instant) {
        let Application {
            ready, compilers, ..
        } = &mut self.application;
        let Ready::Awaited(watch) = ready else {
            return;
        };
        if watch.next_look > now {
            return;
        }
        if watch.look() {
            let port = watch.port;
            *ready = Ready::Since(port);
            compilers.iter_mut().for_each(Compilers::begin_to_end);
            self.say(&MachineMessage::Ready { port });
        } else {
            compilers.iter_mut().for_each(Compilers::look);
        }
    }

    /// Whether everything that it wrote is on its way to the host.
    fn has_written_all(&mut self, has_waited: bool) -> bool {
        let (Some(carried), Some(link)) = (&mut self.application.carried, &mut self.link) else {
            return true;
        };
        if has_waited && link.host == Host::Awaited {
            // Nobody is to come for it.
            carried.let_go();
        } else if has_waited {
            carried.expect_no_more();
            for output in &mut carried.outputs {
                if output.interest(link).is_some() {
                    output.read(link, &mut self.buffer);
                }
            }
        }
        carried.is_over()
    }

    /// Starts it again, unless somebody wants it to stop.
    fn go_on(&mut self, last: Ended, log: &mut Log) {
        match self.application.wish {
            Wish::NotAgain => self.finish(last.told(None)),
            Wish::None | Wish::Again => self.start(log),
        }
    }

    fn decide(&mut self, how: End, lived: Duration, log: &mut Log) {
        let application = &mut self.application;
        let again = match application.wish {
            Wish::NotAgain => None,
            Wish::Again => Some(Duration::ZERO),
            Wish::None => restart::after(self.spec.restart, how, lived, &mut application.early),
        };
        let last = Ended {
            how,
            out_of_memory: self.groups.out_of_memory_kills() > application.kills_before,
            memory_peak: self.groups.memory_peak(),
            memory_limit: self.groups.limits.memory,
        };
        // Without a host that hears it the console is the only place where somebody may look for the reason.
        if self.link.is_none()
            && application.wish == Wish::None
            && let Some(words) = words::of_end(&last.told(again))
        {
            log.say(&words);
        }
        let is_followed = self.follows == Follows::Yes && self.link.is_some();
        match (again, application.wish) {
            (Some(pause), _) => {
                application.life = Life::Waiting {
                    until: Instant::now() + pause,
                    last,
                };
                self.say(&last.told(Some(pause)));
            }
            (None, Wish::None) if is_followed => {
                application.life = Life::Resting { last };
                self.say(&last.told_at_rest());
            }
            (None, _) => self.finish(last.told(None)),
        }
    }

    /// The machine ends with these words, when nobody is left in it.
    fn finish(&mut self, last: MachineMessage) {
        self.groups.kill();
        self.application.life = Life::Over {
            until: Instant::now() + KILL_PATIENCE,
            last,
        };
    }

    pub(super) fn say(&mut self, message: &MachineMessage) {
        if let Some(link) = &mut self.link {
            link.say(message);
        }
    }
}

impl Ended {
    /// With the time after which it is started again.
    fn told(self, again: Option<Duration>) -> MachineMessage {
        let Ended {
            how,
            out_of_memory,
            memory_peak,
            memory_limit,
        } = self;
        MachineMessage::Ended {
            how,
            out_of_memory,
            memory_peak,
            memory_limit,
            again_in_ms: again.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn told_at_rest(self) -> MachineMessage {
        let Ended {
            how,
            out_of_memory,
            memory_peak,
            memory_limit,
        } = self;
        MachineMessage::Rests {
            how,
            out_of_memory,
            memory_peak,
            memory_limit,
        }
    }
}
