//! The terminal that called us, kept as it was.

use std::io::{self, IsTerminal, Write};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Ends colours and shows the cursor (ECMA-48, SGR 0; DECTCEM of the VT220), which a machine that was cut off may have
/// left otherwise.
const PLAIN: &[u8] = b"\x1b[0m\x1b[?25h";

/// How a terminal was set; restored when dropped.
///
/// QEMU restores what it changed when it ends by itself, but not when it is killed.
#[derive(Debug)]
pub struct Terminal {
    settings: Termios,
    /// QEMU makes both not wait. They are shared with the shell that we return to, which would read an end of file.
    input_flags: OFlags,
    output_flags: OFlags,
}

impl Terminal {
    /// Remembers how standard input is set. None when it is not a terminal.
    pub fn save() -> Option<Terminal> {
        Some(Terminal {
            settings: tcgetattr(io::stdin()).ok()?,
            input_flags: fcntl_getfl(io::stdin()).ok()?,
            output_flags: fcntl_getfl(io::stdout()).ok()?,
        })
    }
}

impl Drop for Terminal {
    /// A terminal that has gone away needs no restoring, so errors are not looked at.
    fn drop(&mut self) {
        let _ = fcntl_setfl(io::stdin(), self.input_flags);
        let _ = fcntl_setfl(io::stdout(), self.output_flags);
        let mut output = io::stdout();
        if output.is_terminal() && understands_escapes() {
            let _ = output.write_all(PLAIN).and_then(|()| output.flush());
        }
        // What is still to be written is written first.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.settings);
    }
}

fn understands_escapes() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}
