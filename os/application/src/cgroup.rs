//! Control groups: what the application may use, counting what it does, and ending all of its processes at once.
//!
//! The limits are the whole's, in one group; below it is a group for the application and one for each command, which only
//! tell their processes apart (Documentation/admin-guide/cgroup-v2.rst of the kernel).

use std::fs;
use std::path::{Path, PathBuf};

use nodeos_sandbox::cgroup::{CONTROLLERS, CgroupError, make, open, write};
use nodeos_sandbox::meminfo;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::paths;
use crate::sizes::{self, Limits};

const THREADS_MAX: &str = "/proc/sys/kernel/threads-max";

/// The group of all, with its limits.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) limits: Limits,
}

/// A group of the application's or of a command's processes. It is removed with this value, if they have ended.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
    folder: OwnedFd,
}

/// Makes the group of all. It is to be called when what the machine needs for itself is in memory.
pub(crate) fn prepare() -> Result<Groups, CgroupError> {
    let all = Path::new(paths::CGROUP);
    let machine = all.parent().unwrap_or(all);
    write(&machine.join("cgroup.subtree_control"), CONTROLLERS)?;
    make(all)?;
    let memory = fs::read_to_string(meminfo::PATH).unwrap_or_default();
    let threads = fs::read_to_string(THREADS_MAX).unwrap_or_default();
    let limits = sizes::limits(&memory, &threads);
    write(&all.join("memory.max"), &limits.memory.to_string())?;
    write(&all.join("pids.max"), &limits.processes.to_string())?;
    // This program is not in the group; where the machine itself has no memory left, it is not the one to go.
    write(Path::new("/proc/self/oom_score_adj"), "-1000")?;
    Ok(Groups { limits })
}

impl Groups {
    /// Makes a group below.
    pub(crate) fn make(&self, name: &str) -> Result<Group, CgroupError> {
        let path = Path::new(paths::CGROUP).join(name);
        make(&path)?;
        Ok(Group {
            folder: open(&path)?,
            path,
        })
    }

    /// How many processes have been killed because there was no memory.
    pub(crate) fn out_of_memory_kills(&self) -> u64 {
        field(&self.read("memory.events"), "oom_kill")
    }

    pub(crate) fn memory_peak(&self) -> u64 {
        self.number("memory.peak")
    }

    pub(crate) fn memory(&self) -> u64 {
        self.number("memory.current")
    }

    pub(crate) fn processes(&self) -> u64 {
        self.number("pids.current")
    }

    /// Microseconds.
    pub(crate) fn cpu(&self) -> u64 {
        field(&self.read("cpu.stat"), "usage_usec")
    }

    /// Ends everybody.
    pub(crate) fn kill(&self) {
        kill(Path::new(paths::CGROUP));
    }

    pub(crate) fn is_empty(&self) -> bool {
        is_empty(Path::new(paths::CGROUP))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(Path::new(paths::CGROUP).join(name)).unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.read(name).trim().parse().unwrap_or_default()
    }
}

impl Group {
    /// Ends everybody in it, also those who are being made.
    pub(crate) fn kill(&self) {
        kill(&self.path);
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group whose processes are about to end stays: it costs a little memory, and its name comes again only with the
        // application, which then takes it.
        let _ = fs::remove_dir(&self.path);
    }
}

fn kill(group: &Path) {
    // There is nobody to hear of it, and the caller looks whether they have ended.
    let _ = fs::write(group.join("cgroup.kill"), "1");
}

fn is_empty(group: &Path) -> bool {
    let events = fs::read_to_string(group.join("cgroup.events")).unwrap_or_default();
    field(&events, "populated") == 0
}

/// The number behind a name, in a file of a line each.
fn field(text: &str, name: &str) -> u64 {
    let line = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "low 0\noom 2\noom_kill 1\noom_group_kill 7\n";
        assert_eq!(field(text, "oom_kill"), 1);
        assert_eq!(field(text, "oom"), 2);
        assert_eq!(field(text, "kill"), 0);
    }
}
