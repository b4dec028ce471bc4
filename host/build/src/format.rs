//! How what was made is packed: a module for each format.

mod container;
mod disk;
mod docker;
mod img;
mod iso;
pub mod loader;
mod netboot;
mod oci;
pub(crate) mod qemu;
mod tar;
pub mod virtual_disk;
mod wsl;

use std::fs;
use std::path::{Path, PathBuf};

use crate::application::contents::Contents;
use crate::assemble::image::{self, Image};
use crate::assemble::{BuildError, Made, UsersImage, UsersOrder, users};
use crate::context::Context;
use crate::fetch::UsedInput;
use crate::kernel::Kernel;
use crate::recipe::{Format, Recipe, RootKind};

use netboot::Sums;
use virtual_disk::Kind;

/// How long the kernel waits for a cable where none is plugged in, in seconds: instead of two minutes. A card and its switch
/// have agreed on a speed after four.
const CARRIER: u32 = 10;

/// What a format packs. What takes time is made when it is asked for, and comes from the cache where it can.
pub(crate) struct Goods<'a> {
    pub(crate) ctx: &'a Context,
    pub(crate) recipe: &'a Recipe,
    made: &'a Made,
    /// What the users partition is to be.
    pub(crate) order: &'a UsersOrder,
    /// What is packed with the system.
    pub(crate) application: Option<&'a Contents<'a>>,
}

impl<'a> Goods<'a> {
    pub(crate) fn new(
        ctx: &'a Context,
        recipe: &'a Recipe,
        made: &'a Made,
        order: &'a UsersOrder,
    ) -> Goods<'a> {
        Goods {
            ctx,
            recipe,
            made,
            order,
            application: None,
        }
    }

    pub(crate) fn with(self, application: &'a Contents<'a>) -> Goods<'a> {
        Goods {
            application: Some(application),
            ..self
        }
    }

    pub(crate) fn kernel(&self) -> &'a Kernel {
        self.made.kernel()
    }

    /// What all of it is made from.
    pub(crate) fn inputs(&self) -> &'a [UsedInput] {
        &self.made.used
    }

    /// The system as the kernel's root of that kind.
    pub(crate) fn system(&self, root: RootKind) -> Result<Image, BuildError> {
        let recipe = Recipe {
            root,
            ..*self.recipe
        };
        let parts = self.made.parts(&recipe);
        image::make_with(self.ctx, &self.made.stack, &parts, self.application)
    }

    /// What people see that it is.
    pub(crate) fn title(&self) -> &str {
        let application = self.application.map(|contents| &contents.application.name);
        application.map_or("NodeOS", String::as_str)
    }

    /// What the kernel is told beside what every system has: an application has nobody who asks the network for an address, so
    /// the kernel does (Documentation/admin-guide/nfs/nfsroot.rst).
    pub(crate) fn words(&self) -> String {
        let application = self.application.map(|contents| &contents.application.name);
        application.map_or(String::new(), |name| {
            format!(" ip=::::{name}::dhcp carrier_timeout={CARRIER}")
        })
    }

    /// The users partition at `path`: the one that is there, or a new one. None for a layer without users.
    pub(crate) fn users(&self, path: &Path) -> Result<Option<UsersImage>, BuildError> {
        users::provide(self.ctx, self.recipe, &self.made.stack, self.order, path)
    }
}

/// What a format has made.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The folder: `out/<arch>/<flavor>/<format>`.
    pub dir: PathBuf,
    /// The files in it that are the result, the most important first.
    pub files: Vec<PackedFile>,
    /// The users partition, where it is a file of its own.
    pub users: Option<UsersImage>,
    /// A script that boots it without this program.
    pub run_script: Option<PathBuf>,
    /// What `uname -r` says, where it brings a kernel.
    pub kernel_release: Option<String>,
    /// What all of it was made from.
    pub inputs: Vec<UsedInput>,
}

/// One of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedFile {
    pub path: PathBuf,
    /// Its size in bytes (an image has holes: less may be on the disk).
    pub bytes: u64,
}

impl PackedFile {
    /// The file that is there.
    pub(crate) fn at(path: PathBuf) -> Result<PackedFile, BuildError> {
        match fs::metadata(&path) {
            Ok(metadata) => Ok(PackedFile {
                path,
                bytes: metadata.len(),
            }),
            Err(source) => Err(BuildError::Output { path, source }),
        }
    }
}

impl Packed {
    /// Files that are everything, as they are there. A kernel is among them, or in one, where one was made.
    fn of(goods: &Goods<'_>, dir: &Path, files: Vec<PathBuf>) -> Result<Packed, BuildError> {
        Ok(Packed {
            dir: dir.to_owned(),
            files: files
                .into_iter()
                .map(PackedFile::at)
                .collect::<Result<_, _>>()?,
            users: None,
            run_script: None,
            kernel_release: goods.made.kernel_release(),
            inputs: goods.inputs().to_vec(),
        })
    }
}

/// Packs into the folder `dir`, which is there.
pub(crate) fn write(format: Format, goods: &Goods<'_>, dir: &Path) -> Result<Packed, BuildError> {
    match format {
        Format::Qemu => qemu::write(goods, dir).map(Packed::from),
        Format::Oci => oci::write(goods, dir),
        Format::Docker => docker::write(goods, dir),
        Format::Tar => tar::write(goods, dir),
        Format::Wsl => wsl::write(goods, dir),
        Format::Initramfs => netboot::write(goods, dir, Sums::Left),
        Format::Netboot => netboot::write(goods, dir, Sums::Written),
        Format::Disk => disk::write(goods, dir),
        Format::Img => img::write(goods, dir),
        Format::Iso => iso::write(goods, dir),
        Format::Qcow2 => virtual_disk::write(goods, dir, Kind::Qcow2),
        Format::Vmdk => virtual_disk::write(goods, dir, Kind::Vmdk),
        Format::Vhd => virtual_disk::write(goods, dir, Kind::Vhd),
        Format::Vdi => virtual_disk::write(goods, dir, Kind::Vdi),
        Format::Gce => virtual_disk::write(goods, dir, Kind::Gce),
    }
}
