//! The folder of all homes: which users there are, and how one is added, locked and removed.
//!
//! A half-made home is never a user: it is made under a name that begins with a point and gets its own when it is whole.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nodeos_spec::logon::{Logon, Password};
use nodeos_spec::user::{self, UserName};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use thiserror::Error;

use crate::file::{self, ReadLogonError, WriteLogonError};
use crate::home::{HOME_MODE, Home, OpenHomeError, Owner};
use crate::skeleton::{self, FillHomeError};
use crate::uid::{self, ChooseUidError};

/// Where root's session shows the users partition.
pub const HOMES: &str = "/home";
/// What an image may bring for new homes.
pub const SKELETON: &str = "/usr/share/nodeos/skeleton";
/// Where sessions keep what overlayfs needs beside a home.
const WORK: &str = ".work";

/// A user, as the folder and its `logon.json` say.
#[derive(Debug)]
pub struct User {
    /// The folder's name, which on an old partition may be none that is given today.
    pub name: OsString,
    pub owner: Owner,
    pub access: Access,
}

/// How a user can log in.
#[derive(Debug)]
pub enum Access {
    Password,
    NoPassword,
    NonInteractive,
    Locked,
    /// The file could not be read, or nobody understands it.
    Unknown(AccessError),
}

/// Why it cannot be told how a user logs in.
#[derive(Debug, Error)]
pub enum AccessError {
    #[error(transparent)]
    Home(OpenHomeError),
    #[error(transparent)]
    Logon(ReadLogonError),
}

/// What becomes of the files of a removed user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    Remove,
    /// They stay in a folder that is no user's.
    Keep,
}

/// Whether a user may log in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    Locked,
    Unlocked,
}

/// Why the users could not be listed.
#[derive(Debug, Error)]
#[error("cannot read the folder of homes {}", folder.display())]
pub struct ListUsersError {
    pub folder: PathBuf,
    source: io::Error,
}

/// Why a user was not added. Nothing is left of the attempt.
#[derive(Debug, Error)]
pub enum AddUserError {
    #[error(transparent)]
    List(ListUsersError),
    #[error("there is a user {name} already")]
    Exists { name: String },
    #[error("cannot give {name} a number")]
    Uid {
        name: String,
        source: ChooseUidError,
    },
    #[error("cannot make the folder {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Fill(FillHomeError),
    #[error(transparent)]
    Home(OpenHomeError),
    #[error(transparent)]
    Logon(WriteLogonError),
    #[error("cannot give the new home its name {}", path.display())]
    Rename { path: PathBuf, source: Errno },
}

/// Why a user was not removed.
#[derive(Debug, Error)]
pub enum RemoveUserError {
    #[error(transparent)]
    Home(OpenHomeError),
    #[error("cannot set the home {} aside", path.display())]
    Rename { path: PathBuf, source: Errno },
    #[error("the user is removed, but not all of the files in {}", path.display())]
    Files { path: PathBuf, source: io::Error },
}

/// Why a user's `logon.json` was not changed.
#[derive(Debug, Error)]
pub enum ChangeLogonError {
    #[error(transparent)]
    Home(OpenHomeError),
    #[error(transparent)]
    Read(ReadLogonError),
    #[error(transparent)]
    Write(WriteLogonError),
}

/// All users of a folder of homes, by name.
pub fn list(homes: &Path) -> Result<Vec<User>, ListUsersError> {
    let cannot_list = |source| ListUsersError {
        folder: homes.to_owned(),
        source,
    };
    let mut users = Vec::new();
    for entry in fs::read_dir(homes).map_err(cannot_list)? {
        let entry = entry.map_err(cannot_list)?;
        let name = entry.file_name();
        // What is gone again meanwhile is no user.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() && is_user(&name) {
            users.push(User {
                access: access(&entry.path()),
                owner: Owner {
                    uid: metadata.uid(),
                    gid: metadata.gid(),
                },
                name,
            });
        }
    }
    users.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(users)
}

/// Makes a home with all that is in a new one, and returns its owner.
pub fn add(
    homes: &Path,
    skeleton: &Path,
    name: &UserName,
    uid: Option<u32>,
    logon: &Logon,
) -> Result<Owner, AddUserError> {
    let home = homes.join(name.as_str());
    let exists = || AddUserError::Exists {
        name: name.as_str().to_owned(),
    };
    let users = list(homes).map_err(AddUserError::List)?;
    if home.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let taken: BTreeMap<u32, String> = users
        .iter()
        .map(|user| (user.owner.uid, user.name.to_string_lossy().into_owned()))
        .collect();
    let uid = uid::choose(&taken, name.as_str(), uid).map_err(|source| AddUserError::Uid {
        name: name.as_str().to_owned(),
        source,
    })?;
    let owner = Owner { uid, gid: uid };

    let unfinished = homes.join(format!(".new-{}", name.as_str()));
    let result = make(&unfinished, skeleton, owner, logon).and_then(|()| {
        match renameat_with(CWD, &unfinished, CWD, &home, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(exists()),
            Err(source) => Err(AddUserError::Rename { path: home, source }),
        }
    });
    if result.is_err() {
        // The next attempt would remove it, too.
        let _ = fs::remove_dir_all(&unfinished);
    }
    result.map(|()| owner)
}

fn make(path: &Path, skeleton: &Path, owner: Owner, logon: &Logon) -> Result<(), AddUserError> {
    let cannot_make = |source| AddUserError::Folder {
        path: path.to_owned(),
        source,
    };
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot_make(error)),
        _ => {}
    }
    fs::DirBuilder::new()
        .mode(HOME_MODE)
        .create(path)
        .map_err(cannot_make)?;
    skeleton::fill(skeleton, path, owner).map_err(AddUserError::Fill)?;
    skeleton::own(path, owner).map_err(AddUserError::Fill)?;
    let home = Home::open(path).map_err(AddUserError::Home)?;
    file::write(&home, logon).map_err(AddUserError::Logon)
}

/// Takes the user away, and returns where the files are that were kept.
pub fn remove(
    homes: &Path,
    name: &UserName,
    files: Files,
) -> Result<Option<PathBuf>, RemoveUserError> {
    let path = homes.join(name.as_str());
    Home::open(&path).map_err(RemoveUserError::Home)?;
    // From the moment of the new name on, nobody is a user by that folder.
    let aside = set_aside(homes, name, &path)?;
    // Without its work folder an overlay makes a new one, so what is left of this one does no harm.
    let _ = fs::remove_dir_all(homes.join(WORK).join(name.as_str()));
    match files {
        Files::Keep => Ok(Some(aside)),
        Files::Remove => match fs::remove_dir_all(&aside) {
            Ok(()) => Ok(None),
            Err(source) => Err(RemoveUserError::Files {
                path: aside,
                source,
            }),
        },
    }
}

fn set_aside(homes: &Path, name: &UserName, path: &Path) -> Result<PathBuf, RemoveUserError> {
    for number in 1_u32.. {
        let aside = homes.join(match number {
            1 => format!(".removed-{}", name.as_str()),
            _ => format!(".removed-{}-{number}", name.as_str()),
        });
        match renameat_with(CWD, path, CWD, &aside, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(aside),
            Err(Errno::EXIST) => {}
            Err(source) => {
                return Err(RemoveUserError::Rename {
                    path: path.to_owned(),
                    source,
                });
            }
        }
    }
    unreachable!("a folder has no four thousand million entries of one name")
}

/// Lets a user log in, or not. The password stays what it is.
pub fn set_lock(home: &Path, lock: Lock) -> Result<(), ChangeLogonError> {
    change(home, |logon| logon.locked = lock == Lock::Locked)
}

/// Gives a user another password.
pub fn set_password(home: &Path, password: Password) -> Result<(), ChangeLogonError> {
    change(home, |logon| logon.password = password)
}

/// Changes a home's `logon.json`. A home without one gets one, but one that nobody understands is left as it is.
fn change(home: &Path, change: impl FnOnce(&mut Logon)) -> Result<(), ChangeLogonError> {
    let home = Home::open(home).map_err(ChangeLogonError::Home)?;
    let mut logon = match file::read(&home) {
        Ok(logon) => logon,
        Err(ReadLogonError::Missing { .. }) => Logon::default(),
        Err(error) => return Err(ChangeLogonError::Read(error)),
    };
    change(&mut logon);
    file::write(&home, &logon).map_err(ChangeLogonError::Write)
}

fn is_user(name: &OsStr) -> bool {
    name.to_str().is_some_and(user::is_user_folder)
}

fn access(home: &Path) -> Access {
    let home = match Home::open(home) {
        Ok(home) => home,
        Err(error) => return Access::Unknown(AccessError::Home(error)),
    };
    match file::read(&home) {
        Ok(logon) if logon.locked => Access::Locked,
        Ok(logon) => match logon.password {
            Password::Sha1(_) | Password::Argon2(_) => Access::Password,
            Password::None => Access::NoPassword,
            Password::NonInteractive => Access::NonInteractive,
        },
        Err(ReadLogonError::Missing { .. }) => Access::NonInteractive,
        Err(error) => Access::Unknown(AccessError::Logon(error)),
    }
}
