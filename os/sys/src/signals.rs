//! Signals as something to read, for a process that handles them in its poll loop.

use core::mem::MaybeUninit;
use core::ptr;

use rustix::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::process::Signal;

use crate::error::last_error;

/// Size of the kernel's `struct signalfd_siginfo`, by signalfd(2).
const SIGINFO_SIZE: usize = 128;

/// Blocks every signal that can be blocked for the calling thread:
/// [`sigprocmask(2)`](https://man7.org/linux/man-pages/man2/sigprocmask.2.html).
pub fn block_all() -> io::Result<()> {
    set_mask(libc::sigfillset)
}

/// Unblocks every signal for the calling thread.
pub fn unblock_all() -> io::Result<()> {
    set_mask(libc::sigemptyset)
}

/// A descriptor that gives the signals which the reading thread has blocked:
/// [`signalfd(2)`](https://man7.org/linux/man-pages/man2/signalfd.2.html).
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Every signal; it is close-on-exec and its reads do not wait.
    pub fn new() -> io::Result<SignalFd> {
        let all = filled_set(libc::sigfillset);
        // SAFETY: -1 asks for a new descriptor, and `all` is an initialised set that lives over the call.
        let fd = unsafe { libc::signalfd(-1, &all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(last_error());
        }
        // SAFETY: the call has just opened this descriptor, so nobody else owns it.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal that has arrived, none when there is none. Signals without a name, the real-time ones, are left out.
    pub fn read(&self) -> io::Result<Option<Signal>> {
        loop {
            let mut info = [0; SIGINFO_SIZE];
            match io::read(&self.0, &mut info) {
                // The first member is `uint32_t ssi_signo`; the kernel gives whole structures only.
                Ok(_) => {
                    let [a, b, c, d, ..] = info;
                    let number = i32::from_ne_bytes([a, b, c, d]);
                    if let Some(signal) = Signal::from_named_raw(number) {
                        return Ok(Some(signal));
                    }
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends a signal to every process that the caller may signal, but not to itself and not to PID 1: the -1 of
/// [`kill(2)`](https://man7.org/linux/man-pages/man2/kill.2.html). Called by PID 1 this is its whole machine or container.
/// `ESRCH` when there is no such process.
pub fn send_to_all(signal: Signal) -> io::Result<()> {
    // SAFETY: kill takes numbers only and touches no memory of this process.
    match unsafe { libc::kill(-1, signal.as_raw()) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Gives every signal its default disposition: [`sigaction(2)`](https://man7.org/linux/man-pages/man2/sigaction.2.html).
/// Async-signal-safe. Not public, because it would undo the handlers of a program that has any.
///
/// The system call itself, since the C library's function refuses its own signals (32 and up), which a program may have
/// inherited as ignored.
pub(crate) fn reset_dispositions() {
    // The kernel's struct sigaction on any architecture is shorter; all zero it is SIG_DFL, no flags, an empty mask.
    let default = [0_u64; 8];
    // 1 to 64 are all the signals of Linux (signal(7)); KILL and STOP are refused, rightly.
    for number in 1..=64 {
        // SAFETY: the kernel reads its struct from `default`, which is at least as long and lives over the call, is told
        // to write nothing back, and is given the size of its signal sets, 8 bytes. No handler is installed, so nothing
        // runs later on.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                &default,
                ptr::null_mut::<u64>(),
                8_usize,
            )
        };
    }
}

fn set_mask(fill: unsafe extern "C" fn(*mut libc::sigset_t) -> i32) -> io::Result<()> {
    let set = filled_set(fill);
    // SAFETY: `set` is initialised and lives over the call, which is told to write nothing back.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &set, ptr::null_mut()) } {
        0 => Ok(()),
        number => Err(Errno::from_raw_os_error(number)),
    }
}

fn filled_set(fill: unsafe extern "C" fn(*mut libc::sigset_t) -> i32) -> libc::sigset_t {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: `fill` is sigfillset or sigemptyset (sigsetops(3)), which write a whole set to the place they are given;
    // an all-zero set is a valid value before that, too.
    unsafe {
        fill(set.as_mut_ptr());
        set.assume_init()
    }
}
