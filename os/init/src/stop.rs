//! Stopping processes: TERM, time to end, KILL. Each step is a line in the log.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use rustix::process::Signal;

use crate::events;
use crate::log::Log;
use crate::processes::{self, Process, Scope};

/// How long killed processes may take to end. Only one that waits for a broken device takes longer, and that for ever.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// More names than this tell nobody anything, and take lines of the console.
const NAMES_SHOWN: usize = 8;

/// A stop under way. Its deadline is fixed when it begins: what ends, or starts, meanwhile does not move it.
#[derive(Debug)]
pub(crate) struct Stop {
    scope: Scope,
    grace: Duration,
    deadline: Duration,
    killed: bool,
}

/// What to do when a stop's deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    WaitOn,
    GiveUp,
}

impl Stop {
    /// Tells everybody to end. Who is stopped (by STOP or Ctrl-Z) is woken up to hear it.
    pub(crate) fn begin(log: &mut Log, scope: Scope, grace: Duration) -> Stop {
        log.say(format_args!("stopping: TERM to all processes"));
        processes::signal(scope, Signal::TERM);
        processes::signal(scope, Signal::CONT);
        Stop {
            scope,
            grace,
            deadline: events::now().saturating_add(grace),
            killed: false,
        }
    }

    /// When [`Stop::expired`] is to be called, by [`events::now`].
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The deadline has passed, and somebody is still there.
    pub(crate) fn expired(&mut self, log: &mut Log) -> Verdict {
        let left = processes::alive();
        let (count, names) = (count(left.len()), names(&left));
        if self.killed {
            log.say(format_args!(
                "{count} did not end within {} of KILL{names}",
                seconds(KILL_PATIENCE)
            ));
            return Verdict::GiveUp;
        }
        log.say(format_args!(
            "{count} did not stop within {}: KILL{names}",
            seconds(self.grace)
        ));
        processes::signal(self.scope, Signal::KILL);
        self.killed = true;
        self.deadline = events::now().saturating_add(KILL_PATIENCE);
        Verdict::WaitOn
    }
}

fn count(processes: usize) -> String {
    match processes {
        // They may have ended since the deadline, or /proc is gone.
        0 => "some processes".to_string(),
        1 => "1 process".to_string(),
        count => format!("{count} processes"),
    }
}

/// ` (node 57, sleep 58)`
fn names(processes: &[Process]) -> String {
    let mut names: Vec<_> = processes
        .iter()
        .take(NAMES_SHOWN)
        .map(|process| format!("{} {}", process.name, process.pid))
        .collect();
    if let Some(more @ 1..) = processes.len().checked_sub(NAMES_SHOWN) {
        names.push(format!("{more} more"));
    }
    if names.is_empty() {
        String::new()
    } else {
        format!(" ({})", names.join(", "))
    }
}

fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{} s", duration.as_secs()),
        _ => format!("{} ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_did_not_stop_are_named() {
        let check = |count: i32, expected: &str| {
            let process = |pid| Process {
                pid,
                name: "node".to_owned(),
                state: b'S',
                parent: 1,
            };
            assert_eq!(
                names(&(1..=count).map(process).collect::<Vec<_>>()),
                expected
            );
        };
        check(0, "");
        check(1, " (node 1)");
        check(2, " (node 1, node 2)");
        let eight = "node 1, node 2, node 3, node 4, node 5, node 6, node 7, node 8";
        check(8, &format!(" ({eight})"));
        check(11, &format!(" ({eight}, 3 more)"));
    }

    #[test]
    fn those_who_did_not_stop_are_counted() {
        let check = |processes, expected: &str| assert_eq!(count(processes), expected);
        check(0, "some processes");
        check(1, "1 process");
        check(2, "2 processes");
    }

    #[test]
    fn times_are_said_in_whole_numbers() {
        let check = |ms, expected: &str| assert_eq!(seconds(Duration::from_millis(ms)), expected);
        check(5000, "5 s");
        check(0, "0 s");
        check(1500, "1500 ms");
    }
}
