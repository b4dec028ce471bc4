//! Control groups: what each session may use, and what is left to the rest of the machine.

use std::path::Path;

use nodeos_sandbox::cgroup::{CONTROLLERS, CgroupError, make, open, write};
use nodeos_spec::session::Limits;
use rustix::fd::OwnedFd;

use crate::paths;

/// Kept from all sessions together, in bytes: enough for PID 1, this program and the kernel to go on.
const RESERVE: u64 = 12 << 20;

/// Makes the group that all sessions are in.
pub(crate) fn prepare(total_memory: u64) -> Result<(), CgroupError> {
    let sessions = Path::new(paths::CGROUPS);
    let all = sessions.parent().unwrap_or(sessions);
    write(&all.join("cgroup.subtree_control"), CONTROLLERS)?;
    make(sessions)?;
    write(&sessions.join("cgroup.subtree_control"), CONTROLLERS)?;
    let most = total_memory.saturating_sub(RESERVE).max(RESERVE);
    write(&sessions.join("memory.max"), &most.to_string())
}

/// The group of one session, with its limits.
pub(crate) fn of_session(
    name: &str,
    limits: Limits,
    total_memory: u64,
) -> Result<OwnedFd, CgroupError> {
    // A user may be called as a file of every group is, memory.max for instance.
    let group = Path::new(paths::CGROUPS).join(format!("user-{name}"));
    make(&group)?;
    let values = [
        ("memory.max", limits.memory.bytes(total_memory).to_string()),
        ("pids.max", limits.processes.to_string()),
        ("cpu.weight", limits.cpu_weight.to_string()),
    ];
    for (file, value) in values {
        write(&group.join(file), &value)?;
    }
    open(&group)
}
