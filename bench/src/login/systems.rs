//! The systems that are compared: their machines, their disks, and how one talks to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use nodeos_build::assemble::{self, Output, UsersOrder};
use nodeos_build::context::Context;
use nodeos_build::manifest::Manifest;
use nodeos_build::node;
use nodeos_build::recipe::{Layer, Libc, Recipe, RootKind};
use nodeos_vm::machine::{Machine, Network, Root};
use serde::Serialize;
use tempfile::TempDir;

use super::debian::Debian;
use crate::machine::{machine, system};

/// What a plain `nodeos start` boots, and how much memory it gives that, in MiB.
const USERSFS: Recipe = Recipe {
    layer: Layer::Usersfs,
    ..Recipe::BAREBONES
};
pub(super) const MEMORY_MIB: u32 = 512;

/// What Debian's kernel is told. These words win over those of an initramfs that stays.
pub(crate) const DEBIAN_WORDS: [&str; 3] = ["ro", "root=/dev/vda", "rootfstype=ext4"];

/// One system that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// On a virtio disk, from its own kernel and initrd.
    Debian,
    /// Ours, mapped: as it is by default.
    Ours,
    /// Ours on a virtio disk, as Debian is.
    OursOnDisk,
}

/// How one talks to a system.
#[derive(Debug)]
pub struct Manners {
    /// How it asks for a name and for a password.
    pub name: &'static str,
    pub password: &'static str,
    /// How its shell asks for a command.
    pub prompt: &'static str,
    /// What is typed at the prompt to switch the machine off: each line, and the question after it, if there is one.
    pub farewell: &'static [(&'static str, Option<&'static str>)],
}

impl Variant {
    /// In the order of a round.
    pub const ALL: &[Variant] = &[Variant::Debian, Variant::Ours, Variant::OursOnDisk];

    /// What people read.
    pub fn title(self) -> &'static str {
        match self {
            Variant::Debian => "Debian",
            Variant::Ours => "ours (pmem)",
            Variant::OursOnDisk => "ours (disk)",
        }
    }

    /// How one talks to it.
    pub fn manners(self) -> &'static Manners {
        match self {
            Variant::Debian => &Manners {
                name: "debian login: ",
                password: "Password: ",
                prompt: ":~$ ",
                farewell: &[("su -c /sbin/poweroff", Some("Password: ")), ("root", None)],
            },
            Variant::Ours | Variant::OursOnDisk => &Manners {
                name: "username: ",
                password: "password: ",
                prompt: "~ > ",
                farewell: &[("poweroff", None)],
            },
        }
    }
}

/// Everything that is booted. The folder goes with it.
#[derive(Debug)]
pub struct Systems {
    pub debian: Debian,
    pub ours: Output,
    pub ours_on_disk: Output,
    pub node_version: String,
    scratch: TempDir,
}

impl Systems {
    /// Builds and fetches what is not in the cache.
    ///
    /// # Errors
    /// Where one of the builders fails; each says why.
    pub fn prepare(ctx: &Context) -> anyhow::Result<Systems> {
        let folder = ctx.source.join("target/bench");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Beside the cache's file system, perhaps, but never in the memory that /tmp may be.
        let scratch = tempfile::Builder::new()
            .prefix("login-")
            .tempdir_in(&folder)?;
        let manifest = Manifest::load(&ctx.source)?;
        let users = UsersOrder::default();
        let ours = assemble::build(ctx, &USERSFS, &users, &folder.join("usersfs"))?;
        let on_disk = Recipe {
            root: RootKind::Disk,
            ..USERSFS
        };
        let ours_on_disk = assemble::build(ctx, &on_disk, &users, &folder.join("usersfs-disk"))?;
        // Debian's C library is not ours.
        let node = node::prepare(ctx, &manifest, USERSFS.arch, Libc::Glibc)?;
        let debian =
            Debian::prepare(ctx, &node, None).context("cannot get a Debian to compare with")?;
        Ok(Systems {
            debian,
            ours,
            ours_on_disk,
            node_version: node.version,
            scratch,
        })
    }

    /// The disk of the variant after its first boot. Nobody may write to it.
    pub(super) fn used_disk(&self, variant: Variant) -> PathBuf {
        self.scratch.path().join(format!("{}.img", variant.title()))
    }

    /// A disk for one boot, in place of the one before.
    pub(super) fn copy_for_a_boot(&self, from: &Path) -> anyhow::Result<PathBuf> {
        let to = self.scratch.path().join("disk.img");
        copy(from, &to)?;
        Ok(to)
    }

    /// The disk of the variant as it was made.
    pub(super) fn new_disk(&self, variant: Variant) -> anyhow::Result<&Path> {
        let output = match variant {
            Variant::Debian => return Ok(&self.debian.disk),
            Variant::Ours => &self.ours,
            Variant::OursOnDisk => &self.ours_on_disk,
        };
        let users = output.users.as_ref().context("the layer has no users")?;
        Ok(&users.path)
    }

    /// The machine of the variant, which writes to `disk`. All have the same memory, processor and network card; a
    /// system that can be mapped is, and what it writes to is a virtio disk.
    pub(super) fn machine(&self, variant: Variant, disk: PathBuf) -> Machine {
        let mut machine = match variant {
            Variant::Debian => {
                let archive = self.debian.initrd.clone();
                let mut machine = machine(&self.debian.kernel, Root::Initramfs { archive });
                machine.append = DEBIAN_WORDS.map(str::to_owned).to_vec();
                machine
            }
            Variant::Ours => system(&self.ours, RootKind::Pmem),
            Variant::OursOnDisk => system(&self.ours_on_disk, RootKind::Disk),
        };
        if variant != Variant::Debian {
            machine.append = vec![assemble::users_word()];
        }
        machine.memory_mib = MEMORY_MIB;
        machine.network = Network::ByTheSystem;
        machine.disks = vec![disk];
        machine
    }

    /// The image that QEMU maps for the machine, where it does.
    pub(super) fn mapped(&self, variant: Variant) -> Option<&Path> {
        (variant == Variant::Ours).then_some(self.ours.system.as_path())
    }
}

/// Holes stay holes.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("cp");
    command
        .args(["--sparse=auto", "--reflink=auto", "--no-preserve=mode"])
        .arg(from)
        .arg(to);
    let status = command.status().context("cannot run cp")?;
    ensure!(status.success(), "cannot copy {}", from.display());
    Ok(())
}
