//! A whole build: kernel, programs and Node.js at the same time, then the image, then the output folder.

pub mod application;
mod error;
pub mod image;
mod output;
mod users;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;

use nodeos_image::tree::Tree;

use crate::context::Context;
use crate::fetch::UsedInput;
use crate::kernel::{self, Kernel};
use crate::layer::{Parts, ProgramItem, Stack};
use crate::manifest::Manifest;
use crate::node::{self, Node};
use crate::programs::{self, Program};
use crate::recipe::Recipe;

pub use error::BuildError;
pub use output::{OutputPaths, output_paths};
pub use users::{
    DEFAULT_SIZE as DEFAULT_USERS_SIZE, Kept, LABEL as USERS_LABEL, Renewal, UsersImage, UsersOrder,
};

/// What a build has made.
#[derive(Debug, Clone)]
pub struct Output {
    /// The folder: `out/<arch>/<flavor>/<format>`.
    pub dir: PathBuf,
    /// The kernel that QEMU starts.
    pub kernel: PathBuf,
    /// Its size in bytes.
    pub kernel_bytes: u64,
    /// What `uname -r` says.
    pub kernel_release: String,
    /// `system.img`, or `initramfs.cpio.lz4`.
    pub system: PathBuf,
    /// Its size in bytes (an image has holes: less may be on the disk).
    pub system_bytes: u64,
    /// What the system takes when it is unpacked, in bytes: the least that an initramfs needs of memory.
    pub unpacked_bytes: u64,
    /// The users partition, of layers that have users.
    pub users: Option<UsersImage>,
    /// The script that boots it without this program.
    pub run_script: PathBuf,
    /// What all of it was made from.
    pub inputs: Vec<UsedInput>,
}

/// Builds `recipe` into `out`. What is in the cache is not made again. A build that fails leaves `ctx` cancelled.
///
/// # Errors
/// [`BuildError`].
pub fn build(
    ctx: &Context,
    recipe: &Recipe,
    users: &UsersOrder,
    out: &Path,
) -> Result<Output, BuildError> {
    // Before the minutes of compilation, not after them.
    output::prepare(recipe, out)?;
    let made = Made::of(ctx, recipe)?;
    let image = image::make(ctx, &made.stack, &made.parts(recipe))?;
    let users = users::provide(ctx, recipe, &made.stack, users, out)?;
    output::publish(recipe, out, &made.kernel, &image, users, made.used)
}

/// A kernel and a system image in the cache, for a machine that nobody keeps.
#[derive(Debug, Clone)]
pub struct Bare {
    pub kernel: PathBuf,
    pub system: PathBuf,
    /// The image's size in bytes.
    pub system_bytes: u64,
    /// As in [`Output`].
    pub unpacked_bytes: u64,
}

/// As [`build`], without a users partition and without an output folder.
///
/// # Errors
/// [`BuildError`].
pub fn build_bare(ctx: &Context, recipe: &Recipe) -> Result<Bare, BuildError> {
    let made = Made::of(ctx, recipe)?;
    let image = image::make(ctx, &made.stack, &made.parts(recipe))?;
    Ok(Bare {
        kernel: made.kernel.vmlinux,
        system: image.path,
        system_bytes: image.bytes,
        unpacked_bytes: image.unpacked_bytes,
    })
}

/// The word of the kernel's command line that tells a machine where its users are.
pub fn users_word() -> String {
    format!("{}=LABEL={USERS_LABEL}", nodeos_spec::cmdline::USERS)
}

/// The filesystem that `recipe` describes, before it is written in any format: for those who change it first.
///
/// # Errors
/// [`BuildError`].
pub fn tree(ctx: &Context, recipe: &Recipe) -> Result<Tree, BuildError> {
    let made = Made::of(ctx, recipe)?;
    made.stack
        .tree(&made.parts(recipe))
        .map_err(BuildError::Layer)
}

/// What an image is put together from.
struct Made {
    stack: Stack,
    kernel: Kernel,
    node: Node,
    programs: Vec<Program>,
    used: Vec<UsedInput>,
}

impl Made {
    fn of(ctx: &Context, recipe: &Recipe) -> Result<Made, BuildError> {
        let manifest = Manifest::load(&ctx.source).map_err(BuildError::Manifest)?;
        let stack = Stack::load(&ctx.source, recipe.layer).map_err(BuildError::Layer)?;
        let (kernel, node, programs) = parts(ctx, &manifest, recipe, &stack)?;
        let used = used_inputs(&kernel, &node);
        Ok(Made {
            stack,
            kernel,
            node,
            programs,
            used,
        })
    }

    fn parts<'a>(&'a self, recipe: &'a Recipe) -> Parts<'a> {
        Parts {
            recipe,
            node: &self.node,
            programs: &self.programs,
            used: &self.used,
        }
    }
}

fn used_inputs(kernel: &Kernel, node: &Node) -> Vec<UsedInput> {
    [&kernel.used]
        .into_iter()
        .chain(&node.used)
        .cloned()
        .collect()
}

/// The three long steps, side by side. The first that fails ends the others.
fn parts(
    ctx: &Context,
    manifest: &Manifest,
    recipe: &Recipe,
    stack: &Stack,
) -> Result<(Kernel, Node, Vec<Program>), BuildError> {
    let stop_others = |error: BuildError| {
        ctx.cancel.store(true, Ordering::Relaxed);
        error
    };
    thread::scope(|scope| {
        let node = scope.spawn(|| {
            node::prepare(ctx, manifest, recipe.arch, recipe.libc)
                .map_err(|e| stop_others(BuildError::Node(e)))
        });
        let programs = scope.spawn(|| {
            let build = |item: &ProgramItem| programs::build(ctx, &item.package, &item.binary);
            let built: Result<Vec<Program>, _> = stack.programs().map(build).collect();
            built.map_err(|e| stop_others(BuildError::Program(e)))
        });
        let kernel = kernel::build(ctx, manifest, recipe.flavor.profile())
            .map_err(|e| stop_others(BuildError::Kernel(e)));
        let node = node.join().expect("preparing Node.js does not panic");
        let programs = programs.join().expect("building programs does not panic");
        // Of several failures the first real one counts: the others were cancelled because of it.
        let errors = [
            kernel.as_ref().err(),
            node.as_ref().err(),
            programs.as_ref().err(),
        ];
        let real = errors
            .iter()
            .flatten()
            .position(|error| !error.is_cancelled());
        match (kernel, node, programs) {
            (Ok(kernel), Ok(node), Ok(programs)) => Ok((kernel, node, programs)),
            (kernel, node, programs) => {
                let mut errors: Vec<BuildError> = [kernel.err(), node.err(), programs.err()]
                    .into_iter()
                    .flatten()
                    .collect();
                Err(errors.swap_remove(real.unwrap_or(0)))
            }
        }
    })
}
