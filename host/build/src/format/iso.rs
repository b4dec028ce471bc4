//! The format `iso`: a CD or DVD, and a stick with the same bytes, for both kinds of firmware.
//!
//! An ISO 9660 filesystem has what GRUB reads: its core for the firmware of old, menu and kernel. A small FAT filesystem has GRUB
//! for UEFI, and the system with its hash tree lies behind that. To who looks for it the medium is a disk with a
//! GUID partition table as well, whose partitions these three are; the descriptors of ISO 9660 are before the first.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use nodeos_image::disk::{Layout, Part, copy_image};
use nodeos_image::fat;
use nodeos_image::iso9660::{self, BootImage, Platform};
use nodeos_image::tree::Content;
use nodeos_image::verity::HashTree;
use nodeos_spec::device::gpt::{ALIGNMENT, Guid};

use super::disk::menu::{self, Medium, Users};
use super::disk::{self, Numbers, SECTOR, WriteError};
use super::loader::{self, cd};
use super::{Goods, Packed};
use crate::assemble::image::Image;
use crate::assemble::{BuildError, Renewal};
use crate::cache::KeyHasher;
use crate::recipe::RootKind;

/// Raised when what is written changes in another way than by its parts.
const BUILD_VERSION: &str = "1";
const FILE: &str = "nodeos.iso";
const VOLUME: &str = "NODEOS";
/// The day of [`crate::assemble::image::MTIME`].
const DAY: (u16, u8, u8) = (2014, 3, 1);
/// GRUB takes a quarter of it. It is loaded by sectors of 512 bytes, whose number is one of 16 bits.
const EFI_SYSTEM_SIZE: u64 = 3 << 20;
/// Numbers of partitions, from 0.
const FILES: usize = 0;
const EFI_SYSTEM: usize = 1;
const SYSTEM: usize = 2;
const SYSTEM_NAME: &str = "nodeos-system";

pub(super) fn write(goods: &Goods<'_>, dir: &Path) -> Result<Packed, BuildError> {
    let path = dir.join(FILE);
    let scratch = disk::scratch(dir)?;
    let parts = Parts::make(goods, scratch.path())?;
    // Nobody writes to it, so there is nothing to be kept.
    if !disk::is_there(&path, parts.numbers.guid("disk"), Renewal::Fresh)? {
        disk::write_image(goods, &path, |file| parts.write(goods, file))?;
    }
    let mut packed = Packed::of(goods, dir, vec![path])?;
    let loader = loader::used(goods.ctx, scratch.path()).map_err(BuildError::Loader)?;
    packed.inputs.push(loader);
    Ok(packed)
}

/// What goes onto the medium.
struct Parts {
    bios: cd::Cd,
    uefi: Vec<u8>,
    system: Image,
    menu: String,
    numbers: Numbers,
}

impl Parts {
    fn make(goods: &Goods<'_>, scratch: &Path) -> Result<Parts, BuildError> {
        let (ctx, recipe) = (goods.ctx, goods.recipe);
        let bios = cd::bios(ctx, scratch).map_err(BuildError::Loader)?;
        let uefi = cd::uefi(ctx, scratch).map_err(BuildError::Loader)?;
        let system = goods.system(RootKind::Disk)?;
        let users = match recipe.layer.has_users() {
            true => Users::LabelIfThere,
            false => Users::None,
        };
        let menu = menu::menu(goods, Medium::Cd, users);
        let key = KeyHasher::new("iso")
            .text("version", BUILD_VERSION)
            .text("menu", &menu)
            .text("kernel", goods.kernel().key.as_str())
            .text("system", system.key.as_str())
            .bytes("boot", &bios.boot)
            .bytes("core", &bios.image)
            .bytes("uefi", &uefi);
        Ok(Parts {
            bios,
            uefi,
            system,
            menu,
            numbers: Numbers(key.finish()),
        })
    }

    fn write(mut self, goods: &Goods<'_>, out: &File) -> Result<(), WriteError> {
        let system = File::open(&self.system.path)?;
        let (tree, salt) = self.numbers.hash_tree(&system, self.system.bytes)?;
        let partition = self.numbers.guid(SYSTEM_NAME);
        let slot = |system: &Range<u64>| menu::slot_on_cd(partition, system, &tree, &salt);
        // Where the system begins follows from how many sectors the files take, and one of them says where it begins: in one sector,
        // whatever the number is.
        let mut files = self.files(goods, slot(&(0..0)))?;
        let (_, end) = iso9660::places(&files, ALIGNMENT);
        let layout = self.layout(end - ALIGNMENT, &tree);
        let place = layout.places[SYSTEM].clone();
        let content = place.start..place.start + self.system.bytes + tree.bytes.len() as u64;
        files = self.files(goods, slot(&content))?;
        let (places, same_end) = iso9660::places(&files, ALIGNMENT);
        debug_assert_eq!(end, same_end);
        self.bios.place(places[0].start);
        files[0].1 = Content::Bytes(Arc::from(&self.bios.image[..]));

        layout.write(&self.bios.boot, out)?;
        let efi_system = layout.places[EFI_SYSTEM].clone();
        let boot = |platform, at, sectors| BootImage {
            platform,
            at,
            sectors,
        };
        let options = iso9660::Options {
            volume: VOLUME.to_owned(),
            day: DAY,
            files_at: layout.places[FILES].start,
            size: layout.size,
            boot: vec![
                boot(Platform::Bios, places[0].start, cd::LOADED),
                boot(
                    Platform::Uefi,
                    efi_system.start,
                    (EFI_SYSTEM_SIZE / SECTOR) as u16,
                ),
            ],
        };
        iso9660::write(&files, &options, out)?;
        let program = [disk::efi_program(&self.uefi)];
        fat::write(&program, &self.numbers.efi_system(SECTOR), out, efi_system)?;
        copy_image(&system, out, place.start)?;
        out.write_all_at(&tree.bytes, place.start + self.system.bytes)?;
        Ok(())
    }

    /// What the ISO 9660 filesystem has, GRUB's core first.
    fn files(&self, goods: &Goods<'_>, slot: String) -> Result<Vec<(String, Content)>, WriteError> {
        let core = format!("{}/core.img", loader::FOLDER);
        let mut files = vec![(core, Content::Bytes(Arc::from(&self.bios.image[..])))];
        files.extend(disk::boot_files(goods, self.menu.clone(), slot)?);
        Ok(files)
    }

    fn layout(&self, files: u64, tree: &HashTree) -> Layout {
        let part = |kind, name: &str, size| Part {
            kind,
            guid: self.numbers.guid(name),
            name: name.to_owned(),
            size,
        };
        let system = self.system.bytes + tree.bytes.len() as u64;
        let parts = [
            part(Guid::BIOS_BOOT, "iso9660-files", files),
            part(Guid::EFI_SYSTEM, "efi-system", EFI_SYSTEM_SIZE),
            part(Guid::LINUX, SYSTEM_NAME, system),
        ];
        Layout::of(self.numbers.guid("disk"), SECTOR, &parts)
    }
}
