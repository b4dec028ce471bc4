//! What everything ran on.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use nodeos_vm::accel::Accel;
use nodeos_vm::process;
use serde::Serialize;

/// The host, as far as figures depend on it.
#[derive(Debug, Serialize)]
pub struct Host {
    pub qemu: String,
    pub accelerator: Accel,
    pub processors: usize,
    /// Load averages at the begin and at the end: on a busy host wall times tell little.
    pub load: Vec<String>,
}

impl Host {
    /// This one, now. Every machine here is emulated, so that is the accelerator.
    ///
    /// # Errors
    /// When QEMU is missing, or `/proc`.
    pub fn look() -> anyhow::Result<Host> {
        Ok(Host {
            qemu: first_line(Path::new(&process::program()))?,
            accelerator: Accel::Tcg,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load: vec![load()?],
        })
    }

    /// Looks at the load once more.
    ///
    /// # Errors
    /// Without `/proc`.
    pub fn look_again(&mut self) -> anyhow::Result<()> {
        self.load.push(load()?);
        Ok(())
    }
}

/// What a program answers to `--version`.
pub(crate) fn first_line(program: &Path) -> anyhow::Result<String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// The load averages of 1, 5 and 15 minutes (proc_loadavg(5)).
fn load() -> anyhow::Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    Ok(text
        .split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" "))
}
