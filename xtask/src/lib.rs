//! The project's own chores, as `cargo xtask VERB`: one file per verb, and what several of them share.
//!
//! It owns how the project is checked. What is checked belongs to the crates; the rules about the sources themselves
//! are tests in `xtask/tests/tidy`.

#![forbid(unsafe_code)]

pub mod bench;
pub mod counts;
pub mod guest;
pub mod guest_runner;
pub mod guest_test;
pub mod narration;
pub mod project;
pub mod soak;
pub mod steps;
pub mod test;
pub mod tidy;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Check, test and measure NodeOS
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    Test(test::Arguments),
    Tidy(tidy::Arguments),
    GuestTest(guest_test::Arguments),
    GuestRunner(guest_runner::Arguments),
    Bench(bench::Arguments),
    Soak(soak::Arguments),
}

/// Runs one command line, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help that cannot be shown is shown to nobody.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let ended = match &cli.verb {
        Verb::Test(arguments) => test::run(arguments),
        Verb::Tidy(arguments) => tidy::run(arguments),
        Verb::GuestTest(arguments) => guest_test::run(arguments),
        Verb::GuestRunner(arguments) => guest_runner::run(arguments),
        Verb::Bench(arguments) => bench::run(arguments),
        Verb::Soak(arguments) => soak::run(arguments),
    };
    ended.unwrap_or_else(|error| {
        narration::error(&error);
        ExitCode::FAILURE
    })
}
