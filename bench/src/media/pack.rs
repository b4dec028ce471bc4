//! Packing: each format, and what others make of the same.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use nodeos_build::assemble::{self, UsersOrder};
use nodeos_build::context::Context;
use nodeos_build::recipe::{Format, Recipe, RootKind};
use serde::Serialize;

use super::RECIPE;
use crate::cpu;

/// GRUB's modules that a menu with a kernel on a CD or a stick needs: what our own medium has, but for those that one of the two
/// kinds of firmware does not have.
const MODULES: &str = "part_gpt part_msdos fat iso9660 normal linux configfile echo test hashsum gcry_sha256 sleep reboot \
                       halt minicmd true regexp serial terminal video all_video";

/// What makes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Packer {
    Nodeos(Format),
    /// GRUB's own tool for media such as `iso`, with the same kernel and the same system.
    GrubMkrescue,
    /// The tool for `qcow2`, with a disk that is there.
    QemuImg,
}

impl Packer {
    /// One after the other.
    pub fn all() -> impl Iterator<Item = Packer> {
        let formats = Format::ALL.iter().copied().map(Packer::Nodeos);
        formats.chain([Packer::GrubMkrescue, Packer::QemuImg])
    }
}

impl fmt::Display for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Packer::Nodeos(format) => format.as_str(),
            Packer::GrubMkrescue => "grub-mkrescue",
            Packer::QemuImg => "qemu-img convert disk.img",
        })
    }
}

/// One time.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Packed {
    /// Seconds.
    pub wall: f64,
    /// Of this process and all that it has started.
    pub cpu: f64,
    /// The length of all files that came out.
    pub length: u64,
    /// What they take without their holes.
    pub on_disk: u64,
}

/// Where everything is made.
#[derive(Debug)]
pub struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// Has the parts that other tools pack.
    pub(super) fn prepare(ctx: &Context) -> anyhow::Result<Site> {
        let folder = tempfile::Builder::new()
            .prefix("nodeos-media-")
            .tempdir_in(&ctx.source)?;
        let site = Site { folder };
        let recipe = Recipe {
            root: RootKind::Disk,
            ..RECIPE
        };
        let out = site.path("parts");
        let order = UsersOrder::default();
        let system = assemble::build(ctx, &recipe, &order, &out)?.system;
        let loaded = pack_as(ctx, Format::Initramfs, &out)?;
        let boot = site.path("medium/boot/grub");
        fs::create_dir_all(&boot)?;
        fs::copy(system, site.path("medium/system.img"))?;
        fs::copy(&loaded.files[0].path, site.path("medium/kernel"))?;
        fs::write(
            boot.join("grub.cfg"),
            "menuentry NodeOS {\n    linux /kernel\n}\n",
        )?;
        Ok(site)
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// What a format has made last.
    pub(super) fn made(&self, format: Format, file: &str) -> PathBuf {
        let folder = format!("out/{}/{}/{format}", RECIPE.arch, RECIPE.flavor);
        self.path(&folder).join(file)
    }
}

/// Packs once, from the cache, into a folder where nothing is.
pub(super) fn pack(ctx: &Context, site: &Site, packer: Packer) -> anyhow::Result<Packed> {
    let folder = match packer {
        Packer::Nodeos(format) => site.made(format, ""),
        Packer::GrubMkrescue | Packer::QemuImg => site.path("others"),
    };
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let before = cpu::of_tree(std::process::id())?;
    let started = Instant::now();
    match packer {
        Packer::Nodeos(format) => {
            pack_as(ctx, format, &site.path("out"))?;
        }
        Packer::GrubMkrescue => {
            fs::create_dir(&folder)?;
            let mut command = Command::new("grub-mkrescue");
            command
                .args(["--locales=", "--fonts=", "--themes="])
                .arg(format!("--install-modules={MODULES}"))
                .arg("--output")
                .arg(folder.join("medium.iso"))
                .arg(site.path("medium"));
            succeed(command, "grub-common, xorriso and mtools")?;
        }
        Packer::QemuImg => {
            fs::create_dir(&folder)?;
            let mut command = Command::new("qemu-img");
            command
                .args(["convert", "-f", "raw", "-O", "qcow2"])
                .arg(site.made(Format::Disk, "disk.img"))
                .arg(folder.join("disk.qcow2"));
            succeed(command, "qemu-utils")?;
        }
    }
    let wall = started.elapsed().as_secs_f64();
    let cpu = cpu::of_tree(std::process::id())? - before;
    let (length, on_disk) = bytes_below(&folder)?;
    Ok(Packed {
        wall,
        cpu,
        length,
        on_disk,
    })
}

fn pack_as(
    ctx: &Context,
    format: Format,
    out: &Path,
) -> anyhow::Result<nodeos_build::format::Packed> {
    let recipe = Recipe {
        profile: format.profile(),
        ..RECIPE
    };
    let packed = assemble::pack(ctx, &recipe, format, &UsersOrder::default(), out);
    packed.with_context(|| format!("cannot make {format}"))
}

fn succeed(mut command: Command, packages: &str) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("{program}: apt-get install {packages}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {said}");
    Ok(())
}

/// The length of all files in a folder, and what they take.
fn bytes_below(folder: &Path) -> anyhow::Result<(u64, u64)> {
    let mut sum = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        let (length, on_disk) = match about.is_dir() {
            true => bytes_below(&entry.path())?,
            // st_blocks counts in 512 bytes, whatever the file system's blocks are (stat(3type)).
            false => (about.len(), about.blocks() * 512),
        };
        sum = (sum.0 + length, sum.1 + on_disk);
    }
    Ok(sum)
}
