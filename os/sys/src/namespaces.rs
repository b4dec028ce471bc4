//! Namespaces of one's own, and entering those of somebody else: namespaces(7).

use rustix::fd::BorrowedFd;
use rustix::io;
use rustix::thread::{self, ThreadNameSpaceType as Kind, UnshareFlags};

/// What a session has to itself: mounts, process ids, System V IPC, host name.
const SESSION: UnshareFlags = UnshareFlags::NEWNS
    .union(UnshareFlags::NEWPID)
    .union(UnshareFlags::NEWIPC)
    .union(UnshareFlags::NEWUTS);

/// The same and its control groups, for those who come later.
const OF_SESSION: Kind = Kind::MOUNT
    .union(Kind::PROCESS_ID)
    .union(Kind::INTER_PROCESS_COMMUNICATION)
    .union(Kind::HOST_NAME_AND_NIS_DOMAIN_NAME)
    .union(Kind::CONTROL_GROUP);

/// Gives the caller mounts, IPC and a host name of its own, and its future children process ids of their own:
/// [`unshare(2)`](https://man7.org/linux/man-pages/man2/unshare.2.html).
pub fn leave_for_session() -> io::Result<()> {
    leave(SESSION)
}

/// Gives the caller mounts of its own, and nothing else.
pub fn leave_mounts() -> io::Result<()> {
    leave(UnshareFlags::NEWNS)
}

/// Gives the caller System V IPC and message queues of its own, and nothing else.
pub fn leave_ipc() -> io::Result<()> {
    leave(UnshareFlags::NEWIPC)
}

/// Makes the control group that the caller is in the root of what it sees of them: cgroup_namespaces(7).
pub fn leave_cgroups() -> io::Result<()> {
    leave(UnshareFlags::NEWCGROUP)
}

/// Moves the caller into a session, and its future children into its process ids; `process` is a pid descriptor of one
/// in it: [`setns(2)`](https://man7.org/linux/man-pages/man2/setns.2.html).
pub fn enter_session(process: BorrowedFd<'_>) -> io::Result<()> {
    thread::move_into_thread_name_spaces(process, OF_SESSION)
}

fn leave(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: of all flags only CLONE_FILES is unsafe to Rust, because it may leave one thread with descriptors that
    // another thinks it owns (`unshare_unsafe` of rustix); none of the callers above passes it.
    unsafe { thread::unshare_unsafe(flags) }
}
