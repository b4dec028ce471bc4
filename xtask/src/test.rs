//! `cargo xtask test`: every check and every test, the quick ones first.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use clap::Args;

use crate::counts::Counts;
use crate::project::{self, cargo};
use crate::steps::{self, Outcome, Steps};
use crate::{guest_test, tidy};

/// What cargo-deny says when its database cannot be fetched.
const NO_DATABASE: &str = "failed to fetch advisory database";

/// Run every check and every test
///
/// Formatting, lints, the rules about the sources, dependencies, then the tests: on the host, in booted machines, and
/// those of the target's programs as root inside a machine. The last line counts the tests.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Runs everything, whatever fails on the way.
pub fn run(_arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut steps = Steps::begin();
    steps.step("format", |_| {
        steps::run(cargo().args(["fmt", "--all", "--check"]))
    });
    steps.step("lints", |_| {
        steps::run(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]))
    });
    steps.step("tidy", tidy::check);
    steps.step("dependencies", |_| {
        steps::run(deny()?.args([
            "check",
            "--hide-inclusion-graph",
            "bans",
            "licenses",
            "sources",
        ]))
    });
    steps.step("advisories", |_| advisories());
    steps.step("images", |_| images());
    steps.step("host tests", host_tests);
    steps.step("guest tests", |counts| {
        guest_test::check(&guest_test::Arguments::default(), counts)
    });
    Ok(steps.finish(&mut std::io::stdout()))
}

/// What the boot tests boot is built beforehand, where its progress can be seen: two kernels take half an hour.
fn images() -> anyhow::Result<Outcome> {
    let out = project::target_folder().join("images");
    for flavor in ["mainframe", "workstation"] {
        let mut command = cargo();
        command
            .args([
                "run",
                "--quiet",
                "--package",
                "nodeos",
                "--",
                "build",
                "--flavor",
                flavor,
                "--out",
            ])
            .arg(&out);
        if steps::run(&mut command)? != Outcome::Passed {
            return Ok(Outcome::Failed);
        }
    }
    Ok(Outcome::Passed)
}

/// The target's programs are tested inside a machine, and the chores in a step of their own.
fn host_tests(counts: &mut Counts) -> anyhow::Result<Outcome> {
    let mut command = cargo();
    command.args([
        "test",
        "--workspace",
        "--no-fail-fast",
        "--exclude",
        "xtask",
    ]);
    for package in project::packages()?
        .iter()
        .filter(|package| package.is_tested_in_a_machine())
    {
        command.args(["--exclude", &package.name]);
    }
    steps::run_tests(&mut command, counts, &mut std::io::stdout())
}

/// The database of advisories comes over the network, which a test cannot require.
fn advisories() -> anyhow::Result<Outcome> {
    let output = deny()?
        .args(["check", "--hide-inclusion-graph", "advisories"])
        .stdin(Stdio::null())
        .stdout(Stdio::inherit())
        .output()
        .context("cannot run cargo-deny")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(Outcome::Passed)
    } else if said.contains(NO_DATABASE) {
        Ok(Outcome::Skipped(
            "the database of advisories cannot be reached".to_owned(),
        ))
    } else {
        anyhow::bail!("cargo deny check advisories failed: {}", said.trim_end())
    }
}

/// cargo-deny as `bin/install-dependencies --test` installs it, or the user's own.
fn deny() -> anyhow::Result<Command> {
    let ours = project::target_folder().join("tools/bin/cargo-deny");
    let program = if ours.exists() {
        ours
    } else {
        PathBuf::from("cargo-deny")
    };
    let found = Command::new(&program)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    found.context("cargo-deny is missing: bin/install-dependencies --test installs it")?;
    let mut command = Command::new(program);
    command.current_dir(project::root());
    Ok(command)
}
