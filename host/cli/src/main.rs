//! The binary: gives the library this process's arguments and streams, and the system its exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    nodeos::run(
        std::env::args_os(),
        nodeos::output::streams::Streams::of_process(),
    )
    .into()
}
