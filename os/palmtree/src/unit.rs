//! One service as it is now. What happens to it is decided in `supervisor`.

use std::time::{Duration, Instant};

use nodeos_spec::control::{ServiceState, State};
use nodeos_spec::service::Service;
use rustix::process::{self, Pid, Signal};

use crate::broker::Connection;
use crate::clients::ClientId;
use crate::ending::Ending;

/// A service for as long as palmtree knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UnitId(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) id: UnitId,
    pub(crate) service: Service,
    /// What it becomes once it has ended.
    pub(crate) replacement: Option<Service>,
    pub(crate) goal: Goal,
    pub(crate) phase: Phase,
    /// Since when it is in its phase.
    pub(crate) since: Instant,
    /// How often it was started again by itself.
    pub(crate) restarts: u64,
    /// How often it has ended early, one after the other.
    pub(crate) early: u32,
    pub(crate) last: Option<Ending>,
    /// Clients who wait for it to run, or to have ended.
    pub(crate) waiting: Vec<(ClientId, Awaited)>,
}

/// What is to become of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    Up,
    Down,
    /// It ends, and is then started at once.
    Again,
    /// It ends, and is then forgotten.
    Gone,
}

#[derive(Debug)]
pub(crate) enum Phase {
    Stopped,
    Failed,
    Waiting {
        until: Instant,
    },
    Running {
        handle: Handle,
    },
    /// It has been told to end, or has ended and left processes behind.
    Ending {
        handle: Handle,
        /// When those who are left are killed, or, once they have been, when they are given up.
        deadline: Instant,
        killed: bool,
        /// How its own process has ended, and after which time.
        ended: Option<(Ending, Duration)>,
    },
}

/// The processes of a service.
#[derive(Debug)]
pub(crate) enum Handle {
    /// The leader of a session, and its group. Its number is nobody else's for as long as one of the group is left.
    Child(Pid),
    /// The broker's. The number is unknown until it has been started.
    Brokered(Connection, Option<i32>),
}

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    Running,
    Stopped,
}

impl Unit {
    pub(crate) fn new(id: UnitId, service: Service, now: Instant) -> Unit {
        Unit {
            id,
            service,
            replacement: None,
            goal: Goal::Down,
            phase: Phase::Stopped,
            since: now,
            restarts: 0,
            early: 0,
            last: None,
            waiting: Vec::new(),
        }
    }

    pub(crate) fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }

    /// The processes that it has, if any.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        match &self.phase {
            Phase::Running { handle } | Phase::Ending { handle, .. } => Some(handle),
            Phase::Stopped | Phase::Failed | Phase::Waiting { .. } => None,
        }
    }

    pub(crate) fn is_child(&self, pid: Pid) -> bool {
        matches!(self.handle(), Some(Handle::Child(own)) if *own == pid)
    }

    /// When something is to be done without anything happening.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Ending {
                deadline,
                killed: false,
                ..
            } => Some(deadline),
            // What was killed and has not ended waits for a device: nothing can be done but to wait, too.
            Phase::Ending {
                deadline,
                ended: Some(_),
                ..
            } => Some(deadline),
            _ => None,
        }
    }

    /// What `svc` is told.
    pub(crate) fn state(&self, now: Instant) -> ServiceState {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (state, next_try) = match self.phase {
            Phase::Stopped => (State::Stopped, None),
            Phase::Failed => (State::Failed, None),
            Phase::Waiting { until } => (
                State::Waiting,
                Some(ms(until.saturating_duration_since(now))),
            ),
            Phase::Running { .. } | Phase::Ending { .. } => (State::Running, None),
        };
        ServiceState {
            name: self.service.name.clone(),
            state,
            pid: match self.handle() {
                Some(Handle::Child(pid)) => Some(pid.as_raw_nonzero().get()),
                Some(Handle::Brokered(_, pid)) => *pid,
                None => None,
            },
            restarts: self.restarts,
            since_ms: ms(now.saturating_duration_since(self.since)),
            next_try_ms: next_try,
            last_exit: self.last.as_ref().map(ToString::to_string),
        }
    }
}

impl Handle {
    /// Sends a signal to all of the service's processes, of which the first has not been waited for.
    pub(crate) fn signal(&self, signal: Signal) {
        match self {
            Handle::Child(pid) => {
                // Just started it may not have a group yet.
                let _ = process::kill_process_group(*pid, signal)
                    .or_else(|_| process::kill_process(*pid, signal));
            }
            Handle::Brokered(connection, _) => connection.signal(signal),
        }
    }

    /// Sends a signal to those who are left after the first has ended. Its number alone may be another process's by now.
    pub(crate) fn signal_left_behind(&self, signal: Signal) {
        if let Handle::Child(pid) = self {
            let _ = process::kill_process_group(*pid, signal);
        }
    }

    /// Whether one of them is left after the first has ended. Of the broker's only the first is known.
    pub(crate) fn has_left_behind(&self) -> bool {
        match self {
            Handle::Child(pid) => process::test_kill_process_group(*pid).is_ok(),
            Handle::Brokered(..) => false,
        }
    }
}
