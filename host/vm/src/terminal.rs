//! The terminal that called us, kept as it was.

use std::io;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

/// How a terminal was set; restored when dropped.
///
/// QEMU restores what it changed when it ends by itself, but not when it is killed.
pub struct Terminal {
    settings: Termios,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Terminal {
    /// Remembers how standard input is set. None when it is not a terminal.
    pub fn save() -> Option<Terminal> {
        let input = io::stdin();
        if !isatty(&input) {
            return None;
        }
        tcgetattr(&input).ok().map(|settings| Terminal { settings })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What is still to be written is written first. A terminal that has gone away needs no restoring.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.settings);
    }
}
