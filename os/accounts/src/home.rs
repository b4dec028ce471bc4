//! One user's folder, opened in a way that does not follow the links which its user may have made.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

/// The folder in a home where `logon.json` lies.
const ETC: &str = "etc";

/// The permissions of a home: nobody but its user looks into it.
pub(crate) const HOME_MODE: u32 = 0o700;

/// A user and a group by their numbers. A home's owner is who its user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// An open home. Everything in it that has a meaning for the system is opened from here, link by link.
#[derive(Debug)]
pub struct Home {
    pub path: PathBuf,
    pub owner: Owner,
    folder: OwnedFd,
}

/// Why a home cannot be used.
#[derive(Debug, Error)]
pub enum OpenHomeError {
    #[error("there is no home {}", path.display())]
    Missing { path: PathBuf },
    #[error("the home {} is not a folder", path.display())]
    NotAFolder { path: PathBuf },
    #[error("cannot open the home {}", path.display())]
    Open { path: PathBuf, source: Errno },
}

impl Home {
    /// Opens the folder. The path's last part must not be a link.
    pub fn open(path: &Path) -> Result<Home, OpenHomeError> {
        let path = path.to_owned();
        let folder = match fs::open(&path, folder_flags(), Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Err(OpenHomeError::Missing { path }),
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(OpenHomeError::NotAFolder { path }),
            Err(source) => return Err(OpenHomeError::Open { path, source }),
        };
        match fs::fstat(&folder) {
            Ok(stat) => Ok(Home {
                path,
                owner: Owner::of(&stat),
                folder,
            }),
            Err(source) => Err(OpenHomeError::Open { path, source }),
        }
    }

    /// Its folder `etc`, if there is one; `ELOOP` or `ENOTDIR` where something else has the name.
    pub(crate) fn etc(&self) -> Result<OwnedFd, Errno> {
        fs::openat(&self.folder, ETC, folder_flags(), Mode::empty())
    }

    /// Its folder `etc`, which is made where it is missing.
    pub(crate) fn make_etc(&self) -> Result<OwnedFd, Errno> {
        match self.etc() {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        fs::mkdirat(&self.folder, ETC, Mode::from_raw_mode(0o755))?;
        let etc = self.etc()?;
        self.own(etc.as_fd())?;
        Ok(etc)
    }

    /// Gives something new to the home's user, unless it is already theirs.
    pub(crate) fn own(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        if Owner::of(&fs::fstat(file)?) == self.owner {
            return Ok(());
        }
        let Owner { uid, gid } = self.owner;
        fs::fchown(
            file,
            Some(fs::Uid::from_raw(uid)),
            Some(fs::Gid::from_raw(gid)),
        )
    }
}

impl Owner {
    /// Who owns what the stat is of.
    pub(crate) fn of(stat: &fs::Stat) -> Owner {
        Owner {
            uid: stat.st_uid,
            gid: stat.st_gid,
        }
    }
}

/// Whether the stat is of a regular file.
pub(crate) fn is_file(stat: &fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}
