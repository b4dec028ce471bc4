//! One inode: what it says, and its 256 bytes.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::checksum::{Checksum, GENERATION};
use super::extents::ROOT;
use super::{BLOCK, geometry, put};
use crate::numbered::Numbered;
use crate::tree::{Entry, Kind};

/// The inodes that the format gives a number (`EXT4_ROOT_INO`, `EXT4_JOURNAL_INO`, `EXT4_GOOD_OLD_FIRST_INO`).
pub(super) const ROOT_NUMBER: u32 = 2;
pub(super) const JOURNAL_NUMBER: u32 = 8;
pub(super) const FIRST_NUMBER: u32 = 11;

/// The bytes of an inode beyond the 128 of ext2 that have a meaning: up to `i_projid`.
pub(super) const EXTRA: u16 = 32;

/// `EXT4_INDEX_FL` and `EXT4_EXTENTS_FL`.
const INDEX: u32 = 0x1000;
const EXTENTS: u32 = 0x8_0000;

/// More links than this a directory does not count; 1 stands for them (`EXT4_LINK_MAX`).
const MOST_LINKS: u32 = 65_000;

/// The lower part of the sum, and the upper one, which is among the extra bytes.
const CHECKSUM_LOW: usize = 0x7C;
const CHECKSUM_HIGH: usize = 0x82;

/// An entry of the tree as an inode.
pub(super) struct Inode<'a> {
    pub(super) path: &'a Path,
    pub(super) entry: &'a Entry,
    pub(super) number: u32,
    /// How many names it has.
    pub(super) links: u32,
    /// In bytes.
    pub(super) size: u64,
    /// Whether it is a directory with an index.
    pub(super) is_indexed: bool,
}

/// What is written of an inode.
pub(super) struct Record {
    pub(super) number: u32,
    /// `st_mode`
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) links: u16,
    pub(super) flags: u32,
    /// Blocks that belong to it.
    pub(super) blocks: u64,
    /// The field `i_block`: the root of its extents, or what it has instead of them.
    pub(super) block: [u8; ROOT],
}

impl<'a> Inode<'a> {
    /// The size of a directory comes later.
    pub(super) fn new(numbered: &Numbered<'a>, number: u32) -> Inode<'a> {
        Inode {
            path: numbered.path,
            entry: numbered.entry,
            number,
            links: numbered.links,
            size: numbered.size,
            is_indexed: false,
        }
    }

    /// How many blocks its data takes.
    pub(super) fn data_blocks(&self) -> u64 {
        match self.inline() {
            Some(_) => 0,
            None => self.size.div_ceil(BLOCK),
        }
    }

    /// `root` is that of its extents, `blocks` what belongs to them.
    pub(super) fn record(&self, root: [u8; ROOT], blocks: u64) -> Record {
        let inline = self.inline();
        let mut flags = 0;
        if inline.is_none() {
            flags |= EXTENTS;
        }
        if self.is_indexed {
            flags |= INDEX;
        }
        Record {
            number: self.number,
            mode: self.entry.st_mode(),
            uid: self.entry.uid,
            gid: self.entry.gid,
            size: self.size,
            links: match self.links {
                links if links > MOST_LINKS => 1,
                links => links as u16,
            },
            flags,
            blocks,
            block: inline.unwrap_or(root),
        }
    }

    /// What stands in the inode itself, for those that have no extents.
    fn inline(&self) -> Option<[u8; ROOT]> {
        let mut block = [0; ROOT];
        match &self.entry.kind {
            Kind::Symlink(target) => {
                let text = target.as_os_str().as_bytes();
                // With a zero behind it.
                if text.len() >= ROOT {
                    return None;
                }
                block[..text.len()].copy_from_slice(text);
            }
            &Kind::CharDevice { major, minor } | &Kind::BlockDevice { major, minor } => {
                // `ext4_iget` of Linux: numbers of 8 bits in the first word, others in the second one.
                if major < 256 && minor < 256 {
                    put(&mut block, 0, ((major << 8) | minor).to_le_bytes());
                } else {
                    // `new_encode_dev` of Linux's `include/linux/kdev_t.h`.
                    let number = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
                    put(&mut block, 4, number.to_le_bytes());
                }
            }
            Kind::Fifo => {}
            Kind::Directory | Kind::File(_) => return None,
        }
        Some(block)
    }
}

impl Record {
    /// A file of the filesystem's own.
    pub(super) fn internal(number: u32, size: u64, root: [u8; ROOT], blocks: u64) -> Record {
        Record {
            number,
            mode: 0o100600,
            uid: 0,
            gid: 0,
            size,
            links: 1,
            flags: EXTENTS,
            blocks,
            block: root,
        }
    }

    /// `seed` is the sum that the inode's begin with; `time` stands in all four times.
    pub(super) fn encode(&self, time: u32, seed: Checksum) -> [u8; geometry::INODE as usize] {
        let mut bytes = [0; geometry::INODE as usize];
        let low = |value: u64| (value as u32).to_le_bytes();
        let high = |value: u64| ((value >> 32) as u32).to_le_bytes();
        // In units of 512 bytes, whatever the block.
        let sectors = self.blocks * (BLOCK / 512);
        put(&mut bytes, 0x00, self.mode.to_le_bytes());
        put(&mut bytes, 0x02, (self.uid as u16).to_le_bytes());
        put(&mut bytes, 0x04, low(self.size));
        put(&mut bytes, 0x18, (self.gid as u16).to_le_bytes());
        put(&mut bytes, 0x1A, self.links.to_le_bytes());
        put(&mut bytes, 0x1C, low(sectors));
        put(&mut bytes, 0x20, self.flags.to_le_bytes());
        put(&mut bytes, 0x28, self.block);
        put(&mut bytes, 0x64, GENERATION.to_le_bytes());
        put(&mut bytes, 0x6C, high(self.size));
        put(&mut bytes, 0x74, ((sectors >> 32) as u16).to_le_bytes());
        put(&mut bytes, 0x78, ((self.uid >> 16) as u16).to_le_bytes());
        put(&mut bytes, 0x7A, ((self.gid >> 16) as u16).to_le_bytes());
        put(&mut bytes, 0x80, EXTRA.to_le_bytes());
        // Access, change, modification, and creation, each with its extra word.
        for (at, extra) in [(0x08, 0x8C), (0x0C, 0x84), (0x10, 0x88), (0x90, 0x94)] {
            put(&mut bytes, at, time.to_le_bytes());
            put(&mut bytes, extra, epoch(time).to_le_bytes());
        }
        let sum = seed.over(&bytes);
        put(&mut bytes, CHECKSUM_LOW, sum.low().to_le_bytes());
        put(&mut bytes, CHECKSUM_HIGH, sum.high().to_le_bytes());
        bytes
    }
}

/// The extra word of a time. Seconds are signed, so that those beyond 2038 count from the next 2^32 backwards: the
/// lowest two bits say from which. Above are nanoseconds.
fn epoch(time: u32) -> u32 {
    u32::from(time > i32::MAX as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_where_linux_looks_for_them() {
        let check = |major: u32, minor: u32, expected: [u32; 2]| {
            let entry = Entry::block_device(0o600, major, minor);
            let block = Inode::new(&Numbered::new(Path::new("/x"), &entry, 0), 12)
                .inline()
                .unwrap();
            let words = [0, 4].map(|at| u32::from_le_bytes(block[at..at + 4].try_into().unwrap()));
            assert_eq!(words, expected);
        };
        check(5, 1, [0x0501, 0]);
        check(255, 255, [0xffff, 0]);
        check(256, 0, [0, 0x0001_0000]);
        check(0, 256, [0, 0x0010_0000]);
        check(0xfff, 0xf_ffff, [0, 0xffff_ffff]);
    }

    #[test]
    fn a_directory_that_cannot_count_its_links_says_one() {
        let check = |links: u32, expected: u16| {
            let entry = Entry::directory(0o755);
            let inode = Inode {
                links,
                ..Inode::new(&Numbered::new(Path::new("/x"), &entry, 0), 12)
            };
            assert_eq!(inode.record([0; ROOT], 1).links, expected);
        };
        check(2, 2);
        check(65_000, 65_000);
        check(65_001, 1);
    }
}
