//! Whether this `init` has a machine to itself or runs in somebody else's.

use alloc::ffi::CString;

use rustix::fs;
use rustix::process::{self, Pid};
use rustix::thread::{self, CapabilitySet};

use crate::log::Log;
use crate::steps::{self, RequiredStepFailed};

/// The link whose inode number names the PID namespace of this process.
const PID_NAMESPACE: &core::ffi::CStr = c"/proc/self/ns/pid";

/// The inode number of the first PID namespace: PROC_PID_INIT_INO of the kernel's include/linux/proc_ns.h, since 3.8.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

#[derive(Debug)]
pub(crate) enum Mode {
    /// PID 1 of the kernel: it mounts, and stops the machine by reboot(2). /proc has been mounted, or that has failed.
    Machine {
        proc: Result<(), RequiredStepFailed>,
    },
    /// PID 1 of a PID namespace, or no PID 1: it mounts nothing and ends with its program's code.
    Container,
}

/// A machine is where this process is PID 1 in the kernel's first PID namespace. CAP_SYS_BOOT alone would not tell it:
/// reboot(2) in any other PID namespace is allowed to that namespace's root, and ends only the namespace. User namespaces
/// need no look of their own: PID 1 of the first PID namespace is in the first of those, too. And `container=` in the
/// environment alone would not tell it either, because anybody can type that on the kernel's command line.
///
/// Without /proc nobody knows the namespace. Then it is a container if CAP_SYS_BOOT is missing; else /proc is mounted to
/// find out. If that fails, `container` in the environment decides, where container managers put it. A wrong guess then
/// ends nothing but the container, or a machine that could not have gone on.
pub(crate) fn detect(log: &mut Log, env: &[CString]) -> Mode {
    if process::getpid() != Pid::INIT {
        return Mode::Container;
    }
    let mut proc = Ok(());
    let namespace = fs::stat(PID_NAMESPACE).or_else(|errno| {
        if !may_reboot() {
            return Err(errno);
        }
        proc = steps::run(log, steps::PROC);
        fs::stat(PID_NAMESPACE)
    });
    match namespace {
        // A sandbox that plays Linux may give any namespace the first one's number, and no right to reboot.
        Ok(namespace) if namespace.st_ino == FIRST_PID_NAMESPACE && may_reboot() => {
            Mode::Machine { proc }
        }
        Err(_) if may_reboot() && !names_container(env) => Mode::Machine { proc },
        Ok(_) | Err(_) => Mode::Container,
    }
}

fn may_reboot() -> bool {
    thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_BOOT))
}

fn names_container(env: &[CString]) -> bool {
    env.iter()
        .any(|variable| variable.as_bytes().starts_with(b"container="))
}
