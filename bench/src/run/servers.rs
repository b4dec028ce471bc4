//! The servers that are compared: one and the same express application, in a machine of ours, in a minimal Debian, and without any
//! operating system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nodeos_build::context::Context;
use nodeos_build::manifest::Manifest;
use nodeos_build::node::{self, host::HostNode};
use nodeos_build::recipe::{Arch, Libc};
use nodeos_vm::machine::{Machine, Network, PortForward, Root as MachineRoot};
use nodeos_vm::vm::Vm;
use serde::Serialize;
use tempfile::TempDir;

use super::client;
use super::nodeos::{Nodeos, Root};
use crate::boot::user_mode::UserMode;
use crate::cpu;
use crate::login::debian::{Debian, Service};
use crate::login::systems::{DEBIAN_WORDS, copy};
use crate::machine::{Moment, machine};

/// Below the checkout.
const APPLICATION: &str = "tests/applications/express";
/// What Node.js runs of it.
const SCRIPT: &str = "server.js";
/// Has it bundled.
const OPTIMIZE: &str = "--optimize";
/// Where it listens.
const PORT: u16 = 3000;
/// Ten times what Debian takes on an idle host.
const DEADLINE: Duration = Duration::from_secs(300);
/// What ours has by default, and Debian needs.
const DEBIAN_MEMORY_MIB: u32 = 512;

/// One server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    Ours,
    OursOnDisk,
    /// Bundled into one file.
    OursOptimized,
    /// QEMU's user-mode emulation, without a machine.
    UserMode,
    Debian,
}

impl Variant {
    /// In the order of a round.
    pub const ALL: &[Variant] = &[
        Variant::Ours,
        Variant::OursOnDisk,
        Variant::OursOptimized,
        Variant::UserMode,
        Variant::Debian,
    ];

    /// What people read.
    pub fn title(self) -> &'static str {
        match self {
            Variant::Ours => "ours (pmem)",
            Variant::OursOnDisk => "ours (disk)",
            Variant::OursOptimized => "ours (optimized)",
            Variant::UserMode => "user mode",
            Variant::Debian => "Debian",
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Measured {
    /// From the command to the first answer.
    pub first_answer: Moment,
    /// As many as clients at the same time get.
    pub answers_per_second: f64,
}

/// Everything that is compared. The folder goes with it.
#[derive(Debug)]
pub struct Servers {
    pub nodeos: Nodeos,
    /// The application's own folder, without what it depends on.
    pub application: PathBuf,
    pub debian: Debian,
    pub node_version: String,
    user_mode: UserMode,
    /// The application with what it depends on.
    installed: PathBuf,
    scratch: TempDir,
}

/// Something that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Who has ended already has nothing against it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Servers {
    /// Builds and fetches what is not in the cache.
    ///
    /// # Errors
    /// Where one of the builders fails; each says why.
    pub fn prepare(ctx: &Context) -> anyhow::Result<Servers> {
        let folder = ctx.source.join("target/bench");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let scratch = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(&folder)?;
        let application = ctx.source.join(APPLICATION);
        let installed = folder.join("express");
        let manifest = Manifest::load(&ctx.source)?;
        let prepared = |libc| node::prepare(ctx, &manifest, Arch::X86_64, libc);
        // The floor has the C library of ours, Debian has its own.
        let musl = prepared(Libc::Musl)?;
        let host = node::host::prepare(ctx, &manifest, &musl, Arch::X86_64, Libc::Musl)?;
        install(&host, &application, &installed)?;
        let user_mode = UserMode::prepare(UserMode::find()?, &musl, &scratch.path().join("root"))?;
        let service = Service {
            files: &installed,
            script: SCRIPT,
        };
        let debian = Debian::prepare(ctx, &prepared(Libc::Glibc)?, Some(&service))
            .context("cannot get a Debian to compare with")?;
        let nodeos = Nodeos::prepare(ctx)?;
        for more in [None, Some(OPTIMIZE)] {
            let path = application.to_string_lossy();
            let words = ["run", "--dry-run"].into_iter().chain(more);
            let words: Vec<&str> = words.chain([&*path]).collect();
            nodeos.done(&words)?;
        }
        Ok(Servers {
            nodeos,
            application,
            debian,
            node_version: musl.version,
            user_mode,
            installed,
            scratch,
        })
    }

    /// Starts the server, waits for its first answer, and then asks as often as it can be asked for so long.
    pub(super) fn measure(
        &self,
        variant: Variant,
        asked_for: Duration,
    ) -> anyhow::Result<Measured> {
        let port = client::free_port()?;
        match variant {
            Variant::Ours => self.ours(port, Root::Pmem, &[], asked_for),
            Variant::OursOnDisk => self.ours(port, Root::Disk, &[], asked_for),
            Variant::OursOptimized => self.ours(port, Root::Pmem, &[OPTIMIZE], asked_for),
            Variant::UserMode => self.user_mode(port, asked_for),
            Variant::Debian => self.debian(port, asked_for),
        }
    }

    fn ours(
        &self,
        port: u16,
        root: Root,
        more: &[&str],
        asked_for: Duration,
    ) -> anyhow::Result<Measured> {
        let started = Instant::now();
        let child = self.nodeos.run(&self.application, port, root, more)?;
        let pid = child.id();
        let mut running = Running(child);
        let measured = ask(
            port,
            started,
            asked_for,
            || still_runs(&mut running.0),
            || cpu::of_tree(pid),
        )?;
        stop(&mut running.0)?;
        Ok(measured)
    }

    fn user_mode(&self, port: u16, asked_for: Duration) -> anyhow::Result<Measured> {
        let UserMode { program, root } = &self.user_mode;
        let mut command = Command::new(program);
        command
            .arg("-L")
            .arg(root)
            .arg(root.join("bin/node"))
            .arg(SCRIPT)
            .current_dir(&self.installed);
        command
            .env_clear()
            .env("NODE_ENV", "production")
            .env("HOST", "127.0.0.1")
            .env("PORT", port.to_string());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let pid = child.id();
        let mut running = Running(child);
        ask(
            port,
            started,
            asked_for,
            || still_runs(&mut running.0),
            || cpu::of_process(pid),
        )
    }

    fn debian(&self, port: u16, asked_for: Duration) -> anyhow::Result<Measured> {
        let disk = self.scratch.path().join("disk.img");
        copy(&self.debian.disk, &disk)?;
        let machine = self.debian_machine(disk, port);
        let started = Instant::now();
        let mut vm = Vm::boot(&machine)?;
        let pid = vm.pid();
        let alive = || match vm.wait(Duration::ZERO) {
            Ok(status) => bail!("QEMU ended with {status}: {}", vm.stderr()),
            Err(_) => Ok(()),
        };
        ask(port, started, asked_for, alive, || cpu::of_process(pid))
    }

    fn debian_machine(&self, disk: PathBuf, port: u16) -> Machine {
        let archive = self.debian.initrd.clone();
        let mut machine = machine(&self.debian.kernel, MachineRoot::Initramfs { archive });
        machine.append = DEBIAN_WORDS.map(str::to_owned).to_vec();
        machine.memory_mib = DEBIAN_MEMORY_MIB;
        machine.network = Network::ByTheSystem;
        machine.ports = vec![PortForward::local(port, PORT)];
        machine.disks = vec![disk];
        machine
    }
}

fn ask(
    port: u16,
    started: Instant,
    asked_for: Duration,
    alive: impl FnMut() -> anyhow::Result<()>,
    cpu: impl Fn() -> anyhow::Result<f64>,
) -> anyhow::Result<Measured> {
    let at = client::first_answer(port, DEADLINE, alive)?;
    let first_answer = Moment {
        wall: at.duration_since(started).as_secs_f64(),
        cpu: cpu()?,
    };
    // One second more, in which what came with the first request is done and translated.
    client::answers_per_second(port, Duration::from_secs(1))?;
    Ok(Measured {
        first_answer,
        answers_per_second: client::answers_per_second(port, asked_for)?,
    })
}

pub(super) fn still_runs(child: &mut Child) -> anyhow::Result<()> {
    match child.try_wait()? {
        Some(status) => bail!("it ended with {status}"),
        None => Ok(()),
    }
}

/// Ends what `nodeos run` has started, as somebody does who has seen enough.
pub(super) fn stop(child: &mut Child) -> anyhow::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    kill_process(Pid::from_child(child), Signal::TERM)?;
    child.wait()?;
    Ok(())
}

/// The application with what it depends on, which has no add-ons: what an administrator of a Debian copies to it.
fn install(node: &HostNode, from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for name in ["package.json", "package-lock.json", SCRIPT] {
        fs::copy(from.join(name), to.join(name))?;
    }
    let output = node::host::npm(node)
        .args(["ci", "--omit=dev"])
        .current_dir(to)
        .output()?;
    ensure!(
        output.status.success(),
        "npm ci failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
