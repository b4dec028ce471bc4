//! The program `boot`; everything it does is in its library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    nodeos_boot::run(std::env::args_os().skip(1))
}
