//! `cargo xtask guest-runner`: one test program in a machine of its own, as if it ran here.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::guest::machine::{self, Ended};
use crate::guest::{image, kernel};

/// Boot one test program as root in a machine, and end as it does
///
/// This is cargo's runner (`target.*.runner`) of guest tests: what the program prints is printed here, and its exit code
/// is ours. A machine that ends without the program's report is a failure, and everything about it is kept and named.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The test program, static, as cargo built it
    pub program: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// Boots it.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let program = std::path::absolute(&arguments.program)?;
    let tree = image::tree(&program, &arguments.arguments)?;
    let Ended { code } = machine::run(&tree, &kernel::find()?)?;
    // Codes beyond a byte do not exist; one that a broken report makes up is a failure.
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}
