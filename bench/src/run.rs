//! The benchmark of applications: from the command to the first answer, the least memory, what further machines of one application take,
//! what a changed line costs, how much a server does, and what a compile cache is good for.
//!
//! Everything of ours is done by the command line, as people do it: `nodeos run`.

pub mod client;
pub mod density;
pub mod least;
pub mod nodeos;
pub mod rebuild;
pub mod report;
pub mod servers;
pub mod warmth;

use std::time::Duration;

use anyhow::Context as _;
use nodeos_build::context::Context;

use crate::search::Search;
use nodeos::Root;
use report::Report;
use servers::{Servers, Variant};
use warmth::Compilers;

/// How thorough a run is.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often each server is measured.
    pub runs: usize,
    /// How the least memory is searched.
    pub search: Search,
    /// How many machines of one application run at the same time at most.
    pub machines: usize,
    /// How long a server is asked as often as it can be.
    pub asked_for: Duration,
}

/// Measures everything. What is missing is built or fetched first.
///
/// # Errors
/// When something that is compared cannot be had, or does not answer.
pub fn run(ctx: &Context, options: Options) -> anyhow::Result<Report> {
    let servers = Servers::prepare(ctx)?;
    let mut report = Report::new(&servers)?;
    // The first round brings everything into the host's page cache, and is not counted.
    for round in 0..=options.runs {
        let step = ctx
            .progress
            .begin(&format!("round {round} of {}", options.runs), None);
        for variant in Variant::ALL {
            let measured = servers
                .measure(*variant, options.asked_for)
                .with_context(|| format!("cannot measure {}", variant.title()))?;
            if round > 0 {
                report.add(*variant, measured);
            }
        }
        step.finish(if round == 0 { "not counted" } else { "" });
    }
    for root in [Root::Pmem, Root::Disk] {
        let step = ctx
            .progress
            .begin(&format!("the least memory ({root})"), None);
        let found = least::search(&servers, root, options.search);
        step.finish(&found.to_string());
        report.least.insert(root, found);
        let step = ctx.progress.begin(
            &format!("{} machines at the same time ({root})", options.machines),
            None,
        );
        let dense = density::measure(&servers, root, options.machines)?;
        step.finish("");
        report.density.insert(root, dense);
    }
    let step = ctx.progress.begin("a large application", None);
    let compilers = Compilers::prepare(ctx, &servers.nodeos)?;
    report.warmth = compilers.measure(&servers.nodeos, options.runs)?;
    step.finish("");
    let step = ctx.progress.begin("a changed line", None);
    report.rebuilds = rebuild::measure(&servers, options.runs)?;
    step.finish("");
    report.end()?;
    Ok(report)
}
