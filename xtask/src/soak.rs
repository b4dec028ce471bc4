//! `cargo xtask soak`: what `cargo xtask test` does once, many times over, to find what fails one time in a hundred.

mod boots;
mod power_cuts;

use std::process::ExitCode;

use clap::Args;

/// How many boots there are unless it is said otherwise: some minutes under emulation.
const BOOTS: u32 = 200;
/// How many power cuts there are unless it is said otherwise: a quarter of an hour under emulation.
const POWER_CUTS: u32 = 20;

/// Boot and stop machines many times, in every way there is
///
/// There are two kinds of rounds, and without a flag both are run. A boot starts one of the three kinds of root to the
/// prompt, lets it answer, and ends it in one of five ways, the last of which pulls the plug. A power cut ends a machine
/// while npm installs something, always on the same users partition, and looks at what is left of it. The first round that
/// fails ends it, and everything about it is kept in `target/boot-tests`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How many machines to boot and stop: 200
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub boots: Option<u32>,

    /// How many times to pull the plug during an installation: 20
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub power_cuts: Option<u32>,

    /// Pull the plug at the same moments, as parts of the time of an installation, as the run that printed this number
    #[arg(long, requires = "power_cuts")]
    pub seed: Option<u64>,
}

/// Runs what was asked for.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let is_plain = arguments.boots.is_none() && arguments.power_cuts.is_none();
    if let Some(boots) = arguments.boots.or(is_plain.then_some(BOOTS)) {
        boots::run(boots)?;
    }
    if let Some(cuts) = arguments.power_cuts.or(is_plain.then_some(POWER_CUTS)) {
        power_cuts::run(cuts, arguments.seed)?;
    }
    Ok(ExitCode::SUCCESS)
}
