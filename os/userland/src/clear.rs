//! `clear`: empties the screen of the terminal.

use lexopt::Arg;

use crate::applet::{Call, DONE, Stop};

pub(crate) const HELP: &str = "\
Usage: clear

Empties the terminal's screen, and what has scrolled off it.

Options:
  --help  Show this
";

/// To the first place, then everything away, then everything above (ECMA-48: CUP, ED; the last is xterm's).
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    match call.parser().next()? {
        None => {}
        Some(Arg::Long("help")) => return Err(Stop::Help),
        Some(option) => return Err(option.unexpected().into()),
    }
    write!(call.out, "{CLEAR}")?;
    Ok(DONE)
}
