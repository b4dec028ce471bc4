//! Reading an image back, as [`super::write`] has made it. Files' contents stay where they are: the tree says which bytes of
//! the image they have.
//!
//! Nothing of an image is trusted: it may have been damaged where it lay. Features that the writer does not use are refused.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::BLOCK;
use super::directory::DIRENT;
use super::inode::{COMPACT, EXTENDED, FORMAT_COMPACT_PLAIN, FORMAT_EXTENDED_PLAIN, SLOT};
use super::superblock::{CHECKSUM, LENGTH, MAGIC, OFFSET, crc32c};
use crate::tree::{Content, Entry, Kind, MAX_LINK, Tree};

/// What an image holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub uuid: [u8; 16],
    /// Files in it are [`Content::Part`]s of the image.
    pub tree: Tree,
}

/// Why an image cannot be read.
#[derive(Debug, Error)]
pub enum ReadErofsError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no EROFS image", .path.display())]
    NoImage { path: PathBuf },
    #[error("{} is an EROFS image of another kind than NodeOS makes: {what}", .path.display())]
    Unknown { path: PathBuf, what: &'static str },
    #[error("the image {} is damaged: {what}", .path.display())]
    Damaged { path: PathBuf, what: String },
}

/// Reads the image at `path`.
///
/// # Errors
/// [`ReadErofsError`].
pub fn read(path: &Path) -> Result<Image, ReadErofsError> {
    let file = File::open(path).map_err(|source| read_error(path, source))?;
    let length = file
        .metadata()
        .map_err(|source| read_error(path, source))?
        .len();
    let reader = Reader { path, file, length };
    let superblock = reader.superblock()?;
    let tree = reader.tree(&superblock)?;
    Ok(Image {
        uuid: superblock.uuid,
        tree,
    })
}

struct Reader<'a> {
    path: &'a Path,
    file: File,
    /// Bytes of the image that are there.
    length: u64,
}

struct Superblock {
    root: u64,
    /// How many inodes there are.
    inodes: u64,
    uuid: [u8; 16],
}

/// An inode, and where its data lie.
struct Found {
    mode: u16,
    uid: u32,
    gid: u32,
    size: u64,
    location: u32,
}

impl Reader<'_> {
    fn superblock(&self) -> Result<Superblock, ReadErofsError> {
        let no_image = || ReadErofsError::NoImage {
            path: self.path.to_owned(),
        };
        if self.length < BLOCK {
            return Err(no_image());
        }
        let mut bytes = self.bytes(0, BLOCK, "the superblock")?.split_off(OFFSET);
        if u32_at(&bytes, 0) != MAGIC {
            return Err(no_image());
        }
        let sum = u32_at(&bytes, CHECKSUM);
        bytes[CHECKSUM..CHECKSUM + 4].fill(0);
        if crc32c(&bytes) != sum {
            return Err(self.damaged("its superblock has another checksum"));
        }
        if u32::from(bytes[12]) != BLOCK.ilog2() {
            return Err(self.unknown("its blocks are not of 4096 bytes"));
        }
        // What a reader must know of, where the inodes begin, and where extended attributes do.
        let is_plain = u32_at(&bytes, 80) == 0 && u64_at(&bytes, 40) == 0 && bytes[13] == 0;
        if !is_plain {
            return Err(self.unknown("it has features that are not used"));
        }
        let size = u64::from(u32_at(&bytes, 36)) * BLOCK;
        if size > self.length {
            return Err(self.damaged(format!("it ends at {} of {size} bytes", self.length)));
        }
        Ok(Superblock {
            root: u16_at(&bytes, 14).into(),
            inodes: u64_at(&bytes, 16),
            uuid: std::array::from_fn(|at| bytes[48 + at]),
        })
    }

    fn tree(&self, superblock: &Superblock) -> Result<Tree, ReadErofsError> {
        let mut tree = Tree::new();
        // Each inode has one name, so nothing is read twice, and no folder lies in itself.
        let mut seen = BTreeSet::from([superblock.root]);
        let mut left = vec![(PathBuf::from("/"), superblock.root)];
        while let Some((path, number)) = left.pop() {
            let inode = self.inode(number, &path)?;
            let kind = self.kind(&inode, &path)?;
            if kind == Kind::Directory {
                for (name, number) in self.directory(&inode, &path)? {
                    if !seen.insert(number) || seen.len() as u64 > superblock.inodes {
                        return Err(self.damaged(format!("{path:?} names an inode again")));
                    }
                    left.push((path.join(name), number));
                }
            }
            let entry = Entry {
                kind,
                mode: inode.mode & 0o7777,
                uid: inode.uid,
                gid: inode.gid,
            };
            tree.insert(&path, entry)
                .map_err(|error| self.damaged(error.to_string()))?;
        }
        Ok(tree)
    }

    fn inode(&self, number: u64, path: &Path) -> Result<Found, ReadErofsError> {
        let at = number.saturating_mul(SLOT);
        let what = format!("the inode of {path:?}");
        let short = self.bytes(at, COMPACT, &what)?;
        if u16_at(&short, 2) != 0 {
            return Err(self.unknown("it has extended attributes"));
        }
        let mode = u16_at(&short, 4);
        match u16_at(&short, 0) {
            FORMAT_COMPACT_PLAIN => Ok(Found {
                mode,
                uid: u16_at(&short, 24).into(),
                gid: u16_at(&short, 26).into(),
                size: u32_at(&short, 8).into(),
                location: u32_at(&short, 16),
            }),
            FORMAT_EXTENDED_PLAIN => {
                let long = self.bytes(at, EXTENDED, &what)?;
                Ok(Found {
                    mode,
                    uid: u32_at(&long, 24),
                    gid: u32_at(&long, 28),
                    size: u64_at(&long, 8),
                    location: u32_at(&long, 16),
                })
            }
            _ => Err(self.unknown("its files are compressed, or lie beside their inodes")),
        }
    }

    fn kind(&self, inode: &Found, path: &Path) -> Result<Kind, ReadErofsError> {
        let start = u64::from(inode.location) * BLOCK;
        // The reverse of what Linux's `new_encode_dev` does (`include/linux/kdev_t.h`).
        let number = inode.location;
        let major = (number & 0xf_ff00) >> 8;
        let minor = (number & 0xff) | ((number >> 12) & 0xf_ff00);
        Ok(match inode.mode >> 12 {
            0o01 => Kind::Fifo,
            0o02 => Kind::CharDevice { major, minor },
            0o04 => Kind::Directory,
            0o06 => Kind::BlockDevice { major, minor },
            0o10 if inode.size == 0 => Kind::File(Content::Bytes([].into())),
            0o10 => {
                self.check(start, inode.size, &format!("{path:?}"))?;
                Kind::File(Content::Part {
                    path: self.path.to_owned(),
                    start,
                    size: inode.size,
                })
            }
            0o12 if inode.size <= MAX_LINK as u64 => {
                let text = self.bytes(start, inode.size, &format!("{path:?}"))?;
                Kind::Symlink(std::ffi::OsString::from_vec(text).into())
            }
            _ => return Err(self.damaged(format!("{path:?} is of no kind that there is"))),
        })
    }

    /// The names in a folder, without `.` and `..`, and the numbers of their inodes.
    fn directory(&self, inode: &Found, path: &Path) -> Result<Vec<(PathBuf, u64)>, ReadErofsError> {
        let start = u64::from(inode.location) * BLOCK;
        self.check(start, inode.size, &format!("{path:?}"))?;
        let mut found: Vec<(PathBuf, u64)> = Vec::new();
        let mut at = 0;
        while at < inode.size {
            let length = (inode.size - at).min(BLOCK);
            let block = self.bytes(start + at, length, &format!("{path:?}"))?;
            let names = names(&block)
                .ok_or_else(|| self.damaged(format!("{path:?} has names that are none")))?;
            found.extend(names);
            at += length;
        }
        let is_sorted =
            found.is_sorted_by(|(one, _), (next, _)| one.as_os_str() < next.as_os_str());
        if !is_sorted {
            return Err(self.damaged(format!("{path:?} has its names in a wrong order")));
        }
        found.retain(|(name, _)| name != Path::new(".") && name != Path::new(".."));
        Ok(found)
    }

    fn bytes(&self, at: u64, length: u64, what: &str) -> Result<Vec<u8>, ReadErofsError> {
        self.check(at, length, what)?;
        let mut bytes = vec![0; usize::try_from(length).expect("a few blocks at most")];
        self.file
            .read_exact_at(&mut bytes, at)
            .map_err(|source| read_error(self.path, source))?;
        Ok(bytes)
    }

    fn check(&self, at: u64, length: u64, what: &str) -> Result<(), ReadErofsError> {
        match at.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(self.damaged(format!("{what} would lie outside of it"))),
        }
    }

    fn damaged(&self, what: impl Into<String>) -> ReadErofsError {
        ReadErofsError::Damaged {
            path: self.path.to_owned(),
            what: what.into(),
        }
    }

    fn unknown(&self, what: &'static str) -> ReadErofsError {
        ReadErofsError::Unknown {
            path: self.path.to_owned(),
            what,
        }
    }
}

/// The entries of a block: their list ends where the first name begins, and each name where the next one does. None where
/// they are not as that.
fn names(block: &[u8]) -> Option<Vec<(PathBuf, u64)>> {
    let offset = |entry: &[u8]| usize::from(u16_at(entry, 8));
    let list = offset(block.get(..DIRENT)?);
    if list == 0 || list % DIRENT != 0 {
        return None;
    }
    let entries: Vec<&[u8]> = block.get(..list)?.chunks(DIRENT).collect();
    let mut found = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let end = entries
            .get(index + 1)
            .map_or(block.len(), |next| offset(next));
        let name = block.get(offset(entry)..end)?;
        // Behind the last name of a block there may be room.
        let name = name.split(|byte| *byte == 0).next()?;
        if name.is_empty() || name.contains(&b'/') {
            return None;
        }
        let name = PathBuf::from(std::ffi::OsStr::from_bytes(name));
        found.push((name, u64_at(entry, 0)));
    }
    Some(found)
}

fn read_error(path: &Path, source: io::Error) -> ReadErofsError {
    ReadErofsError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Numbers of a record, whose length has been looked at.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}

fn field<const LENGTH: usize>(bytes: &[u8], at: usize) -> [u8; LENGTH] {
    std::array::from_fn(|index| bytes[at + index])
}

const _: () = assert!(OFFSET + LENGTH <= BLOCK as usize);
