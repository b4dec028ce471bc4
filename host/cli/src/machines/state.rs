//! The folders of machines: where they are, what is in them, and who may have one.
//!
//! `$XDG_STATE_HOME/nodeos/machines/NAME/`. Its lock file is held for as long as the machine's monitor lives, and on its
//! socket nobody but the monitor listens: so both say for certain whether it does, whatever number its process has.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::machines::names::Name;
use crate::machines::protocol::Ending;
use crate::machines::record::{Record, now_ms};
use crate::machines::{room, sockets};

const LOCK: &str = "lock";
const RECORD: &str = "machine.json";
/// What the next record is written into: it has its room already, so that a full disk keeps no machine from telling how it ended.
const NEXT_RECORD: &str = "machine.json.new";
/// What the kernel and init say, what QEMU says, and what the monitor does, should it fail.
pub const CONSOLE: &str = "console.log";
pub const QEMU: &str = "qemu.log";
pub const MONITOR: &str = "monitor.log";
/// The application's orders.
const ORDERS: &str = "application.json";

/// How much room a record has in any case, in bytes: several times what one takes.
const RECORD_ROOM: usize = 8 << 10;

/// The place of all machines of this user.
#[derive(Debug, Clone)]
pub struct Machines {
    pub root: PathBuf,
}

/// The folder of one machine.
#[derive(Debug, Clone)]
pub struct Folder {
    pub name: Name,
    pub path: PathBuf,
}

/// The right to be a machine of this name, for as long as the lock is open somewhere.
#[derive(Debug)]
pub struct Claim {
    pub folder: Folder,
    pub lock: File,
}

/// The folders of machines cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    #[error("cannot tell where machines are: neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not what it should be", .path.display())]
    Nonsense {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("a machine named {name} runs already")]
    Runs { name: Name },
    #[error("cannot listen on {}", .path.display())]
    Listen {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl StateError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            StateError::NoHome => {
                Some("set XDG_STATE_HOME to a folder for what NodeOS keeps".to_owned())
            }
            StateError::Runs { name } => Some(format!(
                "stop it: nodeos stop {name}; or give this one another name with --name"
            )),
            StateError::Nonsense { path, .. } => {
                let folder = path.parent().unwrap_or(path);
                Some(format!("remove {}", folder.display()))
            }
            StateError::Write { path, source } | StateError::Listen { path, source } => {
                room::hint(path, source)
            }
            _ => None,
        }
    }
}

impl Machines {
    /// Those of the user whose environment this is.
    ///
    /// # Errors
    /// [`StateError::NoHome`].
    pub fn of_user() -> Result<Machines, StateError> {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        // A relative path is to be ignored (XDG Base Directory Specification).
        let state = variable("XDG_STATE_HOME").filter(|path| path.is_absolute());
        let home = || {
            let home = variable("HOME").filter(|home| !home.as_os_str().is_empty())?;
            Some(home.join(".local/state"))
        };
        let root = state.or_else(home).ok_or(StateError::NoHome)?;
        Ok(Machines {
            root: root.join("nodeos/machines"),
        })
    }

    pub fn folder(&self, name: &Name) -> Folder {
        Folder {
            name: name.clone(),
            path: self.root.join(name.as_str()),
        }
    }

    /// All folders of machines, running or not, by their names.
    ///
    /// # Errors
    /// [`StateError::Read`].
    pub fn list(&self) -> Result<Vec<Folder>, StateError> {
        let failed = |source| StateError::Read {
            path: self.root.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            names.extend(
                entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse::<Name>().ok()),
            );
        }
        names.sort();
        Ok(names.iter().map(|name| self.folder(name)).collect())
    }

    /// Refuses the name of a machine that runs, before anything is done for another one.
    ///
    /// # Errors
    /// [`StateError::Runs`].
    pub fn must_be_free(&self, name: &Name) -> Result<(), StateError> {
        let folder = self.folder(name);
        match folder.record()? {
            Some(record) if folder.connect(&record)?.is_some() => {
                Err(StateError::Runs { name: name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Takes the name for a new machine. What an ended one of this name left is gone then.
    ///
    /// # Errors
    /// [`StateError::Runs`] while another machine has it.
    pub fn claim(&self, name: &Name) -> Result<Claim, StateError> {
        let folder = self.folder(name);
        let write = |path: &Path, source| StateError::Write {
            path: path.to_owned(),
            source,
        };
        loop {
            // Only for this user: arguments and environments may hold secrets.
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder.path)
                .map_err(|source| write(&folder.path, source))?;
            let lock = match folder.take_lock() {
                Ok(Some(lock)) => lock,
                Ok(None) => return Err(StateError::Runs { name: name.clone() }),
                // Somebody removed the folder before we opened the file.
                Err(error) if is_gone(&error) => continue,
                Err(error) => {
                    // A folder that was made for this is empty, and others stay.
                    let _ = fs::remove_dir(&folder.path);
                    return Err(error);
                }
            };
            if !folder.is_lock(&lock) {
                // Somebody removed the folder between our opening and locking the file.
                continue;
            }
            let claim = Claim { folder, lock };
            let cleared = claim.folder.empty();
            cleared.map_err(|source| write(&claim.folder.path, source))?;
            if let Err(error) = claim.folder.reserve() {
                claim.give_up();
                return Err(error);
            }
            return Ok(claim);
        }
    }
}

impl Claim {
    /// Leaves nothing of a machine that cannot be started.
    pub fn give_up(self) {
        // What cannot be removed has no record, and is no machine for anybody.
        let _ = self.folder.remove_locked(&self.lock);
    }
}

impl Folder {
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What is known of the machine. None while it is being made or removed.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn record(&self) -> Result<Option<Record>, StateError> {
        let path = self.file(RECORD);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| StateError::Nonsense { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::Read { path, source }),
        }
    }

    /// Replaces what is known of the machine, at once or not at all.
    ///
    /// # Errors
    /// [`StateError::Write`].
    pub fn write_record(&self, record: &Record) -> Result<(), StateError> {
        let path = self.file(RECORD);
        let mut text =
            serde_json::to_vec_pretty(record).expect("strings, numbers and lists always serialise");
        text.push(b'\n');
        let next = self.file(NEXT_RECORD);
        overwrite(&next, &text)
            .and_then(|()| fs::rename(&next, &path))
            .map_err(|source| StateError::Write { path, source })?;
        // What the one before took is free now. Somebody else may have it first: then the next one needs luck.
        let _ = overwrite(&next, &[b'\n'; RECORD_ROOM]);
        Ok(())
    }

    /// Sees to it that there is room for the next record.
    ///
    /// # Errors
    /// [`StateError::Write`].
    fn reserve(&self) -> Result<(), StateError> {
        let path = self.file(NEXT_RECORD);
        overwrite(&path, &[b'\n'; RECORD_ROOM]).map_err(|source| StateError::Write { path, source })
    }

    /// Where the application's orders are.
    pub fn orders(&self) -> PathBuf {
        self.file(ORDERS)
    }

    /// Writes the application's orders, and says where.
    ///
    /// # Errors
    /// [`StateError::Write`].
    pub fn write_orders(&self, text: &str) -> Result<PathBuf, StateError> {
        let path = self.orders();
        match overwrite(&path, text.as_bytes()) {
            Ok(()) => Ok(path),
            Err(source) => Err(StateError::Write { path, source }),
        }
    }

    /// Connects to the machine's monitor. None when there is none any more.
    ///
    /// # Errors
    /// [`StateError::Read`].
    pub fn connect(&self, record: &Record) -> Result<Option<UnixStream>, StateError> {
        let path = sockets::of_clients(&record.sockets);
        match UnixStream::connect(&path) {
            Ok(stream) => Ok(Some(stream)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
                ) =>
            {
                Ok(None)
            }
            Err(source) => Err(StateError::Read { path, source }),
        }
    }

    /// Says that the machine of a dead monitor has ended, and returns what is known of it then. None where it has a monitor, or another
    /// one is being made.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn bury(&self) -> Result<Option<Record>, StateError> {
        let lock = match self.take_lock() {
            Ok(Some(lock)) => lock,
            Ok(None) => return Ok(None),
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(mut record) = self.record()?.filter(|_| self.is_lock(&lock)) else {
            return Ok(None);
        };
        if record.ended.is_none() {
            record.end(Ending::Lost, now_ms());
            self.write_record(&record)?;
            sockets::remove(&record.sockets);
        }
        Ok(Some(record))
    }

    /// Removes all of a machine that has ended. False where it has not.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn remove(&self) -> Result<bool, StateError> {
        match self.take_lock() {
            Ok(Some(lock)) if self.is_lock(&lock) => self.remove_locked(&lock).map(|()| true),
            Ok(Some(_)) => Ok(true),
            Ok(None) => Ok(false),
            Err(error) if is_gone(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// As [`Folder::remove`], for who holds its lock.
    ///
    /// # Errors
    /// [`StateError::Write`].
    pub fn remove_locked(&self, _lock: &File) -> Result<(), StateError> {
        // The lock goes last: until then nobody can think that the folder is theirs.
        self.empty()
            .and_then(|()| fs::remove_file(self.file(LOCK)))
            .and_then(|()| fs::remove_dir(&self.path))
            .map_err(|source| StateError::Write {
                path: self.path.clone(),
                source,
            })
    }

    fn take_lock(&self) -> Result<Option<File>, StateError> {
        let path = self.file(LOCK);
        let failed = |source| StateError::Write {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    fn is_lock(&self, lock: &File) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let ours = lock.metadata().map(identity).ok();
        ours.is_some() && fs::metadata(self.file(LOCK)).map(identity).ok() == ours
    }

    /// Removes everything but the lock.
    fn empty(&self) -> io::Result<()> {
        if let Ok(Some(record)) = self.record() {
            sockets::remove(&record.sockets);
        }
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name() != LOCK {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Whether a folder was removed while something was to be done in it.
fn is_gone(error: &StateError) -> bool {
    matches!(error, StateError::Write { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// Makes this all that is in the file, in the room that it has already as far as that goes.
fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}
