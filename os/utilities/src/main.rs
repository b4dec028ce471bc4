//! The program `utilities`; everything it does is in its library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    nodeos_utilities::run(std::env::args_os())
}
