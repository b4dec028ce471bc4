//! Files to and from the host, as tar archives on a process's standard streams.
//!
//! What runs here is a copy of this program that has become the application's user, so it reads and writes what that may.

use std::fs;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

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
    #[error("{path:?} is no path below {FOLDER}")]
    Outside { path: String },
    #[error("cannot remove {}", path.display())]
    Remove {
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

/// The same into the application's folder, as root: so that folder is all there is first. What is to go has gone before.
pub(crate) fn update(remove: &[String]) -> Result<(), ArchiveError> {
    chroot(FOLDER)
        .and_then(|()| chdir("/"))
        .map_err(|errno| ArchiveError::Confine {
            source: OsError(errno),
        })?;
    remove_below(Path::new("/"), remove)?;
    unpack(Path::new("/"))
}

/// Removes files, folders with what is in them, and the folders above that are empty then. Nothing is removed where one of the
/// paths leads elsewhere.
fn remove_below(folder: &Path, paths: &[String]) -> Result<(), ArchiveError> {
    let is_below = |path: &&String| {
        let mut parts = Path::new(path.as_str()).components();
        !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    if let Some(path) = paths.iter().find(|path| !is_below(path)) {
        return Err(ArchiveError::Outside { path: path.clone() });
    }
    for path in paths {
        let whole = folder.join(path);
        remove(&whole).map_err(|source| ArchiveError::Remove {
            path: whole.clone(),
            source,
        })?;
        let above = whole.ancestors().skip(1);
        for above in above.take_while(|above| *above != folder) {
            // One that is not empty stays, and so do those above it.
            if fs::remove_dir(above).is_err() {
                break;
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = path
        .symlink_metadata()
        .and_then(|found| match found.is_dir() {
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        });
    match removed {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn files_and_folders_go_and_empty_folders_with_them() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        for path in ["a/b/c", "a/d", "e/f/g", "h/i", "j"] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("h", root.join("link")).unwrap();
        let gone = ["a/b/c", "e", "none", "j/none", "none/either", "link"];
        remove_below(root, &paths(&gone)).unwrap();
        let left = |path: &str| root.join(path).symlink_metadata().is_ok();
        let check = |path: &str, expected: bool| assert_eq!(left(path), expected, "{path}");
        check("a/b", false);
        check("a/d", true);
        check("e", false);
        check("link", false);
        check("h/i", true);
        check("j", true);
    }

    #[test]
    fn what_leads_elsewhere_is_refused_before_anything_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("app");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a"), "").unwrap();
        fs::write(scratch.path().join("b"), "").unwrap();
        for path in ["../b", "/b", "", ".", "a/../../b"] {
            let error = remove_below(&root, &paths(&["a", path])).unwrap_err();
            assert_eq!(error.to_string(), format!("{path:?} is no path below /app"));
        }
        assert!(root.join("a").exists() && scratch.path().join("b").exists());
    }
}
