//! `cargo xtask guest-test`: the tests of the target's programs, as root inside a machine.

use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use clap::Args;
use nodeos_build::programs::{StaticTarget, static_target};

use crate::counts::Counts;
use crate::guest::kernel;
use crate::project::{self, cargo};
use crate::steps::{self, Outcome};

/// Run the tests of the target's programs as root inside a machine
///
/// Cargo builds each test program as it does for the target, and hands it to `cargo xtask guest-runner`, which boots it.
/// Each boot takes a few seconds without KVM. The kernel is built first when it is not in the cache.
#[derive(Debug, Default, Args)]
pub struct Arguments {
    /// Run only tests whose name contains this
    pub name: Option<String>,
    /// Flags of the test programs, such as --nocapture
    #[arg(last = true)]
    pub flags: Vec<String>,
}

/// Runs them.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let outcome = check(arguments, &mut Counts::default())?;
    Ok(if outcome == Outcome::Passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The step of `cargo xtask test`.
pub fn check(arguments: &Arguments, counts: &mut Counts) -> anyhow::Result<Outcome> {
    let kernel = kernel::find()?;
    let target = static_target();
    // Every machine has init and the agent in it, whatever is tested.
    let mut build = for_target(&["build"], target);
    build.args(["--package", "nodeos-init", "--package", "nodeos-guest"]);
    ensure!(
        steps::run(&mut build)? == Outcome::Passed,
        "the programs of the guest tests do not compile"
    );

    let mut test = for_target(&["test", "--lib", "--test", "*", "--no-fail-fast"], target);
    for package in project::packages()?
        .iter()
        .filter(|package| package.is_tested_in_a_machine())
    {
        test.args(["--package", &package.name]);
    }
    test.args(["--config", &runner(target)?])
        .args(&arguments.name)
        .arg("--")
        .args(&arguments.flags);
    test.env(kernel::VARIABLE, kernel);
    steps::run_tests(&mut test, counts, &mut std::io::stdout())
}

/// A command of cargo that compiles static programs.
fn for_target(words: &[&str], target: StaticTarget) -> Command {
    let mut command = cargo();
    command.args(words).args(["--target", target.triple]);
    // The unit separator is what Cargo splits at (The Cargo Book, environment variables).
    command
        .env("CARGO_ENCODED_RUSTFLAGS", target.flags.join("\u{1f}"))
        .env_remove("RUSTFLAGS");
    // An initramfs is unpacked into memory. The names of functions, which backtraces want, are all that is worth it.
    command
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .env("CARGO_PROFILE_DEV_STRIP", "debuginfo");
    command
}

/// The setting that makes this very program the runner of the target's programs.
fn runner(target: StaticTarget) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let program = program
        .to_str()
        .context("the path of this program is not UTF-8")?;
    // Where the tests of the host came first, Cargo has linked this program anew meanwhile, and Linux marks the path of
    // the one that runs (proc_pid_exe(5)). The new one is at the same place.
    let program = program.strip_suffix(" (deleted)").unwrap_or(program);
    // A JSON string without control characters is a TOML string.
    Ok(format!(
        "target.{}.runner=[{}, \"guest-runner\"]",
        target.triple,
        serde_json::to_string(program)?
    ))
}
