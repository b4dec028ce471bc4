//! The command line of NodeOS, as a library: `main` hands over arguments and streams, tests do the same.
//!
//! It owns what is typed, shown and asked of the terminal. What is built is `nodeos-build`'s, what runs `nodeos-vm`'s.

#![forbid(unsafe_code)]

pub mod administrator;
pub mod application;
pub mod arguments;
pub mod ca_bundle;
pub mod chart;
pub mod checks;
pub mod commands;
pub mod ender;
pub mod env_file;
pub mod environment;
pub mod exit;
pub mod foreground;
pub mod host_vm;
pub mod install;
pub mod interrupt;
pub mod machines;
pub mod memory;
pub mod output;
pub mod plan;
pub mod port;
pub mod source;
pub mod training;
pub mod users_size;
pub mod watch;

use std::ffi::OsString;

use clap::Parser;

use crate::arguments::{Cli, Verb};
use crate::exit::Exit;
use crate::output::errors::Failure;
use crate::output::streams::Streams;

/// Runs one command line, the program's name first. Everything it has to say stands in the streams and the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>, mut streams: Streams) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let ended = match machines::inner::run(&arguments) {
        Some(ended) => ended,
        None => match Cli::try_parse_from(arguments) {
            Ok(cli) => dispatch(&cli, &mut streams),
            Err(error) => return not_a_command(&error, &mut streams),
        },
    };
    match ended {
        Ok(exit) => exit,
        Err(failure) => report(&failure, &streams),
    }
}

fn dispatch(cli: &Cli, streams: &mut Streams) -> Result<Exit, Failure> {
    let global = &cli.global;
    let done = match &cli.verb {
        Verb::Run(arguments) => return commands::run::run(arguments, global, streams),
        Verb::Ps(arguments) => commands::ps::run(arguments, streams),
        Verb::Logs(arguments) => commands::logs::run(arguments, streams),
        Verb::Stop(arguments) => commands::stop::run(arguments, streams),
        Verb::Exec(arguments) => return commands::exec::run(arguments, streams),
        Verb::Cp(arguments) => return commands::cp::run(arguments, streams),
        Verb::Stats(arguments) => commands::stats::run(arguments, streams),
        Verb::Rm(arguments) => commands::rm::run(arguments, streams),
        Verb::Build(arguments) => commands::build::run(arguments, global, streams),
        Verb::Start(arguments) => commands::start::run(arguments, global, streams),
        Verb::Init(arguments) => commands::init::run(arguments, streams),
        Verb::Install(arguments) => commands::install::run(arguments, global, streams),
        Verb::Doctor(arguments) => commands::doctor::run(arguments, streams),
        Verb::User(arguments) => commands::user::run(arguments, global, streams),
        Verb::Cache(arguments) => commands::cache::run(arguments, streams),
    };
    done.map(|()| Exit::Done)
}

/// Help and version are results; anything else that clap has to say is a usage error.
fn not_a_command(error: &clap::Error, streams: &mut Streams) -> Exit {
    let text = error.render().to_string();
    if error.use_stderr() {
        streams.err.line(text.trim_end());
        return Exit::Usage;
    }
    match streams.print(&text) {
        Ok(()) => Exit::Done,
        Err(error) => report(&error.into(), streams),
    }
}

fn report(failure: &Failure, streams: &Streams) -> Exit {
    if failure.is_closed_pipe() {
        return Exit::Done;
    }
    streams.err.line(&failure.report());
    failure.exit
}
