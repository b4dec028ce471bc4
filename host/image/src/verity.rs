//! Hash trees for dm-verity, by which Linux checks every block of an image when it reads it.
//!
//! The format is version 1 of the kernel's Documentation/admin-guide/device-mapper/verity.rst with SHA-256, and before the tree
//! the superblock of veritysetup(8), so that this can judge it. A block of the tree holds the hashes of the blocks below;
//! the topmost, whose own hash is the root, comes first.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::content;

/// The size of blocks, of data and of hashes, in bytes: a page.
pub const BLOCK: u64 = 4096;
/// Of a SHA-256, in bytes.
pub const HASH: usize = 32;

const BLOCK_SIZE: usize = BLOCK as usize;

/// What is not in the data.
#[derive(Debug, Clone)]
pub struct Options {
    pub uuid: [u8; 16],
    /// Goes into every hash, before the block.
    pub salt: [u8; HASH],
}

/// A hash tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashTree {
    /// Who knows this one hash knows all data.
    pub root: [u8; HASH],
    pub data_blocks: u64,
    /// The superblock, in a block of its own, and the tree.
    pub bytes: Vec<u8>,
}

/// How many bytes the superblock and the tree take of so many blocks of data.
pub fn tree_bytes(data_blocks: u64) -> u64 {
    let levels = level_blocks(data_blocks);
    BLOCK * (1 + levels.iter().sum::<u64>())
}

/// The tree of `size` bytes, which is a multiple of [`BLOCK`].
///
/// # Errors
/// Those of the reader, and when it ends before.
pub fn tree(data: &mut dyn Read, size: u64, options: &Options) -> io::Result<HashTree> {
    let data_blocks = size / BLOCK;
    let salted = Sha256::new_with_prefix(options.salt);
    let hash =
        |block: &[u8]| -> [u8; HASH] { salted.clone().chain_update(block).finalize().into() };
    // An image is full of holes.
    let zeros = hash(&[0; BLOCK_SIZE]);
    let mut block = [0; BLOCK_SIZE];
    let mut hashes = Vec::new();
    for _ in 0..data_blocks {
        if content::fill(data, &mut block)? < BLOCK_SIZE {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let is_zero = block == [0; BLOCK_SIZE];
        hashes.push(if is_zero { zeros } else { hash(&block) });
    }
    let mut levels: Vec<Vec<u8>> = Vec::new();
    for _ in level_blocks(data_blocks) {
        let mut level = hashes.concat();
        level.resize(level.len().next_multiple_of(BLOCK_SIZE), 0);
        hashes = level.chunks_exact(BLOCK_SIZE).map(hash).collect();
        levels.push(level);
    }
    let mut bytes = superblock(data_blocks, options);
    bytes.extend(levels.iter().rev().flatten());
    Ok(HashTree {
        root: hashes.first().copied().unwrap_or(zeros),
        data_blocks,
        bytes,
    })
}

/// The blocks of each level, the lowest first. Of one block of data there is none: its hash is the root.
fn level_blocks(data_blocks: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut below = data_blocks;
    while below > 1 {
        below = below.div_ceil(BLOCK / HASH as u64);
        levels.push(below);
    }
    levels
}

/// `struct verity_sb` of cryptsetup's lib/verity/verity.c.
fn superblock(data_blocks: u64, options: &Options) -> Vec<u8> {
    let mut bytes = b"verity\0\0".to_vec();
    // The version of the superblock and that of the format.
    for number in [1_u32, 1] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(options.uuid);
    bytes.extend(b"sha256");
    bytes.resize(64, 0);
    for number in [BLOCK as u32, BLOCK as u32] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(data_blocks.to_le_bytes());
    bytes.extend((HASH as u16).to_le_bytes());
    bytes.extend([0; 6]);
    bytes.extend(options.salt);
    bytes.resize(BLOCK_SIZE, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options = Options {
        uuid: [7; 16],
        salt: [9; HASH],
    };

    #[test]
    fn levels_are_as_many_as_lead_to_one_hash() {
        let check = |blocks, expected: &[u64]| {
            assert_eq!(level_blocks(blocks), expected, "{blocks}");
            let tree_blocks: u64 = expected.iter().sum();
            assert_eq!(tree_bytes(blocks), BLOCK * (1 + tree_blocks));
        };
        check(1, &[]);
        check(2, &[1]);
        check(128, &[1]);
        check(129, &[2, 1]);
        check(128 * 128 + 1, &[129, 2, 1]);
    }

    #[test]
    fn data_that_ends_too_early_is_an_error() {
        let data = [1; 5000];
        let error = tree(&mut &data[..], 2 * BLOCK, &OPTIONS).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn every_byte_and_the_salt_count() {
        let root =
            |data: &[u8], options| tree(&mut &*data, data.len() as u64, options).unwrap().root;
        let mut data = vec![0; 200 * BLOCK_SIZE];
        let before = root(&data, &OPTIONS);
        assert_eq!(before, root(&data, &OPTIONS));
        data[199 * BLOCK_SIZE + 17] = 1;
        assert_ne!(before, root(&data, &OPTIONS));
        let salt = [8; HASH];
        data[199 * BLOCK_SIZE + 17] = 0;
        assert_ne!(before, root(&data, &Options { salt, ..OPTIONS }));
    }
}
