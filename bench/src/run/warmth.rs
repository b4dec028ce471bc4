//! What a start takes with the compile cache of a large application, and without.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use nodeos_build::context::Context;
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::nodeos::Nodeos;
use crate::cpu;
use crate::machine::Moment;

/// Below the checkout: the compiler of TypeScript, six megabytes of which are one script.
const APPLICATION: &str = "tests/applications/compiler";
/// It loads all of it, and does nothing with it.
const ARGUMENT: &str = "--version";

/// Starts to the end, in pairs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Warmth {
    pub with: Vec<Moment>,
    pub without: Vec<Moment>,
}

/// The same application twice.
#[derive(Debug)]
pub(super) struct Compilers {
    with: PathBuf,
    without: PathBuf,
    _scratch: TempDir,
}

impl Compilers {
    /// Copies it, and builds both.
    pub(super) fn prepare(ctx: &Context, nodeos: &Nodeos) -> anyhow::Result<Compilers> {
        let scratch = tempfile::tempdir()?;
        let from = ctx.source.join(APPLICATION);
        let copy = |name: &str, compile_cache: bool| {
            let folder = scratch.path().join(name);
            fs::create_dir(&folder)?;
            fs::copy(
                from.join("package-lock.json"),
                folder.join("package-lock.json"),
            )?;
            let text = fs::read_to_string(from.join("package.json"))?;
            let mut package: Value = serde_json::from_str(&text)?;
            package["nodeos"] = json!({ "compileCache": compile_cache });
            fs::write(folder.join("package.json"), package.to_string())?;
            let path = folder
                .to_str()
                .context("a temporary folder has a plain name")?;
            nodeos.done(&["run", "--dry-run", path])?;
            Ok::<_, anyhow::Error>(folder)
        };
        Ok(Compilers {
            with: copy("with", true)?,
            without: copy("without", false)?,
            _scratch: scratch,
        })
    }

    /// Runs each once, and then so many times.
    pub(super) fn measure(&self, nodeos: &Nodeos, times: usize) -> anyhow::Result<Warmth> {
        let mut found = Warmth::default();
        for round in 0..=times {
            let (with, without) = (start(nodeos, &self.with)?, start(nodeos, &self.without)?);
            if round > 0 {
                found.with.push(with);
                found.without.push(without);
            }
        }
        Ok(found)
    }
}

fn start(nodeos: &Nodeos, application: &Path) -> anyhow::Result<Moment> {
    let before = cpu::of_ended_children()?;
    let started = Instant::now();
    let mut command = nodeos.command(["run", "--quiet"]);
    let output = command.arg(application).args(["--", ARGUMENT]).output()?;
    let wall = started.elapsed().as_secs_f64();
    ensure!(
        output.status.success(),
        "the compiler failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Moment {
        wall,
        cpu: cpu::of_ended_children()? - before,
    })
}
