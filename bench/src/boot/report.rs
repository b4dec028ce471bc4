//! What a run of the boot benchmark found, as JSON and as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::machines::{Measured, Variant};
use super::memory::Found;
use super::parts::Parts;
use crate::host::{Host, first_line};
use crate::machine::Moment;
use crate::ratio::{self, Ratio};
use crate::spread::{Spread, shown};

/// Everything that was found out. Times are in seconds.
#[derive(Debug, Serialize)]
pub struct Report {
    pub host: Host,
    pub qemu_user: String,
    pub kernel_release: String,
    pub debian_release: String,
    pub debian_version: String,
    pub node_version: String,
    /// Every measurement, in order.
    pub runs: BTreeMap<Variant, Vec<Measured>>,
    pub ratios: Vec<Ratio>,
    /// By kind of root.
    pub memory: BTreeMap<String, Found>,
    /// In bytes, by name.
    pub bytes: BTreeMap<&'static str, u64>,
}

type Pick = fn(&Measured) -> Option<f64>;
const CPU_MARK: Pick = |measured| Some(measured.mark.cpu);
const WALL_MARK: Pick = |measured| Some(measured.mark.wall);
const CPU_END: Pick = |measured| measured.end.map(|end| end.cpu);

use Variant::{DebianTrivial, OursInit, OursTrivial, Prompt, UserMode};
type Comparison = (&'static str, Variant, Variant, Pick, f64);
/// What is compared: its name, the variant, the one it is compared with, the value, and what is expected.
const RATIOS: &[Comparison] = &[
    (
        "(a) our kernel and init / Debian's, CPU to init",
        OursInit,
        DebianTrivial,
        CPU_MARK,
        0.5,
    ),
    (
        "(a) our kernel and init / Debian's, CPU at exit",
        OursInit,
        DebianTrivial,
        CPU_END,
        0.5,
    ),
    (
        "(a) our kernel alone / Debian's, CPU to init",
        OursTrivial,
        DebianTrivial,
        CPU_MARK,
        0.5,
    ),
    (
        "(a) our kernel alone / Debian's, CPU at exit",
        OursTrivial,
        DebianTrivial,
        CPU_END,
        0.5,
    ),
    (
        "(b) boot to the prompt / user mode, CPU",
        Prompt,
        UserMode,
        CPU_MARK,
        3.0,
    ),
    (
        "(b) boot to the prompt / user mode, wall",
        Prompt,
        UserMode,
        WALL_MARK,
        3.0,
    ),
];

impl Report {
    pub(super) fn new(parts: &Parts) -> anyhow::Result<Report> {
        let size = |path: &Path| {
            fs::metadata(path)
                .map(|data| data.len())
                .with_context(|| path.display().to_string())
        };
        let bytes = BTreeMap::from([
            ("kernel (vmlinux, stripped)", size(&parts.kernel.vmlinux)?),
            ("kernel (bzImage)", size(&parts.kernel.bzimage)?),
            ("Debian's kernel (bzImage)", size(&parts.debian.bzimage)?),
            ("init", size(&parts.init)?),
            ("system image", parts.pmem.system_bytes),
        ]);
        Ok(Report {
            host: Host::look()?,
            qemu_user: first_line(&parts.user_mode.program)?,
            kernel_release: parts.kernel.release.clone(),
            debian_release: parts.debian.release.clone(),
            debian_version: parts.debian.version.clone(),
            node_version: parts.node_version.clone(),
            runs: BTreeMap::new(),
            ratios: Vec::new(),
            memory: BTreeMap::new(),
            bytes,
        })
    }

    pub(super) fn add(&mut self, variant: Variant, measured: Measured) {
        self.runs.entry(variant).or_default().push(measured);
    }

    /// Computes the ratios, and looks at the host once more.
    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        self.host.look_again()?;
        let ratio = |(what, one, other, pick, expected): &Comparison| {
            let rounds = (
                self.runs.get(one)?.as_slice(),
                self.runs.get(other)?.as_slice(),
            );
            Ratio::of(*what, rounds, *pick, Some(*expected))
        };
        self.ratios = RATIOS.iter().filter_map(ratio).collect();
        Ok(())
    }
}

/// The table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}; {}; accelerator {}",
            self.host.qemu,
            self.qemu_user,
            self.host.accelerator.as_str()
        )?;
        let (ours, debian, version) = (
            &self.kernel_release,
            &self.debian_release,
            &self.debian_version,
        );
        writeln!(
            f,
            "Linux {ours}, Debian's {debian} ({version}), Node.js {}",
            self.node_version
        )?;
        writeln!(
            f,
            "{} processors, load {}\n",
            self.host.processors,
            self.host.load.join(" -> ")
        )?;
        let head = [
            "to init or prompt: CPU s",
            "wall s",
            "at exit: CPU s",
            "wall s",
        ];
        writeln!(
            f,
            "{:40}{:26}{:20}{:20}{}",
            "min median max", head[0], head[1], head[2], head[3]
        )?;
        for (variant, runs) in &self.runs {
            let mark =
                |pick: fn(Moment) -> f64| shown(Spread::of(runs.iter().map(|run| pick(run.mark))));
            let end = |pick: fn(Moment) -> f64| {
                shown(Spread::of(runs.iter().filter_map(|run| run.end.map(pick))))
            };
            let (title, wall) = (variant.title(), |moment: Moment| moment.wall);
            let cpu = |moment: Moment| moment.cpu;
            writeln!(
                f,
                "{title:40}{:26}{:20}{:20}{}",
                mark(cpu),
                mark(wall),
                end(cpu),
                end(wall)
            )?;
        }
        ratio::write_table(f, &self.ratios)?;
        writeln!(f, "\n(c) smallest memory with which the REPL answers")?;
        for (root, found) in &self.memory {
            writeln!(f, "--root {root:33}{found}")?;
        }
        writeln!(f, "\n(d) bytes")?;
        self.bytes
            .iter()
            .try_for_each(|(name, bytes)| writeln!(f, "{name:40}{bytes:>11}"))
    }
}
