//! What a run of the benchmark of formats found, as JSON and as a table.

use std::collections::BTreeMap;
use std::fmt;

use nodeos_build::recipe::Format;
use serde::Serialize;

use super::boot::Firmware;
use super::pack::{Packed, Packer};
use crate::host::Host;
use crate::machine::Moment;
use crate::ratio::{self, Ratio};
use crate::spread::{Spread, shown};

/// Everything that was found out.
#[derive(Debug, Serialize)]
pub struct Report {
    pub host: Host,
    /// Every measurement of each, in order.
    pub packed: BTreeMap<String, Vec<Packed>>,
    pub booted: BTreeMap<String, Vec<Moment>>,
    pub ratios: Vec<Ratio>,
    /// The order in which they are shown.
    #[serde(skip)]
    order: Vec<Packer>,
}

type Pick = fn(&Packed) -> Option<f64>;

impl Report {
    pub(super) fn new() -> anyhow::Result<Report> {
        Ok(Report {
            host: Host::look()?,
            packed: BTreeMap::new(),
            booted: BTreeMap::new(),
            ratios: Vec::new(),
            order: Packer::all().collect(),
        })
    }

    pub(super) fn add_packed(&mut self, packer: Packer, packed: Packed) {
        let runs = self.packed.entry(packer.to_string());
        runs.or_default().push(packed);
    }

    pub(super) fn add_booted(&mut self, firmware: Firmware, booted: Moment) {
        let runs = self.booted.entry(firmware.to_string());
        runs.or_default().push(booted);
    }

    /// Computes the ratios, and looks at the host once more.
    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        const PICKS: [(&str, Pick); 3] = [
            ("CPU", |packed| Some(packed.cpu)),
            ("wall", |packed| Some(packed.wall)),
            ("bytes", |packed| Some(packed.length as f64)),
        ];
        self.host.look_again()?;
        for (ours, other) in [
            (Format::Iso, Packer::GrubMkrescue),
            (Format::Qcow2, Packer::QemuImg),
        ] {
            let ones = self.runs(Packer::Nodeos(ours));
            let others = self.runs(other);
            let ratios = PICKS.map(|(what, pick)| {
                let what = format!("{ours} over {other}, {what}");
                Ratio::of(what, (ones, others), pick, None)
            });
            self.ratios.extend(ratios.into_iter().flatten());
        }
        Ok(())
    }

    fn runs(&self, packer: Packer) -> &[Packed] {
        let runs = self.packed.get(&packer.to_string());
        runs.map_or(&[][..], Vec::as_slice)
    }
}

/// The table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host {
            qemu,
            accelerator,
            processors,
            load,
        } = &self.host;
        let (accelerator, load) = (accelerator.as_str(), load.join(" -> "));
        writeln!(f, "{qemu}; accelerator {accelerator}")?;
        writeln!(f, "{processors} processors, load {load}")?;
        writeln!(
            f,
            "\n{:28}{:22}{:22}{:>14}{:>14}",
            "packed: min median max", "CPU s", "wall s", "bytes", "on the disk"
        )?;
        for packer in &self.order {
            let runs = self.runs(*packer);
            let times = [|run: &Packed| run.cpu, |run: &Packed| run.wall]
                .map(|pick| shown(Spread::of(runs.iter().map(pick))));
            let bytes = runs.last().map_or((0, 0), |run| (run.length, run.on_disk));
            writeln!(
                f,
                "{packer:28}{:22}{:22}{:>14}{:>14}",
                times[0], times[1], bytes.0, bytes.1
            )?;
        }
        writeln!(f, "\n{:28}{:22}wall s", "disk, menu to username:", "CPU s")?;
        for (firmware, runs) in &self.booted {
            let cpu = shown(Spread::of(runs.iter().map(|run| run.cpu)));
            let wall = shown(Spread::of(runs.iter().map(|run| run.wall)));
            writeln!(f, "{firmware:28}{cpu:22}{wall}")?;
        }
        ratio::write_table(f, &self.ratios)
    }
}
