//! `cargo xtask tidy`: the rules about the sources themselves.

use std::process::ExitCode;

use clap::Args;

use crate::counts::Counts;
use crate::project;
use crate::steps::{self, Outcome};

/// Check the rules about the sources: lengths, words, arrows between crates, links, documents
///
/// The rules are the tests of the folder xtask/tests/tidy.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Runs the rules.
pub fn run(_arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let outcome = check(&mut Counts::default())?;
    Ok(if outcome == Outcome::Passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The step of `cargo xtask test`: the rules, and the tests of the chores.
pub fn check(counts: &mut Counts) -> anyhow::Result<Outcome> {
    let mut command = project::cargo();
    command.args(["test", "--package", "xtask", "--no-fail-fast"]);
    steps::run_tests(&mut command, counts, &mut std::io::stdout())
}
