//! The command line of NodeOS, as people have it: a release build, whose machines are nobody else's.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use nodeos_build::context::Context;
use nodeos_build::tool::{self, Tool};
use nodeos_spec::cmdline::AUTHORITIES;
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

/// How the system reaches the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    Pmem,
    Disk,
}

/// The program, and where it keeps what it knows of machines.
#[derive(Debug)]
pub struct Nodeos {
    program: PathBuf,
    state: TempDir,
}

impl Root {
    /// As `--root` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Root::Pmem => "pmem",
            Root::Disk => "disk",
        }
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Nodeos {
    /// Compiles it.
    ///
    /// # Errors
    /// When that fails.
    pub fn prepare(ctx: &Context) -> anyhow::Result<Nodeos> {
        let step = ctx.progress.begin("compile nodeos", None);
        let mut command = Command::new("cargo");
        command.current_dir(&ctx.source).args([
            "build",
            "--release",
            "--locked",
            "--package",
            "nodeos",
        ]);
        tool::run(
            ctx,
            Tool::new(command, "cargo", "cargo-nodeos"),
            &mut |_| {},
        )?;
        step.finish("");
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| ctx.source.join("target"), PathBuf::from);
        Ok(Nodeos {
            program: target.join("release/nodeos"),
            state: tempfile::tempdir()?,
        })
    }

    /// A command of it. Every machine is emulated, as in all benchmarks.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("NODEOS_ACCEL", "tcg")
            .env("XDG_STATE_HOME", self.state.path())
            .env("XDG_RUNTIME_DIR", self.state.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts an application in the foreground, silently. It is built before: npm may need what the machine is not given here, the
    /// authorities of this host, which the other systems do not have either.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn run(
        &self,
        application: &Path,
        port: u16,
        root: Root,
        more: &[&str],
    ) -> anyhow::Result<Child> {
        let forward = format!("{port}:3000");
        let mut command = self.command(["run", "--port", &forward, "--root", root.as_str()]);
        command.args(more).arg(application);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.env_remove(AUTHORITIES);
        command.spawn().context("cannot start nodeos run")
    }

    /// Has a command end well, and returns what it printed.
    ///
    /// # Errors
    /// When it does not, with what it said.
    pub fn done(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command(arguments).output()?;
        ensure!(
            output.status.success(),
            "nodeos {} ended with {}: {}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The process of QEMU of a running machine.
    ///
    /// # Errors
    /// When no machine has this name.
    pub fn qemu_of(&self, name: &str) -> anyhow::Result<u32> {
        let machines: Value = serde_json::from_str(&self.done(&["ps", "--json"])?)?;
        let machines = machines.as_array().context("ps prints a list")?;
        let machine = machines.iter().find(|machine| machine["name"] == name);
        machine
            .and_then(|machine| machine["qemuPid"].as_u64())
            .and_then(|pid| u32::try_from(pid).ok())
            .with_context(|| format!("no machine {name} runs"))
    }
}
