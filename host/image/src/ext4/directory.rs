//! A directory's contents: one block of names in order, or as many as it takes behind an index of their hashes.

use super::checksum::Checksum;
use super::index;
use super::inode::Inode;
use super::{BLOCK, hash, put};

/// `struct ext4_dir_entry_2` without the name: inode, length, length of the name, kind.
pub(super) const HEADER: usize = 8;

/// `struct ext4_dir_entry_tail`, which looks like an entry without an inode and holds the block's checksum.
const TAIL: usize = 12;

/// The kind that says tail (`EXT4_FT_DIR_CSUM`), and the place of the sum in the tail.
const TAIL_KIND: u8 = 0xDE;
const TAIL_CHECKSUM: usize = 8;

/// What a block has for entries.
const ROOM: usize = BLOCK as usize - TAIL;

/// The kind of a directory: [`Kind::code`].
const DIRECTORY: u8 = 2;

pub(super) struct Directory<'a> {
    itself: usize,
    parent: usize,
    names: Vec<Name<'a>>,
    /// Blocks without names behind those with names.
    spare: usize,
    /// The number of names in each block, if there is an index.
    leaves: Vec<usize>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a> {
    /// 0 without an index.
    hash: u32,
    name: &'a [u8],
    /// The index of the inode that it means.
    inode: usize,
}

/// More names than an index of two levels can lead to.
#[derive(Debug)]
pub(super) struct TooManyNames;

impl<'a> Directory<'a> {
    /// `names` are those in it, without `.` and `..`, which will be the indices of their inodes.
    pub(super) fn new(
        itself: usize,
        parent: usize,
        names: Vec<(&'a [u8], usize)>,
    ) -> Directory<'a> {
        let unhashed = |(name, inode)| Name {
            hash: 0,
            name,
            inode,
        };
        Directory {
            itself,
            parent,
            names: names.into_iter().map(unhashed).collect(),
            spare: 0,
            leaves: Vec::new(),
        }
    }

    /// Gives it empty blocks, if it is of one block otherwise.
    pub(super) fn with_spare_blocks(&mut self, spare: usize) {
        self.spare = spare;
    }

    /// To be called when every name is there: distributes them over blocks.
    pub(super) fn arrange(&mut self, hash_seed: &[u8; 16]) -> Result<(), TooManyNames> {
        let own = length(b".") + length(b"..");
        let names: usize = self.names.iter().map(|name| length(name.name)).sum();
        if own + names > ROOM {
            self.spare = 0;
            for name in &mut self.names {
                name.hash = hash::half_md4(name.name, hash_seed);
            }
        }
        self.names.sort_unstable();
        if own + names > ROOM {
            self.leaves = leaves(&self.names);
            index::node_blocks(self.leaves.len()).ok_or(TooManyNames)?;
        }
        Ok(())
    }

    pub(super) fn is_indexed(&self) -> bool {
        !self.leaves.is_empty()
    }

    /// In bytes: whole blocks.
    pub(super) fn size(&self) -> u64 {
        let nodes = index::node_blocks(self.leaves.len()).expect("arranging has counted them");
        let blocks = match self.is_indexed() {
            true => 1 + nodes + self.leaves.len(),
            false => 1 + self.spare,
        };
        blocks as u64 * BLOCK
    }

    /// `seed` is the sum that those of the directory's inode begin with.
    pub(super) fn encode(&self, inodes: &[Inode<'_>], seed: Checksum) -> Vec<u8> {
        let entry = |name: &Name<'a>| {
            let inode = &inodes[name.inode];
            (inode.number, name.name, inode.entry.kind.code())
        };
        let own = [
            (inodes[self.itself].number, b".".as_slice(), DIRECTORY),
            (inodes[self.parent].number, b"..".as_slice(), DIRECTORY),
        ];
        if !self.is_indexed() {
            let mut bytes = block(own.into_iter().chain(self.names.iter().map(entry)), seed);
            for _ in 0..self.spare {
                bytes.extend(block([], seed));
            }
            return bytes;
        }
        let mut rest = self.names.as_slice();
        let mut before = None;
        let mut hashes = Vec::new();
        let mut blocks = Vec::new();
        for &count in &self.leaves {
            let (here, after) = rest.split_at(count);
            // The lowest bit says that names of this hash are in the block before, too.
            let goes_on = before == Some(here[0].hash);
            hashes.push(here[0].hash | u32::from(goes_on));
            blocks.extend(block(here.iter().map(entry), seed));
            before = here.last().map(|name| name.hash);
            rest = after;
        }
        let [itself, parent] = own.map(|(number, _, _)| number);
        let mut bytes = index::encode(&hashes, itself, parent, seed);
        bytes.extend(blocks);
        bytes
    }
}

/// As many names in each block as fit.
fn leaves(names: &[Name<'_>]) -> Vec<usize> {
    let mut leaves = Vec::new();
    let mut room = 0;
    for name in names {
        let length = length(name.name);
        if length > room {
            leaves.push(0);
            room = ROOM;
        }
        room -= length;
        *leaves.last_mut().expect("no name fits where no block is") += 1;
    }
    leaves
}

/// Of the entry with this name, in bytes.
fn length(name: &[u8]) -> usize {
    (HEADER + name.len()).next_multiple_of(4)
}

/// A block of entries: number of the inode, name, kind.
fn block<'n>(entries: impl IntoIterator<Item = (u32, &'n [u8], u8)>, seed: Checksum) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK as usize];
    let mut last = 0;
    let mut end = 0;
    for (number, name, kind) in entries {
        last = end;
        end += length(name);
        put_entry(&mut bytes[last..], end - last, number, name, kind);
    }
    // The last entry reaches up to the tail, or a lone one without an inode does.
    put(&mut bytes, last + 4, ((ROOM - last) as u16).to_le_bytes());
    let sum = seed.over(&bytes[..ROOM]);
    put_entry(&mut bytes[ROOM..], TAIL, 0, b"", TAIL_KIND);
    put(&mut bytes, ROOM + TAIL_CHECKSUM, sum.0.to_le_bytes());
    bytes
}

/// An entry at the beginning of `bytes`, after which the next one begins `length` bytes later.
pub(super) fn put_entry(bytes: &mut [u8], length: usize, number: u32, name: &[u8], kind: u8) {
    put(bytes, 0, number.to_le_bytes());
    put(bytes, 4, (length as u16).to_le_bytes());
    put(bytes, 6, [name.len() as u8, kind]);
    bytes[HEADER..][..name.len()].copy_from_slice(name);
}
