//! The terminal of a login: whose it is, and that nothing of theirs is left on it afterwards.

use std::path::Path;

use nodeos_sys::terminal;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{self, Gid, Mode, OFlags, Uid};
use rustix::termios::{self, Action};

/// A terminal's own owner and mode, as devtmpfs makes them, and what it has while somebody is logged in.
const FREE: (u32, u32) = (0, 0o600);
const TAKEN_MODE: u32 = 0o620;
/// The group `tty` of every distribution.
const TTY_GROUP: u32 = 5;

/// The user may open the terminal again, by way of /dev/stdin for instance.
pub(super) fn give(terminal: &OwnedFd, uid: u32) {
    own(terminal, uid, TAKEN_MODE);
}

/// Nobody was on it after all.
pub(super) fn take_back(terminal: &OwnedFd) {
    let (uid, mode) = FREE;
    own(terminal, uid, mode);
}

/// The shell has ended. What it has left in the background may hold the terminal still, and would read the next one's
/// password; and it may have made the terminal deaf, dumb, or closed to all others.
pub(super) fn clear(terminal: &OwnedFd) {
    take_back(terminal);
    // The kernel has hung it up when the shell ended, as long as the shell had it as its controlling terminal. Then this
    // descriptor leads nowhere, and another one is needed.
    if let Some(terminal) = open_again(terminal) {
        let _ = termios::ioctl_tiocnxcl(&terminal);
        let _ = termios::tcflow(&terminal, Action::OOn);
        let _ = terminal::hang_up(terminal.as_fd());
    }
}

fn open_again(terminal: &OwnedFd) -> Option<OwnedFd> {
    let path = Path::new("/proc/self/fd").join(terminal.as_raw_fd().to_string());
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    fs::open(path, flags, Mode::empty()).ok()
}

/// A terminal that stays as it was works all the same, by its descriptor.
fn own(terminal: &OwnedFd, uid: u32, mode: u32) {
    let group = Gid::from_raw(TTY_GROUP);
    let _ = fs::fchown(terminal, Some(Uid::from_raw(uid)), Some(group));
    let _ = fs::fchmod(terminal, Mode::from_raw_mode(mode));
}
