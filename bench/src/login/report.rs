//! What a run of the login benchmark found, as JSON and as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::debian::Versions;
use super::measure::Measured;
use super::systems::{MEMORY_MIB, Systems, Variant};
use crate::host::Host;
use crate::ratio::{self, Ratio};
use crate::spread::{Spread, shown};

/// Everything that was found out. Times are in seconds, memory is in KiB.
#[derive(Debug, Serialize)]
pub struct Report {
    pub host: Host,
    pub memory_mib: u32,
    pub kernel_release: String,
    pub debian: Versions,
    pub node_version: String,
    /// Every measurement, in order.
    pub runs: BTreeMap<Variant, Vec<Measured>>,
    pub ratios: Vec<Ratio>,
    pub bytes: BTreeMap<&'static str, Bytes>,
}

/// How large a file is.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bytes {
    /// Its length.
    pub length: u64,
    /// What it takes on the host's disk: without its holes.
    pub on_disk: u64,
}

type Pick = fn(&Measured) -> Option<f64>;
type Column = (&'static str, fn(&Measured) -> f64);

const TIMES: &[Column] = &[
    ("to the name: CPU s", |run| run.name.cpu),
    ("wall s", |run| run.name.wall),
    ("to rest: CPU s", |run| run.at_rest),
    ("login: CPU s", |run| run.login.cpu),
    ("wall s", |run| run.login.wall),
];
const IN_THE_MACHINE: &[Column] = &[
    ("used", |run| mib(run.machine_memory.used())),
    ("without lists", |run| {
        mib(run.machine_memory.used_without_lists())
    }),
    ("with the kernel", |run| {
        mib(run.machine_memory.gone(MEMORY_MIB))
    }),
    ("not free", |run| {
        mib(run.machine_memory.total - run.machine_memory.free)
    }),
];
const ON_THE_HOST: &[Column] = &[
    ("Pss", |run| mib(run.host_memory.pss)),
    ("its memory", |run| mib(run.host_memory.guest)),
    ("mapped image", |run| mib(run.host_memory.image)),
    ("translated code", |run| mib(run.host_memory.translated)),
    ("QEMU itself", |run| mib(run.host_memory.rest)),
];

/// What is compared with Debian's: its name, the value, and what is hoped for.
const RATIOS: &[(&str, Pick, Option<f64>)] = &[
    ("boot to the name, CPU", |run| Some(run.name.cpu), Some(0.2)),
    ("boot to the name, wall", |run| Some(run.name.wall), None),
    ("boot to rest, CPU", |run| Some(run.at_rest), None),
    ("login to the prompt, CPU", |run| Some(run.login.cpu), None),
    (
        "login to the prompt, wall",
        |run| Some(run.login.wall),
        None,
    ),
    (
        "memory used at rest",
        |run| Some(mib(run.machine_memory.used())),
        Some(0.4),
    ),
    (
        "memory used at rest, without lists",
        |run| Some(mib(run.machine_memory.used_without_lists())),
        None,
    ),
    (
        "memory used at rest, with the kernel",
        |run| Some(mib(run.machine_memory.gone(MEMORY_MIB))),
        None,
    ),
    ("Pss of QEMU", |run| Some(mib(run.host_memory.pss)), None),
    (
        "Pss of QEMU without translated code",
        |run| Some(mib(run.host_memory.pss - run.host_memory.translated)),
        None,
    ),
];

impl Report {
    pub(super) fn new(systems: &Systems) -> anyhow::Result<Report> {
        let ours = &systems.ours;
        let users = ours.users.as_ref().context("the layer has no users")?;
        let debian = &systems.debian;
        let bytes = BTreeMap::from([
            ("Debian's kernel", Bytes::of(&debian.kernel)?),
            ("Debian's initrd", Bytes::of(&debian.initrd)?),
            ("Debian's disk", Bytes::of(&debian.disk)?),
            ("our kernel", Bytes::of(&ours.kernel)?),
            ("our system image", Bytes::of(&ours.system)?),
            ("our users partition", Bytes::of(&users.path)?),
        ]);
        Ok(Report {
            host: Host::look()?,
            memory_mib: MEMORY_MIB,
            kernel_release: ours.kernel_release.clone(),
            debian: debian.versions.clone(),
            node_version: systems.node_version.clone(),
            runs: BTreeMap::new(),
            ratios: Vec::new(),
            bytes,
        })
    }

    pub(super) fn add(&mut self, variant: Variant, measured: Measured) {
        self.runs.entry(variant).or_default().push(measured);
    }

    /// Computes the ratios, and looks at the host once more.
    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        self.host.look_again()?;
        let runs = |variant| self.runs.get(&variant).map_or(&[][..], Vec::as_slice);
        let debian = runs(Variant::Debian);
        for (what, pick, expected) in RATIOS {
            for ours in [Variant::Ours, Variant::OursOnDisk] {
                let what = format!("{what}: {}", ours.title());
                let ratio = Ratio::of(what, (runs(ours), debian), *pick, *expected);
                self.ratios.extend(ratio);
            }
        }
        Ok(())
    }

    fn write_columns(
        &self,
        f: &mut fmt::Formatter<'_>,
        head: &str,
        columns: &[Column],
    ) -> fmt::Result {
        write!(f, "\n{head:34}")?;
        for (title, _) in columns {
            write!(f, " {title:20}")?;
        }
        writeln!(f)?;
        for (variant, runs) in &self.runs {
            write!(f, "{:34}", variant.title())?;
            for (_, pick) in columns {
                write!(f, " {:20}", shown(Spread::of(runs.iter().map(pick))))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Versions {
            debian,
            kernel,
            systemd,
            packages,
        } = &self.debian;
        writeln!(
            f,
            "{}; accelerator {}; {} MiB",
            self.host.qemu,
            self.host.accelerator.as_str(),
            self.memory_mib
        )?;
        writeln!(
            f,
            "Linux {}, Node.js {}; Debian {debian}: {packages} packages, Linux {kernel}, systemd {systemd}",
            self.kernel_release, self.node_version
        )?;
        writeln!(
            f,
            "{} processors, load {}",
            self.host.processors,
            self.host.load.join(" -> ")
        )?;
        self.write_columns(f, "min median max", TIMES)?;
        self.write_columns(f, "MiB at rest, in the machine", IN_THE_MACHINE)?;
        self.write_columns(f, "MiB at rest, on the host", ON_THE_HOST)?;
        ratio::write_table(f, &self.ratios)?;
        writeln!(f, "\n{:40}{:>11}{:>14}", "bytes", "length", "on the disk")?;
        self.bytes.iter().try_for_each(|(name, bytes)| {
            writeln!(f, "{name:40}{:>11}{:>14}", bytes.length, bytes.on_disk)
        })
    }
}

impl Bytes {
    fn of(path: &Path) -> anyhow::Result<Bytes> {
        let data = fs::metadata(path).with_context(|| path.display().to_string())?;
        Ok(Bytes {
            length: data.len(),
            // st_blocks counts in 512 bytes, whatever the file system's blocks are (stat(3type)).
            on_disk: data.blocks() * 512,
        })
    }
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
