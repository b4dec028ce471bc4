//! What a run of the benchmark of applications found, as JSON and as a table.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::density::Density;
use super::least::Found;
use super::nodeos::Root;
use super::rebuild::Rebuild;
use super::servers::{Measured, Servers, Variant};
use super::warmth::Warmth;
use crate::host::Host;
use crate::ratio::{self, Ratio};
use crate::spread::{Spread, shown};

/// Everything that was found out. Times are in seconds, memory is in KiB.
#[derive(Debug, Serialize)]
pub struct Report {
    pub host: Host,
    pub node_version: String,
    /// Every measurement, in order.
    pub runs: BTreeMap<Variant, Vec<Measured>>,
    pub ratios: Vec<Ratio>,
    pub least: BTreeMap<Root, Found>,
    pub density: BTreeMap<Root, Density>,
    pub warmth: Warmth,
    pub rebuilds: Vec<Rebuild>,
}

type Pick = fn(&Measured) -> Option<f64>;
type Column = (&'static str, fn(&Measured) -> f64);

const COLUMNS: &[Column] = &[
    ("to the answer: CPU s", |run| run.first_answer.cpu),
    ("wall s", |run| run.first_answer.wall),
    ("answers a second", |run| run.answers_per_second),
];

/// What of ours is compared with what: its name, the other, the value, and what is hoped for.
const RATIOS: &[(&str, Variant, Pick, Option<f64>)] = &[
    (
        "first answer / user mode, CPU",
        Variant::UserMode,
        |run| Some(run.first_answer.cpu),
        Some(3.0),
    ),
    (
        "first answer / user mode, wall",
        Variant::UserMode,
        |run| Some(run.first_answer.wall),
        Some(3.0),
    ),
    (
        "first answer / Debian, CPU",
        Variant::Debian,
        |run| Some(run.first_answer.cpu),
        Some(0.15),
    ),
    (
        "first answer / Debian, wall",
        Variant::Debian,
        |run| Some(run.first_answer.wall),
        None,
    ),
    (
        "answers a second / user mode",
        Variant::UserMode,
        |run| Some(run.answers_per_second),
        None,
    ),
    (
        "answers a second / Debian",
        Variant::Debian,
        |run| Some(run.answers_per_second),
        None,
    ),
];

impl Report {
    pub(super) fn new(servers: &Servers) -> anyhow::Result<Report> {
        Ok(Report {
            host: Host::look()?,
            node_version: servers.node_version.clone(),
            runs: BTreeMap::new(),
            ratios: Vec::new(),
            least: BTreeMap::new(),
            density: BTreeMap::new(),
            warmth: Warmth::default(),
            rebuilds: Vec::new(),
        })
    }

    pub(super) fn add(&mut self, variant: Variant, measured: Measured) {
        self.runs.entry(variant).or_default().push(measured);
    }

    /// Computes the ratios, and looks at the host once more.
    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        self.host.look_again()?;
        let runs = |variant| self.runs.get(&variant).map_or(&[][..], Vec::as_slice);
        let optimized = runs(Variant::OursOptimized);
        let ratio = Ratio::of(
            "first answer / not optimized, CPU: ours (optimized)".to_owned(),
            (optimized, runs(Variant::Ours)),
            |run: &Measured| Some(run.first_answer.cpu),
            None,
        );
        self.ratios.extend(ratio);
        for (what, other, pick, expected) in RATIOS {
            for ours in [Variant::Ours, Variant::OursOnDisk, Variant::OursOptimized] {
                let what = format!("{what}: {}", ours.title());
                let ratio = Ratio::of(what, (runs(ours), runs(*other)), *pick, *expected);
                self.ratios.extend(ratio);
            }
        }
        Ok(())
    }
}

/// The table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}; accelerator {}; express with Node.js {}",
            self.host.qemu,
            self.host.accelerator.as_str(),
            self.node_version
        )?;
        writeln!(
            f,
            "{} processors, load {}",
            self.host.processors,
            self.host.load.join(" -> ")
        )?;
        write!(f, "\n{:20}", "min median max")?;
        for (title, _) in COLUMNS {
            write!(f, " {title:24}")?;
        }
        writeln!(f)?;
        for (variant, runs) in &self.runs {
            write!(f, "{:20}", variant.title())?;
            for (_, pick) in COLUMNS {
                write!(f, " {:24}", shown(Spread::of(runs.iter().map(pick))))?;
            }
            writeln!(f)?;
        }
        ratio::write_table(f, &self.ratios)?;
        writeln!(f)?;
        for (root, found) in &self.least {
            writeln!(f, "the least memory ({root}): {found}")?;
        }
        for (root, density) in &self.density {
            let Density {
                pss,
                pss_without_translated,
            } = density;
            for (what, sums) in [
                ("Pss of QEMU", pss),
                ("the same without translated code", pss_without_translated),
            ] {
                let first = sums.first().map_or(0.0, |first| *first as f64 / 1024.0);
                let further = Density::each_further(sums).unwrap_or_default() / 1024.0;
                writeln!(
                    f,
                    "{what} ({root}): the first machine {first:.1} MiB, each of {} more {further:.1} MiB",
                    sums.len().saturating_sub(1)
                )?;
            }
        }
        for (what, runs) in [
            ("with", &self.warmth.with),
            ("without", &self.warmth.without),
        ] {
            let cpu = Spread::of(runs.iter().map(|run| run.cpu));
            let wall = Spread::of(runs.iter().map(|run| run.wall));
            writeln!(
                f,
                "tsc --version {what} compile cache: {} CPU s, {} s",
                shown(cpu),
                shown(wall)
            )?;
        }
        let wall = Spread::of(self.rebuilds.iter().map(|rebuild| rebuild.wall));
        let written = Spread::of(self.rebuilds.iter().map(|rebuild| rebuild.written as f64));
        writeln!(
            f,
            "a changed line: {} s, {} bytes written",
            shown(wall),
            shown(written)
        )
    }
}
