//! Images in the format EROFS, uncompressed, so that Linux can map files straight from them (DAX).
//!
//! The format is that of Linux's `fs/erofs/erofs_fs.h`. Every inode has the layout `FLAT_PLAIN`, its data beginning at
//! a block: a file whose last bytes lie beside its inode would silently be copied into memory instead of being mapped.
//! In the image follow each other: superblock and inodes, directories and links, small files, large files. What lies
//! where is `layout`'s; here the bytes are put there.

mod layout;

mod directory;
mod inode;
mod read;
mod superblock;

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use thiserror::Error;

use crate::content;
use crate::copier::{Copier, CopyError};
use crate::tree::{Kind, Tree};
use layout::Layout;

pub use read::{Image, ReadErofsError, read};

/// Block size in bytes: Linux demands at most a page, and DAX demands exactly one.
pub const BLOCK: u64 = 4096;

/// The longest label: 16 bytes of the superblock, without the final zero.
pub const MAX_LABEL: usize = 15;

#[derive(Debug, Clone)]
pub struct Options {
    pub uuid: [u8; 16],
    /// At most [`MAX_LABEL`] bytes.
    pub label: String,
    /// Every time in the image, seconds since 1970.
    pub mtime: u64,
    /// Files of at least this size begin at a multiple of it, so that a direct mapping can use huge pages. A power of
    /// two, at least [`BLOCK`].
    pub large_file_alignment: u64,
    /// The image is padded with a hole to a multiple of this. A power of two, at least [`BLOCK`].
    pub image_alignment: u64,
}

#[derive(Debug, Error)]
pub enum WriteErofsError {
    #[error("the label {label:?} is not made of at most {MAX_LABEL} bytes without a zero")]
    Label { label: String },
    #[error("an alignment of {value} bytes is not a power of two of at least {BLOCK}")]
    Alignment { value: u64 },
    #[error("the tree needs an image of more than the 16 TiB that EROFS can address")]
    TooLarge,
    #[error("the file for the image is not empty")]
    OutputNotEmpty,
    #[error("cannot copy {path:?} into the image")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the image")]
    Write {
        #[source]
        source: io::Error,
    },
}

impl WriteErofsError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            WriteErofsError::Label { .. } => Some("choose a shorter label".into()),
            WriteErofsError::Read { source, .. } | WriteErofsError::Write { source } => {
                content::hint(source)
            }
            WriteErofsError::Alignment { .. }
            | WriteErofsError::TooLarge
            | WriteErofsError::OutputNotEmpty => None,
        }
    }
}

/// Writes the image into `out`, an empty regular file, leaving holes where there are only zeros. Returns its size in
/// bytes. What was written before an error is of no use.
///
/// The same tree and options give the same bytes.
pub fn write(tree: &Tree, options: &Options, out: &File) -> Result<u64, WriteErofsError> {
    check(options)?;
    let write_error = |source| WriteErofsError::Write { source };
    if out.metadata().map_err(write_error)?.len() != 0 {
        // Old bytes would shine through the holes.
        return Err(WriteErofsError::OutputNotEmpty);
    }
    let layout = Layout::of(tree, options).ok_or(WriteErofsError::TooLarge)?;

    out.write_all_at(&superblock::with_inodes(&layout, options), 0)
        .map_err(write_error)?;
    let mut copier = Copier::new(out);
    for (index, inode) in layout.inodes.iter().enumerate() {
        let start = inode.block * BLOCK;
        match &inode.entry.kind {
            Kind::Directory => {
                let blocks = layout.directories[&index].encode(&layout.inodes);
                out.write_all_at(&blocks, start).map_err(write_error)?;
            }
            Kind::Symlink(target) => {
                let text = target.as_os_str().as_bytes();
                out.write_all_at(text, start).map_err(write_error)?;
            }
            Kind::File(content) => {
                let place = start..start + inode.size;
                copier
                    .copy(content, &[place])
                    .map_err(|error| match error {
                        CopyError::Write(source) => WriteErofsError::Write { source },
                        CopyError::Read(source) => WriteErofsError::Read {
                            path: inode.path.into(),
                            source,
                        },
                    })?
            }
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo => {}
        }
    }
    let size = u64::from(layout.blocks) * BLOCK;
    out.set_len(size).map_err(write_error)?;
    Ok(size)
}

fn check(options: &Options) -> Result<(), WriteErofsError> {
    let label = &options.label;
    if label.len() > MAX_LABEL || label.contains('\0') {
        let label = label.clone();
        return Err(WriteErofsError::Label { label });
    }
    for value in [options.large_file_alignment, options.image_alignment] {
        if !value.is_power_of_two() || value < BLOCK {
            return Err(WriteErofsError::Alignment { value });
        }
    }
    Ok(())
}
