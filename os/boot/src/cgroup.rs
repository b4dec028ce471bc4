//! Control groups: what each session may use, and what is left to the rest of the machine.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nodeos_spec::session::Limits;
use rustix::fd::OwnedFd;
use thiserror::Error;

use crate::paths;

/// What is distributed: Documentation/admin-guide/cgroup-v2.rst of the kernel.
const CONTROLLERS: &str = "+cpu +memory +pids";

/// Kept from all sessions together, in bytes: enough for PID 1, this program and the kernel to go on.
const RESERVE: u64 = 12 << 20;

#[derive(Debug, Error)]
pub(crate) enum CgroupError {
    #[error("cannot make the control group {}", path.display())]
    Make {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {value:?} to {}", path.display())]
    Write {
        path: PathBuf,
        value: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot open the control group {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

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
    File::open(&group)
        .map(OwnedFd::from)
        .map_err(|source| CgroupError::Open {
            path: group.clone(),
            source,
        })
}

fn make(path: &Path) -> Result<(), CgroupError> {
    match fs::create_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(CgroupError::Make {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    fs::write(path, value).map_err(|source| CgroupError::Write {
        path: path.to_owned(),
        value: value.to_owned(),
        source,
    })
}
