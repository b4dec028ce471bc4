//! The machine of every benchmark, and moments of its life.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use nodeos_build::assemble::Output;
use nodeos_build::recipe::RootKind;
use nodeos_vm::machine::{Machine, Root};
use nodeos_vm::vm::Vm;
use serde::Serialize;

use crate::cpu;

/// Seconds since the start of QEMU, or between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Moment {
    pub wall: f64,
    /// Of QEMU's process, user and system.
    pub cpu: f64,
}

impl Moment {
    /// What has passed since `earlier`.
    pub fn since(self, earlier: Moment) -> Moment {
        Moment {
            wall: self.wall - earlier.wall,
            cpu: self.cpu - earlier.cpu,
        }
    }
}

/// The machine of everything here: emulated, also where there is a hypervisor. The floor is emulated as well, and so
/// figures of different hosts tell the same.
pub(crate) fn machine(kernel: &Path, root: Root) -> Machine {
    let mut machine = Machine::new(kernel.to_owned(), root);
    machine.term = Some("dumb".to_owned());
    machine
}

/// The machine that boots what a build has made, as `root`.
pub(crate) fn system(output: &Output, root: RootKind) -> Machine {
    let image = output.system.clone();
    let root = match root {
        RootKind::Pmem => Root::Pmem {
            image,
            size: output.system_bytes,
        },
        RootKind::Disk => Root::Disk { image },
        RootKind::Initramfs => Root::Initramfs { archive: image },
    };
    machine(&output.kernel, root)
}

/// Waits until the machine says `text`: when that was, and the processor time right after it.
pub(crate) fn until(
    vm: &mut Vm,
    text: &str,
    started: Instant,
    deadline: Duration,
) -> anyhow::Result<Moment> {
    let seen = vm.console.expect_timed(text, deadline)?;
    let cpu = cpu::of_process(vm.pid()).context("QEMU ended too early to be measured")?;
    Ok(Moment {
        wall: seen.duration_since(started).as_secs_f64(),
        cpu,
    })
}
