//! One boot: how long to the question for a name, to the prompt, and what is in use when nothing happens.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nodeos_vm::console::ExpectError;
use nodeos_vm::vm::Vm;
use serde::Serialize;

use super::memory::{HostMemory, MachineMemory};
use super::systems::{Manners, Systems, Variant};
use crate::cpu;
use crate::machine::{Moment, until};

/// Who logs in, in all systems. The password is the same.
const NAME: &str = "nodeos";
/// Ten times what Debian takes on an idle machine under emulation.
const BOOT: Duration = Duration::from_secs(300);
/// For anything after that.
const ANSWER: Duration = Duration::from_secs(120);
/// A machine is at rest when it uses less than a twentieth of a processor, three seconds in succession: timers that are
/// due each second do not matter, and a service that starts takes more.
const WINDOW: Duration = Duration::from_secs(1);
const QUIET_WINDOWS: u32 = 3;
const QUIET: f64 = 0.05;

/// One measurement.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Measured {
    /// When it asked for a name.
    pub name: Moment,
    /// Processor time until it was at rest with that question: what it does behind the question's back is in this.
    pub at_rest: f64,
    /// From typing the name to the shell's prompt, the machine having been at rest.
    pub login: Moment,
    /// At rest with the prompt.
    pub machine_memory: MachineMemory,
    pub host_memory: HostMemory,
}

/// Boots a new disk, logs in, and shuts down. What is left is what the measurements begin with.
pub(super) fn first_boot(systems: &Systems, variant: Variant) -> anyhow::Result<()> {
    let made = systems.copy_for_a_boot(systems.new_disk(variant)?)?;
    let disk = systems.used_disk(variant);
    fs::rename(made, &disk)?;
    let manners = variant.manners();
    let mut vm = Vm::boot(&systems.machine(variant, disk))?;
    vm.console.expect(manners.name, BOOT)?;
    log_in(&mut vm, manners)?;
    vm.console.expect(manners.prompt, ANSWER)?;
    let said = command(&mut vm, manners, "node --version")?;
    let version = format!("v{}", systems.node_version);
    ensure!(
        said.contains(&version),
        "its Node.js is not {version}: {said}"
    );
    // What is written late is written, what is rotated or collected is done.
    settle(&mut vm)?;
    for (line, question) in manners.farewell {
        vm.console.send(&format!("{line}\r"))?;
        if let Some(question) = question {
            vm.console.expect(question, ANSWER)?;
        }
    }
    let status = vm.wait(ANSWER)?;
    ensure!(
        status.success(),
        "QEMU ended with {status}: {}",
        vm.stderr()
    );
    Ok(())
}

/// Boots a copy of the used disk and measures. The plug is pulled at the end, and the copy is of no more use.
pub(super) fn measure(systems: &Systems, variant: Variant) -> anyhow::Result<Measured> {
    let disk = systems.copy_for_a_boot(&systems.used_disk(variant))?;
    let machine = systems.machine(variant, disk);
    let manners = variant.manners();
    let started = Instant::now();
    let mut vm = Vm::boot(&machine)?;
    let name = until(&mut vm, manners.name, started, BOOT)?;
    let at_rest = settle(&mut vm)?;
    let begin = Moment {
        wall: started.elapsed().as_secs_f64(),
        cpu: cpu::of_process(vm.pid())?,
    };
    log_in(&mut vm, manners)?;
    let login = until(&mut vm, manners.prompt, started, ANSWER)?.since(begin);
    settle(&mut vm)?;
    // In this order: asking the machine is work for it.
    let host_memory = HostMemory::of(vm.pid(), machine.memory_mib, systems.mapped(variant))?;
    let said = command(&mut vm, manners, "cat /proc/meminfo /proc/zoneinfo")?;
    let machine_memory = MachineMemory::parse(&said).with_context(|| {
        format!("/proc/meminfo of the machine is not what it should be: {said}")
    })?;
    Ok(Measured {
        name,
        at_rest,
        login,
        machine_memory,
        host_memory,
    })
}

fn log_in(vm: &mut Vm, manners: &Manners) -> anyhow::Result<()> {
    vm.console.send(&format!("{NAME}\r"))?;
    vm.console.expect(manners.password, ANSWER)?;
    Ok(vm.console.send(&format!("{NAME}\r"))?)
}

/// Has the shell run a line that is to succeed: everything on the console up to its end.
fn command(vm: &mut Vm, manners: &Manners, line: &str) -> anyhow::Result<String> {
    vm.console.send(&format!("{line}; echo code=$?\r"))?;
    let said = vm.console.expect("code=0\r\n", ANSWER)?;
    vm.console.expect(manners.prompt, ANSWER)?;
    Ok(said)
}

/// Waits until the machine is at rest, and returns the processor time that it had used when it came to that.
fn settle(vm: &mut Vm) -> anyhow::Result<f64> {
    let end = Instant::now() + BOOT;
    let mut before = cpu::of_process(vm.pid())?;
    let (mut since, mut quiet) = (before, 0);
    while Instant::now() < end {
        match vm.wait(WINDOW) {
            Err(ExpectError::StillRunning { .. }) => {}
            Ok(status) => bail!("QEMU ended with {status}: {}", vm.stderr()),
            Err(error) => return Err(error.into()),
        }
        let now = cpu::of_process(vm.pid())?;
        quiet = match now - before < QUIET * WINDOW.as_secs_f64() {
            true => quiet + 1,
            false => 0,
        };
        if quiet == 0 {
            since = now;
        }
        if quiet == QUIET_WINDOWS {
            return Ok(since);
        }
        before = now;
    }
    bail!("the machine does not come to rest");
}
