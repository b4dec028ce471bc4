//! Which inode and which blocks everything gets. Nothing is read for that, and nothing is written.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::directory::Directory;
use super::extents::{self, Extents};
use super::geometry::Geometry;
use super::inode::{FIRST_NUMBER, Inode, ROOT_NUMBER};
use super::{LOST_AND_FOUND, WriteExt4Error, journal};
use crate::numbered::number;
use crate::tree::{Kind, Tree};

/// So many blocks without names `lost+found` has, as with `mke2fs`: `e2fsck` puts names there when there may be no
/// other space.
const SPARE_BLOCKS: usize = 3;

/// What will be in the filesystem, without places.
pub(super) struct Contents<'a> {
    /// By their numbers, which have no gaps but that after the root.
    pub(super) inodes: Vec<Inode<'a>>,
    /// By the index of their inode.
    pub(super) directories: BTreeMap<usize, Directory<'a>>,
}

/// Where everything is.
pub(super) struct Layout {
    pub(super) geometry: Geometry,
    pub(super) journal: Extents,
    /// Of each of the contents' inodes.
    pub(super) extents: Vec<Extents>,
    /// How many blocks of each group are used: those at its beginning.
    pub(super) used: Vec<u32>,
}

impl<'a> Contents<'a> {
    /// `tree` has a directory [`LOST_AND_FOUND`].
    pub(super) fn of(tree: &'a Tree, hash_seed: &[u8; 16]) -> Result<Contents<'a>, WriteExt4Error> {
        let (mut inodes, mut directories) = collect(tree);
        if let Some(lost_and_found) = directories.get_mut(&1) {
            lost_and_found.with_spare_blocks(SPARE_BLOCKS);
        }
        for (&index, directory) in &mut directories {
            let inode = &mut inodes[index];
            if directory.arrange(hash_seed).is_err() {
                let path = inode.path.to_path_buf();
                return Err(WriteExt4Error::DirectoryTooLarge { path });
            }
            inode.size = directory.size();
            inode.is_indexed = directory.is_indexed();
        }
        Ok(Contents {
            inodes,
            directories,
        })
    }

    /// How many inodes the filesystem needs at least, reserved ones included.
    pub(super) fn inodes_needed(&self) -> u64 {
        // Those before the first one, among them the root.
        self.inodes.len() as u64 - 1 + u64::from(FIRST_NUMBER - 1)
    }
}

impl Layout {
    /// An error is the number of blocks that are missing.
    pub(super) fn of(contents: &Contents<'_>, geometry: Geometry) -> Result<Layout, u64> {
        let used = (0..geometry.groups).map(|group| geometry.metadata_blocks(group));
        let mut free = Free {
            used: used.collect(),
            geometry: &geometry,
            group: 0,
            missing: 0,
        };
        let journal = free.take(u64::from(journal::blocks(geometry.blocks)));
        let mut extents = vec![Extents::default(); contents.inodes.len()];
        // What is looked at together lies together: directories, then everything else.
        let (directories, others): (Vec<_>, Vec<_>) = contents
            .inodes
            .iter()
            .zip(&mut extents)
            .partition(|(inode, _)| inode.entry.kind == Kind::Directory);
        for (inode, place) in directories.into_iter().chain(others) {
            *place = free.take(inode.data_blocks());
        }
        let Free { used, missing, .. } = free;
        match missing {
            0 => Ok(Layout {
                geometry,
                journal,
                extents,
                used,
            }),
            _ => Err(missing),
        }
    }
}

/// The root, `lost+found`, and everything else in the tree's order.
fn collect(tree: &Tree) -> (Vec<Inode<'_>>, BTreeMap<usize, Directory<'_>>) {
    let is_first = |path: &Path| path == Path::new("/") || path == Path::new(LOST_AND_FOUND);
    let first = tree.iter().filter(|(path, _)| is_first(path));
    let others = tree.iter().filter(|(path, _)| !is_first(path));
    let mut inodes = Vec::new();
    let mut directories = BTreeMap::new();
    let all = number(first.chain(others));
    for (index, numbered) in all.into_iter().enumerate() {
        let number = match index {
            0 => ROOT_NUMBER,
            _ => FIRST_NUMBER + (index as u32 - 1),
        };
        inodes.push(Inode::new(&numbered, number));
        if numbered.entry.kind == Kind::Directory {
            directories.insert(
                index,
                Directory::new(index, numbered.parent, numbered.names),
            );
        }
    }
    (inodes, directories)
}

/// The blocks that are still free: in every group those at its end.
struct Free<'g> {
    used: Vec<u32>,
    geometry: &'g Geometry,
    /// Those before are full.
    group: u32,
    /// What was wanted when all were full.
    missing: u64,
}

impl Free<'_> {
    /// The next blocks for data, and behind them those for the nodes of their tree.
    fn take(&mut self, blocks: u64) -> Extents {
        let runs = self.take_runs(blocks);
        let nodes = self.take_runs(u64::from(extents::node_blocks(runs.len())));
        let nodes = nodes.into_iter().flatten().collect();
        Extents { runs, nodes }
    }

    fn take_runs(&mut self, mut wanted: u64) -> Vec<Range<u32>> {
        let mut runs = Vec::new();
        while wanted > 0 && self.group < self.geometry.groups {
            let blocks = self.geometry.group(self.group);
            let used = &mut self.used[self.group as usize];
            let start = blocks.start + *used;
            let count = u64::from(blocks.end - start).min(wanted) as u32;
            if count == 0 {
                self.group += 1;
                continue;
            }
            runs.push(start..start + count);
            *used += count;
            wanted -= u64::from(count);
        }
        self.missing = self.missing.saturating_add(wanted);
        runs
    }
}
