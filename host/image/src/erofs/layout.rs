//! Where everything lies in the image: inode numbers, and the first block of each inode's data.

use std::collections::BTreeMap;

use super::directory::Directory;
use super::inode::{self, Inode};
use super::{BLOCK, Options, superblock};
use crate::numbered::number;
use crate::tree::{Entry, Kind, Tree};

pub(super) struct Layout<'a> {
    /// In the tree's order, so that the root comes first: the superblock has only 16 bits for its number.
    pub(super) inodes: Vec<Inode<'a>>,
    /// By the index of their inode.
    pub(super) directories: BTreeMap<usize, Directory<'a>>,
    /// Of the whole image, its padding included.
    pub(super) blocks: u32,
}

impl<'a> Layout<'a> {
    /// `None` if blocks would need numbers of more than 32 bits.
    pub(super) fn of(tree: &'a Tree, options: &Options) -> Option<Layout<'a>> {
        let (mut inodes, directories) = collect(tree);
        let mut end = superblock::INODES;
        for inode in &mut inodes {
            inode.nid = end / inode::SLOT;
            end += inode.length();
        }
        let end = place_data(&mut inodes, end.div_ceil(BLOCK), options)?;
        let blocks = end.checked_next_multiple_of(options.image_alignment / BLOCK)?;
        Some(Layout {
            inodes,
            directories,
            blocks: u32::try_from(blocks).ok()?,
        })
    }
}

fn collect(tree: &Tree) -> (Vec<Inode<'_>>, BTreeMap<usize, Directory<'_>>) {
    let mut inodes = Vec::new();
    let mut directories = BTreeMap::new();
    for (index, numbered) in number(tree.iter()).into_iter().enumerate() {
        let mut inode = Inode::new(&numbered);
        if numbered.entry.kind == Kind::Directory {
            let directory = Directory::new(index, numbered.parent, numbered.names);
            inode.size = directory.size();
            directories.insert(index, directory);
        }
        inodes.push(inode);
    }
    (inodes, directories)
}

/// Gives every inode with data its first block, from block `next` on, and returns the block after the last one.
fn place_data(inodes: &mut [Inode<'_>], mut next: u64, options: &Options) -> Option<u64> {
    let alignments = [
        (Place::Metadata, BLOCK),
        (Place::SmallFiles, BLOCK),
        (Place::LargeFiles, options.large_file_alignment),
    ];
    for (place, alignment) in alignments {
        let here = |inode: &&mut Inode<'_>| place_of(inode, options) == Some(place);
        for inode in inodes.iter_mut().filter(here) {
            inode.block = next.checked_next_multiple_of(alignment / BLOCK)?;
            next = inode.block.checked_add(inode.size.div_ceil(BLOCK))?;
        }
    }
    Some(next)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Metadata,
    SmallFiles,
    LargeFiles,
}

fn place_of(inode: &Inode<'_>, options: &Options) -> Option<Place> {
    match inode.entry {
        _ if inode.size == 0 => None,
        Entry {
            kind: Kind::File(_),
            ..
        } if inode.size >= options.large_file_alignment => Some(Place::LargeFiles),
        Entry {
            kind: Kind::File(_),
            ..
        } => Some(Place::SmallFiles),
        _ => Some(Place::Metadata),
    }
}
