//! V8's worker threads while an application starts.
//!
//! They compile better what has run often. That is worth its time in an application that runs on, and hardly ever in one that
//! has not begun, whose code runs once. Where there is one processor, the main thread waits for it besides. So until
//! the application listens, and has had a moment for the first who asks, these threads get what the main thread leaves over.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpriority_process, setpriority_process};

use crate::sizes;

/// proc(5).
const PROCESSES: &str = "/proc";
/// What Node.js calls them (`/proc/PID/task/TID/comm`, proc_pid_comm(5)).
const NAME: &str = "V8Worker";
/// The nice value of who waits (nice(7), setpriority(2)): a seventieth of the processor beside somebody who does not.
const BEHIND: i32 = 19;
/// For so many times as long as the system took to boot, no longer: an application that does not listen by then is at work. So
/// the limit is as fast as the machine is, with a hypervisor and without. The moment is the time of one boot.
const BOOTS: u32 = 4;
/// A boot that took longer has waited, for a disk for instance.
const LONGEST_BOOT: Duration = Duration::from_secs(2);

/// Those of one process. When this is dropped they are what they were.
#[derive(Debug)]
pub(crate) struct Compilers {
    process: Pid,
    /// Each with the nice value that it had.
    held: Vec<(Pid, i32)>,
    all_found: bool,
    boot: Duration,
    /// When they have waited long enough.
    pub(crate) until: Instant,
}

impl Compilers {
    /// None where there is nobody whom they keep waiting. `boot` is how long the system took for its own.
    pub(crate) fn hold(process: Pid, boot: Duration) -> Option<Compilers> {
        let boot = boot.min(LONGEST_BOOT);
        (sizes::processors() == 1).then(|| Compilers {
            process,
            held: Vec::new(),
            all_found: false,
            boot,
            until: Instant::now() + boot * BOOTS,
        })
    }

    /// Looks for those that are not held yet.
    pub(crate) fn look(&mut self) {
        if self.all_found {
            return;
        }
        let known = self.held.len();
        let new: Vec<Pid> = named(Path::new(PROCESSES), self.process, NAME)
            .filter(|thread| self.held.iter().all(|(held, _)| held != thread))
            .collect();
        for thread in new {
            // Who has ended meanwhile needs nothing.
            if let Ok(nice) = getpriority_process(Some(thread))
                && setpriority_process(Some(thread), BEHIND).is_ok()
            {
                self.held.push((thread, nice));
            }
        }
        // Node.js makes them all at once.
        self.all_found = known > 0 && self.held.len() == known;
    }

    /// The application listens.
    pub(crate) fn begin_to_end(&mut self) {
        self.until = self.until.min(Instant::now() + self.boot);
    }
}

impl Drop for Compilers {
    fn drop(&mut self) {
        for (thread, nice) in &self.held {
            // As above.
            let _ = setpriority_process(Some(*thread), *nice);
        }
    }
}

/// The threads of a process that are called so.
fn named(processes: &Path, process: Pid, name: &str) -> impl Iterator<Item = Pid> {
    let folder = processes.join(format!("{}/task", process.as_raw_nonzero()));
    let threads = fs::read_dir(folder).into_iter().flatten().flatten();
    threads
        .filter(move |thread| {
            let comm = fs::read_to_string(thread.path().join("comm"));
            comm.is_ok_and(|comm| comm.trim_end() == name)
        })
        .filter_map(|thread| Pid::from_raw(thread.file_name().to_str()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_found_by_their_names() {
        let scratch = tempfile::tempdir().unwrap();
        for (thread, name) in [(7, "MainThread"), (8, NAME), (9, "V8WorkerOfOurs")] {
            let folder = scratch.path().join(format!("7/task/{thread}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("comm"), format!("{name}\n")).unwrap();
        }
        let found = |process| {
            let threads = named(scratch.path(), Pid::from_raw(process).unwrap(), NAME);
            threads.map(Pid::as_raw_pid).collect::<Vec<_>>()
        };
        assert_eq!(found(7), [8]);
        assert!(found(6).is_empty(), "a process that has ended");
    }

    #[test]
    fn who_listens_has_a_moment_and_not_more_than_the_limit() {
        let mut compilers = Compilers {
            process: rustix::process::getpid(),
            held: Vec::new(),
            all_found: false,
            boot: Duration::from_secs(60),
            until: Instant::now() + Duration::from_secs(3600),
        };
        compilers.look();
        assert!(compilers.held.is_empty(), "this process is not Node.js");
        compilers.begin_to_end();
        let until = compilers.until;
        assert!(until <= Instant::now() + Duration::from_secs(60));
        compilers.begin_to_end();
        assert_eq!(compilers.until, until);
    }
}
