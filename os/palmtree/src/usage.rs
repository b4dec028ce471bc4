//! `palmtree` as it is called by the one who starts a session, or by a person.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use lexopt::Arg::{Long, Short};

use crate::paths::Paths;
use crate::streams::Streams;
use crate::supervisor;

const HELP: &str = "\
Usage: palmtree

Runs the services of /etc/palmtree.json and keeps them running. A session starts it; svc talks to it.

Options:
  -h, --help     Show this
  -V, --version  Show the version
";

/// The exit code of a command that was called in a wrong way.
pub(crate) const WRONG_USAGE: u8 = 2;

enum Options {
    Run,
    Help,
    Version,
}

pub(crate) fn run(args: impl Iterator<Item = OsString>, streams: &mut Streams) -> ExitCode {
    let text = match parse(args) {
        Ok(Options::Run) => return supervise(streams),
        Ok(Options::Help) => HELP,
        Ok(Options::Version) => concat!("palmtree (NodeOS) ", env!("CARGO_PKG_VERSION"), "\n"),
        Err(error) => {
            streams.error(&error);
            streams.hint("palmtree --help shows what it takes");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let _ = streams.out.write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn parse(args: impl Iterator<Item = OsString>) -> Result<Options, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut options = Options::Run;
    while let Some(argument) = parser.next()? {
        options = match argument {
            Short('h') | Long("help") => Options::Help,
            Short('V') | Long("version") => Options::Version,
            _ => return Err(argument.unexpected()),
        };
    }
    Ok(options)
}

fn supervise(streams: &mut Streams) -> ExitCode {
    match supervisor::run(&Paths::default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            streams.error(&error);
            ExitCode::FAILURE
        }
    }
}
