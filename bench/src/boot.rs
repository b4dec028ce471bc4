//! The boot benchmark: how much a boot costs, how little memory it needs, how large it is.
//!
//! (a) kernel and init against Debian's cloud kernel, (b) the first prompt against the same Node.js without any operating
//! system, (c) the least memory, (d) bytes.

pub mod debian;
pub mod machines;
pub mod memory;
pub mod parts;
pub mod report;
pub mod user_mode;

use anyhow::Context as _;
use nodeos_build::context::Context;
use nodeos_build::recipe::RootKind;

use machines::{Measured, Variant};
use parts::Parts;
use report::Report;

use crate::search::Search;

/// How thorough a run is.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often each variant is measured.
    pub runs: usize,
    /// How the least memory is searched.
    pub search: Search,
}

/// Measures everything. What is missing is built or fetched first.
///
/// # Errors
/// When something that is compared cannot be had, or does not boot.
pub fn run(ctx: &Context, options: Options) -> anyhow::Result<Report> {
    let parts = Parts::prepare(ctx)?;
    let mut report = Report::new(&parts)?;
    // The first round brings everything into the host's page cache, and is not counted.
    for round in 0..=options.runs {
        let step = ctx
            .progress
            .begin(&format!("round {round} of {}", options.runs), None);
        for variant in Variant::ALL {
            let measured = measure(&parts, *variant)
                .with_context(|| format!("cannot measure {}", variant.title()))?;
            if round > 0 {
                report.add(*variant, measured);
            }
        }
        step.finish(if round == 0 {
            "warm-up, not counted"
        } else {
            ""
        });
    }
    for root in [RootKind::Pmem, RootKind::Disk] {
        let step = ctx
            .progress
            .begin(&format!("smallest memory with --root {root}"), None);
        let found = memory::search(&parts, root, options.search)?;
        step.finish(&found.to_string());
        report.memory.insert(root.to_string(), found);
    }
    report.end()?;
    Ok(report)
}

fn measure(parts: &Parts, variant: Variant) -> anyhow::Result<Measured> {
    match variant {
        Variant::UserMode => user_mode::prompt(&parts.user_mode),
        variant => machines::boot(parts, variant),
    }
}
