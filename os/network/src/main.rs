//! The program `network`; everything it does is in its library.
#![forbid(unsafe_code)]

use std::io::{stderr, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    nodeos_network::run(arguments, &mut stdout(), &mut stderr())
}
