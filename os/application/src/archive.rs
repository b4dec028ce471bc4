//! Files to and from the host, as tar archives on a process's standard streams.
//!
//! What runs here is a copy of this program that has become the application's user, so it reads and writes what that may.

use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use nodeos_spec::application::FOLDER;
use nodeos_sys::error::OsError;
use rustix::process::{chdir, chroot};
use thiserror::Error;

/// How much is read or written at once: what a pipe takes.
const PIECE: usize = 64 << 10;

#[derive(Debug, Error)]
pub(crate) enum ArchiveError {
    #[error("there is no {}", path.display())]
    Missing {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no folder", path.display())]
    NoFolder { path: PathBuf },
    #[error("cannot pack {}", path.display())]
    Pack {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot unpack into {}", path.display())]
    Unpack {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot confine itself to {FOLDER}")]
    Confine { source: OsError },
}

/// Writes a file or folder, under its own name, to standard output. Links are packed as what they are.
pub(crate) fn pack(path: &Path) -> Result<(), ArchiveError> {
    let found = path
        .symlink_metadata()
        .map_err(|source| ArchiveError::Missing {
            path: path.to_owned(),
            source,
        })?;
    // The root has no name.
    let name = path.file_name().map_or(Path::new("."), Path::new);
    let write = || {
        let mut archive = tar::Builder::new(BufWriter::with_capacity(PIECE, io::stdout().lock()));
        archive.follow_symlinks(false);
        archive.sparse(false);
        match found.is_dir() {
            true => archive.append_dir_all(name, path)?,
            false => archive.append_path_with_name(path, name)?,
        }
        archive.into_inner()?.flush()
    };
    write().map_err(|source| ArchiveError::Pack {
        path: path.to_owned(),
        source,
    })
}

/// Reads an archive from standard input into a folder. What lies in the archive cannot lead out of the folder, by names or
/// by links.
pub(crate) fn unpack(folder: &Path) -> Result<(), ArchiveError> {
    let is_folder = folder
        .metadata()
        .map_err(|source| ArchiveError::Missing {
            path: folder.to_owned(),
            source,
        })?
        .is_dir();
    if !is_folder {
        return Err(ArchiveError::NoFolder {
            path: folder.to_owned(),
        });
    }
    let mut archive = tar::Archive::new(BufReader::with_capacity(PIECE, io::stdin().lock()));
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(true);
    archive.set_overwrite(true);
    archive
        .unpack(folder)
        .map_err(|source| ArchiveError::Unpack {
            path: folder.to_owned(),
            source,
        })
}

/// The same into the application's folder, as root: so that folder is all there is first.
pub(crate) fn update() -> Result<(), ArchiveError> {
    chroot(FOLDER)
        .and_then(|()| chdir("/"))
        .map_err(|errno| ArchiveError::Confine {
            source: OsError(errno),
        })?;
    unpack(Path::new("/"))
}
