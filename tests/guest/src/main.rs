//! The binary: what `init` starts in the machine of a guest test.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(error) = nodeos_guest::run(Path::new(nodeos_guest::order::PATH)) else {
        return ExitCode::SUCCESS;
    };
    // The console is all there is to tell; when it is gone too, the missing report is the message.
    let mut console = std::io::stderr();
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        let _ = writeln!(console, "guest agent: {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}
