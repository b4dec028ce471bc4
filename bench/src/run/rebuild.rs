//! What it costs to build again after one line of the application has changed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::servers::Servers;

/// What counts the bytes that a command and all that it starts give to the file system (proc_pid_io(5)): a shell has waited
/// for them, so they are its own.
const COUNTED: &str = "\"$@\" > /dev/null; code=$?; cat /proc/$$/io; exit $code";

/// One build.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rebuild {
    pub wall: f64,
    /// Bytes that were to be written to a disk.
    pub written: u64,
}

/// Builds once, and then changes a line and builds again, so many times.
pub(super) fn measure(servers: &Servers, times: usize) -> anyhow::Result<Vec<Rebuild>> {
    let scratch = tempfile::tempdir()?;
    let application = scratch.path().join("application");
    fs::create_dir(&application)?;
    for entry in fs::read_dir(&servers.application)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), application.join(entry.file_name()))?;
        }
    }
    build(servers, &application)?;
    let script = application.join("server.js");
    let text = fs::read_to_string(&script)?;
    // Another one each time that this runs: what has been built before is in the cache.
    let word = scratch
        .path()
        .file_name()
        .context("/ is no scratch folder")?;
    let word = word.to_string_lossy();
    (0..times)
        .map(|time| {
            let changed = text.replace("Hello", &format!("Hello number {time} {word}"));
            ensure!(changed != text, "the script has no line to be changed");
            fs::write(&script, changed)?;
            build(servers, &application)
        })
        .collect()
}

fn build(servers: &Servers, application: &Path) -> anyhow::Result<Rebuild> {
    // It builds what is missing, and starts no machine.
    let inner = servers.nodeos.command(["run", "--dry-run"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", COUNTED, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .arg(application);
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let started = Instant::now();
    let output = command.output()?;
    let wall = started.elapsed().as_secs_f64();
    ensure!(
        output.status.success(),
        "nodeos run --dry-run failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let written = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok())
        .context("/proc does not say how much a process has written")?;
    Ok(Rebuild { wall, written })
}
