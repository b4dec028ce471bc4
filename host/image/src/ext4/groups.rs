//! The bitmaps and the descriptors of the groups.
//!
//! Groups whose blocks or inodes are all free have flags that say so, and holes for bitmaps and tables.

use std::io;

use super::checksum::Checksum;
use super::geometry::{self, GROUP};
use super::layout::{Contents, Layout};
use super::{BLOCK, put};
use crate::tree::Kind;

/// `EXT4_BG_INODE_UNINIT`, `EXT4_BG_BLOCK_UNINIT` and `EXT4_BG_INODE_ZEROED`.
const INODES_UNUSED: u16 = 1;
const BLOCKS_UNUSED: u16 = 2;
const TABLE_ZEROED: u16 = 4;

/// The sum of a descriptor, in it.
const CHECKSUM: usize = 0x1E;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    number: u32,
    pub(super) free_blocks: u32,
    pub(super) free_inodes: u32,
    directories: u32,
    /// Bits of the bitmaps, from their beginning; none if no bitmap needs to be there.
    used_blocks: Option<u32>,
    used_inodes: Option<u32>,
}

pub(super) fn of(contents: &Contents<'_>, layout: &Layout) -> Vec<Group> {
    let geometry = &layout.geometry;
    let per_group = geometry.inodes_per_group;
    let inodes = contents.inodes_needed() as u32;
    let mut directories = vec![0; geometry.groups as usize];
    for inode in &contents.inodes {
        if inode.entry.kind == Kind::Directory {
            let (group, _) = geometry.place_of_inode(inode.number);
            directories[group as usize] += 1;
        }
    }
    (0..geometry.groups)
        .zip(directories)
        .zip(&layout.used)
        .map(|((number, directories), &used)| {
            let used_inodes = inodes.saturating_sub(number * per_group).min(per_group);
            // Linux computes the bitmap of a group from its copy of the superblock and its own tables, but not from
            // what others have in it; nor the last one's, which may be shorter.
            let is_untouched = used == geometry.metadata_blocks(number)
                && geometry.block_bitmap(number) / GROUP != number
                && number != geometry.groups - 1;
            Group {
                number,
                free_blocks: geometry.group(number).len() as u32 - used,
                free_inodes: per_group - used_inodes,
                directories,
                used_blocks: (!is_untouched).then_some(used),
                used_inodes: (used_inodes > 0).then_some(used_inodes),
            }
        })
        .collect()
}

/// Gives `write` the bitmaps that are needed, each with its block.
pub(super) fn write_bitmaps(
    groups: &[Group],
    layout: &Layout,
    mut write: impl FnMut(u32, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    for group in groups {
        if let Some(bitmap) = group.block_bitmap(layout) {
            write(layout.geometry.block_bitmap(group.number), &bitmap)?;
        }
        if let Some(bitmap) = group.inode_bitmap(layout) {
            write(layout.geometry.inode_bitmap(group.number), &bitmap)?;
        }
    }
    Ok(())
}

/// All descriptors, in whole blocks. `seed` is the filesystem's sum.
pub(super) fn descriptors(groups: &[Group], layout: &Layout, seed: Checksum) -> Vec<u8> {
    let mut bytes = Vec::new();
    for group in groups {
        bytes.extend(group.descriptor(layout, seed));
    }
    let length = layout.geometry.descriptor_blocks as usize * BLOCK as usize;
    bytes.resize(length, 0);
    bytes
}

impl Group {
    fn block_bitmap(&self, layout: &Layout) -> Option<Vec<u8>> {
        let blocks = layout.geometry.group(self.number).len() as u32;
        self.used_blocks.map(|used| bitmap(used, blocks))
    }

    fn inode_bitmap(&self, layout: &Layout) -> Option<Vec<u8>> {
        let inodes = layout.geometry.inodes_per_group;
        self.used_inodes.map(|used| bitmap(used, inodes))
    }

    fn descriptor(&self, layout: &Layout, seed: Checksum) -> Vec<u8> {
        let geometry = &layout.geometry;
        let sum = |bitmap: Option<Vec<u8>>, bits: u32| {
            bitmap.map_or(Checksum(0), |bytes| seed.over(&bytes[..bits as usize / 8]))
        };
        let block_sum = sum(self.block_bitmap(layout), GROUP);
        let inode_sum = sum(self.inode_bitmap(layout), geometry.inodes_per_group);
        let mut flags = TABLE_ZEROED;
        if self.used_blocks.is_none() {
            flags |= BLOCKS_UNUSED;
        }
        if self.used_inodes.is_none() {
            flags |= INODES_UNUSED;
        }
        let words = [
            (0x00, geometry.block_bitmap(self.number)),
            (0x04, geometry.inode_bitmap(self.number)),
            (0x08, geometry.inode_table(self.number)),
        ];
        let halves = [
            (0x0C, self.free_blocks as u16),
            (0x0E, self.free_inodes as u16),
            (0x10, self.directories as u16),
            (0x12, flags),
            (0x18, block_sum.low()),
            (0x1A, inode_sum.low()),
            // Inodes are used from the table's beginning, so that all free ones are at its end.
            (0x1C, self.free_inodes as u16),
            (0x38, block_sum.high()),
            (0x3A, inode_sum.high()),
        ];
        let mut bytes = vec![0; geometry::DESCRIPTOR as usize];
        for (at, word) in words {
            put(&mut bytes, at, word.to_le_bytes());
        }
        for (at, half) in halves {
            put(&mut bytes, at, half.to_le_bytes());
        }
        let sum = seed.over(&self.number.to_le_bytes()).over(&bytes);
        put(&mut bytes, CHECKSUM, sum.low().to_le_bytes());
        bytes
    }
}

/// A block of bits, of which the first `used` are set, and those from `bits` on, which stand for nothing.
fn bitmap(used: u32, bits: u32) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK as usize];
    set(&mut bytes, 0, used);
    set(&mut bytes, bits, BLOCK as u32 * 8);
    bytes
}

fn set(bytes: &mut [u8], from: u32, to: u32) {
    for bit in from..to {
        bytes[bit as usize / 8] |= 1 << (bit % 8);
    }
}
