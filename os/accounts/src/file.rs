//! `etc/logon.json` of a home: read with the suspicion that a file of somebody else's deserves, written whole or not at all.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use nodeos_spec::logon::{Logon, ParseLogonError};
use rustix::fd::OwnedFd;
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::home::{self, Home, Owner};

/// Its name in the folder `etc` of a home.
const NAME: &str = "logon.json";

/// What it is written as before it gets its name.
const UNFINISHED: &str = ".logon.json.new";

/// A password and a few words take no more than a thousandth of this; the limit keeps a user from filling the memory of
/// the broker.
const LONGEST: u64 = 64 * 1024;

/// Why nobody can log in by this file.
#[derive(Debug, Error)]
pub enum ReadLogonError {
    #[error("there is no {}", path.display())]
    Missing { path: PathBuf },
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is not a plain file", path.display())]
    NotAFile { path: PathBuf },
    #[error("{} has more than {LONGEST} bytes", path.display())]
    TooLong { path: PathBuf },
    #[error(
        "{} belongs to {}:{}, and its home to {}:{}",
        path.display(), file.uid, file.gid, home.uid, home.gid
    )]
    Owner {
        path: PathBuf,
        file: Owner,
        home: Owner,
    },
    #[error("{} is not as it should be", path.display())]
    Parse {
        path: PathBuf,
        source: ParseLogonError,
    },
}

/// Why the file was not written. What was there before is still there.
#[derive(Debug, Error)]
pub enum WriteLogonError {
    #[error("cannot make the folder of {}", path.display())]
    Folder { path: PathBuf, source: Errno },
    #[error("cannot create a new {}", path.display())]
    Create { path: PathBuf, source: Errno },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot put the new {} in the place of the old one", path.display())]
    Replace { path: PathBuf, source: Errno },
}

/// Where the file of a home lies.
pub fn path(home: &Home) -> PathBuf {
    home.path.join("etc").join(NAME)
}

/// Reads the file of a home. It must be a plain file of the home's own user, and no link leads to it.
pub fn read(home: &Home) -> Result<Logon, ReadLogonError> {
    let path = path(home);
    let opened = home.etc().and_then(|etc| {
        // A pipe would have the broker wait for a writer, a terminal would become its own.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        fs::openat(etc, NAME, flags, Mode::empty())
    });
    let file = match opened {
        Ok(file) => file,
        Err(Errno::NOENT) => return Err(ReadLogonError::Missing { path }),
        Err(Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => {
            return Err(ReadLogonError::NotAFile { path });
        }
        Err(errno) => {
            let source = errno.into();
            return Err(ReadLogonError::Read { path, source });
        }
    };
    let text = match text(home, file, &path)? {
        Ok(text) => text,
        Err(source) => return Err(ReadLogonError::Read { path, source }),
    };
    Logon::parse(&text).map_err(|source| ReadLogonError::Parse { path, source })
}

fn text(
    home: &Home,
    file: OwnedFd,
    path: &std::path::Path,
) -> Result<std::io::Result<String>, ReadLogonError> {
    let path = path.to_owned();
    let stat = match fs::fstat(&file) {
        Ok(stat) => stat,
        Err(errno) => return Ok(Err(errno.into())),
    };
    if !home::is_file(&stat) {
        return Err(ReadLogonError::NotAFile { path });
    }
    let owner = Owner::of(&stat);
    if owner != home.owner {
        return Err(ReadLogonError::Owner {
            path,
            file: owner,
            home: home.owner,
        });
    }
    let mut text = String::new();
    // One byte more than allowed tells a file that is too long, also one that grows meanwhile.
    match File::from(file).take(LONGEST + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > LONGEST => Err(ReadLogonError::TooLong { path }),
        Ok(_) => Ok(Ok(text)),
        Err(error) => Ok(Err(error)),
    }
}

/// Writes the file of a home, for its user's eyes only. Whenever the power goes, either the old file is there or the new.
pub fn write(home: &Home, logon: &Logon) -> Result<(), WriteLogonError> {
    let path = path(home);
    let etc = match home.make_etc() {
        Ok(etc) => etc,
        Err(source) => return Err(WriteLogonError::Folder { path, source }),
    };
    let file = match create(home, &etc) {
        Ok(file) => file,
        Err(source) => return Err(WriteLogonError::Create { path, source }),
    };
    let mut file = File::from(file);
    let written = file
        .write_all(logon.to_json().as_bytes())
        .and_then(|()| file.sync_all());
    if let Err(source) = written {
        // What is left of a failed attempt is in nobody's way: the next one removes it.
        let _ = fs::unlinkat(&etc, UNFINISHED, AtFlags::empty());
        return Err(WriteLogonError::Write { path, source });
    }
    fs::renameat(&etc, UNFINISHED, &etc, NAME)
        .and_then(|()| fs::fsync(&etc))
        .map_err(|source| WriteLogonError::Replace { path, source })
}

/// An empty file of the home's user that nobody else may open, under a name that nothing else had.
fn create(home: &Home, etc: &OwnedFd) -> Result<OwnedFd, Errno> {
    match fs::unlinkat(etc, UNFINISHED, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    let file = fs::openat(etc, UNFINISHED, flags, mode)?;
    fs::fchmod(&file, mode)?;
    home.own(rustix::fd::AsFd::as_fd(&file))?;
    Ok(file)
}
