//! A directory's contents: blocks of entries, searched by bisection.
//!
//! Each block begins with its entries (`struct erofs_dirent`, 12 bytes each); their names follow without anything
//! between them. Names are in byte order over the whole directory, `.` and `..` among them.

use super::BLOCK;
use super::inode::Inode;

/// `struct erofs_dirent`.
pub(super) const DIRENT: usize = 12;

pub(super) struct Directory<'a> {
    /// With the index of the inode that each means.
    names: Vec<(&'a [u8], usize)>,
}

impl<'a> Directory<'a> {
    /// `names` are those in it, without `.` and `..`.
    pub(super) fn new(
        itself: usize,
        parent: usize,
        names: Vec<(&'a [u8], usize)>,
    ) -> Directory<'a> {
        let mut names = names;
        names.extend([(b".".as_slice(), itself), (b"..", parent)]);
        // `!` comes before `.`, for instance.
        names.sort_unstable();
        Directory { names }
    }

    /// In bytes, the last block not filled up.
    pub(super) fn size(&self) -> u64 {
        let last = self.blocks().last().map_or(0, used);
        let full = self.blocks().count() as u64 - 1;
        full * BLOCK + last as u64
    }

    /// The whole directory, the last block not filled up.
    pub(super) fn encode(&self, inodes: &[Inode<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for block in self.blocks() {
            bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
            let mut name_offset = block.len() * DIRENT;
            for &(name, index) in block {
                let inode = &inodes[index];
                bytes.extend(inode.nid.to_le_bytes());
                bytes.extend((name_offset as u16).to_le_bytes());
                bytes.extend([inode.entry.kind.code(), 0]);
                name_offset += name.len();
            }
            for (name, _) in block {
                bytes.extend_from_slice(name);
            }
        }
        bytes
    }

    /// As many names in each block as fit.
    fn blocks(&self) -> impl Iterator<Item = &[(&'a [u8], usize)]> {
        let mut rest = self.names.as_slice();
        std::iter::from_fn(move || {
            let mut room = BLOCK as usize;
            let fitting = rest.iter().take_while(|(name, _)| {
                let needed = DIRENT + name.len();
                let fits = needed <= room;
                room = room.saturating_sub(needed);
                fits
            });
            let (block, after) = rest.split_at(fitting.count());
            rest = after;
            (!block.is_empty()).then_some(block)
        })
    }
}

fn used(block: &[(&[u8], usize)]) -> usize {
    block.iter().map(|(name, _)| DIRENT + name.len()).sum()
}
