//! GRUB on a CD, and on a stick with the same bytes.
//!
//! From a CD the firmware of old starts `cdboot.img`, which loads the core that lies behind it. From a stick it starts the first
//! sector, `boot_hybrid.img`, which loads that core's first sector. Where these are is what `grub-mkrescue` has xorriso
//! write into them. UEFI starts GRUB from a filesystem of its own, and GRUB looks for the rest on the medium that has it.

use std::fs;
use std::path::Path;

use super::{
    BIOS_MODULES, CORE, FOLDER, MODULES, MakeLoaderError, PARTS, PROGRAM_OF_UEFI, REST_SECTOR,
    SECTOR, UEFI_MODULES, make, put, read, read_part,
};
use crate::context::Context;

const PARTS_OF_BIOS: [&str; 2] = [
    "/usr/lib/grub/i386-pc/boot_hybrid.img",
    "/usr/lib/grub/i386-pc/cdboot.img",
];
/// Files on the medium, and telling a CD from a stick.
const CD_MODULES: [&str; 2] = ["iso9660", "regexp"];
/// What GRUB does first as a program of UEFI's: it knows from which partition it was started, and the menu is on the whole medium.
const FIRST: &str = "regexp --set=1:medium '^\\(([^,)]+)' \"$cmdpath\"\nset root=$medium\n";

/// The sectors of a CD, in bytes, and the one with its first descriptor.
const CD_SECTOR: usize = 2048;
const DESCRIPTOR: u32 = 16;
/// In `boot_hybrid.img`: the sector where the core begins.
const CORE_SECTOR: usize = 0x1b0;
/// In `cdboot.img`: the boot information table, which is where the descriptor is, where the image is, its size, and the sum of all
/// numbers from the table's end on (mkisofs(8), -boot-info-table).
const TABLE: usize = 8;
const TABLE_END: usize = 64;

/// What the firmware of old starts.
#[derive(Debug)]
pub(in crate::format) struct Cd {
    /// The code of the first sector, without the table of partitions.
    pub(in crate::format) boot: Vec<u8>,
    /// `cdboot.img` and the core.
    pub(in crate::format) image: Vec<u8>,
}

/// How much of the image firmware loads, in sectors of 512 bytes: `cdboot.img`.
pub(in crate::format) const LOADED: u16 = (CD_SECTOR / SECTOR) as u16;

/// GRUB for the firmware of old.
pub(in crate::format) fn bios(ctx: &Context, scratch: &Path) -> Result<Cd, MakeLoaderError> {
    let [(_, package), _] = PARTS;
    let [boot, cdboot] = PARTS_OF_BIOS.map(|path| read_part(Path::new(path), package));
    let (boot, mut image) = (boot?, cdboot?);
    image.resize(CD_SECTOR, 0);
    let core = scratch.join(CORE);
    // The medium is the one that the firmware has started.
    let prefix = format!("()/{FOLDER}");
    let modules = [&MODULES[..], &BIOS_MODULES, &CD_MODULES].concat();
    make(ctx, "i386-pc", &["--prefix", &prefix], &modules, &core)?;
    image.extend(read(&core)?);
    Ok(Cd { boot, image })
}

impl Cd {
    /// Tells all parts that the image begins at the byte `at`, and a sector of a CD.
    pub(in crate::format) fn place(&mut self, at: u64) {
        let core = (at as usize + CD_SECTOR) / SECTOR;
        put(&mut self.boot, CORE_SECTOR, &(core as u64).to_le_bytes());
        // Behind it are the disk's number and the table of partitions.
        self.boot.truncate(440);
        let rest = (core as u64 + 1).to_le_bytes();
        put(&mut self.image, CD_SECTOR + REST_SECTOR, &rest);
        let length = self.image.len() as u32;
        let words = self.image[TABLE_END..].chunks(4);
        let sum = words.fold(0_u32, |sum, word| {
            let mut bytes = [0; 4];
            bytes[..word.len()].copy_from_slice(word);
            sum.wrapping_add(u32::from_le_bytes(bytes))
        });
        let table = [DESCRIPTOR, (at as usize / CD_SECTOR) as u32, length, sum];
        let table: Vec<u8> = table.into_iter().flat_map(u32::to_le_bytes).collect();
        put(&mut self.image, TABLE, &table);
    }
}

/// GRUB as a program of UEFI's.
pub(in crate::format) fn uefi(ctx: &Context, scratch: &Path) -> Result<Vec<u8>, MakeLoaderError> {
    let [_, (part, package)] = PARTS;
    read_part(Path::new(part), package)?;
    let first = scratch.join("first.cfg");
    let text = format!("{FIRST}set prefix=($medium)/{FOLDER}\n");
    fs::write(&first, text).map_err(|source| MakeLoaderError::Write {
        path: first.clone(),
        source,
    })?;
    let image = scratch.join(PROGRAM_OF_UEFI);
    let prefix = format!("/{FOLDER}");
    let first = first.to_string_lossy();
    let words = ["--prefix", &prefix, "--config", &first];
    let modules = [&MODULES[..], &UEFI_MODULES, &CD_MODULES].concat();
    make(ctx, "x86_64-efi", &words, &modules, &image)?;
    read(&image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_told_where_the_next_one_is() {
        let mut cd = Cd {
            boot: vec![0xaa; SECTOR],
            image: vec![1; CD_SECTOR + 1001],
        };
        cd.place(50 * 2048);
        assert_eq!(cd.boot[432..440], 204_u64.to_le_bytes());
        assert_eq!(cd.boot.len(), 440);
        let number = |at: usize| u32::from_le_bytes(cd.image[at..at + 4].try_into().unwrap());
        assert_eq!([8, 12, 16].map(number), [16, 50, 3049]);
        assert_eq!(cd.image[2548..2556], 205_u64.to_le_bytes());
        // 745 whole numbers of four ones, two of them replaced by 205 and 0, and a byte that is left.
        let sum = 0x0101_0101_u32.wrapping_mul(746 - 2).wrapping_add(205 + 1);
        assert_eq!(number(20), sum);
    }
}
