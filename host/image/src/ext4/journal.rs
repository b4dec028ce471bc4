//! The journal: how large it is, and how an empty one begins.

use super::{BLOCK, put};

/// `JBD2_MAGIC_NUMBER` and `JBD2_SUPERBLOCK_V2`.
const MAGIC: u32 = 0xC03B_3998;
const SUPERBLOCK_V2: u32 = 4;

/// `journal_superblock_t`, in bytes.
const LENGTH: usize = 1024;

/// The size of the journal of a filesystem with this many blocks, in blocks: what `mke2fs` 1.47 gives it.
pub(super) fn blocks(filesystem: u32) -> u32 {
    // Of the filesystem and of the journal, both in blocks: 128 MiB and 4 MiB first.
    const SIZES: [(u32, u32); 8] = [
        (1 << 15, 1 << 10),
        (1 << 18, 1 << 12),
        (1 << 19, 1 << 13),
        (1 << 22, 1 << 14),
        (1 << 23, 1 << 15),
        (1 << 24, 1 << 16),
        (1 << 25, 1 << 17),
        (u32::MAX, 1 << 18),
    ];
    let size = SIZES.iter().find(|(below, _)| filesystem < *below);
    size.expect("a filesystem is smaller than the last size").1
}

/// The beginning of the journal's first block. Everything behind it is zeros, as is what is left of it after use.
pub(super) fn superblock(blocks: u32, uuid: &[u8; 16]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    // Its numbers are big-endian.
    let words = [
        (0x00, MAGIC),
        (0x04, SUPERBLOCK_V2),
        (0x0C, BLOCK as u32),
        (0x10, blocks),
        // The first block of the log, and the first transaction that will be there. Where it starts stays 0: it is
        // empty.
        (0x14, 1),
        (0x18, 1),
        // How many filesystems use it.
        (0x40, 1),
    ];
    for (at, word) in words {
        put(&mut bytes, at, word.to_be_bytes());
    }
    put(&mut bytes, 0x30, *uuid);
    bytes
}
