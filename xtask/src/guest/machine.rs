//! The machine of a guest test: booted, listened to, and gone when the report is complete.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nodeos_build::cache::Cache;
use nodeos_image::cpio;
use nodeos_image::tree::Tree;
use nodeos_spec::channel::{RESULTS, TestReport};
use nodeos_vm::accel::Accel;
use nodeos_vm::channel::Lines;
use nodeos_vm::machine::{Channel, ConsoleTo, Machine, OnReboot, Root, SocketEnd};
use nodeos_vm::process::Qemu;
use nodeos_vm::vm::Vm;

use crate::narration;

/// Enough for the kernel, an initramfs with unstripped test programs, and what the tests fill on purpose.
const MEMORY_MIB: u32 = 512;
/// The time in which QEMU opens its sockets, which is the first thing it does.
const QEMU_START: Duration = Duration::from_secs(60);
/// The longest that one test program may take, with its boot: emulation on a busy machine is slow, and a machine that
/// hangs is not to hold up everything.
const DEADLINE: Duration = Duration::from_secs(600);
/// The time from the report's end to the end of the machine, which has nothing left to do but stop.
const POWER_OFF: Duration = Duration::from_secs(60);

/// How the program under test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code, or 128 plus the number of the signal that ended it.
    pub code: i32,
}

/// Boots the tree with the kernel, and prints what the program in it prints.
pub fn run(tree: &Tree, kernel: &Path) -> anyhow::Result<Ended> {
    let scratch = tempfile::Builder::new()
        .prefix("nodeos-guest-")
        .tempdir()
        .context("cannot make a scratch folder")?;
    let archive = scratch.path().join("initramfs.cpio");
    write(tree, &archive).with_context(|| format!("cannot write {}", archive.display()))?;
    let machine = machine(kernel, archive, scratch.path().join("results.sock"))?;
    let mut vm = Vm::boot(&machine).context("cannot boot the machine of the test")?;
    let ended = listen(&machine.channels[0].socket).and_then(|ended| {
        vm.wait(POWER_OFF)
            .context("the machine did not power off after its report")?;
        Ok(ended)
    });
    ended.or_else(|error| {
        vm.kill();
        keep(&machine, &vm, scratch).context("cannot keep what is left of the machine")?;
        Err(error)
    })
}

fn write(tree: &Tree, path: &Path) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    cpio::write(tree, 0, &mut out)?;
    Ok(out.flush()?)
}

fn machine(kernel: &Path, archive: PathBuf, socket: PathBuf) -> anyhow::Result<Machine> {
    let cache = Cache::default_root().ok();
    let qemu = Qemu::find().map_err(|error| narration::with_hint(error.hint(), error))?;
    let choice = Accel::choose(&qemu, cache.as_deref());
    let accel = choice
        .map_err(|error| narration::with_hint(error.hint(), error))?
        .accel;
    Ok(Machine {
        accel,
        memory_mib: MEMORY_MIB,
        channels: vec![Channel {
            name: RESULTS.to_owned(),
            socket,
            qemu: SocketEnd::Listens,
        }],
        console: ConsoleTo::Pipes,
        on_reboot: OnReboot::Exit,
        ..Machine::new(kernel.to_owned(), Root::Initramfs { archive })
    })
}

/// Prints what the agent reports, up to how the program ended. Returning closes the channel, which tells the agent
/// that everything has arrived.
fn listen(socket: &Path) -> anyhow::Result<Ended> {
    let deadline = Instant::now() + DEADLINE;
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut lines =
        Lines::connect(socket, QEMU_START).context("cannot reach the machine's results")?;
    loop {
        let Some(line) = lines
            .next(left())
            .context("the machine's results broke off")?
        else {
            bail!("the machine ended without reporting how the test program did");
        };
        match serde_json::from_str(&line)
            .with_context(|| format!("the machine reports {line:?}"))?
        {
            // A closed pipe must not end the test.
            TestReport::Output { line } => drop(writeln!(std::io::stdout(), "{line}")),
            TestReport::Done { code } => return Ok(Ended { code }),
        }
    }
}

/// Shows the console, and keeps the image, the console and the command line.
fn keep(machine: &Machine, vm: &Vm, scratch: tempfile::TempDir) -> anyhow::Result<()> {
    let console = vm.console.transcript();
    narration::line(format_args!(
        "---- console of the machine\n{}\n----",
        console.trim_end()
    ));
    let said = vm.stderr();
    if !said.trim().is_empty() {
        narration::line(format_args!(
            "---- QEMU's messages\n{}\n----",
            said.trim_end()
        ));
    }
    let folder = scratch.keep();
    std::fs::write(folder.join("console.log"), console)?;
    let command: Vec<String> = machine
        .argv()
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    std::fs::write(
        folder.join("command.txt"),
        format!("{}\n", command.join("\n")),
    )?;
    narration::line(format_args!(
        "the image, console.log and command.txt are kept in {}",
        folder.display()
    ));
    Ok(())
}
