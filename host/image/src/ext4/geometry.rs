//! How the blocks are divided into groups, and where the metadata of each group lies.
//!
//! In every group, what is used lies at its beginning: first the copy of the superblock and of the descriptors, if it
//! has one; then, in the first group of a flexible group, the bitmaps and the inode tables of all groups of that; then
//! data. So that one number says which blocks of a group are used, and most groups are holes.

use std::ops::Range;

use super::BLOCK;

/// Blocks of a group: its bitmap is one block.
pub(super) const GROUP: u32 = BLOCK as u32 * 8;

/// In bytes.
pub(super) const INODE: u32 = 256;

const INODES_PER_BLOCK: u32 = BLOCK as u32 / INODE;

/// `struct ext4_group_desc` of filesystems with 64 bits, in bytes.
pub(super) const DESCRIPTOR: u32 = 64;

const DESCRIPTORS_PER_BLOCK: u32 = BLOCK as u32 / DESCRIPTOR;

/// Groups of a flexible group, as `mke2fs` has it, if the tables leave at least half of the first of them to data.
const GROUPS_PER_FLEX: u32 = 16;

/// From this size on, in blocks, there are as many inodes in a lone group as if it were whole: it may grow to that, and
/// every group that growing adds gets as many. A quarter of a group, because the table then takes 1/16 of it at most
/// with the usual ratio.
const GROWS: u32 = GROUP / 4;

/// A last group with fewer blocks for data than this is left out, as `mke2fs` and Linux do.
pub(super) const LEAST_DATA: u32 = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) blocks: u32,
    pub(super) groups: u32,
    pub(super) inodes_per_group: u32,
    /// The blocks of a group's inode table.
    pub(super) table_blocks: u32,
    /// The blocks of one copy of all descriptors.
    pub(super) descriptor_blocks: u32,
    /// A power of two.
    pub(super) groups_per_flex: u32,
}

impl Geometry {
    /// For a filesystem of at most this many blocks; `bytes_per_inode` must have been checked.
    pub(super) fn of(blocks: u32, bytes_per_inode: u32) -> Geometry {
        let counted = if blocks < GROWS { blocks } else { GROUP };
        let inodes = u64::from(counted) * BLOCK / u64::from(bytes_per_inode);
        let table_blocks = (inodes as u32).div_ceil(INODES_PER_BLOCK).max(1);
        let mut groups_per_flex = GROUPS_PER_FLEX;
        while groups_per_flex * (2 + table_blocks) > GROUP / 2 {
            groups_per_flex /= 2;
        }
        let with = |blocks: u32| {
            let groups = blocks.div_ceil(GROUP);
            Geometry {
                blocks,
                groups,
                inodes_per_group: table_blocks * INODES_PER_BLOCK,
                table_blocks,
                descriptor_blocks: groups.div_ceil(DESCRIPTORS_PER_BLOCK),
                groups_per_flex,
            }
        };
        let geometry = with(blocks);
        let last = geometry.groups - 1;
        let least = geometry.copy_blocks(last) + 2 + table_blocks + LEAST_DATA;
        if last > 0 && geometry.group(last).len() < least as usize {
            return with(blocks - blocks % GROUP);
        }
        geometry
    }

    pub(super) fn inodes(&self) -> u32 {
        self.groups * self.inodes_per_group
    }

    /// The group of an inode, and its place in the group's table.
    pub(super) fn place_of_inode(&self, number: u32) -> (u32, u32) {
        let index = number - 1;
        (index / self.inodes_per_group, index % self.inodes_per_group)
    }

    /// The blocks of a group.
    pub(super) fn group(&self, group: u32) -> Range<u32> {
        let start = group * GROUP;
        start..self.blocks.min(start + GROUP)
    }

    /// Whether the group begins with a copy of the superblock and the descriptors: 0, 1 and the powers of 3, 5 and 7.
    pub(super) fn has_copy(&self, group: u32) -> bool {
        let is_power = |of: u32| {
            let mut power = 1_u64;
            while power < u64::from(group) {
                power *= u64::from(of);
            }
            power == u64::from(group)
        };
        group == 0 || [3, 5, 7].into_iter().any(is_power)
    }

    /// How many blocks at the group's beginning are metadata.
    pub(super) fn metadata_blocks(&self, group: u32) -> u32 {
        let first = self.first_of_flex(group);
        let tables = match group == first {
            true => self.groups_of_flex(first) * (2 + self.table_blocks),
            false => 0,
        };
        self.copy_blocks(group) + tables
    }

    pub(super) fn block_bitmap(&self, group: u32) -> u32 {
        let first = self.first_of_flex(group);
        self.tables_of_flex(first) + (group - first)
    }

    pub(super) fn inode_bitmap(&self, group: u32) -> u32 {
        self.block_bitmap(group) + self.groups_of_flex(self.first_of_flex(group))
    }

    /// The first block of the group's inode table.
    pub(super) fn inode_table(&self, group: u32) -> u32 {
        let first = self.first_of_flex(group);
        let bitmaps = 2 * self.groups_of_flex(first);
        self.tables_of_flex(first) + bitmaps + (group - first) * self.table_blocks
    }

    fn copy_blocks(&self, group: u32) -> u32 {
        match self.has_copy(group) {
            true => 1 + self.descriptor_blocks,
            false => 0,
        }
    }

    fn first_of_flex(&self, group: u32) -> u32 {
        group - group % self.groups_per_flex
    }

    fn groups_of_flex(&self, first: u32) -> u32 {
        self.groups_per_flex.min(self.groups - first)
    }

    fn tables_of_flex(&self, first: u32) -> u32 {
        self.group(first).start + self.copy_blocks(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_lie_in_groups_zero_and_one_and_in_powers_of_3_5_and_7() {
        let geometry = Geometry::of(400 * GROUP, 16384);
        let copies: Vec<u32> = (0..400).filter(|&g| geometry.has_copy(g)).collect();
        let expected = [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343];
        assert_eq!(copies, expected);
    }

    #[test]
    fn metadata_fills_the_beginnings_of_groups_without_a_gap_or_an_overlap() {
        let check = |blocks: u32, bytes_per_inode: u32| {
            let geometry = Geometry::of(blocks, bytes_per_inode);
            let mut metadata = Vec::new();
            for group in 0..geometry.groups {
                metadata.push(geometry.block_bitmap(group));
                metadata.push(geometry.inode_bitmap(group));
                let table = geometry.inode_table(group);
                metadata.extend(table..table + geometry.table_blocks);
                let start = geometry.group(group).start;
                metadata.extend(start..start + geometry.copy_blocks(group));
            }
            metadata.sort_unstable();
            let beginnings: Vec<u32> = (0..geometry.groups)
                .flat_map(|group| {
                    let start = geometry.group(group).start;
                    start..start + geometry.metadata_blocks(group)
                })
                .collect();
            assert!(metadata == beginnings, "{geometry:?}");
            for group in 0..geometry.groups {
                let room = geometry.group(group).len() as u32;
                assert!(geometry.metadata_blocks(group) < room, "{geometry:?}");
            }
        };
        for bytes_per_inode in [4096, 8192, 16384, 1 << 20, u32::MAX] {
            for blocks in [2048, GROUP - 1, GROUP, GROUP + 2200, 17 * GROUP, 64 * GROUP] {
                check(blocks, bytes_per_inode);
                check(blocks + 1, bytes_per_inode);
                check(blocks + 570, bytes_per_inode);
            }
        }
    }

    #[test]
    fn a_last_group_without_room_for_data_is_left_out() {
        let check = |blocks: u32, expected: u32| {
            assert_eq!(Geometry::of(blocks, 16384).blocks, expected, "{blocks}");
        };
        // Group 1: superblock, descriptors, two bitmaps, 512 blocks of inodes, 50 of data.
        check(GROUP + 565, GROUP);
        check(GROUP + 566, GROUP + 566);
        // Group 2 has no copy.
        check(2 * GROUP + 563, 2 * GROUP);
        check(2 * GROUP + 564, 2 * GROUP + 564);
    }
}
