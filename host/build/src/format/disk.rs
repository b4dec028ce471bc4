//! The format `disk`: one image with boot loader, system and users partition, that any PC or virtual machine boots.
//!
//! Its partitions are, in this order: what GRUB needs for the firmware of old; the one that UEFI reads, with GRUB, menu and
//! kernel; the system with its hash tree; as much room for the next system; and the users partition, which is last
//! because it grows to the end of the device. An application has its volumes there.

mod menu;
mod volumes;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use nodeos_image::disk::{Layout, Part, copy_image};
use nodeos_image::fat;
use nodeos_image::tree::Content;
use nodeos_image::verity::{self, HASH, HashTree};
use nodeos_spec::device::ext::{NEEDED, Superblock};
use nodeos_spec::device::gpt::{Guid, Table};
use sha2::{Digest, Sha256};

use super::loader::{self, Bios};
use super::{Goods, Packed};
use crate::application::volume;
use crate::assemble::image::Image;
use crate::assemble::{BuildError, Renewal, UsersImage, output};
use crate::cache::{Key, KeyHasher};
use crate::fetch::UsedInput;
use crate::fetch::checksum::sha256_of;
use crate::recipe::RootKind;
use volumes::Volume;

/// Raised when what is written changes in another way than by its parts.
const BUILD_VERSION: &str = "1";
const FILE: &str = "disk.img";
const MIB: u64 = 1 << 20;
pub(super) const SECTOR: u64 = 512;
/// GRUB's core takes a tenth of it.
const BIOS_BOOT_SIZE: u64 = MIB;
/// Two kernels take a tenth of it; it may become a small initramfs, too.
const EFI_SYSTEM_SIZE: u64 = 128 * MIB;
/// Slots are multiples of this, so that one has room for what the next version has grown by.
const SLOT_STEP: u64 = 64 * MIB;
/// The place of the partition with menu and kernel, from 0.
const EFI_SYSTEM: usize = 1;
const SYSTEM: usize = 2;
/// The name of the users partition.
pub(super) const USERS_NAME: &str = "nodeos-users";

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
    let made = image(goods, &path)?;
    Ok(Packed {
        inputs: made.inputs,
        ..Packed::of(goods, dir, vec![path])?
    })
}

/// Has the image at `path`.
pub(super) fn image(goods: &Goods<'_>, path: &Path) -> Result<Made, BuildError> {
    let scratch = scratch(path.parent().expect("an image lies in a folder"))?;
    let parts = Parts::make(goods, scratch.path())?;
    let disk = parts.guid("disk");
    let was_there = is_there(path, disk, goods.order.renewal)?;
    if !was_there {
        let step = goods.ctx.progress.begin(&format!("write {FILE}"), None);
        let mut failure = None;
        output::replace(path, |temporary| {
            let file = File::create_new(temporary)?;
            parts.write(goods, &file).map_err(|error| {
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
    }
    let mut inputs = goods.inputs().to_vec();
    inputs.push(loader::used(goods.ctx, scratch.path()).map_err(BuildError::Loader)?);
    Ok(Made {
        inputs,
        disk,
        was_there,
    })
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
fn is_there(path: &Path, disk: Guid, renewal: Renewal) -> Result<bool, BuildError> {
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
    let table = Table::read(SECTOR, 1, read).ok()?;
    let mut kept = table.partitions.iter().flatten();
    let is_unused = kept.all(|partition| {
        let is_somebodys = partition.name == USERS_NAME || volumes::is_one(partition);
        let head = || read(partition.first.checked_mul(SECTOR)?, NEEDED);
        let superblock = || Superblock::read(&head()?).ok();
        !is_somebodys || superblock().is_some_and(|superblock| superblock.last_mount == 0)
    });
    is_unused.then_some(table)
}

/// What goes into the image.
struct Parts {
    bios: Bios,
    uefi: Vec<u8>,
    system: Image,
    users: Option<UsersImage>,
    volumes: Vec<Volume>,
    key: Key,
}

type WriteError = Box<dyn std::error::Error + Send + Sync>;

impl Parts {
    fn make(goods: &Goods<'_>, scratch: &Path) -> Result<Parts, BuildError> {
        let ctx = goods.ctx;
        let bios = loader::bios(ctx, EFI_SYSTEM + 1, scratch).map_err(BuildError::Loader)?;
        let uefi = loader::uefi(ctx, scratch).map_err(BuildError::Loader)?;
        let system = goods.system(RootKind::Disk)?;
        let users = goods.users(&scratch.join("users.img"))?;
        let volumes = volumes::make(goods, scratch)?;
        let mut key = KeyHasher::new("disk")
            .text("version", BUILD_VERSION)
            .text(
                "menu",
                &menu::menu(goods, users.as_ref().map(|_| Guid::LINUX)),
            )
            .text("kernel", goods.kernel().key.as_str())
            .text("system", system.key.as_str())
            .bytes("boot", &bios.boot)
            .bytes("core", &bios.core)
            .bytes("uefi", &uefi);
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
            key: key.finish(),
        })
    }

    /// A number that only this image has, and has every time that it is made.
    fn guid(&self, of: &str) -> Guid {
        Guid::of(u128::from_be_bytes(uuid(&self.digest(of))))
    }

    fn digest(&self, of: &str) -> [u8; HASH] {
        Sha256::new()
            .chain_update(self.key.as_str())
            .chain_update(of)
            .finalize()
            .into()
    }

    fn layout(&self, tree: &HashTree) -> Layout {
        let content = self.system.bytes + tree.bytes.len() as u64;
        let slot = (content + content / 2).next_multiple_of(SLOT_STEP);
        let part = |kind, name: &str, size| Part {
            kind,
            guid: self.guid(name),
            name: name.to_owned(),
            size,
        };
        let mut parts = vec![
            part(Guid::BIOS_BOOT, "bios-boot", BIOS_BOOT_SIZE),
            part(Guid::EFI_SYSTEM, "efi-system", EFI_SYSTEM_SIZE),
            part(Guid::LINUX, "nodeos-system-a", slot),
            part(Guid::LINUX, "nodeos-system-b", slot),
        ];
        let users = self.users.iter();
        parts.extend(users.map(|users| part(Guid::LINUX, USERS_NAME, users.bytes)));
        let volumes = self.volumes.iter();
        parts.extend(volumes.map(|volume| part(Guid::LINUX, &volume.partition, volume::BYTES)));
        Layout::of(self.guid("disk"), SECTOR, &parts)
    }

    fn write(mut self, goods: &Goods<'_>, out: &File) -> Result<(), WriteError> {
        let system = File::open(&self.system.path)?;
        let salt = self.digest("salt");
        let [uuid, _] = halves(&self.digest("hash tree"));
        let options = verity::Options { uuid, salt };
        let tree = verity::tree(&mut &system, self.system.bytes, &options)?;
        let layout = self.layout(&tree);
        let core = layout.places[0].start;
        self.bios.place(core / SECTOR);
        layout.write(&self.bios.boot, out)?;
        out.write_all_at(&self.bios.core, core)?;
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
            &menu::slot(self.guid("nodeos-system-a"), &tree, &salt),
        )?;
        let [_, volume_id] = halves(&self.digest("efi-system"));
        let options = fat::Options {
            label: "NODEOS".to_owned(),
            volume_id: u32::from_be_bytes([volume_id[0], volume_id[1], volume_id[2], volume_id[3]]),
            sector: SECTOR,
        };
        fat::write(&files, &options, out, layout.places[EFI_SYSTEM].clone())?;
        Ok(())
    }

    fn boot_files(
        &self,
        goods: &Goods<'_>,
        slot: &str,
    ) -> Result<Vec<(String, Content)>, WriteError> {
        let kernel = &goods.kernel().bzimage;
        let (sum, size) = sha256_of(kernel)?;
        let users = self.users.as_ref().map(|_| self.guid(USERS_NAME));
        let text = |text: String| Content::Bytes(Arc::from(text.into_bytes()));
        let folder = loader::FOLDER;
        let in_slot = |name: &str| format!("{folder}/{}/{name}", menu::SLOT);
        Ok(vec![
            // Where UEFI looks on a disk that it does not know.
            (
                "EFI/BOOT/BOOTX64.EFI".to_owned(),
                Content::Bytes(Arc::from(&self.uefi[..])),
            ),
            (format!("{folder}/grub.cfg"), text(menu::menu(goods, users))),
            (in_slot("slot.cfg"), text(slot.to_owned())),
            (in_slot("sums"), text(menu::sums(&sum))),
            (
                in_slot("kernel"),
                Content::Host {
                    path: kernel.clone(),
                    size,
                },
            ),
        ])
    }
}

/// A version 8 UUID: one that is made in a way of one's own (RFC 9562).
pub(super) fn uuid(digest: &[u8; HASH]) -> [u8; 16] {
    let [mut uuid, _] = halves(digest);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

fn halves(digest: &[u8; HASH]) -> [[u8; 16]; 2] {
    let half = |from: usize| std::array::from_fn(|index| digest[from + index]);
    [half(0), half(HASH / 2)]
}

fn superblock(image: &Path) -> Option<Superblock> {
    let mut head = Vec::new();
    let file = fs::File::open(image).ok()?;
    file.take(NEEDED as u64).read_to_end(&mut head).ok()?;
    Superblock::read(&head).ok()
}
