//! Controlling terminals: [`ioctl_tty(2)`](https://man7.org/linux/man-pages/man2/ioctl_tty.2.html). What rustix has of them
//! refuses a terminal that somebody else has.

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io;

use crate::error::last_error;

/// Makes the terminal the controlling one of the caller's session, which the caller leads and which has none. Whoever has
/// it loses it, without a signal.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN` when another session has it.
pub fn take(terminal: BorrowedFd<'_>) -> io::Result<()> {
    const EVEN_FROM_OTHERS: libc::c_int = 1;
    // SAFETY: the descriptor is open as long as it is borrowed; this request takes a number and no pointer.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, EVEN_FROM_OTHERS) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Takes the terminal away from everybody who has it open: what they have leads nowhere from now on.
///
/// What was opened as `/dev/console` is spared by the kernel (`__tty_hangup` in its `drivers/tty/tty_io.c`).
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`, `EIO` for a descriptor that leads nowhere already.
pub fn hang_up(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as it is borrowed; this request has no argument.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCVHANGUP) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Gives up the caller's controlling terminal. If the caller leads its session, `SIGHUP` and `SIGCONT` go to the
/// foreground processes, the caller perhaps among them.
///
/// # Errors
/// `ENOTTY` when the terminal is not the controlling one of the caller.
pub fn leave(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as it is borrowed; this request has no argument.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Has a virtual terminal show text, and give what is typed as UTF-8: what a program that drew on it, or read its keys, and then died
/// may have left otherwise ([`ioctl_console(2)`](https://man7.org/linux/man-pages/man2/ioctl_console.2.html)).
///
/// # Errors
/// `ENOTTY` for other terminals, `EPERM` without `CAP_SYS_TTY_CONFIG` where it is not the caller's controlling terminal.
pub fn make_text(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // From linux/kd.h, which the libc crate lacks: each request, and its argument KD_TEXT and K_UNICODE.
    const REQUESTS: [(libc::Ioctl, libc::c_ulong); 2] = [(0x4B3A, 0), (0x4B45, 3)];
    for (request, value) in REQUESTS {
        // SAFETY: the descriptor is open as long as it is borrowed; these requests take a number and no pointer.
        if unsafe { libc::ioctl(terminal.as_raw_fd(), request, value) } != 0 {
            return Err(last_error());
        }
    }
    Ok(())
}
