//! /proc and /sys without what changes the machine.

use std::path::Path;

use rustix::mount::MountFlags;

use crate::mounts::{INERT, MountError, attach, bind};

/// What of /proc changes the whole machine. Where the user id alone decides, it would be root's to write.
const READ_ONLY_IN_PROC: [&str; 4] = ["sys", "irq", "bus", "fs"];

/// That a namespace of control groups is a border (Documentation/admin-guide/cgroup-v2.rst). It belongs to the hierarchy: another
/// mount that does not ask for it takes it away everywhere.
const DELEGATION: &[u8] = b"nsdelegate";

/// Mounts both below `root`, with the control groups at their usual place.
pub fn views(root: &Path) -> Result<(), MountError> {
    attach("proc", "proc", &root.join("proc"), INERT, None)?;
    for name in READ_ONLY_IN_PROC {
        let path = root.join("proc").join(name);
        if path.exists() {
            bind(&path, &path, INERT | MountFlags::RDONLY)?;
        }
    }
    let read_only = INERT | MountFlags::RDONLY;
    attach("sysfs", "sysfs", &root.join("sys"), read_only, None)?;
    attach(
        "cgroup2",
        "cgroup2",
        &root.join("sys/fs/cgroup"),
        read_only,
        Some(DELEGATION.to_vec()),
    )
}
