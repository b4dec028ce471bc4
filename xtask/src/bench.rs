//! `cargo xtask bench`: measures NodeOS, prints a table and writes the figures as JSON.

use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use nodeos_bench::run as applications;
use nodeos_bench::search::Search;
use nodeos_bench::{boot, login, media};
use nodeos_build::cache::Cache;
use nodeos_build::context::Context;
use serde::Serialize;

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
    /// Measure the boot: time, memory and bytes
    ///
    /// Against Debian's cloud kernel, and against Node.js in QEMU's user-mode emulation. Takes about five minutes once
    /// everything is built.
    Boot(Thoroughness),
    /// Measure boot, login and memory at rest of the multi-user system
    ///
    /// Against a minimal Debian with systemd, which is made first. Takes about ten minutes once everything is built.
    Login(Thoroughness),
    /// Measure the formats: how long each takes to be packed, how large it is, and how long a disk boots
    ///
    /// Against grub-mkrescue and qemu-img. Takes about fifteen minutes once everything is built.
    Media(Thoroughness),
    /// Measure applications as machines: first answer, memory, compile cache, a changed line, answers a second
    ///
    /// Against a minimal Debian with systemd, and against Node.js in QEMU's user-mode emulation. Takes about twenty minutes
    /// once everything is built.
    Run(Thoroughness),
}

/// How a benchmark is run.
#[derive(Debug, Args)]
pub struct Thoroughness {
    /// How often each variant is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Where the figures are written [default: target/bench/, and the benchmark's name]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Measure as little as tells anything: for those who work on the benchmark
    #[arg(long, conflicts_with = "runs")]
    pub quick: bool,
}

/// Runs a benchmark.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let context = Context {
        source: project::root().to_owned(),
        cache: Cache::open(Cache::default_root().context("cannot tell where the cache is")?),
        progress: Arc::new(Lines),
        cancel: Arc::default(),
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
    };
    match &arguments.what {
        What::Boot(how) => {
            let (runs, search) = (how.runs(2), how.search());
            let report = boot::run(&context, boot::Options { runs, search })?;
            show(&report, how.json.as_deref(), "boot.json")
        }
        What::Login(how) => {
            let runs = how.runs(1);
            let report = login::run(&context, login::Options { runs })?;
            show(&report, how.json.as_deref(), "login.json")
        }
        What::Media(how) => {
            let runs = how.runs(1);
            let report = media::run(&context, media::Options { runs })?;
            show(&report, how.json.as_deref(), "media.json")
        }
        What::Run(how) => {
            let options = applications::Options {
                runs: how.runs(1),
                search: how.search(),
                machines: if how.quick { 3 } else { 10 },
                asked_for: Duration::from_secs(if how.quick { 2 } else { 5 }),
            };
            let report = applications::run(&context, options)?;
            show(&report, how.json.as_deref(), "run.json")
        }
    }
}

impl Thoroughness {
    fn runs(&self, quick: usize) -> usize {
        match self.quick {
            true => quick,
            false => self.runs.into(),
        }
    }

    fn search(&self) -> Search {
        let (step_mib, confirmations) = if self.quick { (4, 1) } else { (1, 3) };
        Search {
            step_mib,
            confirmations,
        }
    }
}

/// Writes the figures into the file, or `name` in the benchmarks' folder, and prints the table.
fn show(
    report: &(impl Serialize + Display),
    json: Option<&Path>,
    name: &str,
) -> anyhow::Result<ExitCode> {
    let json = json.map_or_else(
        || project::target_folder().join("bench").join(name),
        Path::to_owned,
    );
    write(&json, &serde_json::to_vec_pretty(report)?)
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
