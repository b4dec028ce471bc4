//! The superblock, and what of it is said nowhere else: features, defaults, names.

use super::checksum::Checksum;
use super::extents::ROOT;
use super::geometry::{self, GROUP};
use super::groups::Group;
use super::inode::{self, JOURNAL_NUMBER};
use super::layout::Layout;
use super::{BLOCK, Options, index, journal, put};

/// Boot sectors may lie before, in the first block only.
pub(super) const OFFSET: usize = 1024;

/// `struct ext4_super_block`.
const LENGTH: usize = 1024;

/// `EXT4_SUPER_MAGIC`.
const MAGIC: u16 = 0xEF53;

/// The place of the checksum: at the end.
const CHECKSUM: usize = 0x3FC;

/// `has_journal`, `ext_attr`, `dir_index`. No `resize_inode`: what it reserves would have to be written into every
/// image, and Linux grows filesystems without it, too. Up to 8 GiB, the one block of descriptors that is there is
/// enough; at that border Linux goes over to `meta_bg` (`ext4_resize_fs` of its `fs/ext4/resize.c`).
const COMPATIBLE: u32 = 0x4 | 0x8 | 0x20;

/// `filetype`, `extents`, `64bit`, `flex_bg`.
const INCOMPATIBLE: u32 = 0x2 | 0x40 | 0x80 | 0x200;

/// `sparse_super`, `large_file`, `huge_file`, `dir_nlink`, `extra_isize`, `metadata_csum`.
const READ_ONLY_COMPATIBLE: u32 = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400;

/// `EXT4_DEFM_XATTR_USER` and `EXT4_DEFM_ACL`, as `mke2fs` sets them.
const MOUNT_OPTIONS: u32 = 0x4 | 0x8;

/// `EXT2_FLAGS_UNSIGNED_HASH`: how the bytes of names count, on whatever processor.
const UNSIGNED_HASH: u32 = 0x2;

/// `EXT4_CRC32C_CHKSUM`.
const CRC32C: u8 = 1;

/// The superblock, without the number of the group that it is in: see [`in_group`].
pub(super) fn encode(
    options: &Options,
    layout: &Layout,
    groups: &[Group],
    journal_root: [u8; ROOT],
) -> [u8; LENGTH] {
    let geometry = &layout.geometry;
    let log_block = BLOCK.ilog2() - 10;
    let free_blocks = groups.iter().map(|group| group.free_blocks).sum();
    let free_inodes = groups.iter().map(|group| group.free_inodes).sum();
    let journal_blocks = journal::blocks(geometry.blocks);
    let metadata = (0..geometry.groups).map(|group| geometry.metadata_blocks(group));
    let words = [
        (0x00, geometry.inodes()),
        (0x04, geometry.blocks),
        (0x0C, free_blocks),
        (0x10, free_inodes),
        (0x18, log_block),
        (0x1C, log_block),
        (0x20, GROUP),
        (0x24, GROUP),
        (0x28, geometry.inodes_per_group),
        // Of the last write, the last check, and the making.
        (0x30, options.time),
        (0x40, options.time),
        (0x108, options.time),
        // The revision with what follows at 0x54 (`EXT4_DYNAMIC_REV`).
        (0x4C, 1),
        (0x54, inode::FIRST_NUMBER),
        (0x5C, COMPATIBLE),
        (0x60, INCOMPATIBLE),
        (0x64, READ_ONLY_COMPATIBLE),
        (0xE0, JOURNAL_NUMBER),
        (0x100, MOUNT_OPTIONS),
        // Behind the journal's block numbers: its size, to be found if its inode is lost.
        (0x14C, journal_blocks * BLOCK as u32),
        (0x160, UNSIGNED_HASH),
        // What `df` leaves out.
        (0x248, metadata.sum::<u32>() + journal_blocks),
    ];
    let halves = [
        // No check because of the number of mounts.
        (0x36, u16::MAX),
        (0x38, MAGIC),
        // Unmounted and clean; after an error, Linux goes on.
        (0x3A, 1),
        (0x3C, 1),
        (0x58, geometry::INODE as u16),
        (0xFE, geometry::DESCRIPTOR as u16),
        (0x15C, inode::EXTRA),
        (0x15E, inode::EXTRA),
    ];
    let bytes = [
        (0xFC, index::HASH_VERSION),
        // The journal's block numbers are there.
        (0xFD, 1),
        (0x174, geometry.groups_per_flex.ilog2() as u8),
        (0x175, CRC32C),
    ];
    let mut superblock = [0; LENGTH];
    for (at, word) in words {
        put(&mut superblock, at, word.to_le_bytes());
    }
    for (at, half) in halves {
        put(&mut superblock, at, half.to_le_bytes());
    }
    for (at, byte) in bytes {
        superblock[at] = byte;
    }
    put(&mut superblock, 0x68, options.uuid);
    superblock[0x78..][..options.label.len()].copy_from_slice(options.label.as_bytes());
    put(&mut superblock, 0xEC, options.hash_seed);
    put(&mut superblock, 0x10C, journal_root);
    superblock
}

/// The copy that lies in this group.
pub(super) fn in_group(superblock: &[u8; LENGTH], group: u32) -> [u8; LENGTH] {
    let mut copy = *superblock;
    put(&mut copy, 0x5A, (group as u16).to_le_bytes());
    let sum = Checksum::START.over(&copy[..CHECKSUM]);
    put(&mut copy, CHECKSUM, sum.0.to_le_bytes());
    copy
}
