//! Archives in the format tar, with GNU's extensions for long names and large numbers.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};
use thiserror::Error;

use crate::content;
use crate::tree::{Entry, Kind, Tree};

#[derive(Debug, Error)]
pub enum WriteTarError {
    /// Which side failed, the file of the host or the archive, is said by the source.
    #[error("cannot put {path:?} into the archive")]
    Append {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the end of the archive")]
    Finish {
        #[source]
        source: io::Error,
    },
}

impl WriteTarError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            WriteTarError::Append { source, .. } | WriteTarError::Finish { source } => {
                content::hint(source)
            }
        }
    }
}

/// Writes every entry with a relative name, the root as `./`. Every time is `mtime` (seconds since 1970); owners are
/// numbers without names, which each machine would read differently.
pub fn write(tree: &Tree, mtime: u64, out: &mut dyn Write) -> Result<(), WriteTarError> {
    let mut archive = Builder::new(out);
    for (path, entry) in tree.iter() {
        append(&mut archive, path, entry, mtime).map_err(|source| WriteTarError::Append {
            path: path.into(),
            source,
        })?;
    }
    archive
        .finish()
        .map_err(|source| WriteTarError::Finish { source })
}

/// Writes an archive with one file and nothing else.
///
/// # Errors
/// As [`write`].
pub fn write_file(
    name: &str,
    entry: &Entry,
    mtime: u64,
    out: &mut dyn Write,
) -> Result<(), WriteTarError> {
    let path = Path::new("/").join(name);
    let mut archive = Builder::new(out);
    append(&mut archive, &path, entry, mtime)
        .map_err(|source| WriteTarError::Append { path, source })?;
    archive
        .finish()
        .map_err(|source| WriteTarError::Finish { source })
}

fn append(
    archive: &mut Builder<&mut dyn Write>,
    path: &Path,
    entry: &Entry,
    mtime: u64,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode.into());
    header.set_uid(entry.uid.into());
    header.set_gid(entry.gid.into());
    header.set_mtime(mtime);
    header.set_size(0);
    let name = path.strip_prefix("/").unwrap_or(path);
    match &entry.kind {
        Kind::Directory => {
            header.set_entry_type(EntryType::Directory);
            let name = if name == Path::new("") {
                Path::new(".")
            } else {
                name
            };
            // Joining nothing adds the slash that marks a directory for the oldest readers.
            archive.append_data(&mut header, name.join(""), io::empty())
        }
        Kind::File(content) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(content.len());
            archive.append_data(&mut header, name, content.open()?)
        }
        Kind::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, name, target)
        }
        &Kind::CharDevice { major, minor } => {
            header.set_entry_type(EntryType::Char);
            append_device(archive, header, name, major, minor)
        }
        &Kind::BlockDevice { major, minor } => {
            header.set_entry_type(EntryType::Block);
            append_device(archive, header, name, major, minor)
        }
        Kind::Fifo => {
            header.set_entry_type(EntryType::Fifo);
            archive.append_data(&mut header, name, io::empty())
        }
    }
}

fn append_device(
    archive: &mut Builder<&mut dyn Write>,
    mut header: Header,
    name: &Path,
    major: u32,
    minor: u32,
) -> io::Result<()> {
    header.set_device_major(major)?;
    header.set_device_minor(minor)?;
    archive.append_data(&mut header, name, io::empty())
}
