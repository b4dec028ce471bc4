//! The index of a large directory: a tree of hashes, one or two levels high, whose leaves are its blocks of names.
//!
//! To who does not know it, its blocks look like blocks of names with one unused entry: `fs/ext4/namei.c` of Linux.

use super::checksum::Checksum;
use super::directory::{HEADER, put_entry};
use super::{BLOCK, put};

/// `struct dx_entry`: hash and block.
const RECORD: usize = 8;

/// `struct dx_tail`: four unused bytes, and the checksum.
const TAIL: usize = 8;

/// Where the records begin in the root: behind the entries `.` and `..`, of 12 bytes each, and `struct dx_root_info`.
const ROOT_RECORDS: usize = 32;
const ROOT_INFO: usize = 24;
const ROOT_INFO_LENGTH: u8 = 8;

/// Where they begin in another node: behind an entry without inode and name.
const NODE_RECORDS: usize = HEADER;

const IN_ROOT: usize = (BLOCK as usize - ROOT_RECORDS - TAIL) / RECORD;
const IN_NODE: usize = (BLOCK as usize - NODE_RECORDS - TAIL) / RECORD;

/// `DX_HASH_HALF_MD4`.
pub(super) const HASH_VERSION: u8 = 1;

/// The kind of a directory in an entry.
const DIRECTORY: u8 = 2;

/// How many blocks of the index lie between its root and this many leaves; none if they are too many.
pub(super) fn node_blocks(leaves: usize) -> Option<usize> {
    match leaves.div_ceil(IN_NODE) {
        _ if leaves <= IN_ROOT => Some(0),
        nodes if nodes <= IN_ROOT => Some(nodes),
        _ => None,
    }
}

/// The blocks before the leaves: the root, and the nodes below it. `hashes` has the first hash of every leaf.
pub(super) fn encode(hashes: &[u32], itself: u32, parent: u32, seed: Checksum) -> Vec<u8> {
    let block = BLOCK as usize;
    let nodes = node_blocks(hashes.len()).expect("arranging the directory has counted them");
    let leaves: Vec<(u32, u32)> = hashes.iter().copied().zip(1 + nodes as u32..).collect();
    let mut bytes = vec![0; block];
    let mut below_root = leaves.as_slice();
    let mut first_leaves = Vec::new();
    if nodes > 0 {
        for (records, number) in leaves.chunks(IN_NODE).zip(1..) {
            first_leaves.push((records[0].0, number));
            let mut node = vec![0; block];
            put_entry(&mut node, block, 0, b"", 0);
            fill(&mut node, NODE_RECORDS, records, IN_NODE, seed);
            bytes.extend(node);
        }
        below_root = &first_leaves;
    }
    let root = &mut bytes[..block];
    put_entry(root, 12, itself, b".", DIRECTORY);
    put_entry(&mut root[12..], block - 12, parent, b"..", DIRECTORY);
    let levels = u8::from(nodes > 0);
    put(
        root,
        ROOT_INFO + 4,
        [HASH_VERSION, ROOT_INFO_LENGTH, levels],
    );
    fill(root, ROOT_RECORDS, below_root, IN_ROOT, seed);
    bytes
}

/// Puts the records into a node, and its checksum. The first one needs no hash; how many there are stands there.
fn fill(node: &mut [u8], start: usize, records: &[(u32, u32)], most: usize, seed: Checksum) {
    let mut at = start;
    for (hash, block) in records {
        put(node, at, hash.to_le_bytes());
        put(node, at + 4, block.to_le_bytes());
        at += RECORD;
    }
    put(node, start, (most as u16).to_le_bytes());
    put(node, start + 2, (records.len() as u16).to_le_bytes());
    // Over what is used, then over the tail with zeros for the sum.
    let sum = seed.over(&node[..at]).over(&[0; TAIL]);
    put(node, start + most * RECORD + 4, sum.0.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_grows_to_two_levels_and_no_further() {
        let check = |leaves: usize, nodes: Option<usize>| {
            assert_eq!(node_blocks(leaves), nodes, "{leaves}");
        };
        check(1, Some(0));
        check(507, Some(0));
        check(508, Some(1));
        check(511, Some(2));
        check(507 * 510, Some(507));
        check(507 * 510 + 1, None);
    }
}
