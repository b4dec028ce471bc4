//! The binary: gives the library this process's arguments.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::run(std::env::args_os())
}
