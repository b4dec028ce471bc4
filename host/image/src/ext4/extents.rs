//! Where the data of an inode lies: runs of blocks, and the tree of them that begins in the inode.

use std::ops::Range;

use super::checksum::Checksum;
use super::{BLOCK, put};

/// The bytes of an inode that hold the root of the tree.
pub(super) const ROOT: usize = 60;

/// `struct ext4_extent_header`, `struct ext4_extent` and `struct ext4_extent_idx`: 12 bytes each.
const RECORD: usize = 12;

const IN_ROOT: usize = ROOT / RECORD - 1;

/// Behind them is just room for the checksum.
const IN_BLOCK: usize = BLOCK as usize / RECORD - 1;

/// Of a node in a block.
const CHECKSUM: usize = (1 + IN_BLOCK) * RECORD;

/// `EXT4_EXT_MAGIC`.
const MAGIC: u16 = 0xF30A;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Extents {
    /// Blocks of the image, in the order of the data. A run is no longer than a group: the format ends there.
    pub(super) runs: Vec<Range<u32>>,
    /// As many blocks as [`node_blocks`] says, for the nodes of the tree.
    pub(super) nodes: Vec<u32>,
}

/// How many nodes lie outside of the inode.
pub(super) fn node_blocks(runs: usize) -> u32 {
    let mut records = runs;
    let mut nodes = 0;
    while records > IN_ROOT {
        records = records.div_ceil(IN_BLOCK);
        nodes += records as u32;
    }
    nodes
}

/// The tree: what stands in the inode, and the nodes outside of it with their blocks.
pub(super) struct Encoded {
    pub(super) root: [u8; ROOT],
    pub(super) nodes: Vec<(u32, Vec<u8>)>,
}

impl Extents {
    /// All blocks that belong to the inode.
    pub(super) fn blocks(&self) -> u64 {
        let data: u64 = self.runs.iter().map(|run| run.len() as u64).sum();
        data + self.nodes.len() as u64
    }

    /// The bytes of the image where the data lies.
    pub(super) fn places(&self) -> Vec<Range<u64>> {
        let byte = |block: u32| u64::from(block) * BLOCK;
        let place = |run: &Range<u32>| byte(run.start)..byte(run.end);
        self.runs.iter().map(place).collect()
    }

    /// `seed` is the sum that the inode's begin with.
    pub(super) fn encode(&self, seed: Checksum) -> Encoded {
        let mut blocks = self.nodes.iter();
        let mut nodes = Vec::new();
        let mut depth = 0;
        let mut records = self.leaf_records();
        while records.len() > IN_ROOT {
            let above = records.chunks(IN_BLOCK).map(|below| {
                let block = *blocks.next().expect("the layout has counted the nodes");
                let mut node = vec![0; BLOCK as usize];
                fill(&mut node, below, IN_BLOCK, depth);
                let sum = seed.over(&node[..CHECKSUM]);
                put(&mut node, CHECKSUM, sum.0.to_le_bytes());
                nodes.push((block, node));
                index_record(&below[0], block)
            });
            records = above.collect();
            depth += 1;
        }
        let mut root = [0; ROOT];
        fill(&mut root, &records, IN_ROOT, depth);
        Encoded { root, nodes }
    }

    /// `struct ext4_extent`: block of the file, length, where in the image. Those with more than 32 bits are not ours.
    fn leaf_records(&self) -> Vec<[u8; RECORD]> {
        let mut block = 0_u32;
        let record = |run: &Range<u32>| {
            let mut record = [0; RECORD];
            put(&mut record, 0, block.to_le_bytes());
            put(&mut record, 4, (run.len() as u16).to_le_bytes());
            put(&mut record, 8, run.start.to_le_bytes());
            block += run.len() as u32;
            record
        };
        self.runs.iter().map(record).collect()
    }
}

/// `struct ext4_extent_idx`: begins with the block of the file as its first record below does.
fn index_record(below: &[u8; RECORD], block: u32) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..4].copy_from_slice(&below[..4]);
    put(&mut record, 4, block.to_le_bytes());
    record
}

/// A node: its header and its records.
fn fill(node: &mut [u8], records: &[[u8; RECORD]], most: usize, depth: u16) {
    put(node, 0, MAGIC.to_le_bytes());
    put(node, 2, (records.len() as u16).to_le_bytes());
    put(node, 4, (most as u16).to_le_bytes());
    put(node, 6, depth.to_le_bytes());
    node[RECORD..][..records.as_flattened().len()].copy_from_slice(records.as_flattened());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_as_many_nodes_as_were_counted() {
        let check = |runs: u32, nodes: u32, depth: u16| {
            assert_eq!(node_blocks(runs as usize), nodes);
            let extents = Extents {
                // A gap after each.
                runs: (0..runs).map(|n| 3 * n..3 * n + 2).collect(),
                nodes: (0..nodes).map(|n| 1_000_000 + n).collect(),
            };
            let encoded = extents.encode(Checksum::START);
            assert_eq!(encoded.nodes.len() as u32, nodes);
            assert_eq!(encoded.root[6..8], depth.to_le_bytes());
            assert_eq!(extents.blocks(), u64::from(2 * runs + nodes));
        };
        check(0, 0, 0);
        check(4, 0, 0);
        check(5, 1, 1);
        check(340, 1, 1);
        check(341, 2, 1);
        check(4 * 340, 4, 1);
        check(4 * 340 + 1, 5 + 1, 2);
        check(5 * 340 * 340, 5 * 340 + 5 + 1, 3);
    }
}
