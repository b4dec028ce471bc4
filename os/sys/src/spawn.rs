//! Starting a program in a fresh state: its own session or job, the terminal, default signals.
//!
//! The child does nothing but system calls between fork and exec, so this is safe in a process with threads as well.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char};
use core::ptr;

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::pipe::{self, PipeFlags};
use rustix::process::{self, Pid, WaitOptions};
use rustix::{stdio, termios};

use crate::entry::exit_now;
use crate::error::last_error;
use crate::signals;
use crate::standard;

/// The code of a child that could not become its program. Nobody sees it but [`spawn`].
const NOT_STARTED: i32 = 127;

/// What is to be started.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// The file, found from the root or from the working directory; `PATH` is not searched.
    pub path: &'a CStr,
    /// Its arguments, beginning with its own name.
    pub args: &'a [CString],
    /// Its environment, as `name=value`.
    pub env: &'a [CString],
    /// The directory it starts in; none keeps the caller's.
    pub dir: Option<&'a CStr>,
}

/// Which terminal the program gets.
#[derive(Debug, Clone, Copy)]
pub enum Terminal<'a> {
    /// A session of its own. The descriptor becomes its standard input, output and error, and, when it is a terminal
    /// that has no session yet, its controlling terminal.
    OwnSession(BorrowedFd<'a>),
    /// A process group of its own within the caller's session, with the caller's standard input, output and error.
    /// When the caller is the foreground job of the terminal on standard input, the program is that from now on.
    OwnJob,
}

/// Why a program was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpawnError {
    /// There is no further process or descriptor.
    Fork(Errno),
    /// There is no such program, or it cannot be executed.
    Exec(Errno),
}

/// Starts a program with an empty signal mask and default dispositions, and returns once it runs:
/// [`fork(2)`](https://man7.org/linux/man-pages/man2/fork.2.html),
/// [`execve(2)`](https://man7.org/linux/man-pages/man2/execve.2.html).
///
/// Descriptors other than the three standard ones are handed on unless they are close-on-exec.
pub fn spawn(program: Program<'_>, terminal: Terminal<'_>) -> Result<Pid, SpawnError> {
    let args = pointers(program.args);
    let env = pointers(program.env);
    // Nothing that the child still needs may lie where its standard descriptors go.
    let (reader, writer) = pipe::pipe_with(PipeFlags::CLOEXEC).map_err(SpawnError::Fork)?;
    let writer = above_standard(writer).map_err(SpawnError::Fork)?;
    let console = match terminal {
        Terminal::OwnSession(fd) => Some(io::fcntl_dupfd_cloexec(fd, 3).map_err(SpawnError::Fork)?),
        Terminal::OwnJob => None,
    };

    // SAFETY: fork has no precondition. The child has one thread and a copy of this memory, in which locks may be held
    // for ever, so until exec it only calls what signal-safety(7) allows: system calls, without allocation.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        let errno = become_program(program, &args, &env, console.as_ref());
        // What cannot be told any more is seen by the parent as a program that ended at once.
        let _ = io::write(&writer, &errno.raw_os_error().to_ne_bytes());
        exit_now(NOT_STARTED);
    }
    let Some(pid) = Pid::from_raw(forked).filter(|_| forked > 0) else {
        return Err(SpawnError::Fork(last_error()));
    };

    drop(writer);
    let mut answer = [0; 4];
    match io::retry_on_intr(|| io::read(&reader, &mut answer)) {
        // Exec closed the last writing end, so the program runs.
        Ok(0) | Err(_) => Ok(pid),
        Ok(_) => {
            // The child is about to end; nobody else needs to hear of it.
            let _ = io::retry_on_intr(|| process::waitpid(Some(pid), WaitOptions::empty()));
            Err(SpawnError::Exec(Errno::from_raw_os_error(
                i32::from_ne_bytes(answer),
            )))
        }
    }
}

/// In the child: everything up to the program. Returns only when that failed.
fn become_program(
    program: Program<'_>,
    args: &[*const c_char],
    env: &[*const c_char],
    console: Option<&OwnedFd>,
) -> Errno {
    // A program without a terminal is better than none, so failures up to the exec are of no consequence.
    match console {
        Some(console) => {
            let _ = process::setsid();
            let _ = stdio::dup2_stdin(console);
            let _ = stdio::dup2_stdout(console);
            let _ = stdio::dup2_stderr(console);
            let _ = process::ioctl_tiocsctty(console);
        }
        None => become_job(),
    }
    if let Some(dir) = program.dir {
        let _ = process::chdir(dir);
    }
    signals::reset_dispositions();
    let _ = signals::unblock_all();
    // SAFETY: path, arguments and environment are C strings, both arrays end in a null pointer (`pointers`), and all of
    // them were made before the fork and still live.
    unsafe { libc::execve(program.path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    last_error()
}

fn become_job() {
    let caller_is_foreground = is_foreground();
    let _ = process::setpgid(None, None);
    if caller_is_foreground {
        // A job in the background that changes the foreground is stopped by TTOU, unless it blocks that (tcsetpgrp(3)).
        let _ = signals::block_all();
        let _ = termios::tcsetpgrp(standard::input(), process::getpid());
    }
}

/// Whether this process belongs to the foreground job of the terminal on standard input, if that is one.
fn is_foreground() -> bool {
    // Not through rustix, to which the number 0 is no process group. A group from outside this PID namespace has that
    // number in both places (pid_namespaces(7)); then it is taken for the same one.
    // SAFETY: tcgetpgrp(3) and getpgrp(2) take numbers only, and touch no memory of this process.
    unsafe { libc::tcgetpgrp(libc::STDIN_FILENO) == libc::getpgrp() }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        Ok(fd)
    } else {
        io::fcntl_dupfd_cloexec(fd, 3)
    }
}
