//! The format `disk`: one image with boot loader, system and users partition, that any PC or virtual machine boots.
//!
//! Its partitions are, in this order: what GRUB needs for the firmware of old; the one that UEFI reads, with GRUB, menu and
//! kernel; the system with its hash tree; as much room for the next system; and the users partition, which is last
//! because it grows to the end of the device. An application has its volumes there.

pub(super) mod menu;
mod numbers;
mod volumes;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use nodeos_image::disk::{Layout, Part, copy_image};
use nodeos_image::fat;
use nodeos_image::tree::Content;
use nodeos_image::verity::HashTree;
use nodeos_spec::device::ext::{NEEDED, Superblock};
use nodeos_spec::device::gpt::{Guid, Table};

use super::loader::{self, Bios};
use super::{Goods, Packed};
use crate::application::contents::Contents;
use crate::application::volume;
use crate::assemble::image::Image;
use crate::assemble::{BuildError, Renewal, UsersImage, output};
use crate::cache::KeyHasher;
use crate::fetch::UsedInput;
use crate::fetch::checksum::sha256_of;
use crate::recipe::{RootKind, SectorSize};
use menu::{Medium, Users};
pub(super) use numbers::{Numbers, uuid};
use volumes::Volume;

/// Raised when what is written changes in another way than by its parts.
const BUILD_VERSION: &str = "1";
const FILE: &str = "disk.img";
const MIB: u64 = 1 << 20;
/// Of what has no other sectors.
pub(super) const SECTOR: u64 = 512;
/// GRUB's core takes a tenth of it.
const BIOS_BOOT_SIZE: u64 = MIB;
/// Two kernels take a tenth of it; it may become a small initramfs, too. The other one is the least that FAT32 takes whose
/// clusters are large sectors.
const EFI_SYSTEM_SIZE: u64 = 128 * MIB;
const EFI_SYSTEM_SIZE_4096: u64 = 260 * MIB;
/// Slots are multiples of this, so that one has room for what the next version has grown by.
const SLOT_STEP: u64 = 64 * MIB;
/// The place of the partition with menu and kernel, from 0.
const EFI_SYSTEM: usize = 1;
const SYSTEM: usize = 2;
/// The name of the users partition.
pub(super) const USERS_NAME: &str = "nodeos-users";

/// Where the users partition is, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Homes {
    /// On the disk.
    Here,
    /// On another one.
    Elsewhere,
}

/// The image that was asked for is there.
pub(super) struct Made {
    pub(super) inputs: Vec<UsedInput>,
    /// Its own number.
    pub(super) disk: Guid,
    /// Whether it was there before.
    pub(super) was_there: bool,
}

pub(super) fn write(goods: &Goods<'_>, dir: &Path) -> Result<Packed, BuildError> {
    let path = dir.join(FILE);
    let made = image(goods, &path, Homes::Here)?;
    Ok(Packed {
        inputs: made.inputs,
        ..Packed::of(goods, dir, vec![path])?
    })
}

/// Has the image at `path`.
pub(super) fn image(goods: &Goods<'_>, path: &Path, homes: Homes) -> Result<Made, BuildError> {
    let scratch = scratch(path.parent().expect("an image lies in a folder"))?;
    let parts = Parts::make(goods, scratch.path(), homes)?;
    let disk = parts.numbers.guid("disk");
    let was_there = is_there(path, disk, goods.order.renewal)?;
    if !was_there {
        write_image(goods, path, |file| parts.write(goods, file))?;
    }
    let mut inputs = goods.inputs().to_vec();
    inputs.push(loader::used(goods.ctx, scratch.path()).map_err(BuildError::Loader)?);
    Ok(Made {
        inputs,
        disk,
        was_there,
    })
}

/// Has an image written, and then at `path`.
pub(super) fn write_image(
    goods: &Goods<'_>,
    path: &Path,
    write: impl FnOnce(&File) -> Result<(), WriteError>,
) -> Result<(), BuildError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let step = goods.ctx.progress.begin(&format!("write {name}"), None);
    let mut failure = None;
    output::replace(path, |temporary| {
        let file = File::create_new(temporary)?;
        write(&file).map_err(|error| {
            failure = Some(error);
            io::Error::other("the image could not be written")
        })
    })
    .map_err(|error| match failure.take() {
        Some(source) => BuildError::Image {
            path: path.to_owned(),
            source,
        },
        None => error,
    })?;
    step.finish("");
    Ok(())
}

/// A folder for what goes into the image, on the same disk.
pub(super) fn scratch(dir: &Path) -> Result<tempfile::TempDir, BuildError> {
    tempfile::Builder::new()
        .prefix(".parts-")
        .tempdir_in(dir)
        .map_err(|source| BuildError::Output {
            path: dir.to_owned(),
            source,
        })
}

/// Whether the image that this build would make is at `path` already. One that is somebody's is an error.
pub(super) fn is_there(path: &Path, disk: Guid, renewal: Renewal) -> Result<bool, BuildError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => {
            let path = path.to_owned();
            return Err(BuildError::Output { path, source });
        }
        Ok(file) => file,
    };
    match (unused(&file), renewal) {
        (Some(table), _) => Ok(table.disk == disk),
        (None, Renewal::Fresh) => Ok(false),
        (None, Renewal::Keep) => Err(BuildError::InUse {
            path: path.to_owned(),
        }),
    }
}

/// The table of a disk of ours, if no machine has written to what is somebody's on it.
fn unused(file: &File) -> Option<Table> {
    let read = |at, length| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
    };
    let mut sizes = SectorSize::ALL.iter().map(|size| size.bytes());
    let table = sizes.find_map(|sector| Table::read(sector, 1, read).ok())?;
    let mut kept = table.partitions.iter().flatten();
    let is_unused = kept.all(|partition| {
        let is_somebodys = partition.name == USERS_NAME || volumes::is_one(partition);
        let head = || read(partition.first.checked_mul(table.sector)?, NEEDED);
        let superblock = || Superblock::read(&head()?).ok();
        !is_somebodys || superblock().is_some_and(|superblock| superblock.last_mount == 0)
    });
    is_unused.then_some(table)
}

/// What goes into the image.
struct Parts {
    /// None where its firmware could not read the disk.
    bios: Option<Bios>,
    uefi: Vec<u8>,
    system: Image,
    users: Option<UsersImage>,
    volumes: Vec<Volume>,
    homes: Homes,
    sector: u64,
    numbers: Numbers,
}

pub(super) type WriteError = Box<dyn std::error::Error + Send + Sync>;

impl Parts {
    fn make(goods: &Goods<'_>, scratch: &Path, homes: Homes) -> Result<Parts, BuildError> {
        let (ctx, recipe) = (goods.ctx, goods.recipe);
        let bios = match recipe.sector_size {
            SectorSize::Of512 => Some(loader::bios(ctx, EFI_SYSTEM + 1, scratch)),
            SectorSize::Of4096 => None,
        };
        let bios = bios.transpose().map_err(BuildError::Loader)?;
        let uefi = loader::uefi(ctx, scratch).map_err(BuildError::Loader)?;
        let system = goods.system(RootKind::Disk)?;
        let (users, volumes) = match homes {
            Homes::Here => (
                goods.users(&scratch.join("users.img"))?,
                volumes::make(goods, scratch)?,
            ),
            Homes::Elsewhere => (None, Vec::new()),
        };
        let mut key = KeyHasher::new("disk")
            .text("version", BUILD_VERSION)
            .text(
                "menu",
                &menu::menu(goods, Medium::Disk, users_of(homes, goods, Guid::LINUX)),
            )
            .text("kernel", goods.kernel().key.as_str())
            .text("system", system.key.as_str())
            .text("sectors", recipe.sector_size.as_str())
            .bytes("uefi", &uefi);
        if let Some(bios) = &bios {
            key = key.bytes("boot", &bios.boot).bytes("core", &bios.core);
        }
        if let Some(users) = &users {
            let uuid = superblock(&users.path).map(|superblock| superblock.uuid);
            key = key
                .bytes("users", &uuid.unwrap_or_default())
                .text("users size", &users.bytes.to_string());
        }
        for volume in &volumes {
            key = key.text("volume", &volume.partition);
        }
        Ok(Parts {
            bios,
            uefi,
            system,
            users,
            volumes,
            homes,
            sector: recipe.sector_size.bytes(),
            numbers: Numbers(key.finish()),
        })
    }

    fn layout(&self, tree: &HashTree) -> Layout {
        let content = self.system.bytes + tree.bytes.len() as u64;
        let slot = (content + content / 2).next_multiple_of(SLOT_STEP);
        let part = |kind, name: &str, size| Part {
            kind,
            guid: self.numbers.guid(name),
            name: name.to_owned(),
            size,
        };
        let efi_system = match self.sector {
            SECTOR => EFI_SYSTEM_SIZE,
            _ => EFI_SYSTEM_SIZE_4096,
        };
        let mut parts = vec![
            part(Guid::BIOS_BOOT, "bios-boot", BIOS_BOOT_SIZE),
            part(Guid::EFI_SYSTEM, "efi-system", efi_system),
            part(Guid::LINUX, "nodeos-system-a", slot),
            part(Guid::LINUX, "nodeos-system-b", slot),
        ];
        let users = self.users.iter();
        parts.extend(users.map(|users| part(Guid::LINUX, USERS_NAME, users.bytes)));
        let volumes = self.volumes.iter();
        parts.extend(volumes.map(|volume| part(Guid::LINUX, &volume.partition, volume::BYTES)));
        Layout::of(self.numbers.guid("disk"), self.sector, &parts)
    }

    fn write(mut self, goods: &Goods<'_>, out: &File) -> Result<(), WriteError> {
        let system = File::open(&self.system.path)?;
        let (tree, salt) = self.numbers.hash_tree(&system, self.system.bytes)?;
        let layout = self.layout(&tree);
        let core = layout.places[0].start;
        match &mut self.bios {
            Some(bios) => {
                bios.place(core / SECTOR);
                layout.write(&bios.boot, out)?;
                out.write_all_at(&bios.core, core)?;
            }
            None => layout.write(&[], out)?,
        }
        let place = layout.places[SYSTEM].clone();
        copy_image(&system, out, place.start)?;
        out.write_all_at(&tree.bytes, place.start + self.system.bytes)?;
        // What is somebody's comes last: the users' files, or an application's.
        let users = self.users.iter().map(|users| &users.path);
        let kept = users.chain(self.volumes.iter().map(|volume| &volume.image));
        for (image, place) in kept.zip(&layout.places[SYSTEM + 2..]) {
            copy_image(&File::open(image)?, out, place.start)?;
        }
        let files = self.boot_files(
            goods,
            &menu::slot(self.numbers.guid("nodeos-system-a"), &tree, &salt),
        )?;
        let options = self.numbers.efi_system(self.sector);
        fat::write(&files, &options, out, layout.places[EFI_SYSTEM].clone())?;
        Ok(())
    }

    fn boot_files(
        &self,
        goods: &Goods<'_>,
        slot: &str,
    ) -> Result<Vec<(String, Content)>, WriteError> {
        let users = users_of(self.homes, goods, self.numbers.guid(USERS_NAME));
        let menu = menu::menu(goods, Medium::Disk, users);
        let mut files = vec![efi_program(&self.uefi)];
        files.extend(boot_files(goods, menu, slot.to_owned())?);
        Ok(files)
    }
}

/// What the machine is told about its users partition, whose number is `here` if it is on the disk.
fn users_of(homes: Homes, goods: &Goods<'_>, here: Guid) -> Users {
    let has_volumes = |contents: &Contents| !contents.volumes.is_empty();
    match homes {
        Homes::Here if goods.application.is_some_and(has_volumes) => Users::Volumes,
        _ if !goods.recipe.layer.has_users() => Users::None,
        Homes::Here => Users::Partition(here),
        Homes::Elsewhere => Users::Label,
    }
}

/// GRUB where UEFI looks on a disk that it does not know.
pub(super) fn efi_program(uefi: &[u8]) -> (String, Content) {
    let path = "EFI/BOOT/BOOTX64.EFI".to_owned();
    (path, Content::Bytes(Arc::from(uefi)))
}

/// What GRUB reads: menu, and kernel with what belongs to it.
pub(super) fn boot_files(
    goods: &Goods<'_>,
    menu: String,
    slot: String,
) -> Result<Vec<(String, Content)>, WriteError> {
    let kernel = &goods.kernel().bzimage;
    let (sum, size) = sha256_of(kernel)?;
    let text = |text: String| Content::Bytes(Arc::from(text.into_bytes()));
    let folder = loader::FOLDER;
    let in_slot = |name: &str| format!("{folder}/{}/{name}", menu::SLOT);
    let path = kernel.clone();
    Ok(vec![
        (format!("{folder}/grub.cfg"), text(menu)),
        (in_slot("slot.cfg"), text(slot)),
        (in_slot("sums"), text(menu::sums(&sum))),
        (in_slot("kernel"), Content::Host { path, size }),
    ])
}

fn superblock(image: &Path) -> Option<Superblock> {
    let mut head = Vec::new();
    let file = fs::File::open(image).ok()?;
    file.take(NEEDED as u64).read_to_end(&mut head).ok()?;
    Superblock::read(&head).ok()
}
