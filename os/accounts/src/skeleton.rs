//! What is in a new home: the folders that npm and the services expect, and a copy of the skeleton.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::home::Owner;

/// What every home has. A home is its user's root: these are merged with the folders of the system.
const FOLDERS: &[&str] = &["bin", "lib", "lib/node_modules", "etc", "log", "tmp", "var"];

/// Permissions that are taken over: no set-user-id program comes into a home.
const PERMISSIONS: u32 = 0o777;

/// Why a new home could not be filled.
#[derive(Debug, Error)]
pub enum FillHomeError {
    #[error("cannot make the folder {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot give {} to {}:{}", path.display(), owner.uid, owner.gid)]
    Own {
        path: PathBuf,
        owner: Owner,
        source: io::Error,
    },
    #[error("{} is neither file, folder nor link, and has no place in a skeleton", path.display())]
    Kind { path: PathBuf },
}

/// Copies the skeleton, if there is one, into a folder that nobody else can look into yet, makes the folders of every home,
/// and gives them to the owner. The folder itself stays whose it is.
pub(crate) fn fill(skeleton: &Path, home: &Path, owner: Owner) -> Result<(), FillHomeError> {
    if skeleton.is_dir() {
        copy_entries(skeleton, home, owner)?;
    }
    for name in FOLDERS {
        let path = home.join(name);
        if !path.is_dir() {
            make_folder(&path, owner)?;
        }
    }
    Ok(())
}

fn copy_entries(from: &Path, to: &Path, owner: Owner) -> Result<(), FillHomeError> {
    let cannot_read = |source| FillHomeError::Read {
        path: from.to_owned(),
        source,
    };
    for entry in fs::read_dir(from).map_err(cannot_read)? {
        let entry = entry.map_err(cannot_read)?;
        copy(&entry.path(), &to.join(entry.file_name()), owner)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, owner: Owner) -> Result<(), FillHomeError> {
    let cannot_read = |source| FillHomeError::Read {
        path: from.to_owned(),
        source,
    };
    let metadata = fs::symlink_metadata(from).map_err(cannot_read)?;
    let mode = metadata.permissions().mode() & PERMISSIONS;
    if metadata.is_dir() {
        make_folder(to, owner)?;
        copy_entries(from, to, owner)?;
        set_mode(to, mode)
    } else if metadata.is_symlink() {
        let target = fs::read_link(from).map_err(cannot_read)?;
        std::os::unix::fs::symlink(target, to).map_err(|source| FillHomeError::Write {
            path: to.to_owned(),
            source,
        })?;
        own(to, owner)
    } else if metadata.is_file() {
        let mut source = File::open(from).map_err(cannot_read)?;
        let mut target = create(to)?;
        io::copy(&mut source, &mut target).map_err(|source| FillHomeError::Write {
            path: to.to_owned(),
            source,
        })?;
        set_mode(to, mode)?;
        own(to, owner)
    } else {
        Err(FillHomeError::Kind {
            path: from.to_owned(),
        })
    }
}

fn create(path: &Path) -> Result<File, FillHomeError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| FillHomeError::Write {
            path: path.to_owned(),
            source,
        })
}

fn make_folder(path: &Path, owner: Owner) -> Result<(), FillHomeError> {
    fs::DirBuilder::new()
        .mode(0o755)
        .create(path)
        .map_err(|source| FillHomeError::Folder {
            path: path.to_owned(),
            source,
        })?;
    // The mode of a new folder is what the mask of this process leaves of it.
    set_mode(path, 0o755)?;
    own(path, owner)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), FillHomeError> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|source| FillHomeError::Write {
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn own(path: &Path, owner: Owner) -> Result<(), FillHomeError> {
    std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid)).map_err(|source| {
        FillHomeError::Own {
            path: path.to_owned(),
            owner,
            source,
        }
    })
}
