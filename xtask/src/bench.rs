//! `cargo xtask bench`: measures NodeOS, prints a table and writes the figures as JSON.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use nodeos_bench::boot::memory::Search;
use nodeos_bench::boot::{self, Options};
use nodeos_build::cache::Cache;
use nodeos_build::context::Context;

use crate::narration::{self, Lines};
use crate::project;

/// Measure NodeOS
///
/// What is compared runs interleaved in one run, so that a busy machine is as unkind to all of it. No figure is judged.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    pub what: What,
}

/// The benchmarks.
#[derive(Debug, Subcommand)]
pub enum What {
    Boot(BootArguments),
}

/// Measure the boot: time, memory and bytes
///
/// Against Debian's cloud kernel, and against Node.js in QEMU's user-mode emulation. Takes about five minutes once
/// everything is built.
#[derive(Debug, Args)]
pub struct BootArguments {
    /// How often each variant is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Where the figures are written [default: target/bench/boot.json]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Measure twice and search memory in steps of 4 MiB: for those who work on the benchmark
    #[arg(long, conflicts_with = "runs")]
    pub quick: bool,
}

/// Runs a benchmark.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let What::Boot(arguments) = &arguments.what;
    let options = match arguments.quick {
        true => Options {
            runs: 2,
            search: Search {
                step_mib: 4,
                confirmations: 1,
            },
        },
        false => Options {
            runs: arguments.runs.into(),
            search: Search {
                step_mib: 1,
                confirmations: 3,
            },
        },
    };
    let context = Context {
        source: project::root().to_owned(),
        cache: Cache::open(Cache::default_root().context("cannot tell where the cache is")?),
        progress: Arc::new(Lines),
        cancel: Arc::default(),
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let report = boot::run(&context, options)?;
    let json = arguments
        .json
        .clone()
        .unwrap_or_else(|| project::target_folder().join("bench/boot.json"));
    write(&json, &serde_json::to_vec_pretty(&report)?)
        .with_context(|| format!("cannot write {}", json.display()))?;
    // The table is the result; a closed pipe takes nothing away from the file.
    let _ = write!(std::io::stdout(), "{report}");
    narration::line(format_args!("the figures are in {}", json.display()));
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
