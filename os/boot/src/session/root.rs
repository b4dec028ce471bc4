//! The filesystem that a session sees: an overlay of its home over the system, and private views of the kernel.
//!
//! Everything here happens in a mount namespace that nobody else has yet, and is gone with it.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nodeos_sys::error::OsError;
use rustix::fs::{self, CWD, Dev, FileType, Mode, statfs};
use rustix::io::Errno;
use rustix::mount::{self, MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{chdir, chroot, pivot_root};
use thiserror::Error;

use crate::paths;
use crate::system;

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

#[derive(Debug, Error)]
pub(crate) enum BuildRootError {
    #[error("cannot keep its mounts to itself")]
    Private { source: OsError },
    #[error("cannot mount {what} on {}", target.display())]
    Mount {
        what: &'static str,
        target: PathBuf,
        source: OsError,
    },
    #[error("cannot make {}", path.display())]
    Make { path: PathBuf, source: OsError },
    #[error("cannot look at {}", path.display())]
    Inspect {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is in the way: it has to be a folder", path.display())]
    NotAFolder { path: PathBuf },
    #[error("cannot change to its own root")]
    Pivot { source: OsError },
}

/// A node of the session's /dev: device numbers by the kernel's Documentation/admin-guide/devices.txt.
const NODES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Consoles begin like this; root's session has those of them that the machine has.
const CONSOLES: [&str; 5] = ["console", "tty", "ttyS", "ttyAMA", "hvc"];

/// What of /proc changes the whole machine. Where the user id alone decides, it would be root's to write.
const READ_ONLY_IN_PROC: [&str; 4] = ["sys", "irq", "bus", "fs"];

/// What is mounted upon. A home may hold something else there, a link for instance, which mount(2) would follow.
const MOUNT_POINTS: [&str; 6] = ["proc", "sys", "dev", "tmp", "run", "home"];

const SAFE: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);
const INERT: MountFlags = SAFE.union(MountFlags::NOEXEC);
const DEVICES: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);

/// Builds the root and changes to it; what was the root before is out of reach then.
pub(crate) fn enter(view: &View<'_>) -> Result<(), BuildRootError> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount::mount_change("/", private).map_err(|errno| BuildRootError::Private {
        source: OsError(errno),
    })?;
    if statfs("/").is_ok_and(|found| system::is_memory(found.f_type)) {
        leave_rootfs().map_err(|errno| BuildRootError::Pivot {
            source: OsError(errno),
        })?;
    }
    let root = Path::new(paths::SESSION_ROOT);
    overlay(view, root)?;
    for name in MOUNT_POINTS {
        check_folder(view, &root.join(name), name)?;
    }
    kernel_views(root)?;
    devices(view, root)?;
    scratch(view, root)?;
    system(view, root)?;
    if view.rights == Rights::Root {
        users(view, root)?;
    }
    pivot(root).map_err(|errno| BuildRootError::Pivot {
        source: OsError(errno),
    })
}

/// The kernel's first filesystem, which an initramfs is unpacked into, cannot be pivoted away from (pivot_root(2), "NOTES").
/// So it is laid over itself, and this process moves to the upper one.
fn leave_rootfs() -> Result<(), Errno> {
    mount::mount_bind_recursive("/", paths::ROOT_AGAIN)?;
    chdir(paths::ROOT_AGAIN)?;
    mount::mount_move(".", "/")?;
    chroot(".")?;
    chdir("/")
}

fn overlay(view: &View<'_>, root: &Path) -> Result<(), BuildRootError> {
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

fn check_folder(view: &View<'_>, path: &Path, name: &str) -> Result<(), BuildRootError> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(BuildRootError::NotAFolder {
            path: view.home.join(name),
        }),
        Err(source) => Err(BuildRootError::Inspect {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A colon, comma or backslash in a path would end it: overlayfs takes them after a backslash.
fn escaped(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b':' | b',' | b'\\') {
            bytes.push(b'\\');
        }
        bytes.push(byte);
    }
    bytes
}

fn kernel_views(root: &Path) -> Result<(), BuildRootError> {
    attach("proc", "proc", &root.join("proc"), INERT, None)?;
    for name in READ_ONLY_IN_PROC {
        let path = root.join("proc").join(name);
        if path.exists() {
            bind(&path, &path, INERT | MountFlags::RDONLY)?;
        }
    }
    let read_only = INERT | MountFlags::RDONLY;
    attach("sysfs", "sysfs", &root.join("sys"), read_only, None)?;
    attach(
        "cgroup2",
        "cgroup2",
        &root.join("sys/fs/cgroup"),
        read_only,
        None,
    )
}

fn devices(view: &View<'_>, root: &Path) -> Result<(), BuildRootError> {
    let dev = root.join("dev");
    let size = Some(b"mode=0755,size=64k".to_vec());
    attach("tmpfs", "tmpfs", &dev, DEVICES, size)?;
    for (name, major, minor) in NODES {
        node(&dev.join(name), 0o666, fs::makedev(major, minor))?;
    }
    if view.rights == Rights::Root {
        consoles(&dev)?;
        node(&dev.join("kmsg"), 0o400, fs::makedev(1, 11))?;
    }
    for (name, target) in LINKS {
        let path = dev.join(name);
        fs::symlink(target, &path).map_err(|errno| BuildRootError::Make {
            path,
            source: OsError(errno),
        })?;
    }
    for name in ["pts", "shm"] {
        directory(&dev.join(name), 0o755)?;
    }
    // 5 is the group `tty` of every distribution.
    let pts = Some(b"newinstance,ptmxmode=0666,mode=0620,gid=5".to_vec());
    attach("devpts", "devpts", &dev.join("pts"), DEVICES, pts)?;
    memory_files(view, &dev.join("shm"), "1777")?;
    let read_only = DEVICES | MountFlags::RDONLY;
    mount::mount_remount(&dev, MountFlags::BIND | read_only, c"")
        .map_err(|errno| mount_error("tmpfs", &dev, errno))
}

/// The nodes of the machine's consoles, with the same numbers and 0600.
fn consoles(dev: &Path) -> Result<(), BuildRootError> {
    let path = Path::new("/dev");
    let inspect = |source| BuildRootError::Inspect {
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
            node(&dev.join(&name), 0o600, metadata.rdev())?;
        }
    }
    Ok(())
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

fn scratch(view: &View<'_>, root: &Path) -> Result<(), BuildRootError> {
    memory_files(view, &root.join("tmp"), "1777")?;
    memory_files(view, &root.join("run"), "1777")
}

/// What the machine tells all sessions, and where the broker listens.
fn system(view: &View<'_>, root: &Path) -> Result<(), BuildRootError> {
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
        .map_err(|source| BuildRootError::Inspect {
            path: socket.clone(),
            source,
        })?;
    bind(view.broker_socket, &socket, INERT)
}

/// All homes, and root's own as its session has it: to write below the overlay would be to confuse it.
fn users(view: &View<'_>, root: &Path) -> Result<(), BuildRootError> {
    let home = root.join("home");
    bind(Path::new(paths::USERS), &home, SAFE)?;
    match view.home.strip_prefix(paths::USERS) {
        Ok(name) => bind(root, &home.join(name), SAFE),
        // It is in memory, and not among them.
        Err(_) => Ok(()),
    }
}

/// pivot_root(2), "pivot_root(".", ".")": the old root lies on the new one then, and is taken away from there.
fn pivot(root: &Path) -> Result<(), Errno> {
    chdir(root)?;
    pivot_root(".", ".")?;
    mount::unmount(".", UnmountFlags::DETACH)?;
    chdir("/")
}

fn memory_files(view: &View<'_>, target: &Path, mode: &str) -> Result<(), BuildRootError> {
    let options = format!("mode={mode},size={}", view.memory_files).into_bytes();
    attach("tmpfs", "tmpfs", target, SAFE, Some(options))
}

fn attach(
    what: &'static str,
    fstype: &str,
    target: &Path,
    flags: MountFlags,
    options: Option<Vec<u8>>,
) -> Result<(), BuildRootError> {
    // What came from paths has no zero byte in it, nor have the words above.
    let options = options.map(|options| CString::new(options).unwrap_or_default());
    mount::mount(fstype, target, fstype, flags, options.as_deref())
        .map_err(|errno| mount_error(what, target, errno))
}

/// A bind mount takes its flags only when it is mounted again (mount(2), MS_BIND).
fn bind(source: &Path, target: &Path, flags: MountFlags) -> Result<(), BuildRootError> {
    mount::mount_bind(source, target)
        .and_then(|()| mount::mount_remount(target, MountFlags::BIND | flags, c""))
        .map_err(|errno| mount_error("a view of another folder", target, errno))
}

fn mount_error(what: &'static str, target: &Path, errno: Errno) -> BuildRootError {
    BuildRootError::Mount {
        what,
        target: target.to_owned(),
        source: OsError(errno),
    }
}

fn node(path: &Path, mode: u32, device: Dev) -> Result<(), BuildRootError> {
    let make = || {
        let mode = Mode::from_raw_mode(mode);
        fs::mknodat(CWD, path, FileType::CharacterDevice, mode, device)?;
        // Whatever the umask is.
        fs::chmod(path, mode)
    };
    make().map_err(|errno| BuildRootError::Make {
        path: path.to_owned(),
        source: OsError(errno),
    })
}

fn directory(path: &Path, mode: u32) -> Result<(), BuildRootError> {
    match fs::mkdir(path, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(BuildRootError::Make {
            path: path.to_owned(),
            source: OsError(errno),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_end_early_in_the_options_of_the_overlay() {
        assert_eq!(escaped(Path::new(r"/users/a:b,c\d")), br"/users/a\:b\,c\\d");
    }

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
