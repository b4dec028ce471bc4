//! The variants that are compared, and the machines of those that need one.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use nodeos_build::recipe::RootKind;
use nodeos_vm::machine::Root;
use nodeos_vm::vm::Vm;
use serde::Serialize;

use super::parts::Parts;
use crate::cpu;
use crate::machine::{self, Moment, machine, system};

/// What the trivial init says (`bench/init`).
const MARKER: &str = "trivial-init runs";
/// The first prompt of the REPL; nothing before it has such an end.
pub(super) const FIRST_PROMPT: &str = "> ";
/// Twenty times what a boot takes on an idle machine under emulation.
const DEADLINE: Duration = Duration::from_secs(60);

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Debian's kernel, the trivial init.
    DebianTrivial,
    /// Our kernel, the trivial init: the kernels alike.
    OursTrivial,
    /// Our kernel, our init, which starts the trivial one as its program.
    OursInit,
    /// The whole system, up to the REPL.
    Prompt,
    /// Node.js without a system, up to the REPL.
    UserMode,
}

impl Variant {
    /// In the order of a round: what is compared runs one after the other.
    pub const ALL: &[Variant] = &[
        Variant::DebianTrivial,
        Variant::OursTrivial,
        Variant::OursInit,
        Variant::Prompt,
        Variant::UserMode,
    ];

    /// What people read.
    pub fn title(self) -> &'static str {
        match self {
            Variant::DebianTrivial => "Debian's cloud kernel, trivial init",
            Variant::OursTrivial => "our kernel, trivial init",
            Variant::OursInit => "our kernel, our init",
            Variant::Prompt => "our system, first prompt (pmem)",
            Variant::UserMode => "qemu-x86_64 node, first prompt",
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Measured {
    /// When init or the prompt showed itself.
    pub mark: Moment,
    /// When QEMU had ended, where that is measured.
    pub end: Option<Moment>,
}

/// Boots a variant that is a machine, and measures it.
pub(super) fn boot(parts: &Parts, variant: Variant) -> anyhow::Result<Measured> {
    let initramfs = |archive: &Path| Root::Initramfs {
        archive: archive.to_owned(),
    };
    let machine = match variant {
        Variant::DebianTrivial => machine(&parts.debian.bzimage, initramfs(&parts.trivial)),
        Variant::OursTrivial => machine(&parts.kernel.vmlinux, initramfs(&parts.trivial)),
        Variant::OursInit => machine(&parts.kernel.vmlinux, initramfs(&parts.ours)),
        Variant::Prompt | Variant::UserMode => system(&parts.pmem, RootKind::Pmem),
    };
    let marker = if variant == Variant::Prompt {
        FIRST_PROMPT
    } else {
        MARKER
    };
    let before = cpu::of_ended_children()?;
    let started = Instant::now();
    let mut vm = Vm::boot(&machine)?;
    let mark = machine::until(&mut vm, marker, started, DEADLINE)?;
    if variant == Variant::Prompt {
        vm.console.send(".exit\r")?;
    }
    let status = vm.wait(DEADLINE)?;
    ensure!(
        status.success(),
        "QEMU ended with {status}: {}",
        vm.stderr()
    );
    let end = Moment {
        wall: started.elapsed().as_secs_f64(),
        cpu: cpu::of_ended_children()? - before,
    };
    Ok(Measured {
        mark,
        end: Some(end),
    })
}
