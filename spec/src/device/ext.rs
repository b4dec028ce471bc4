//! What an ext2, ext3 or ext4 filesystem says about itself in its first two kilobytes.
//!
//! The places are those of the kernel's Documentation/filesystems/ext4/super.rst.

use alloc::format;
use alloc::string::String;
use core::fmt;

use thiserror::Error;

/// How much of a device is needed: the boot block and the superblock behind it.
pub const NEEDED: usize = 2048;

/// Where the superblock begins, on every block size.
const BEGIN: usize = 1024;
const MAGIC: u16 = 0xef53;

const BLOCKS: usize = 0x04;
const LOG_BLOCK_SIZE: usize = 0x18;
const LAST_MOUNT: usize = 0x2c;
const MAGIC_AT: usize = 0x38;
const STATE: usize = 0x3a;
const COMPATIBLE: usize = 0x5c;
const INCOMPATIBLE: usize = 0x60;
const READ_ONLY_COMPATIBLE: usize = 0x64;
const UUID: usize = 0x68;
const LABEL: usize = 0x78;
const BLOCKS_HIGH: usize = 0x150;

/// Bits of the state.
const ERRORS: u16 = 0x2;

/// Bits of the three sets of features.
const HAS_JOURNAL: u32 = 0x4;
const NEEDS_RECOVERY: u32 = 0x4;
const JOURNAL_DEVICE: u32 = 0x8;
const WIDE: u32 = 0x80;
/// What ext3 knows: file types, recovery, meta block groups.
const EXT3_INCOMPATIBLE: u32 = 0x2 | NEEDS_RECOVERY | 0x10;
/// What ext3 knows: sparse superblocks, large files, trees for folders.
const EXT3_READ_ONLY_COMPATIBLE: u32 = 0x1 | 0x2 | 0x4;

/// The largest block that the kernel can have is 64 KiB, which is 1 KiB shifted by this.
const MAX_LOG_BLOCK_SIZE: u32 = 6;

/// What the superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    pub kind: Kind,
    pub uuid: [u8; 16],
    /// Empty when it has none.
    pub label: String,
    /// The filesystem's size, which can be larger than a device that was cut off.
    pub bytes: u64,
    /// Its journal holds changes that are not in place yet.
    pub needs_recovery: bool,
    /// The kernel has found errors in it, and no check has corrected them since.
    pub has_errors: bool,
    /// When it was last mounted to be written to, in seconds since 1970, the lower 32 bits; 0 when it never was.
    pub last_mount: u32,
}

/// The oldest of the three that has all of its features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ext2,
    Ext3,
    Ext4,
}

/// Why there is no filesystem to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReadSuperblockError {
    #[error("it is too short for a superblock")]
    TooShort,
    #[error("it has no ext superblock")]
    NotExt,
    #[error("it is the journal of another filesystem")]
    JournalDevice,
    #[error("its ext superblock is damaged")]
    Damaged,
}

impl Superblock {
    /// Reads the first [`NEEDED`] bytes of a device; more do not matter.
    pub fn read(device: &[u8]) -> Result<Superblock, ReadSuperblockError> {
        let block: &[u8; 1024] = device
            .get(BEGIN..NEEDED)
            .and_then(|block| block.try_into().ok())
            .ok_or(ReadSuperblockError::TooShort)?;
        if u16_at(block, MAGIC_AT) != MAGIC {
            return Err(ReadSuperblockError::NotExt);
        }
        let incompatible = u32_at(block, INCOMPATIBLE);
        if incompatible & JOURNAL_DEVICE != 0 {
            return Err(ReadSuperblockError::JournalDevice);
        }
        let log_block_size = u32_at(block, LOG_BLOCK_SIZE);
        if log_block_size > MAX_LOG_BLOCK_SIZE {
            return Err(ReadSuperblockError::Damaged);
        }
        let high = if incompatible & WIDE == 0 {
            0
        } else {
            u32_at(block, BLOCKS_HIGH)
        };
        let blocks = u64::from(high) << 32 | u64::from(u32_at(block, BLOCKS));
        let label: [u8; 16] = bytes_at(block, LABEL);
        let label = label.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Superblock {
            kind: kind(block),
            uuid: bytes_at(block, UUID),
            label: String::from_utf8_lossy(label).into_owned(),
            bytes: blocks
                .checked_mul(1024 << log_block_size)
                .ok_or(ReadSuperblockError::Damaged)?,
            needs_recovery: incompatible & NEEDS_RECOVERY != 0,
            has_errors: u16_at(block, STATE) & ERRORS != 0,
            last_mount: u32_at(block, LAST_MOUNT),
        })
    }

    /// The UUID as it is written in `UUID=`.
    pub fn uuid_text(&self) -> String {
        let hex =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let [a, b, c, d, e] = [0..4, 4..6, 6..8, 8..10, 10..16].map(|part| hex(&self.uuid[part]));
        format!("{a}-{b}-{c}-{d}-{e}")
    }
}

impl fmt::Display for Kind {
    /// The name by which mount(2) knows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Ext2 => "ext2",
            Kind::Ext3 => "ext3",
            Kind::Ext4 => "ext4",
        })
    }
}

fn kind(block: &[u8; 1024]) -> Kind {
    let beyond_ext3 = u32_at(block, INCOMPATIBLE) & !EXT3_INCOMPATIBLE != 0
        || u32_at(block, READ_ONLY_COMPATIBLE) & !EXT3_READ_ONLY_COMPATIBLE != 0;
    if beyond_ext3 {
        Kind::Ext4
    } else if u32_at(block, COMPATIBLE) & HAS_JOURNAL != 0 {
        Kind::Ext3
    } else {
        Kind::Ext2
    }
}

fn bytes_at<const N: usize>(block: &[u8; 1024], at: usize) -> [u8; N] {
    core::array::from_fn(|index| block[at + index])
}

fn u16_at(block: &[u8; 1024], at: usize) -> u16 {
    u16::from_le_bytes(bytes_at(block, at))
}

fn u32_at(block: &[u8; 1024], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(block, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceSpec;

    const UUID_TEXT: &str = "00010203-0405-0607-0809-0a0b0c0d0e0f";

    /// A device of 1,024 blocks of 4 KiB, with the features given.
    fn device(compatible: u32, incompatible: u32, read_only_compatible: u32) -> Vec<u8> {
        let mut device = vec![0; NEEDED];
        let mut put = |at: usize, bytes: &[u8]| {
            device[BEGIN + at..BEGIN + at + bytes.len()].copy_from_slice(bytes);
        };
        put(BLOCKS, &1024_u32.to_le_bytes());
        put(LOG_BLOCK_SIZE, &2_u32.to_le_bytes());
        put(MAGIC_AT, &MAGIC.to_le_bytes());
        put(COMPATIBLE, &compatible.to_le_bytes());
        put(INCOMPATIBLE, &incompatible.to_le_bytes());
        put(READ_ONLY_COMPATIBLE, &read_only_compatible.to_le_bytes());
        put(
            UUID,
            &core::array::from_fn::<u8, 16, _>(|index| index as u8),
        );
        put(LABEL, b"users\0left over");
        device
    }

    #[test]
    fn the_kind_is_told_by_the_features() {
        let check = |compatible, incompatible, read_only_compatible, expected| {
            let superblock =
                Superblock::read(&device(compatible, incompatible, read_only_compatible)).unwrap();
            assert_eq!(superblock.kind, expected);
        };
        check(0, 0, 0, Kind::Ext2);
        // As mke2fs makes them without further words.
        check(0x38, 0x2, 0x3, Kind::Ext2);
        check(0x3c, 0x2, 0x3, Kind::Ext3);
        check(0x3c, 0x2c2, 0x46b, Kind::Ext4);
        // Extents without a journal are ext4's all the same.
        check(0x38, 0x42, 0x3, Kind::Ext4);
    }

    #[test]
    fn label_uuid_and_size_are_read() {
        let superblock = Superblock::read(&device(0x3c, 0x2, 0x3)).unwrap();
        assert_eq!(superblock.label, "users");
        assert_eq!(superblock.uuid_text(), UUID_TEXT);
        assert_eq!(superblock.bytes, 4 << 20);
        assert!(!superblock.needs_recovery && !superblock.has_errors);
    }

    #[test]
    fn a_filesystem_is_found_by_uuid_and_label() {
        let superblock = Superblock::read(&device(0x3c, 0x2, 0x3)).unwrap();
        let check = |text: &str, expected| {
            let spec: DeviceSpec = text.parse().unwrap();
            assert_eq!(spec.names(&superblock), expected, "{text}");
        };
        check(&format!("UUID={UUID_TEXT}"), true);
        check(&format!("UUID={}", UUID_TEXT.to_uppercase()), true);
        check("LABEL=users", true);
        check("LABEL=user", false);
        check("LABEL=Users", false);
        check("UUID=00010203", false);
        check("/dev/vdb", false);
        check(&format!("PARTUUID={UUID_TEXT}"), false);
    }

    #[test]
    fn a_dirty_journal_and_errors_are_told() {
        let mut device = device(0x3c, 0x2 | NEEDS_RECOVERY, 0x3);
        device[BEGIN + STATE] = 2;
        let superblock = Superblock::read(&device).unwrap();
        assert!(superblock.needs_recovery && superblock.has_errors);
        assert_eq!(superblock.kind, Kind::Ext3);
    }

    #[test]
    fn what_is_no_filesystem_is_refused() {
        let check = |device: &[u8], expected: &str| {
            assert_eq!(Superblock::read(device).unwrap_err().to_string(), expected);
        };
        check(&[], "it is too short for a superblock");
        check(&[0; NEEDED - 1], "it is too short for a superblock");
        check(&[0; NEEDED], "it has no ext superblock");
        check(
            &device(0, JOURNAL_DEVICE, 0),
            "it is the journal of another filesystem",
        );
        let mut damaged = device(0, 0, 0);
        damaged[BEGIN + LOG_BLOCK_SIZE] = 60;
        check(&damaged, "its ext superblock is damaged");
        let mut endless = device(0, WIDE, 0);
        endless[BEGIN + BLOCKS_HIGH..][..4].fill(0xff);
        check(&endless, "its ext superblock is damaged");
    }
}
