//! The program `application`; everything it does is in its library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    nodeos_application::run(std::env::args_os().skip(1))
}
