//! Homes in memory, for a machine without a users partition: those that the system image brings.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use nodeos_spec::user::UserName;
use nodeos_sys::error::OsError;
use rustix::mount::{self, MountFlags};
use thiserror::Error;

use crate::paths;

/// Half of the memory, and everybody may pass through to their own.
const OPTIONS: &core::ffi::CStr = c"mode=0755,size=50%";

#[derive(Debug, Error)]
pub(crate) enum MakeTemporaryError {
    #[error("cannot mount a filesystem in memory on {}", paths::USERS)]
    Mount(#[source] OsError),
    #[error("cannot copy {} to {}", from.display(), to.display())]
    Copy {
        from: PathBuf,
        to: PathBuf,
        #[source]
        source: io::Error,
    },
}

pub(super) fn make() -> Result<(), MakeTemporaryError> {
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    mount::mount("tmpfs", paths::USERS, "tmpfs", flags, OPTIONS)
        .map_err(|errno| MakeTemporaryError::Mount(OsError(errno)))?;
    let skeleton = Path::new(paths::SKELETON_USERS);
    if !skeleton.exists() {
        return Ok(());
    }
    copy_below(skeleton, Path::new(paths::USERS))
}

/// Root's home from the image, where the users partition has none: somebody has to ask for names and to look after the
/// network. Whether there is one in the image.
pub(crate) fn make_root() -> Result<bool, MakeTemporaryError> {
    let skeleton = Path::new(paths::SKELETON_USERS).join(UserName::ROOT);
    if !skeleton.exists() {
        return Ok(false);
    }
    let homes = Path::new(paths::HOMES_IN_MEMORY);
    let home = homes.join(UserName::ROOT);
    for folder in [homes, &home] {
        fs::create_dir_all(folder).map_err(|source| MakeTemporaryError::Copy {
            from: skeleton.clone(),
            to: folder.to_owned(),
            source,
        })?;
    }
    copy_below(&skeleton, &home).map(|()| true)
}

/// Copies what is in a folder, with owners and modes.
fn copy_below(from: &Path, to: &Path) -> Result<(), MakeTemporaryError> {
    let error = |source| MakeTemporaryError::Copy {
        from: from.to_owned(),
        to: to.to_owned(),
        source,
    };
    for entry in fs::read_dir(from).map_err(error)? {
        let entry = entry.map_err(error)?;
        let target = to.join(entry.file_name());
        let copied = entry
            .metadata()
            .and_then(|metadata| copy_one(&entry.path(), &metadata, &target).map(|()| metadata));
        let metadata = copied.map_err(|source| MakeTemporaryError::Copy {
            from: entry.path(),
            to: target.clone(),
            source,
        })?;
        if metadata.is_dir() {
            copy_below(&entry.path(), &target)?;
        }
    }
    Ok(())
}

fn copy_one(from: &Path, metadata: &fs::Metadata, to: &Path) -> io::Result<()> {
    let (uid, gid) = (Some(metadata.uid()), Some(metadata.gid()));
    if metadata.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
        return lchown(to, uid, gid);
    }
    if metadata.is_dir() {
        fs::create_dir(to)?;
    } else {
        fs::copy(from, to)?;
    }
    // The owner first: chown(2) may take bits of the mode away.
    chown(to, uid, gid)?;
    fs::set_permissions(to, fs::Permissions::from_mode(metadata.mode() & 0o7777))
}
