//! A machine's sockets: who listens on which, and in which folder they are.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::machines::state::{Folder, StateError};

/// Where commands talk to the monitor, where the machine does, and where QEMU tells it what happens to disks.
const CLIENTS: &str = "clients";
const MACHINE: &str = "machine";
const QEMU: &str = "control";

/// The longest path of a socket, in bytes, with its end (unix(7)). The names above have one length.
const LONGEST: usize = 107;

/// What the name of a folder begins with that has nothing but sockets.
const PREFIX: &str = "nodeos-";

/// Where the machine's sockets are to be: in its folder, unless that has too long a path for one.
///
/// # Errors
/// [`StateError::Write`].
pub fn make_folder(folder: &Folder) -> Result<PathBuf, StateError> {
    if of_clients(&folder.path).as_os_str().len() <= LONGEST {
        return Ok(folder.path.clone());
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let place = runtime.unwrap_or_else(std::env::temp_dir);
    tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(&place)
        .map(tempfile::TempDir::keep)
        .map_err(|source| StateError::Write {
            path: place,
            source,
        })
}

/// Where commands connect to.
pub fn of_clients(sockets: &Path) -> PathBuf {
    sockets.join(CLIENTS)
}

/// Where the machine connects to.
pub fn of_machine(sockets: &Path) -> PathBuf {
    sockets.join(MACHINE)
}

/// Where QEMU itself connects to.
pub fn of_qemu(sockets: &Path) -> PathBuf {
    sockets.join(QEMU)
}

/// Listens there.
///
/// # Errors
/// [`StateError::Listen`].
pub fn listen(path: PathBuf) -> Result<UnixListener, StateError> {
    UnixListener::bind(&path).map_err(|source| StateError::Listen { path, source })
}

/// As [`listen`], for a loop that waits for many.
///
/// # Errors
/// [`StateError::Listen`].
pub(crate) fn listen_without_waiting(path: PathBuf) -> Result<UnixListener, StateError> {
    let listener = listen(path.clone())?;
    let prepared: io::Result<()> = listener.set_nonblocking(true);
    prepared
        .map(|()| listener)
        .map_err(|source| StateError::Listen { path, source })
}

/// Removes them, and the folder where it is for nothing else.
pub(crate) fn remove(folder: &Path) {
    // What is not there needs no removing.
    for name in [CLIENTS, MACHINE, QEMU] {
        let _ = fs::remove_file(folder.join(name));
    }
    let is_ours = folder
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    if is_ours {
        let _ = fs::remove_dir(folder);
    }
}
