//! The benchmark of formats: how long each takes to be packed and how large it is, against tools that pack the same; and how long a
//! disk boots behind each kind of firmware.

pub mod boot;
pub mod pack;
pub mod report;

use anyhow::Context as _;
use nodeos_build::context::Context;
use nodeos_build::recipe::{Layer, Recipe};

use boot::Firmware;
use pack::{Packer, Site};
use report::Report;

/// What is packed: the multi-user system with a serial console, for measurements are taken there.
const RECIPE: Recipe = Recipe {
    layer: Layer::Usersfs,
    ..Recipe::BAREBONES
};

/// How thorough a run is.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often each variant is measured.
    pub runs: usize,
}

/// Measures everything. What is missing is built first.
///
/// # Errors
/// When something cannot be packed or does not boot.
pub fn run(ctx: &Context, options: Options) -> anyhow::Result<Report> {
    let site = Site::prepare(ctx)?;
    let mut report = Report::new()?;
    // The first round fills the caches, NodeOS's and the host's, and is not counted.
    for round in 0..=options.runs {
        let title = format!("round {round} of {}", options.runs);
        let step = ctx.progress.begin(&title, None);
        for packer in Packer::all() {
            let packed = pack::pack(ctx, &site, packer)
                .with_context(|| format!("cannot measure {packer}"))?;
            if round > 0 {
                report.add_packed(packer, packed);
            }
        }
        for firmware in Firmware::ALL {
            let booted = boot::boot(&site, *firmware)
                .with_context(|| format!("cannot boot with {firmware}"))?;
            if round > 0 {
                report.add_booted(*firmware, booted);
            }
        }
        step.finish(if round == 0 {
            "warm-up, not counted"
        } else {
            ""
        });
    }
    report.end()?;
    Ok(report)
}
