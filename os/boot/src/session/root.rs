//! The filesystem that a session sees: an overlay of its home over the system, and private views of the kernel.
//!
//! Everything here happens in a mount namespace that nobody else has yet, and is gone with it.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nodeos_sandbox::devices::{self, Node};
use nodeos_sandbox::kernel;
use nodeos_sandbox::mounts::{
    self, INERT, MountError, SAFE, attach, bind, directory, escaped, memory_files,
};
use rustix::fs::{self, FileType};
use rustix::mount::MountFlags;

use crate::paths;

/// What a session's root is made of.
#[derive(Debug, Clone)]
pub(crate) struct View<'a> {
    /// The user's folder, which takes everything that is written.
    pub(crate) home: &'a Path,
    /// Where the overlay keeps what it is working on: on the home's filesystem. None where that cannot be written.
    pub(crate) work: Option<&'a Path>,
    /// Where the broker listens for this session.
    pub(crate) broker_socket: &'a Path,
    /// What the session may see beyond the ordinary.
    pub(crate) rights: Rights,
    /// Bytes that each of /tmp, /run and /dev/shm may hold.
    pub(crate) memory_files: u64,
}

/// Whose session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    User,
    /// Sees the users partition at /home, the machine's consoles and the kernel's log, and may write what /run/system
    /// holds.
    Root,
}

/// Consoles begin like this; root's session has those of them that the machine has.
const CONSOLES: [&str; 5] = ["console", "tty", "ttyS", "ttyAMA", "hvc"];

/// What is mounted upon. A home may hold something else there, a link for instance, which mount(2) would follow.
const MOUNT_POINTS: [&str; 6] = ["proc", "sys", "dev", "tmp", "run", "home"];

/// Builds the root and changes to it; what was the root before is out of reach then.
pub(crate) fn enter(view: &View<'_>) -> Result<(), MountError> {
    mounts::keep_private()?;
    mounts::leave_rootfs(Path::new(paths::ROOT_AGAIN))?;
    let root = Path::new(paths::SESSION_ROOT);
    overlay(view, root)?;
    for name in MOUNT_POINTS {
        check_folder(view, &root.join(name), name)?;
    }
    kernel::views(root)?;
    devices(view, root)?;
    scratch(view, root)?;
    system(view, root)?;
    if view.rights == Rights::Root {
        users(view, root)?;
    }
    mounts::pivot(root)
}

fn overlay(view: &View<'_>, root: &Path) -> Result<(), MountError> {
    let mut options = b"lowerdir=".to_vec();
    match view.work {
        Some(work) => {
            options.extend(b"/,upperdir=");
            options.extend(escaped(view.home));
            options.extend(b",workdir=");
            options.extend(escaped(work));
        }
        // Two lower layers, the home above the system.
        None => {
            options.extend(escaped(view.home));
            options.extend(b":/");
        }
    }
    attach("overlay", "overlay", root, SAFE, Some(options))
}

fn check_folder(view: &View<'_>, path: &Path, name: &str) -> Result<(), MountError> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(MountError::NotAFolder {
            path: view.home.join(name),
        }),
        Err(source) => Err(MountError::Inspect {
            path: path.to_owned(),
            source,
        }),
    }
}

fn devices(view: &View<'_>, root: &Path) -> Result<(), MountError> {
    let more = match view.rights {
        Rights::Root => of_root()?,
        Rights::User => Vec::new(),
    };
    devices::make(&root.join("dev"), view.memory_files, &more)
}

/// The nodes of the machine's consoles, with the same numbers and 0600, and the kernel's log.
fn of_root() -> Result<Vec<Node>, MountError> {
    let mut nodes = vec![Node {
        name: "kmsg".into(),
        mode: 0o400,
        device: fs::makedev(1, 11),
    }];
    let path = Path::new("/dev");
    let inspect = |source| MountError::Inspect {
        path: path.to_owned(),
        source,
    };
    for entry in path.read_dir().map_err(inspect)? {
        let entry = entry.map_err(inspect)?;
        let name = entry.file_name();
        let metadata = entry.metadata().map_err(inspect)?;
        let is_console = name.to_str().is_some_and(is_console);
        if is_console
            && metadata.rdev() != 0
            && FileType::from_raw_mode(metadata.mode()).is_char_device()
        {
            nodes.push(Node {
                name,
                mode: 0o600,
                device: metadata.rdev(),
            });
        }
    }
    Ok(nodes)
}

/// `console`, or one of the others with a number behind it.
fn is_console(name: &str) -> bool {
    name == CONSOLES[0]
        || CONSOLES[1..].iter().any(|begin| {
            name.strip_prefix(begin).is_some_and(|number| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
}

fn scratch(view: &View<'_>, root: &Path) -> Result<(), MountError> {
    memory_files(&root.join("tmp"), "1777", view.memory_files)?;
    memory_files(&root.join("run"), "1777", view.memory_files)
}

/// What the machine tells all sessions, and where the broker listens.
fn system(view: &View<'_>, root: &Path) -> Result<(), MountError> {
    let shared = root.join("run/system");
    directory(&shared, 0o755)?;
    let flags = match view.rights {
        Rights::Root => INERT,
        Rights::User => INERT | MountFlags::RDONLY,
    };
    bind(Path::new(paths::SYSTEM), &shared, flags)?;
    let socket = root.join("run/broker.sock");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&socket)
        .map_err(|source| MountError::Inspect {
            path: socket.clone(),
            source,
        })?;
    bind(view.broker_socket, &socket, INERT)
}

/// All homes, and root's own as its session has it: to write below the overlay would be to confuse it.
fn users(view: &View<'_>, root: &Path) -> Result<(), MountError> {
    let home = root.join("home");
    bind(Path::new(paths::USERS), &home, SAFE)?;
    match view.home.strip_prefix(paths::USERS) {
        Ok(name) => bind(root, &home.join(name), SAFE),
        // It is in memory, and not among them.
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consoles_are_consoles_and_nothing_that_begins_like_them() {
        for name in ["console", "tty1", "ttyS0", "hvc0", "tty63"] {
            assert!(is_console(name), "{name}");
        }
        for name in ["tty", "ttyS", "ttyprintk", "console1", "vda", "hvcx"] {
            assert!(!is_console(name), "{name}");
        }
    }
}
