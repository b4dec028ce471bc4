//! [`Tree`]: what a filesystem contains, exactly, before it has become one.
//!
//! A tree can only hold what Linux can: names, link texts and device numbers are checked where they enter, so that the
//! writers need not doubt them. How a file's bytes are read is [`crate::content`]'s.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use thiserror::Error;

/// The longest name of a file in bytes: `NAME_MAX` of Linux's `limits.h`.
pub const MAX_NAME: usize = 255;

/// The longest text of a symbolic link in bytes: `PATH_MAX` of Linux's `limits.h`, without its final zero.
pub const MAX_LINK: usize = 4095;

/// The largest major and minor numbers: 12 and 20 bits, as `dev_t` has inside Linux (`include/linux/kdev_t.h`).
const MAX_MAJOR: u32 = (1 << 12) - 1;
const MAX_MINOR: u32 = (1 << 20) - 1;

/// A filesystem in memory: absolute path (`/bin/node`) -> entry. `/` itself is always there, and always a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    // A `Path` orders by its components, not by its bytes: what lies below a directory follows it without a gap, which
    // `below` relies on.
    entries: BTreeMap<PathBuf, Entry>,
}

/// One file, directory, link or node, with its exact ownership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// Permission bits, at most `0o7777`.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File(Content),
    /// The link's text.
    Symlink(PathBuf),
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Bytes(Arc<[u8]>),
    /// A file of the host, copied when the image is written.
    Host {
        path: PathBuf,
        size: u64,
    },
    /// Bytes of a file of the host, copied in the same way: what an image has of a file.
    Part {
        path: PathBuf,
        start: u64,
        size: u64,
    },
}

/// Why an entry cannot stand where it was put.
#[derive(Debug, Error)]
pub enum InsertEntryError {
    #[error("{path:?} is not an absolute path without `.` and `..`")]
    Path { path: PathBuf },
    #[error("{path:?} has a name longer than {MAX_NAME} bytes")]
    NameTooLong { path: PathBuf },
    #[error("{path:?} cannot be created: {parent:?} is not a directory of the tree")]
    Parent { path: PathBuf, parent: PathBuf },
    #[error("{path:?} is a directory with contents and cannot become something else")]
    NotEmpty { path: PathBuf },
    #[error("/ cannot become anything but a directory")]
    Root,
    #[error("{path:?} has mode {mode:o}, which is more than 7777")]
    Mode { path: PathBuf, mode: u16 },
    #[error(
        "{path:?} cannot be a link to {target:?}: a link's text has 1 to {MAX_LINK} bytes, none of them zero"
    )]
    LinkText { path: PathBuf, target: PathBuf },
    #[error("{path:?} cannot be device {major}:{minor}: Linux ends at {MAX_MAJOR}:{MAX_MINOR}")]
    DeviceNumber {
        path: PathBuf,
        major: u32,
        minor: u32,
    },
}

/// Why a file of the host cannot be the content of an entry.
#[derive(Debug, Error)]
pub enum HostFileError {
    #[error("cannot look at {path:?}")]
    Inspect {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path:?} is not a regular file")]
    NotAFile { path: PathBuf },
}

impl Tree {
    /// `/` alone, mode 0755, owned by 0:0.
    pub fn new() -> Tree {
        Tree {
            entries: BTreeMap::from([(PathBuf::from("/"), Entry::directory(0o755))]),
        }
    }

    /// Puts an entry at `path`, or replaces what is there.
    ///
    /// The parent must be a directory of the tree. A directory with contents can only be replaced by a directory, which
    /// then has these contents. Repeated slashes and a slash at the end mean nothing.
    pub fn insert(&mut self, path: impl AsRef<Path>, entry: Entry) -> Result<(), InsertEntryError> {
        let path = normalised(path.as_ref())?;
        check(&path, &entry)?;
        match path.parent() {
            None if entry.kind != Kind::Directory => return Err(InsertEntryError::Root),
            Some(parent) if !self.is_directory(parent) => {
                let parent = parent.to_path_buf();
                return Err(InsertEntryError::Parent { path, parent });
            }
            _ => {}
        }
        if entry.kind != Kind::Directory && self.below(&path).next().is_some() {
            return Err(InsertEntryError::NotEmpty { path });
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// Puts an entry at `path`, and above it directories of the mode `folders`, owned by 0:0, where there are none.
    ///
    /// # Errors
    /// As [`Tree::insert`].
    pub fn insert_with_folders(
        &mut self,
        path: impl AsRef<Path>,
        entry: Entry,
        folders: u16,
    ) -> Result<(), InsertEntryError> {
        let above: Vec<&Path> = path.as_ref().ancestors().skip(1).collect();
        for folder in above.into_iter().rev() {
            if self.get(folder).is_none() {
                self.insert(folder, Entry::directory(folders))?;
            }
        }
        self.insert(path, entry)
    }

    pub fn get(&self, path: impl AsRef<Path>) -> Option<&Entry> {
        self.entries.get(path.as_ref())
    }

    /// Takes the entry at `path` and everything below it out. `/` itself stays.
    pub fn remove(&mut self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        let below: Vec<PathBuf> = self.below(path).map(|(p, _)| p.to_path_buf()).collect();
        for lost in below {
            self.entries.remove(&lost);
        }
        if path.parent().is_some() {
            self.entries.remove(path);
        }
    }

    /// Every entry, in order of the paths, compared name by name and each name byte by byte: `/` is first, a directory
    /// is followed by everything below it.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries.iter().map(|(p, e)| (p.as_path(), e))
    }

    /// Lays `upper` over this tree: what it has wins, directories of both are one, with `upper`'s mode and owner.
    ///
    /// The only conflict is a directory with contents that would become something else: whoever wants that removes it
    /// first. After this error ([`InsertEntryError::NotEmpty`]) the tree is as it was.
    pub fn merge(&mut self, upper: Tree) -> Result<(), InsertEntryError> {
        for (path, entry) in upper.iter() {
            if entry.kind != Kind::Directory && self.below(path).next().is_some() {
                let path = path.to_path_buf();
                return Err(InsertEntryError::NotEmpty { path });
            }
        }
        self.entries.extend(upper.entries);
        Ok(())
    }

    /// What has to be laid over `lower` to have this tree: entries that `lower` lacks or has otherwise, and the directories
    /// above them. What only `lower` has stays there then: a tree cannot say that something is gone.
    pub fn above(&self, lower: &Tree) -> Tree {
        let mut upper = Tree::new();
        let differs = |(path, entry): &(&Path, &Entry)| lower.get(path) != Some(*entry);
        for (path, _) in self.iter().filter(differs) {
            // Each of them is in this tree, and a directory where it has to be one.
            let whole = path.ancestors().filter_map(|path| {
                let entry = self.get(path)?;
                Some((path.to_path_buf(), entry.clone()))
            });
            upper.entries.extend(whole);
        }
        upper
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.get(path).is_some_and(|e| e.kind == Kind::Directory)
    }

    fn below(&self, path: &Path) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries
            .range::<Path, _>((Bound::Excluded(path), Bound::Unbounded))
            .map(|(p, e)| (p.as_path(), e))
            .take_while(move |(p, _)| p.starts_with(path))
    }
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

/// The constructors make entries of 0:0; see [`Entry::owned_by`].
impl Entry {
    pub fn directory(mode: u16) -> Entry {
        Entry::of(Kind::Directory, mode)
    }

    pub fn file(mode: u16, bytes: impl Into<Arc<[u8]>>) -> Entry {
        Entry::of(Kind::File(Content::Bytes(bytes.into())), mode)
    }

    /// A file that is copied from the host when the tree is written. Its size is taken now; a writer that finds another
    /// one refuses. Links are followed.
    pub fn host_file(mode: u16, path: impl Into<PathBuf>) -> Result<Entry, HostFileError> {
        let path = path.into();
        match fs::metadata(&path) {
            Err(source) => Err(HostFileError::Inspect { path, source }),
            Ok(found) if !found.is_file() => Err(HostFileError::NotAFile { path }),
            Ok(found) => {
                let size = found.len();
                let content = Content::Host { path, size };
                Ok(Entry::of(Kind::File(content), mode))
            }
        }
    }

    /// Mode 0777, as Linux shows every link.
    pub fn symlink(target: impl Into<PathBuf>) -> Entry {
        Entry::of(Kind::Symlink(target.into()), 0o777)
    }

    pub fn char_device(mode: u16, major: u32, minor: u32) -> Entry {
        Entry::of(Kind::CharDevice { major, minor }, mode)
    }

    pub fn block_device(mode: u16, major: u32, minor: u32) -> Entry {
        Entry::of(Kind::BlockDevice { major, minor }, mode)
    }

    pub fn fifo(mode: u16) -> Entry {
        Entry::of(Kind::Fifo, mode)
    }

    pub fn owned_by(self, uid: u32, gid: u32) -> Entry {
        Entry { uid, gid, ..self }
    }

    /// The `S_IF*` bits and the permissions, as `st_mode` has them (inode(7)).
    pub fn st_mode(&self) -> u16 {
        let kind = match self.kind {
            Kind::Fifo => 0o010000,
            Kind::CharDevice { .. } => 0o020000,
            Kind::Directory => 0o040000,
            Kind::BlockDevice { .. } => 0o060000,
            Kind::File(_) => 0o100000,
            Kind::Symlink(_) => 0o120000,
        };
        kind | self.mode
    }

    fn of(kind: Kind, mode: u16) -> Entry {
        Entry {
            kind,
            mode,
            uid: 0,
            gid: 0,
        }
    }
}

/// The path as a key: one slash between names, none at the end.
fn normalised(path: &Path) -> Result<PathBuf, InsertEntryError> {
    let path_error = || InsertEntryError::Path { path: path.into() };
    let bytes = path.as_os_str().as_bytes();
    if !path.is_absolute() || bytes.contains(&0) {
        return Err(path_error());
    }
    // `Path::components` passes over `.`, therefore the bytes are looked at.
    for name in bytes.split(|&byte| byte == b'/') {
        if name == b"." || name == b".." {
            return Err(path_error());
        }
        if name.len() > MAX_NAME {
            return Err(InsertEntryError::NameTooLong { path: path.into() });
        }
    }
    Ok(path.components().collect())
}

fn check(path: &Path, entry: &Entry) -> Result<(), InsertEntryError> {
    let path = || path.to_path_buf();
    if entry.mode > 0o7777 {
        let mode = entry.mode;
        return Err(InsertEntryError::Mode { path: path(), mode });
    }
    match &entry.kind {
        Kind::Symlink(target) => {
            let text = target.as_os_str().as_bytes();
            if text.is_empty() || text.len() > MAX_LINK || text.contains(&0) {
                let (path, target) = (path(), target.clone());
                return Err(InsertEntryError::LinkText { path, target });
            }
        }
        &Kind::CharDevice { major, minor } | &Kind::BlockDevice { major, minor } => {
            if major > MAX_MAJOR || minor > MAX_MINOR {
                let path = path();
                return Err(InsertEntryError::DeviceNumber { path, major, minor });
            }
        }
        Kind::Directory | Kind::File(_) | Kind::Fifo => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
