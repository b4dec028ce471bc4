//! Everything that is booted and compared, ready on the disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodeos_build::assemble::{self, Output, UsersOrder};
use nodeos_build::context::Context;
use nodeos_build::kernel::{self, Kernel};
use nodeos_build::manifest::Manifest;
use nodeos_build::node;
use nodeos_build::programs;
use nodeos_build::recipe::{Recipe, RootKind};
use nodeos_image::cpio;
use nodeos_image::tree::{Entry, Tree};
use tempfile::TempDir;

use super::debian::{self, DebianKernel};
use super::user_mode::UserMode;

/// What a plain `nodeos start` boots.
const BAREBONES: Recipe = Recipe::BAREBONES;

/// What the benchmark works with. The folder goes with it.
#[derive(Debug)]
pub struct Parts {
    pub kernel: Kernel,
    pub debian: DebianKernel,
    /// PID 1 of NodeOS, alone.
    pub init: PathBuf,
    /// An initramfs whose init is the trivial one.
    pub trivial: PathBuf,
    /// An initramfs with NodeOS's init, which starts the trivial one.
    pub ours: PathBuf,
    pub pmem: Output,
    pub disk: Output,
    pub user_mode: UserMode,
    pub node_version: String,
    scratch: TempDir,
}

impl Parts {
    /// Builds and fetches what is not in the cache.
    ///
    /// # Errors
    /// Where one of the builders fails; each says why.
    pub fn prepare(ctx: &Context) -> anyhow::Result<Parts> {
        let folder = ctx.source.join("target/bench");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Beside the cache's file system, perhaps, but never in the memory that /tmp may be.
        let scratch = tempfile::Builder::new()
            .prefix("boot-")
            .tempdir_in(&folder)?;
        let manifest = Manifest::load(&ctx.source)?;
        let user_mode_program = UserMode::find()?;
        let users = UsersOrder::default();
        let pmem = assemble::build(ctx, &BAREBONES, &users, &folder.join("pmem"))?;
        let disk = assemble::build(
            ctx,
            &Recipe {
                root: RootKind::Disk,
                ..BAREBONES
            },
            &users,
            &folder.join("disk"),
        )?;
        let kernel = kernel::build(ctx, &manifest, BAREBONES.profile())?;
        let node = node::prepare(ctx, &manifest, BAREBONES.arch, BAREBONES.libc)?;
        let init = programs::build(ctx, "nodeos-init", "init")?.path;
        let least = programs::build(ctx, "nodeos-bench-init", "trivial-init")?.path;
        let debian = debian::fetch(ctx, scratch.path())
            .context("cannot get Debian's kernel to compare with")?;
        let (trivial, ours) = (
            scratch.path().join("trivial.cpio"),
            scratch.path().join("ours.cpio"),
        );
        write(&initramfs(&[("/init", &least)])?, &trivial)?;
        write(
            &initramfs(&[("/init", &init), ("/sbin/init", &least)])?,
            &ours,
        )?;
        let user_mode = UserMode::prepare(user_mode_program, &node, &scratch.path().join("node"))?;
        let node_version = node.version;
        Ok(Parts {
            kernel,
            debian,
            init,
            trivial,
            ours,
            pmem,
            disk,
            user_mode,
            node_version,
            scratch,
        })
    }

    /// A folder for what a run writes.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}

/// The mount points, the console that the kernel opens for its first process, and programs.
fn initramfs(programs: &[(&str, &Path)]) -> anyhow::Result<Tree> {
    let mut tree = Tree::new();
    for folder in ["/dev", "/etc", "/proc", "/run", "/sbin", "/sys", "/tmp"] {
        tree.insert(folder, Entry::directory(0o755))?;
    }
    tree.insert("/dev/console", Entry::char_device(0o600, 5, 1))?;
    for (path, program) in programs {
        tree.insert(path, Entry::host_file(0o755, *program)?)?;
    }
    Ok(tree)
}

fn write(tree: &Tree, path: &Path) -> anyhow::Result<()> {
    let mut file =
        File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(cpio::write(tree, 0, &mut file)?)
}
