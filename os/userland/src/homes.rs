//! What the commands about users have in common: where the homes are, whose one is meant, and what root needs for it.

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use nodeos_accounts::accounts;
use nodeos_spec::user::{ParseUserNameError, UserName};
use rustix::fs::Access;
use rustix::io::Errno;
use thiserror::Error;

use crate::applet::Stop;

/// A name that is none.
#[derive(Debug, Error)]
#[error("{} is no name of a user", name.display())]
struct NameError {
    name: OsString,
    source: ParseUserNameError,
}

#[derive(Debug, Error)]
#[error("cannot write to the folder {}", folder.display())]
struct WriteError {
    folder: PathBuf,
    source: Errno,
}

/// The folder of all homes, unless another one is given.
pub(crate) fn default_folder() -> PathBuf {
    PathBuf::from(accounts::HOMES)
}

/// The one user that a command is about.
pub(crate) fn user_name(names: Vec<OsString>) -> Result<UserName, Stop> {
    let mut names = names.into_iter();
    let Some(name) = names.next() else {
        return Err(Stop::missing("the name of a user"));
    };
    if let Some(extra) = names.next() {
        return Err(Stop::extra(extra));
    }
    UserName::new(&name.to_string_lossy())
        .map_err(|source| Stop::failed(NameError { name, source }))
}

/// Before a password is asked for: whether homes can be made there at all.
pub(crate) fn check_writable(folder: &Path) -> Result<(), Stop> {
    rustix::fs::access(folder, Access::WRITE_OK).map_err(|source| {
        let folder = folder.to_owned();
        failed(WriteError { folder, source })
    })
}

/// The failure of a command about somebody else's home.
pub(crate) fn failed(error: impl Error + 'static) -> Stop {
    let is_forbidden = is_forbidden(&error);
    let stop = Stop::failed(error);
    if is_forbidden {
        stop.hint("only root may, in administrator mode: start the machine with the word single")
    } else {
        stop
    }
}

/// Whether some cause of an error is a missing permission.
fn is_forbidden(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        let errno = error.downcast_ref::<Errno>();
        if io == Some(io::ErrorKind::PermissionDenied)
            || errno.is_some_and(|errno| [Errno::PERM, Errno::ACCESS].contains(errno))
        {
            return true;
        }
        cause = error.source();
    }
    false
}
