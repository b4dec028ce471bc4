//! The output folder: what the user boots, as links into the cache.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::image::{self, Image};
use super::{BuildError, Output, UsersImage};
use crate::fetch::UsedInput;
use crate::kernel::Kernel;
use crate::layer::sources_json;
use crate::recipe::{Recipe, RootKind};

/// The memory of the machine that `run.sh` boots, in MiB, unless it is told otherwise.
const RUN_MEMORY_MIB: u32 = 256;
/// The same for a machine that people work on: npm alone takes 100.
const RUN_MEMORY_WITH_USERS_MIB: u32 = 512;

/// Where the parts of a build lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPaths {
    /// `out/<arch>/<flavor>/<format>`.
    pub dir: PathBuf,
    /// The kernel.
    pub kernel: PathBuf,
    /// The system image or archive.
    pub system: PathBuf,
    /// The users partition, of layers that have users.
    pub users: PathBuf,
    /// The script that boots them.
    pub run_script: PathBuf,
    /// What all of it was made from.
    pub sources: PathBuf,
}

/// Where a build of `recipe` into `out` puts its parts, whether they are there or not.
pub fn output_paths(recipe: &Recipe, out: &Path) -> OutputPaths {
    let dir = out
        .join(recipe.arch.as_str())
        .join(recipe.flavor.as_str())
        .join(recipe.format.as_str());
    OutputPaths {
        kernel: dir.join("kernel"),
        system: dir.join(image::file_name(recipe.root)),
        users: dir.join("users.img"),
        run_script: dir.join("run.sh"),
        sources: dir.join("sources.json"),
        dir,
    }
}

/// Makes the folder, so that a build which cannot end well does not begin.
pub(super) fn prepare(recipe: &Recipe, out: &Path) -> Result<(), BuildError> {
    writable(&output_paths(recipe, out).dir)
}

/// Makes a folder, and sees whether a file can be made in it.
pub(super) fn writable(dir: &Path) -> Result<(), BuildError> {
    let try_out = || {
        fs::create_dir_all(dir)?;
        tempfile::tempfile_in(dir).map(drop)
    };
    try_out().map_err(|source| BuildError::Output {
        path: dir.to_owned(),
        source,
    })
}

pub(super) fn publish(
    recipe: &Recipe,
    out: &Path,
    kernel: &Kernel,
    image: &Image,
    users: Option<UsersImage>,
    inputs: Vec<UsedInput>,
) -> Result<Output, BuildError> {
    let paths = output_paths(recipe, out);
    link(&kernel.vmlinux, &paths.kernel)?;
    link(&image.path, &paths.system)?;
    write(&paths.sources, &sources_json(&inputs), 0o644)?;
    write(
        &paths.run_script,
        &run_script(recipe, image, users.as_ref()),
        0o755,
    )?;
    make_latest(&paths.dir, out)?;
    let kernel_bytes = fs::metadata(&paths.kernel)
        .map_err(|source| BuildError::Output {
            path: paths.kernel.clone(),
            source,
        })?
        .len();
    Ok(Output {
        dir: paths.dir,
        kernel: paths.kernel,
        kernel_bytes,
        kernel_release: kernel.release.clone(),
        system: paths.system,
        system_bytes: image.bytes,
        unpacked_bytes: image.unpacked_bytes,
        users,
        run_script: paths.run_script,
        inputs,
    })
}

/// Has `out/latest` lead to what has been built last.
pub(super) fn make_latest(dir: &Path, out: &Path) -> Result<(), BuildError> {
    let target = dir.strip_prefix(out).expect("the folder is below out");
    replace(&out.join("latest"), |temporary| symlink(target, temporary))
}

fn run_script(recipe: &Recipe, image: &Image, users: Option<&UsersImage>) -> String {
    use nodeos_vm::machine::{Machine, Network, Root, Screen};
    let file = PathBuf::from(image::file_name(recipe.root));
    let root = match recipe.root {
        RootKind::Pmem => Root::Pmem {
            image: file,
            size: image.bytes,
        },
        RootKind::Disk => Root::Disk { image: file },
        RootKind::Initramfs => Root::Initramfs { archive: file },
    };
    let mut machine = Machine::new(PathBuf::from("kernel"), root);
    machine.memory_mib = RUN_MEMORY_MIB;
    if recipe.flavor == crate::recipe::Flavor::Workstation {
        machine.screen = Screen::Window;
    }
    if let Some(users) = users {
        machine.disks = vec![users.path.clone()];
        machine.append = vec![super::users_word()];
        machine.network = Network::ByTheSystem;
        machine.memory_mib = RUN_MEMORY_WITH_USERS_MIB;
    }
    nodeos_vm::run_sh::run_sh(&machine)
}

/// A link to a file of the cache; a copy where the folder is on another file system.
pub(super) fn link(from: &Path, to: &Path) -> Result<(), BuildError> {
    let same = |a: fs::Metadata, b: fs::Metadata| a.dev() == b.dev() && a.ino() == b.ino();
    if let (Ok(a), Ok(b)) = (fs::metadata(from), fs::symlink_metadata(to))
        && same(a, b)
    {
        return Ok(());
    }
    replace(to, |temporary| {
        fs::hard_link(from, temporary).or_else(|_| fs::copy(from, temporary).map(drop))
    })
}

pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<(), BuildError> {
    replace(path, |temporary| {
        fs::write(temporary, text)?;
        fs::set_permissions(temporary, fs::Permissions::from_mode(mode))
    })
}

/// Makes a file beside `path` and renames it over: nobody ever sees half of it.
pub(super) fn replace(
    path: &Path,
    make: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), BuildError> {
    let dir = path.parent().expect("an output file lies in a folder");
    let whole = || {
        let scratch = tempfile::Builder::new()
            .prefix(".writing-")
            .tempdir_in(dir)?;
        let temporary = scratch.path().join("file");
        make(&temporary)?;
        fs::rename(&temporary, path)
    };
    whole().map_err(|source| BuildError::Output {
        path: path.to_owned(),
        source,
    })
}
