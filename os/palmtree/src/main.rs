//! The program `palmtree`; everything it does is in its library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    nodeos_palmtree::run(std::env::args_os())
}
