//! The end of a session: its services in reverse order, then whoever is left.

use std::time::{Duration, Instant};

use nodeos_sys::signals;
use rustix::io::Errno;
use rustix::process::{self, Pid, Signal, WaitId, WaitIdOptions};

use super::Supervisor;
use crate::unit::{Goal, UnitId};

/// How long the next service waits for the one before it. Not for ever: a slow one must not take from the others the time
/// that they have, since a machine that stops does not wait for ever either.
const STEP: Duration = Duration::from_millis(500);
/// How long those who are no service have, shells and what was left behind. What they do then is the kernel's to end.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// How far the end has come.
#[derive(Debug)]
pub(super) enum Stopping {
    /// The last of these is told next, when it is time or the one before has ended.
    Services {
        left: Vec<UnitId>,
        told: Option<UnitId>,
        next: Instant,
    },
    /// All processes have been told.
    Everybody { deadline: Instant },
}

impl Stopping {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Stopping::Services { left, next, .. } => (!left.is_empty()).then_some(*next),
            Stopping::Everybody { deadline } => Some(*deadline),
        }
    }
}

impl Supervisor<'_> {
    /// From now on nothing is started.
    pub(super) fn begin_to_stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.say(format_args!("the session ends"));
        let left: Vec<UnitId> = self.units.iter().map(|unit| unit.id).collect();
        for id in &left {
            let Some(unit) = self.unit(*id) else { continue };
            // Not yet told, but not to be started again should it end before.
            unit.goal = Goal::Down;
            if unit.handle().is_none() {
                self.end(*id, Goal::Down);
            }
        }
        self.stopping = Some(Stopping::Services {
            left,
            told: None,
            next: Instant::now(),
        });
    }

    pub(super) fn go_on_stopping(&mut self, now: Instant) {
        loop {
            let Some(Stopping::Services { left, told, next }) = &mut self.stopping else {
                return;
            };
            let runs = |id: &UnitId| {
                let unit = self.units.iter().find(|unit| unit.id == *id);
                unit.is_some_and(|unit| unit.handle().is_some())
            };
            if told.as_ref().is_some_and(runs) && now < *next {
                return;
            }
            let Some(id) = left.pop() else {
                break;
            };
            *told = Some(id);
            *next = now + STEP;
            self.end(id, Goal::Down);
        }
        if self.units.iter().all(|unit| unit.handle().is_none()) {
            self.tell_everybody(now);
        }
    }

    fn tell_everybody(&mut self, now: Instant) {
        // Elsewhere than in a session of its own, everybody would be everybody on the machine.
        if process::getpid() == Pid::INIT {
            for signal in [Signal::TERM, Signal::HUP, Signal::CONT] {
                let _ = signals::send_to_all(signal);
            }
        } else if let Some(init) = self.init {
            let _ = process::kill_process_group(init, Signal::TERM);
        }
        self.stopping = Some(Stopping::Everybody {
            deadline: now + LAST_GRACE,
        });
    }

    /// Whether nobody is left, or has had the time.
    pub(super) fn is_over(&self) -> bool {
        let Some(Stopping::Everybody { deadline }) = self.stopping else {
            return false;
        };
        let nobody = process::waitid(
            WaitId::All,
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
        );
        matches!(nobody, Err(Errno::CHILD)) || deadline <= Instant::now()
    }

    /// The last words of everybody are in the pipes.
    pub(super) fn finish(&mut self) {
        while !self.streams.is_empty() {
            let before = self.streams.len();
            self.take_all_output();
            if self.streams.len() == before {
                break;
            }
        }
        let _ = std::fs::remove_file(&self.paths.socket);
        self.say(format_args!("the session has ended"));
    }
}
