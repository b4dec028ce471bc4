//! Making control groups and setting what is in their files (Documentation/admin-guide/cgroup-v2.rst of the kernel).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use thiserror::Error;

/// What is distributed among groups.
pub const CONTROLLERS: &str = "+cpu +memory +pids";

#[derive(Debug, Error)]
pub enum CgroupError {
    #[error("cannot make the control group {}", path.display())]
    Make {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {value:?} to {}", path.display())]
    Write {
        path: PathBuf,
        value: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot open the control group {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Makes a group. One that is there already will do.
///
/// # Errors
/// [`CgroupError::Make`].
pub fn make(path: &Path) -> Result<(), CgroupError> {
    match fs::create_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(CgroupError::Make {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// What processes join it by.
///
/// # Errors
/// [`CgroupError::Open`].
pub fn open(path: &Path) -> Result<OwnedFd, CgroupError> {
    File::open(path)
        .map(OwnedFd::from)
        .map_err(|source| CgroupError::Open {
            path: path.to_owned(),
            source,
        })
}

/// Sets what a file of a group holds.
///
/// # Errors
/// [`CgroupError::Write`].
pub fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    fs::write(path, value).map_err(|source| CgroupError::Write {
        path: path.to_owned(),
        value: value.to_owned(),
        source,
    })
}
