//! The program `userland`; everything it does is in its library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = std::env::args_os().collect();
    nodeos_userland::run(args, &mut std::io::stdout(), &mut std::io::stderr()).into()
}
