//! Where sentences go: standard error, which is the console, and the kernel's log.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;

const KERNEL_LOG: &str = "/dev/kmsg";

/// Level "debug" of facility "daemon" (syslog(3)): in `dmesg`, and not repeated on the console by the kernel.
const KERNEL_LOG_PREFIX: &str = "<31>";

/// The log of this program. What fails here can be told nowhere, so it has no errors.
#[derive(Debug)]
pub struct Log {
    /// Before each sentence.
    name: &'static str,
    kernel: Option<File>,
}

impl Log {
    /// That of the program with this name.
    pub fn open(name: &'static str) -> Log {
        Log {
            name,
            kernel: OpenOptions::new().write(true).open(KERNEL_LOG).ok(),
        }
    }

    /// Writes the program's name and the sentence to the console and to the kernel's log.
    pub fn say(&mut self, text: &str) {
        self.note(text);
        let line = format!("{}: {text}\r\n", self.name);
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// Writes it to the kernel's log alone: nobody at the console has to read it now.
    pub fn note(&mut self, text: &str) {
        if let Some(kernel) = &mut self.kernel {
            // One write is one record.
            let record = format!("{KERNEL_LOG_PREFIX}{}: {text}\n", self.name);
            let _ = kernel.write_all(record.as_bytes());
        }
    }

    pub fn error(&mut self, error: &dyn Error) {
        self.say(&sentence(error));
    }

    /// Several lines for a person, as they are.
    pub fn banner(&mut self, text: &str) {
        let _ = std::io::stderr().write_all(text.replace('\n', "\r\n").as_bytes());
    }
}

/// An error and its causes, joined by colons.
pub fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
