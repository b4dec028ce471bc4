//! How a process has ended.

use std::fmt;

use rustix::process::{Signal, WaitStatus};

/// The end of a service, or why there was no begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Code(i32),
    Signal(i32),
    NotStarted(String),
}

impl Ending {
    /// None for a process that has not ended but was stopped or continued, which nobody asks to hear of.
    pub(crate) fn of(status: WaitStatus) -> Option<Ending> {
        status
            .exit_status()
            .map(Ending::Code)
            .or_else(|| status.terminating_signal().map(Ending::Signal))
    }

    pub(crate) fn is_success(&self) -> bool {
        *self == Ending::Code(0)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Code(code) => write!(f, "code {code}"),
            Ending::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal {name}"),
                None => write!(f, "signal {number}"),
            },
            Ending::NotStarted(why) => f.write_str(why),
        }
    }
}

/// The names of the signals that end processes (signal(7)).
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match Signal::from_named_raw(number)? {
        Signal::HUP => "HUP",
        Signal::INT => "INT",
        Signal::QUIT => "QUIT",
        Signal::ILL => "ILL",
        Signal::TRAP => "TRAP",
        Signal::ABORT => "ABRT",
        Signal::BUS => "BUS",
        Signal::FPE => "FPE",
        Signal::KILL => "KILL",
        Signal::USR1 => "USR1",
        Signal::SEGV => "SEGV",
        Signal::USR2 => "USR2",
        Signal::PIPE => "PIPE",
        Signal::ALARM => "ALRM",
        Signal::TERM => "TERM",
        Signal::XCPU => "XCPU",
        Signal::XFSZ => "XFSZ",
        Signal::SYS => "SYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_said_in_words() {
        let check = |ending: Ending, expected: &str| assert_eq!(ending.to_string(), expected);
        check(Ending::Code(3), "code 3");
        check(Ending::Signal(15), "signal TERM");
        check(Ending::Signal(34), "signal 34");
        check(
            Ending::NotStarted("cannot find a".to_owned()),
            "cannot find a",
        );
    }
}
