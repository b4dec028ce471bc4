//! The login benchmark: what a multi-user system costs up to `username:`, from there to the shell's prompt, and at rest.
//!
//! Ours against a minimal Debian with systemd and the same Node.js, on the same machine. Each system has been booted and
//! shut down once before it is measured, so that nothing that happens only at the first boot counts.

pub mod debian;
pub mod measure;
pub mod memory;
pub mod report;
pub mod systems;
mod unpack;

use anyhow::Context as _;
use nodeos_build::context::Context;

use report::Report;
use systems::{Systems, Variant};

/// How thorough a run is.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often each system is measured.
    pub runs: usize,
}

/// Measures everything. What is missing is built or fetched first.
///
/// # Errors
/// When something that is compared cannot be had, does not boot, or lets nobody log in.
pub fn run(ctx: &Context, options: Options) -> anyhow::Result<Report> {
    let systems = Systems::prepare(ctx)?;
    let mut report = Report::new(&systems)?;
    for variant in Variant::ALL {
        let step = ctx
            .progress
            .begin(&format!("first boot of {}", variant.title()), None);
        measure::first_boot(&systems, *variant)
            .with_context(|| format!("cannot boot {} for the first time", variant.title()))?;
        step.finish("not counted");
    }
    for round in 1..=options.runs {
        let step = ctx
            .progress
            .begin(&format!("round {round} of {}", options.runs), None);
        for variant in Variant::ALL {
            let measured = measure::measure(&systems, *variant)
                .with_context(|| format!("cannot measure {}", variant.title()))?;
            report.add(*variant, measured);
        }
        step.finish("");
    }
    report.end()?;
    Ok(report)
}
