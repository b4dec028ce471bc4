//! `nsh`: the login shell and `/bin/sh`, which is brush with the prompt, the history and the start of NodeOS.
//!
//! The language, its built-in commands and the line editor are brush's. This crate owns the command line, what is read at
//! start, where commands come from, and what the prompt shows. It is the only program of the target with an async runtime,
//! because brush is written on one.

#![forbid(unsafe_code)]

mod arguments;
mod editor;
mod execute;
mod interactive;
mod jobs;
mod prompt;
mod rewrite;
mod start;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use arguments::{HELP, Invocation};

/// Of the command line, as every shell has it.
const USAGE_FAILED: u8 = 2;

/// The whole program: takes the arguments with the program's own name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_else(|| "sh".into());
    let program = program.to_string_lossy();
    match Invocation::parse(&program, args.collect()) {
        Ok(Invocation::Help) => say(HELP),
        Ok(Invocation::Version) => say(concat!("nsh ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Invocation::Run(arguments)) => match start::run(*arguments) {
            Ok(code) => ExitCode::from(code),
            Err(error) => complain(&program, &error, 1),
        },
        Err(error) => complain(&program, &error, USAGE_FAILED),
    }
}

fn say(text: &str) -> ExitCode {
    // A closed pipe is the reader's wish.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain(program: &str, error: &dyn std::error::Error, code: u8) -> ExitCode {
    let mut text = format!("{program}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // Where standard error is closed, the exit code has to say it.
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(code)
}
