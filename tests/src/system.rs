//! Systems to boot: what `nodeos build` makes, and images that a test has changed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use nodeos_build::assemble::{self, Output, UsersOrder, image::erofs_options};
use nodeos_build::cache::Cache;
use nodeos_build::context::Context;
use nodeos_build::programs::{self, Program};
use nodeos_build::progress::Silent;
use nodeos_build::recipe::{Recipe, RootKind};
use nodeos_image::erofs;
use nodeos_image::tree::{Entry, Tree};
use nodeos_vm::machine::{Machine, Root};

/// Where the scenarios lie in an image that has them.
pub const SCENARIO: &str = "/bin/scenario";

/// What a plain `nodeos start` boots.
pub const BAREBONES: Recipe = Recipe::BAREBONES;

/// The checkout.
pub fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the checkout")
        .to_owned()
}

/// A context that builds into the user's own cache.
pub fn context() -> anyhow::Result<Context> {
    Ok(Context {
        source: source(),
        cache: Cache::open(Cache::default_root()?),
        progress: Arc::new(Silent),
        cancel: Arc::default(),
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
    })
}

/// Builds `recipe` into the folder `out`.
pub fn build(recipe: &Recipe, out: &Path) -> anyhow::Result<Output> {
    Ok(assemble::build(
        &context()?,
        recipe,
        &UsersOrder::default(),
        out,
    )?)
}

/// The machine that boots what was built.
pub fn machine(recipe: &Recipe, output: &Output) -> Machine {
    let system = output.system.clone();
    let root = match recipe.root {
        RootKind::Pmem => Root::Pmem {
            image: system,
            size: output.system_bytes,
        },
        RootKind::Disk => Root::Disk { image: system },
        RootKind::Initramfs => Root::Initramfs { archive: system },
    };
    with_plain_console(Machine::new(output.kernel.clone(), root))
}

/// A terminal without escape sequences and with room for long lines, so that the REPL's answers can be read.
fn with_plain_console(mut machine: Machine) -> Machine {
    machine.term = Some("dumb".to_owned());
    machine.console_size = Some((1000, 50));
    machine
}

/// The barebones system as a tree, with the scenarios in it.
pub fn tree_with_scenarios() -> anyhow::Result<Tree> {
    let mut tree = assemble::tree(&context()?, &BAREBONES)?;
    tree.insert(SCENARIO, Entry::host_file(0o555, scenario()?.path)?)?;
    Ok(tree)
}

/// The static program of the scenarios.
pub fn scenario() -> anyhow::Result<Program> {
    programs::build(&context()?, "nodeos-guest", "scenario").context("cannot build the scenarios")
}

/// Writes `tree` as a system image into `dir`, and returns the machine that boots it with the cloud kernel.
pub fn machine_with(tree: &Tree, dir: &Path) -> anyhow::Result<Machine> {
    let output = build(&BAREBONES, &dir.join("out"))?;
    let image = dir.join("changed.img");
    let size = erofs::write(tree, &erofs_options([0; 16]), &File::create(&image)?)?;
    Ok(with_plain_console(Machine::new(
        output.kernel,
        Root::Pmem { image, size },
    )))
}
