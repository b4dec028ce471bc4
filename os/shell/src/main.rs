//! The program `nsh`; everything it does is in its library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    nodeos_shell::run(std::env::args_os())
}
