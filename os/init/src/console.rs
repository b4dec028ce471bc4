//! The machine's console: who has it open, and how large it is.

use nodeos_spec::cmdline;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io;
use rustix::termios::{self, Winsize};

use crate::files;

const CONSOLE: &core::ffi::CStr = c"/dev/console";
const NULL: &core::ffi::CStr = c"/dev/null";

/// For `init`'s own lines: it must never wait for a terminal, so this descriptor is another than the program's.
pub(crate) fn open_for_log() -> io::Result<OwnedFd> {
    files::open(CONSOLE, OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK)
}

/// For the program: the console, or nothing to read and nowhere to write on a machine without one.
pub(crate) fn open_for_program() -> io::Result<OwnedFd> {
    files::open(CONSOLE, OFlags::RDWR | OFlags::NOCTTY).or_else(|_| files::open(NULL, OFlags::RDWR))
}

/// Gives the terminal the size that the kernel's command line says, if it says one. A serial port has none of its own.
pub(crate) fn set_size(console: impl AsFd, command_line: &str) {
    let size = cmdline::value(command_line, cmdline::CONSOLE_SIZE).and_then(cmdline::parse_size);
    if let Some((ws_col, ws_row)) = size {
        // Only how things look depends on it.
        let _ = termios::tcsetwinsize(
            console,
            Winsize {
                ws_col,
                ws_row,
                ws_xpixel: 0,
                ws_ypixel: 0,
            },
        );
    }
}
