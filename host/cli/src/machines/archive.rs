//! Files on their way from a machine or into one: tar archives, of which the machine's are not trusted.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Builder, EntryType};
use thiserror::Error;

use crate::output::errors::Failure;

/// What cannot be copied.
#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot pass on what is copied")]
    Write(#[source] io::Error),
    #[error("nothing came from the machine")]
    Empty,
    #[error("what came from the machine is no archive")]
    Nonsense(#[source] io::Error),
    #[error("the machine sent {}, which would not be where it was to go", .path.display())]
    Leaves { path: PathBuf },
    #[error("cannot write {}", .path.display())]
    Unpack {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} has no name", .path.display())]
    Nameless { path: PathBuf },
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Failure {
        Failure::new(error)
    }
}

/// Where what comes is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub folder: PathBuf,
    /// What it is called there; none is its own name.
    pub name: Option<OsString>,
}

impl Placement {
    /// Into a folder that is there, or as this name beside what is.
    pub fn on_host(to: &Path) -> Placement {
        match (to.is_dir(), to.parent(), to.file_name()) {
            (false, Some(parent), Some(name)) => Placement {
                folder: match parent.as_os_str().is_empty() {
                    true => PathBuf::from("."),
                    false => parent.to_owned(),
                },
                name: Some(name.to_owned()),
            },
            _ => Placement {
                folder: to.to_owned(),
                name: None,
            },
        }
    }
}

/// Unpacks an archive of one file or folder. Nothing of it comes to lie anywhere else, through whatever names or links.
///
/// # Errors
/// [`ArchiveError`]. What was unpacked before stays.
pub fn unpack(from: impl Read, placement: &Placement) -> Result<(), ArchiveError> {
    let mut archive = Archive::new(from);
    let mut is_empty = true;
    for entry in archive.entries().map_err(ArchiveError::Nonsense)? {
        let mut entry = entry.map_err(ArchiveError::Nonsense)?;
        is_empty = false;
        let own = entry.path().map_err(ArchiveError::Nonsense)?.into_owned();
        let leaves = || ArchiveError::Leaves { path: own.clone() };
        let to = renamed(&own, placement.name.as_ref()).ok_or_else(leaves)?;
        let whole = placement.folder.join(&to);
        let failed = |source| ArchiveError::Unpack {
            path: whole.clone(),
            source,
        };
        // Hard links name their first name, which has changed too; and devices are nobody's to make.
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Directory | EntryType::Symlink => {}
            EntryType::Link => {
                let first = entry.link_name().map_err(ArchiveError::Nonsense)?;
                let first = first.ok_or_else(leaves)?;
                let first = renamed(&first, placement.name.as_ref()).ok_or_else(leaves)?;
                copy_within(&placement.folder, &first, &to).map_err(failed)?;
                continue;
            }
            _ => continue,
        }
        unpack_at(&mut entry, &placement.folder, &to).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => leaves(),
            _ => failed(error),
        })?;
    }
    if is_empty {
        return Err(ArchiveError::Empty);
    }
    Ok(())
}

/// The path with another first name, if that is given. None for one that is not below a first name.
fn renamed(path: &Path, name: Option<&OsString>) -> Option<PathBuf> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_owned()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::ParentDir => return None,
        }
    }
    let first = parts.first_mut()?;
    if let Some(name) = name {
        first.clone_from(name);
    }
    Some(parts.into_iter().collect())
}

/// Every folder on the way must be one, and not a link that leads elsewhere.
fn check_way(folder: &Path, to: &Path) -> io::Result<()> {
    let mut at = folder.to_owned();
    for part in to.parent().into_iter().flat_map(Path::components) {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(io::ErrorKind::InvalidInput.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&at)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn unpack_at(entry: &mut tar::Entry<'_, impl Read>, folder: &Path, to: &Path) -> io::Result<()> {
    check_way(folder, to)?;
    let whole = folder.join(to);
    if entry.header().entry_type() == EntryType::Directory {
        match fs::symlink_metadata(&whole) {
            // What is in it already stays.
            Ok(metadata) if metadata.is_dir() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::InvalidInput.into()),
            Err(_) => {}
        }
    }
    // A link at the place itself is replaced, and not followed.
    entry.unpack(&whole).map(drop)
}

fn copy_within(folder: &Path, first: &Path, to: &Path) -> io::Result<()> {
    check_way(folder, first)?;
    check_way(folder, to)?;
    let first = folder.join(first);
    if !fs::symlink_metadata(&first)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let whole = folder.join(to);
    match fs::remove_file(&whole) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::hard_link(first, whole),
    }
}

/// Whether what an archive begins with is a folder. The rest is not read.
pub fn begins_with_folder(from: impl Read) -> bool {
    let mut archive = Archive::new(from);
    let first = archive
        .entries()
        .ok()
        .and_then(|mut entries| entries.next());
    first.is_some_and(|entry| {
        entry.is_ok_and(|entry| entry.header().entry_type() == EntryType::Directory)
    })
}

/// What a file or folder is called, also where its path is `.`.
///
/// # Errors
/// [`ArchiveError`] where it is not there, or the root.
pub fn name_of(path: &Path) -> Result<String, ArchiveError> {
    let whole = match path.file_name() {
        Some(_) => path.to_owned(),
        None => path.canonicalize().map_err(|source| ArchiveError::Read {
            path: path.to_owned(),
            source,
        })?,
    };
    whole
        .file_name()
        .and_then(|name| name.to_str())
        .map(str::to_owned)
        .ok_or_else(|| ArchiveError::Nameless {
            path: path.to_owned(),
        })
}

/// Packs a file or folder under a name.
///
/// # Errors
/// [`ArchiveError`].
pub fn pack(path: &Path, name: &str, to: impl Write) -> Result<(), ArchiveError> {
    let read = |source| ArchiveError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = fs::metadata(path).map_err(read)?;
    let mut builder = Builder::new(Watched {
        to,
        has_failed: false,
    });
    builder.follow_symlinks(false);
    let added = if metadata.is_dir() {
        builder.append_dir_all(name, path)
    } else {
        let mut file = fs::File::open(path).map_err(read)?;
        builder.append_file(name, &mut file)
    };
    match added.and_then(|()| builder.finish()) {
        Ok(()) => Ok(()),
        Err(error) if builder.get_ref().has_failed => Err(ArchiveError::Write(error)),
        Err(error) => Err(read(error)),
    }
}

/// Tells failures of writing from those of reading, which `tar` does not.
struct Watched<W> {
    to: W,
    has_failed: bool,
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes);
        self.has_failed |= written.is_err();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.has_failed |= flushed.is_err();
        flushed
    }
}

#[cfg(test)]
mod tests;
