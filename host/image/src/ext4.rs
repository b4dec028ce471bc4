//! Images in the format ext4, as `mkfs.ext4` makes them with a journal and checksums, ready to be written to.
//!
//! The format is that of Linux's `fs/ext4/ext4.h` and `Documentation/filesystems/ext4`. Everything is put at the
//! beginning, one after the other, so that what is free is a hole of the image: `geometry` has the places of the
//! metadata, `layout` those of everything else, and `writer` puts the bytes there. What the files hold is not looked at
//! before: zeros are holes of the image, too, but not of the filesystem.
//!
//! Unused inode tables and the journal count on their holes: to a disk, the image goes with its zeros. It can be grown
//! while it is mounted, to whatever the disk has: see `superblock`.

mod geometry;
mod layout;

mod fit;
mod writer;

mod groups;
mod journal;
mod superblock;

mod directory;
mod extents;
mod hash;
mod index;
mod inode;

mod checksum;

use std::fs::File;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::content;
use crate::tree::{Entry, Kind, Tree};
use checksum::Checksum;
use layout::Contents;
use writer::Writer;

/// Block size in bytes: a page, the most that Linux mounts everywhere.
pub const BLOCK: u64 = 4096;

/// The longest label: 16 bytes of the superblock.
pub const MAX_LABEL: usize = 16;

/// The smallest filesystem in bytes: with less, `mke2fs` makes no journal.
pub const MIN_SIZE: u64 = 8 << 20;

/// The largest filesystem in bytes: numbers of blocks and of inodes stay within 32 bits.
pub const MAX_SIZE: u64 = 8 << 40;

/// One inode for so many bytes: what `mke2fs` takes.
pub const BYTES_PER_INODE: u32 = 16384;

/// With fewer bytes for each inode, a group would have more inodes than its bitmap has bits.
pub const MIN_BYTES_PER_INODE: u32 = 4096;

/// Where `e2fsck` puts what it finds. It is made unless the tree has it.
pub const LOST_AND_FOUND: &str = "/lost+found";

#[derive(Debug, Clone)]
pub struct Options {
    pub uuid: [u8; 16],
    /// What hashes of names begin with, so that nobody can choose names that have the same.
    pub hash_seed: [u8; 16],
    /// At most [`MAX_LABEL`] bytes.
    pub label: String,
    /// Every time in the image, seconds since 1970.
    pub time: u32,
    /// Of the filesystem, in bytes: a multiple of [`BLOCK`] from [`MIN_SIZE`] to [`MAX_SIZE`]. Of a last piece without
    /// room for data, 13 MiB at the very most, nothing is used.
    pub size: u64,
    /// [`BYTES_PER_INODE`], or how large files are as a rule; at least [`MIN_BYTES_PER_INODE`]. From a size of 32 MiB
    /// on there may be more inodes: as many as if the size were a multiple of 128 MiB.
    pub bytes_per_inode: u32,
}

#[derive(Debug, Error)]
pub enum WriteExt4Error {
    #[error("the label {label:?} is not made of at most {MAX_LABEL} bytes without a zero")]
    Label { label: String },
    #[error(
        "a filesystem of {size} bytes is not possible: the size is a multiple of {BLOCK} from 8 MiB to 8 TiB"
    )]
    Size { size: u64 },
    #[error(
        "an inode for every {value} bytes is not possible: {MIN_BYTES_PER_INODE} are the least"
    )]
    BytesPerInode { value: u32 },
    #[error("{LOST_AND_FOUND} of the tree is not a directory")]
    LostAndFound,
    #[error("{path:?} has more names than a directory can hold")]
    DirectoryTooLarge { path: PathBuf },
    #[error("the tree does not fit into a filesystem of {size} bytes")]
    DoesNotFit { size: u64, minimum: u64 },
    #[error("the tree needs {needed} inodes, and a filesystem of {size} bytes has {inodes}")]
    TooManyFiles {
        needed: u64,
        inodes: u32,
        size: u64,
        minimum: u64,
    },
    #[error("the tree needs a filesystem of more than 8 TiB")]
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

impl WriteExt4Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            WriteExt4Error::Label { .. } => Some("choose a shorter label".into()),
            WriteExt4Error::Size { size } => {
                let next = size.clamp(&MIN_SIZE, &MAX_SIZE).next_multiple_of(BLOCK);
                Some(format!("the next size that is possible is {next} bytes"))
            }
            WriteExt4Error::BytesPerInode { .. } => {
                Some(format!("{BYTES_PER_INODE} is what suits most"))
            }
            WriteExt4Error::LostAndFound => {
                Some("give it another name, or make it a directory".into())
            }
            WriteExt4Error::DoesNotFit { minimum, .. } => Some(format!(
                "make the filesystem at least {minimum} bytes large"
            )),
            WriteExt4Error::TooManyFiles { minimum, .. } => Some(format!(
                "make the filesystem at least {minimum} bytes large, or have an inode for fewer bytes"
            )),
            WriteExt4Error::Read { source, .. } | WriteExt4Error::Write { source } => {
                content::hint(source)
            }
            WriteExt4Error::DirectoryTooLarge { .. }
            | WriteExt4Error::TooLarge
            | WriteExt4Error::OutputNotEmpty => None,
        }
    }
}

/// Writes the image into `out`, an empty regular file, leaving holes where there are only zeros. Returns its size in
/// bytes: that of the options. What was written before an error is of no use.
///
/// The same tree and options give the same bytes.
pub fn write(tree: &Tree, options: &Options, out: &File) -> Result<u64, WriteExt4Error> {
    check(options)?;
    let write_error = |source| WriteExt4Error::Write { source };
    if out.metadata().map_err(write_error)?.len() != 0 {
        // Old bytes would shine through the holes.
        return Err(WriteExt4Error::OutputNotEmpty);
    }
    let tree = with_lost_and_found(tree)?;
    let contents = Contents::of(&tree, &options.hash_seed)?;
    let layout = fit::lay_out(&contents, options)?;
    let writer = Writer {
        contents: &contents,
        layout: &layout,
        options,
        seed: Checksum::of_filesystem(&options.uuid),
        out,
    };
    writer.write_data()?;
    writer.write_metadata().map_err(write_error)?;
    out.set_len(options.size).map_err(write_error)?;
    Ok(options.size)
}

/// The smallest size in bytes that the options could have for this tree; theirs is not looked at.
///
/// # Errors
/// Those of the options and of the tree; nothing is read.
pub fn minimum_size(tree: &Tree, options: &Options) -> Result<u64, WriteExt4Error> {
    let size = MIN_SIZE;
    check(&Options {
        size,
        ..options.clone()
    })?;
    let tree = with_lost_and_found(tree)?;
    let contents = Contents::of(&tree, &options.hash_seed)?;
    fit::minimum_size(&contents, options.bytes_per_inode).ok_or(WriteExt4Error::TooLarge)
}

fn check(options: &Options) -> Result<(), WriteExt4Error> {
    let &Options {
        size,
        bytes_per_inode: value,
        ..
    } = options;
    let label = &options.label;
    if label.len() > MAX_LABEL || label.contains('\0') {
        let label = label.clone();
        return Err(WriteExt4Error::Label { label });
    }
    if !size.is_multiple_of(BLOCK) || !(MIN_SIZE..=MAX_SIZE).contains(&size) {
        return Err(WriteExt4Error::Size { size });
    }
    if value < MIN_BYTES_PER_INODE {
        return Err(WriteExt4Error::BytesPerInode { value });
    }
    Ok(())
}

fn with_lost_and_found(tree: &Tree) -> Result<Tree, WriteExt4Error> {
    let mut tree = tree.clone();
    match tree.get(LOST_AND_FOUND) {
        Some(entry) if entry.kind == Kind::Directory => {}
        Some(_) => return Err(WriteExt4Error::LostAndFound),
        None => tree
            .insert(LOST_AND_FOUND, Entry::directory(0o700))
            .expect("the root is a directory, and the name is free"),
    }
    Ok(tree)
}

/// Puts the bytes of a field at its offset.
fn put<const N: usize>(record: &mut [u8], at: usize, field: [u8; N]) {
    record[at..at + N].copy_from_slice(&field);
}
