//! The beginning of the image: superblock and inodes, under one checksum as far as the first block goes.

use super::layout::Layout;
use super::{BLOCK, Options};

/// Where the inodes begin, in bytes: right behind the superblock.
pub(super) const INODES: u64 = (OFFSET + LENGTH) as u64;

/// Boot sectors may lie before (`EROFS_SUPER_OFFSET`).
pub(super) const OFFSET: usize = 1024;

/// `struct erofs_super_block`.
pub(super) const LENGTH: usize = 128;

/// `EROFS_SUPER_MAGIC_V1`.
pub(super) const MAGIC: u32 = 0xE0F5_E1E2;

/// The place of the checksum in the superblock; while it is computed, there are zeros.
pub(super) const CHECKSUM: usize = 4;

/// The superblock has a checksum; times are those of the last modification, as the build's time for compact inodes is.
const FEATURES: u32 = 1 | 2;

/// Everything up to the first data, from the beginning of the image, in whole blocks.
pub(super) fn with_inodes(layout: &Layout<'_>, options: &Options) -> Vec<u8> {
    let root = layout.inodes[0].nid as u16;
    let mut bytes = vec![0; OFFSET];
    bytes.extend(MAGIC.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(FEATURES.to_le_bytes());
    // Block size as a power of two, and no extension of the superblock.
    bytes.extend([BLOCK.ilog2() as u8, 0]);
    bytes.extend(root.to_le_bytes());
    bytes.extend((layout.inodes.len() as u64).to_le_bytes());
    bytes.extend(options.mtime.to_le_bytes());
    // Nanoseconds.
    bytes.extend([0; 4]);
    bytes.extend(layout.blocks.to_le_bytes());
    // Inode numbers count from block 0; there are no extended attributes.
    bytes.extend([0; 8]);
    bytes.extend(options.uuid);
    bytes.extend(options.label.as_bytes());
    // The rest speaks of features that are not used.
    bytes.resize(OFFSET + LENGTH, 0);

    for (number, inode) in (1..).zip(&layout.inodes) {
        inode.encode(number, options.mtime, &mut bytes);
    }
    let block = BLOCK as usize;
    bytes.resize(bytes.len().next_multiple_of(block), 0);
    let checksum = crc32c(&bytes[OFFSET..block]);
    bytes[OFFSET + CHECKSUM..][..4].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// CRC-32C (RFC 3720, appendix B.4) without the final inversion, as the kernel's function of that name.
///
/// Bit by bit: 3 KiB for each image do not deserve a table.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    /// Castagnoli's polynomial, its bits reversed.
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standards_examples() {
        // RFC 3720, appendix B.4: these inverted.
        assert_eq!(!crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(!crc32c(&[0xff; 32]), 0x62A8_AB43);
        assert_eq!(!crc32c(b"123456789"), 0xE306_9283);
    }
}
