//! `poweroff`, `reboot` and `halt`: this program under other names, which asks PID 1 to stop the machine.

use alloc::format;

use nodeos_sys::entry::Invocation;
use nodeos_sys::error::OsError;
use nodeos_sys::standard;
use rustix::io::Errno;
use rustix::process::{self, Pid, Signal};
use thiserror::Error;

use crate::log;
use crate::usage;

/// A name, the signal that PID 1 takes for it, and what it does.
const COMMANDS: [(&str, Signal, &str); 3] = [
    ("poweroff", Signal::TERM, "power the machine off"),
    ("reboot", Signal::INT, "restart the machine"),
    (
        "halt",
        Signal::USR1,
        "halt the machine without powering it off",
    ),
];

#[derive(Debug, Error)]
#[error("cannot tell PID 1 to {deed}")]
struct AskError {
    deed: &'static str,
    source: OsError,
}

impl AskError {
    fn hint(&self) -> Option<&'static str> {
        (self.source.0 == Errno::PERM).then_some("only root may stop the machine")
    }
}

/// Does what the name says, if this program was called by one of the names, and returns the exit code.
pub(crate) fn run(invocation: &Invocation) -> Option<i32> {
    let called = usage::name(invocation);
    let (name, signal, deed) = COMMANDS
        .into_iter()
        .find(|(name, ..)| name.as_bytes() == called)?;
    match invocation.args.get(1..).unwrap_or_default() {
        [] => Some(ask(signal, deed)),
        [help] if help.as_bytes() == b"--help" => {
            let text = format!(
                "Usage: {name}\n\nAsks init to {deed}. Every process is told to end and given time for it.\n\n\
                 Options:\n  --help  Show this\n"
            );
            log::write_patiently(standard::output(), text.as_bytes());
            Some(0)
        }
        [argument, ..] => Some(usage::refuse(name, argument)),
    }
}

fn ask(signal: Signal, deed: &'static str) -> i32 {
    let Err(errno) = process::kill_process(Pid::INIT, signal) else {
        return 0;
    };
    let error = AskError {
        deed,
        source: OsError(errno),
    };
    let hint = error
        .hint()
        .map(|hint| format!("hint: {hint}\n"))
        .unwrap_or_default();
    let text = format!("error: {error}\ncaused by: {}\n{hint}", error.source);
    log::write_patiently(standard::error(), text.as_bytes());
    1
}
