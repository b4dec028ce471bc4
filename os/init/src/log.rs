//! Where sentences go: the kernel's log and the console on a machine, standard error in a container.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt::{self, Write};

use nodeos_sys::standard;
use rustix::event::{self, PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, OFlags};
use rustix::io::{self, Errno};

const KERNEL_LOG: &core::ffi::CStr = c"/dev/kmsg";

/// Level "debug" of facility "daemon" (syslog(3)): it is in `dmesg`, and the kernel does not repeat it on the console,
/// where `init` writes it itself.
const KERNEL_LOG_PREFIX: &str = "<31>";

/// How long a line waits for a console that takes no more, for instance one stopped by Ctrl-S, before it is left out
/// there. A line takes a slow serial port (9,600 baud) about this long.
const CONSOLE_PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// The log of this `init`. Nothing that fails here can be told anywhere, so it has no errors.
#[derive(Debug, Default)]
pub(crate) struct Log {
    kernel: Option<OwnedFd>,
    console: Option<OwnedFd>,
    /// Lines from before the kernel's log could be opened.
    early: Vec<String>,
}

impl Log {
    /// To be called when /dev is there. `console` is written without waiting, so it must be open with `O_NONBLOCK`.
    pub(crate) fn open_machine(&mut self, console: Option<OwnedFd>) {
        self.console = console;
        self.kernel = crate::files::open(KERNEL_LOG, OFlags::WRONLY).ok();
        for line in core::mem::take(&mut self.early) {
            self.to_kernel(&line);
        }
    }

    /// Writes `init: ` and the sentence.
    pub(crate) fn say(&mut self, sentence: fmt::Arguments<'_>) {
        let line = format!("init: {sentence}\n");
        if self.kernel.is_some() {
            self.to_kernel(&line);
        } else {
            self.early.push(line.clone());
        }
        self.to_console(&line);
    }

    /// Writes an error with all its causes as one sentence.
    pub(crate) fn error(&mut self, error: &dyn Error) {
        self.say(format_args!("{}", sentence(error)));
    }

    /// Writes a line to the console alone, as it is.
    pub(crate) fn to_console(&self, line: &str) {
        match &self.console {
            Some(console) => write_patiently(console.as_fd(), line.as_bytes()),
            None => write_patiently(standard::error(), line.as_bytes()),
        }
    }

    fn to_kernel(&self, line: &str) {
        if let Some(kernel) = &self.kernel {
            // One write is one record.
            let _ = io::write(kernel, format!("{KERNEL_LOG_PREFIX}{line}").as_bytes());
        }
    }
}

/// An error and its causes, joined by colons.
pub(crate) fn sentence(error: &dyn Error) -> String {
    let mut text = format!("{error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// Writes everything, unless the file takes nothing for as long as [`CONSOLE_PATIENCE`].
pub(crate) fn write_patiently(fd: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match io::write(fd, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut ready = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
                if !matches!(event::poll(&mut ready, Some(&CONSOLE_PATIENCE)), Ok(1..)) {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// The last words of a program that is about to end, to wherever they can be written, without any state.
pub(crate) fn last_words(sentence: fmt::Arguments<'_>) {
    let line = format!("init: {sentence}\n");
    if let Ok(kernel) = fs::open(
        KERNEL_LOG,
        OFlags::WRONLY | OFlags::CLOEXEC,
        fs::Mode::empty(),
    ) {
        let _ = io::write(kernel, format!("{KERNEL_LOG_PREFIX}{line}").as_bytes());
    }
    write_patiently(standard::error(), line.as_bytes());
}
