//! Where sentences go: standard error, which is the console, and the kernel's log.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;

const KERNEL_LOG: &str = "/dev/kmsg";

/// Level "debug" of facility "daemon" (syslog(3)): in `dmesg`, and not repeated on the console by the kernel.
const KERNEL_LOG_PREFIX: &str = "<31>";

/// The log of this program. What fails here can be told nowhere, so it has no errors.
#[derive(Debug)]
pub(crate) struct Log {
    kernel: Option<File>,
}

impl Log {
    pub(crate) fn open() -> Log {
        Log {
            kernel: OpenOptions::new().write(true).open(KERNEL_LOG).ok(),
        }
    }

    /// Writes `boot: ` and the sentence to the console and to the kernel's log.
    pub(crate) fn say(&mut self, text: &str) {
        self.note(text);
        let _ = std::io::stderr().write_all(format!("boot: {text}\r\n").as_bytes());
    }

    /// Writes it to the kernel's log alone: nobody at the console has to read it now.
    pub(crate) fn note(&mut self, text: &str) {
        if let Some(kernel) = &mut self.kernel {
            // One write is one record.
            let _ = kernel.write_all(format!("{KERNEL_LOG_PREFIX}boot: {text}\n").as_bytes());
        }
    }

    pub(crate) fn error(&mut self, error: &dyn Error) {
        self.say(&sentence(error));
    }

    /// Several lines for a person, as they are.
    pub(crate) fn banner(&mut self, text: &str) {
        let _ = std::io::stderr().write_all(text.replace('\n', "\r\n").as_bytes());
    }
}

/// An error and its causes, joined by colons.
pub(crate) fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
