//! Whether a tree fits, and into what it would.

use super::geometry::{Geometry, LEAST_DATA};
use super::layout::{Contents, Layout};
use super::{BLOCK, MAX_SIZE, MIN_SIZE, Options, WriteExt4Error};

/// The layout in a filesystem of the size that the options say.
pub(super) fn lay_out(
    contents: &Contents<'_>,
    options: &Options,
) -> Result<Layout, WriteExt4Error> {
    let size = options.size;
    let geometry = Geometry::of((size / BLOCK) as u32, options.bytes_per_inode);
    let minimum =
        || minimum_size(contents, options.bytes_per_inode).ok_or(WriteExt4Error::TooLarge);
    let needed = contents.inodes_needed();
    let inodes = geometry.inodes();
    if needed > u64::from(inodes) {
        let minimum = minimum()?;
        return Err(WriteExt4Error::TooManyFiles {
            needed,
            inodes,
            size,
            minimum,
        });
    }
    match Layout::of(contents, geometry) {
        Ok(layout) => Ok(layout),
        Err(_) => {
            let minimum = minimum()?;
            Err(WriteExt4Error::DoesNotFit { size, minimum })
        }
    }
}

/// In bytes; none if even the largest filesystem is too small.
pub(super) fn minimum_size(contents: &Contents<'_>, bytes_per_inode: u32) -> Option<u64> {
    let most = (MAX_SIZE / BLOCK) as u32;
    let has_inodes = |blocks| {
        let inodes = Geometry::of(blocks, bytes_per_inode).inodes();
        u64::from(inodes) >= contents.inodes_needed()
    };
    let mut blocks = (MIN_SIZE / BLOCK) as u32;
    let mut enough = most;
    while blocks < enough {
        let middle = blocks.midpoint(enough);
        match has_inodes(middle) {
            true => enough = middle,
            false => blocks = middle + 1,
        }
    }
    if !has_inodes(blocks) {
        return None;
    }
    let mut geometry = Geometry::of(blocks, bytes_per_inode);
    while let Err(missing) = Layout::of(contents, geometry.clone()) {
        // As many blocks more would give at most as many to data, and those of a last group that was left out before.
        // So this may be too few, but never more than is needed.
        let step = missing.saturating_sub(u64::from(LEAST_DATA)).max(1);
        blocks = blocks.checked_add(u32::try_from(step).ok()?)?;
        // While the last group is left out, nothing changes.
        while Geometry::of(blocks, bytes_per_inode) == geometry {
            blocks += 1;
        }
        if blocks > most {
            return None;
        }
        geometry = Geometry::of(blocks, bytes_per_inode);
    }
    Some(u64::from(blocks) * BLOCK)
}
