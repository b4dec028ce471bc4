//! A second process that goes on with a function instead of a program.

use rustix::io::{self, Errno};
use rustix::process::Pid;

use crate::entry::exit_now;
use crate::error::last_error;

/// Starts a copy of this process, which runs `child` and ends with the code that it returns:
/// [`fork(2)`](https://man7.org/linux/man-pages/man2/fork.2.html). Nothing of the caller's stack is dropped in the copy.
///
/// # Errors
/// `EBUSY` in a process that has more than one thread, because the copy would have one only, and what the others hold
/// locked would stay locked in it for ever. What fork(2) says, otherwise.
pub fn fork(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    if !has_one_thread() {
        return Err(Errno::BUSY);
    }
    // SAFETY: fork has no precondition. What its copy may do is limited to async-signal-safe functions only where the
    // process has several threads (fork(2), signal-safety(7)); this one has one, and nothing can start another between
    // the look and the call.
    match unsafe { libc::fork() } {
        0 => exit_now(child()),
        pid => Pid::from_raw(pid)
            .filter(|_| pid > 0)
            .ok_or_else(last_error),
    }
}

/// To leave a group of threads is possible in a group of one, where it changes nothing, and nowhere else:
/// [`unshare(2)`](https://man7.org/linux/man-pages/man2/unshare.2.html), CLONE_THREAD. Unlike /proc it is always there.
fn has_one_thread() -> bool {
    // SAFETY: unshare takes numbers only; with this flag alone it has no effect.
    unsafe { libc::unshare(libc::CLONE_THREAD) == 0 }
}
