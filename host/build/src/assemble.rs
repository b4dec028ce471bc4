//! A whole build: kernel, programs and Node.js at the same time, then what a format makes of them in the output folder.

pub mod application;
mod error;
pub mod image;
pub(crate) mod output;
pub(crate) mod users;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;

use nodeos_image::tree::Tree;

use crate::context::Context;
use crate::fetch::UsedInput;
use crate::format::{self, Goods, Packed};
use crate::kernel::{self, Kernel};
use crate::layer::{Parts, ProgramItem, Stack};
use crate::manifest::Manifest;
use crate::node::{self, Node};
use crate::programs::{self, Program};
use crate::recipe::{Format, Recipe};

pub use crate::format::qemu::{Output, OutputPaths, output_paths};
pub use error::BuildError;
pub use users::{
    DEFAULT_SIZE as DEFAULT_USERS_SIZE, Kept, LABEL as USERS_LABEL, Renewal, UsersImage, UsersOrder,
};

/// Builds `recipe` into `out` for QEMU: what `nodeos start` boots. What is in the cache is not made again. A build that
/// fails leaves `ctx` cancelled.
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
    let dir = output::prepare(recipe, Format::Qemu, out)?;
    let made = Made::of(ctx, recipe, Booted::ByItself)?;
    let output = format::qemu::write(&Goods::new(ctx, recipe, &made, users), &dir)?;
    output::publish(out, &dir, &output.inputs)?;
    Ok(output)
}

/// As [`build`], in any format.
///
/// # Errors
/// [`BuildError`].
pub fn pack(
    ctx: &Context,
    recipe: &Recipe,
    format: Format,
    users: &UsersOrder,
    out: &Path,
) -> Result<Packed, BuildError> {
    let dir = output::prepare(recipe, format, out)?;
    let made = Made::of(ctx, recipe, Booted::of(format))?;
    let packed = format::write(format, &Goods::new(ctx, recipe, &made, users), &dir)?;
    output::publish(out, &dir, &packed.inputs)?;
    Ok(packed)
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
    let made = Made::of(ctx, recipe, Booted::ByItself)?;
    let image = image::make(ctx, &made.stack, &made.parts(recipe))?;
    Ok(Bare {
        kernel: made.kernel().vmlinux.clone(),
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
    let made = Made::of(ctx, recipe, Booted::ByItself)?;
    made.stack
        .tree(&made.parts(recipe))
        .map_err(BuildError::Layer)
}

/// Whose kernel runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Booted {
    /// It brings one.
    ByItself,
    /// That of a host, as in a container.
    BySomebodyElse,
}

impl Booted {
    fn of(format: Format) -> Booted {
        match format.has_kernel() {
            true => Booted::ByItself,
            false => Booted::BySomebodyElse,
        }
    }
}

/// What an image is put together from.
pub(crate) struct Made {
    pub(crate) stack: Stack,
    kernel: Option<Kernel>,
    node: Node,
    programs: Vec<Program>,
    /// All outside inputs.
    pub(crate) used: Vec<UsedInput>,
}

impl Made {
    fn of(ctx: &Context, recipe: &Recipe, booted: Booted) -> Result<Made, BuildError> {
        let manifest = Manifest::load(&ctx.source).map_err(BuildError::Manifest)?;
        let stack = Stack::load(&ctx.source, recipe.layer).map_err(BuildError::Layer)?;
        let (kernel, node, programs) = parts(ctx, &manifest, recipe, &stack, booted)?;
        let used = used_inputs(kernel.as_ref(), &node);
        Ok(Made {
            stack,
            kernel,
            node,
            programs,
            used,
        })
    }

    /// What `uname -r` says, where there is a kernel.
    pub(crate) fn kernel_release(&self) -> Option<String> {
        self.kernel.as_ref().map(|kernel| kernel.release.clone())
    }

    /// Of what boots by itself.
    pub(crate) fn kernel(&self) -> &Kernel {
        let kernel = self.kernel.as_ref();
        kernel.expect("a format that boots by itself is made with a kernel")
    }

    pub(crate) fn parts<'a>(&'a self, recipe: &'a Recipe) -> Parts<'a> {
        Parts {
            recipe,
            node: &self.node,
            programs: &self.programs,
            used: &self.used,
        }
    }
}

fn used_inputs(kernel: Option<&Kernel>, node: &Node) -> Vec<UsedInput> {
    kernel
        .map(|kernel| &kernel.used)
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
    booted: Booted,
) -> Result<(Option<Kernel>, Node, Vec<Program>), BuildError> {
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
        let kernel = match booted {
            Booted::ByItself => kernel::build(ctx, manifest, recipe.profile())
                .map(Some)
                .map_err(|e| stop_others(BuildError::Kernel(e))),
            Booted::BySomebodyElse => Ok(None),
        };
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
