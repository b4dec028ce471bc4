//! Putting the bytes of everything where the layout says.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use super::checksum::Checksum;
use super::extents::{self, Extents};
use super::inode::{JOURNAL_NUMBER, Record};
use super::layout::{Contents, Layout};
use super::{BLOCK, Options, WriteExt4Error, geometry, groups, journal, superblock};
use crate::copier::{Copier, CopyError};
use crate::tree::Kind;

pub(super) struct Writer<'a> {
    pub(super) contents: &'a Contents<'a>,
    pub(super) layout: &'a Layout,
    pub(super) options: &'a Options,
    /// The filesystem's sum.
    pub(super) seed: Checksum,
    pub(super) out: &'a File,
}

impl Writer<'_> {
    /// Directories, link texts and files.
    pub(super) fn write_data(&self) -> Result<(), WriteExt4Error> {
        let mut copier = Copier::new(self.out);
        let inodes = &self.contents.inodes;
        for (index, (inode, extents)) in inodes.iter().zip(&self.layout.extents).enumerate() {
            let places = extents.places();
            let copied = match &inode.entry.kind {
                Kind::Directory => {
                    let seed = self.seed.of_inode(inode.number);
                    let blocks = self.contents.directories[&index].encode(inodes, seed);
                    copier.write(&blocks, &places).map_err(CopyError::Write)
                }
                // A short one has no places: it is in the inode.
                Kind::Symlink(target) => copier
                    .write(target.as_os_str().as_bytes(), &places)
                    .map_err(CopyError::Write),
                Kind::File(content) => copier.copy(content, &places),
                Kind::CharDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo => Ok(()),
            };
            copied.map_err(|error| match error {
                CopyError::Write(source) => WriteExt4Error::Write { source },
                CopyError::Read(source) => WriteExt4Error::Read {
                    path: inode.path.into(),
                    source,
                },
            })?;
        }
        Ok(())
    }

    /// Everything else.
    pub(super) fn write_metadata(&self) -> io::Result<()> {
        let journal = self.write_journal()?;
        self.write_inodes(&journal)?;
        let groups = groups::of(self.contents, self.layout);
        groups::write_bitmaps(&groups, self.layout, |block, bitmap| {
            self.write_block(block, bitmap)
        })?;
        let superblock = superblock::encode(self.options, self.layout, &groups, journal.block);
        let descriptors = groups::descriptors(&groups, self.layout, self.seed);
        let geometry = &self.layout.geometry;
        for group in (0..geometry.groups).filter(|&group| geometry.has_copy(group)) {
            let block = geometry.group(group).start;
            let copy = superblock::in_group(&superblock, group);
            let at = match group {
                0 => superblock::OFFSET as u64,
                _ => u64::from(block) * BLOCK,
            };
            self.out.write_all_at(&copy, at)?;
            self.write_block(block + 1, &descriptors)?;
        }
        Ok(())
    }

    fn write_journal(&self) -> io::Result<Record> {
        let extents = &self.layout.journal;
        let blocks = journal::blocks(self.layout.geometry.blocks);
        let superblock = journal::superblock(blocks, &self.options.uuid);
        self.write_block(extents.runs[0].start, &superblock)?;
        let root = self.write_nodes(JOURNAL_NUMBER, extents)?;
        let size = u64::from(blocks) * BLOCK;
        Ok(Record::internal(
            JOURNAL_NUMBER,
            size,
            root,
            extents.blocks(),
        ))
    }

    /// The inode tables, as far as they are used.
    fn write_inodes(&self, journal: &Record) -> io::Result<()> {
        let geometry = &self.layout.geometry;
        let mut table = Vec::new();
        let mut group = 0;
        let mut add = |record: &Record| {
            let (group_of_it, slot) = geometry.place_of_inode(record.number);
            if group_of_it != group {
                self.write_block(geometry.inode_table(group), &table)?;
                table.clear();
                group = group_of_it;
            }
            table.resize(slot as usize * geometry::INODE as usize, 0);
            table.extend(record.encode(self.options.time, self.seed.of_inode(record.number)));
            io::Result::Ok(())
        };
        let inodes = self.contents.inodes.iter();
        for (index, (inode, extents)) in inodes.zip(&self.layout.extents).enumerate() {
            let root = self.write_nodes(inode.number, extents)?;
            add(&inode.record(root, extents.blocks()))?;
            // Only the root comes before.
            if index == 0 {
                add(journal)?;
            }
        }
        self.write_block(geometry.inode_table(group), &table)
    }

    /// Writes the nodes of the tree of extents, and returns its root.
    fn write_nodes(&self, number: u32, extents: &Extents) -> io::Result<[u8; extents::ROOT]> {
        let encoded = extents.encode(self.seed.of_inode(number));
        for (block, node) in &encoded.nodes {
            self.write_block(*block, node)?;
        }
        Ok(encoded.root)
    }

    fn write_block(&self, block: u32, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all_at(bytes, u64::from(block) * BLOCK)
    }
}
