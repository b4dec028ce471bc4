//! What the command line tells the one who called it: the exit code.

use std::process::ExitCode;

/// How a run of `nodeos` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done. A reader that closed our output early is no failure.
    Done,
    /// The operation failed.
    Failed,
    /// The command line itself cannot be understood.
    Usage,
    /// Something that has to be installed first is missing: QEMU, a compiler.
    MachineryMissing,
    /// Stopped by Ctrl-C or a signal.
    Interrupted,
    /// What the program ended with that was run in a machine.
    Program(u8),
}

impl Exit {
    /// The number the system sees: 69 is `EX_UNAVAILABLE` of sysexits(3head), 130 is 128 plus the number of SIGINT.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::MachineryMissing => 69,
            Exit::Interrupted => 130,
            Exit::Program(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
