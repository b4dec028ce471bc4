//! Where a command writes: its result, and everything else.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};

use crate::sentence::said;

/// The two streams of a command. What they no longer take is nobody's loss.
pub struct Streams {
    pub out: Box<dyn Write>,
    pub err: Box<dyn Write>,
}

impl Streams {
    /// Those of the process.
    pub fn standard() -> Streams {
        Streams {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
        }
    }

    /// Says an error with its causes.
    pub(crate) fn error(&mut self, error: &dyn Error) {
        let _ = writeln!(self.err, "error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let _ = writeln!(self.err, "caused by: {}", said(error));
            cause = error.source();
        }
    }

    /// Says what can be done about it.
    pub(crate) fn hint(&mut self, hint: &str) {
        let _ = writeln!(self.err, "hint: {hint}");
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}
