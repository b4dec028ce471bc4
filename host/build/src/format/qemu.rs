//! The format `qemu`: kernel, system image and users partition as files, and a script that boots them.

use std::path::{Path, PathBuf};

use super::{Goods, Packed, PackedFile};
use crate::assemble::image::{self, Image};
use crate::assemble::{self, BuildError, UsersImage, output};
use crate::fetch::UsedInput;
use crate::recipe::{Flavor, Format, Recipe};

/// The memory of the machine that `run.sh` boots, in MiB, unless it is told otherwise.
const RUN_MEMORY_MIB: u32 = 256;
/// The same for a machine that people work on: npm alone takes 100.
const RUN_MEMORY_WITH_USERS_MIB: u32 = 512;

/// What a build for QEMU has made.
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
}

/// Where a build of `recipe` for QEMU into `out` puts its parts, whether they are there or not.
pub fn output_paths(recipe: &Recipe, out: &Path) -> OutputPaths {
    paths(recipe, output::folder(recipe, Format::Qemu, out))
}

fn paths(recipe: &Recipe, dir: PathBuf) -> OutputPaths {
    OutputPaths {
        kernel: dir.join("kernel"),
        system: dir.join(image::file_name(recipe.root)),
        users: dir.join("users.img"),
        run_script: dir.join("run.sh"),
        dir,
    }
}

impl From<Output> for Packed {
    fn from(output: Output) -> Packed {
        let system = [
            (output.kernel, output.kernel_bytes),
            (output.system, output.system_bytes),
        ];
        let users = output.users.as_ref();
        let users = users.map(|users| (users.path.clone(), users.bytes));
        let files = system.into_iter().chain(users);
        Packed {
            dir: output.dir,
            files: files
                .map(|(path, bytes)| PackedFile { path, bytes })
                .collect(),
            users: output.users,
            run_script: Some(output.run_script),
            kernel_release: Some(output.kernel_release),
            inputs: output.inputs,
        }
    }
}

pub(crate) fn write(goods: &Goods<'_>, dir: &Path) -> Result<Output, BuildError> {
    let recipe = goods.recipe;
    let paths = paths(recipe, dir.to_owned());
    let kernel = goods.kernel();
    let image = goods.system(recipe.root)?;
    let users = goods.users(&paths.users)?;
    output::link(&kernel.vmlinux, &paths.kernel)?;
    output::link(&image.path, &paths.system)?;
    let script = run_script(recipe, &image, users.as_ref());
    output::write(&paths.run_script, &script, 0o755)?;
    let PackedFile {
        path: kernel_path,
        bytes: kernel_bytes,
    } = PackedFile::at(paths.kernel)?;
    Ok(Output {
        dir: paths.dir,
        kernel: kernel_path,
        kernel_bytes,
        kernel_release: kernel.release.clone(),
        system: paths.system,
        system_bytes: image.bytes,
        unpacked_bytes: image.unpacked_bytes,
        users,
        run_script: paths.run_script,
        inputs: goods.inputs().to_vec(),
    })
}

fn run_script(recipe: &Recipe, image: &Image, users: Option<&UsersImage>) -> String {
    use nodeos_vm::machine::{Machine, Network, Screen};
    let file = Path::new(image::file_name(recipe.root));
    let root = image::machine_root(recipe.root, file, image.bytes);
    let mut machine = Machine::new(PathBuf::from("kernel"), root);
    machine.memory_mib = RUN_MEMORY_MIB;
    if recipe.flavor == Flavor::Workstation {
        machine.screen = Screen::Window;
    }
    if let Some(users) = users {
        machine.disks = vec![users.path.clone()];
        machine.append = vec![assemble::users_word()];
        machine.network = Network::ByTheSystem;
        machine.memory_mib = RUN_MEMORY_WITH_USERS_MIB;
    }
    nodeos_vm::run_sh::run_sh(&machine)
}
